"""Marks of figures: warnings about their inputs, as letters in the table and sentences below it."""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from emotiw.evaluate.recorded import Recorded, in_words, of_training, require_same
from emotiw.evaluate.trained_on import unknown, words
from emotiw.inputs import Look
from emotiw.train.run_folder import Facts, Run

from .cells import Cell

_LETTERS = "abcdefghijklmnopqrstuvwxyz"


@dataclass(frozen=True)
class Marks:
    """The warnings about a table's figures.

    Attributes
    ----------
    warnings
        The sentences about each net, by its cell's name.
    notes
        Sentences without a letter.
    """

    warnings: Mapping[str, Sequence[str]] = field(default_factory=dict)
    notes: Sequence[str] = ()

    def of(self, names: Sequence[str]) -> list[str]:
        """Return the sentences about these nets, or about an average of them."""
        return list(dict.fromkeys(sentence for name in names for sentence in self.warnings.get(name, ())))

    def at(self, names: Sequence[str]) -> str:
        """Return the letters after the figure of these nets, such as " [a] [c]"; empty if there are none."""
        return "".join(f" [{self._letters[sentence]}]" for sentence in self.of(names))

    @property
    def sentences(self) -> list[str]:
        """All sentences, as printed below the table."""
        return [f"[{letter}] {sentence}." for sentence, letter in self._letters.items()] + list(self.notes)

    @property
    def _letters(self) -> dict[str, str]:
        every = self.of(list(self.warnings))
        return {sentence: _letter(number) for number, sentence in enumerate(every)}


def _letter(number: int) -> str:
    """Return a, b, ..., z, aa, ab, ..."""
    high, low = divmod(number, len(_LETTERS))
    return (_letter(high - 1) if high else "") + _LETTERS[low]


def marks(
    cells: Sequence[Cell],
    validated: Sequence[Cell],
    others: Mapping[str, Recorded],
    look: Look,
    known: Mapping[str, Sequence[str]] | None = None,
) -> Marks:
    """Return the marks of a table's cells.

    Parameters
    ----------
    validated
        The cells of the same nets on val, if the table is of another split and its weights were fitted on val.
    others
        The records of figures that no net has, by name.
    look
        How much is hashed.
    known
        Sentences about figures that no net has, by name.

    Raises
    ------
    EmotiwError
        If a net is proven not to be the one that was scored.
    """
    found: dict[str, list[str]] = defaultdict(list)
    for cell in (training for each in (*cells, *validated) for training in each.trainings):
        run = Run(cell.folder) if cell.facts else None
        require_same(cell.protocol.inputs, cell.folder, run, look)
        if mark := words(cell.protocol.trained_on, len(cell.scores.labels)):
            found[cell.name].append(f"{mark} ({cell.protocol.split})")
        if unusual := cell.provenance.unusual(cell.protocol.mean_rule):
            found[cell.name].append(f"{cell.name}: {unusual} ({cell.protocol.split})")
        found[cell.name] += [f"{cell.name}: {one}" for one in _changed(cell, look)]
    for name, record in others.items():
        found[name] += [*(known or {}).get(name, ()), *(f"{name}: {one}" for one in in_words(record, look))]
    for name, one in _varied(cells):
        found[name].append(one)
    return Marks({name: list(dict.fromkeys(some)) for name, some in found.items() if some}, list(_notes(cells, others)))


def _changed(cell: Cell, look: Look) -> Iterator[str]:
    """Yield the inputs of a cell that differ from the record, or were not hashed."""
    yield from in_words(Recorded(cell.folder, tuple(cell.protocol.inputs)), look)
    if cell.facts:
        yield from of_training(Run(cell.folder), look)


def _varied(cells: Sequence[Cell]) -> Iterator[tuple[str, str]]:
    """Yield, by name, the set, iterations or seed of a stage in which the nets of a table differ."""
    trained = {cell.name: _history(cell.facts) for cell in cells if cell.facts}
    for key in dict.fromkeys(key for history in trained.values() for key in history):
        values = {name: history.get(key, "not recorded") for name, history in trained.items()}
        if len(set(values.values())) > 1:
            for name, one in values.items():
                others = ", ".join(sorted(set(values.values()) - {one}))
                yield name, f"{key} {one} (other rows: {others})"


def _history(facts: Facts) -> dict[str, str]:
    found: dict[str, str] = {}
    for stage in facts.stages:
        found |= {
            f"{stage.stage}: training set": stage.set_digest[:12],
            f"{stage.stage}: iterations": f"{stage.iterations}",
            f"{stage.stage}: seed": f"{stage.seed}",
        }
    return found


def _notes(cells: Sequence[Cell], others: Mapping[str, Recorded]) -> Iterator[str]:
    """Yield sentences about inputs that are not recorded, or are not there to be compared."""
    older = [cell.title for cell in cells if not cell.protocol.inputs]
    older += [name for name, record in others.items() if not record.inputs]
    if older:
        yield f"Not known, because not recorded: the inputs of the scores of {', '.join(older)}."
    stages = {cell.title: tuple(unknown(cell.protocol.trained_on)) for cell in cells}
    for where in dict.fromkeys(some for some in stages.values() if some):
        names = ", ".join(name for name, some in stages.items() if some == where)
        yield f"Not known: whether {names} was trained on any of the images in {', '.join(where)}."
    published = [cell.title for cell in cells if cell.facts and Run(cell.folder).published]
    if published:
        yield (
            f"Published records: the models and sets of {', '.join(published)} are not here and were not compared; "
            "their digests are in run.json and in the records of the scores."
        )
    here = [cell for cell in cells if cell.title not in published]
    absent = {cell.title: Recorded(cell.folder, tuple(cell.protocol.inputs)).absent for cell in here}
    if not published:  # else the baseline's record is a published one, too
        absent |= {name: record.absent for name, record in others.items()}
    for roles in dict.fromkeys(tuple(some) for some in absent.values() if some):
        names = ", ".join(name for name, some in absent.items() if tuple(some) == roles)
        yield f"Not compared, because no longer at the recorded path: {', '.join(roles)} of {names}."
