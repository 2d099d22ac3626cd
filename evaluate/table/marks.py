"""Marks at the figures of a table: what of their inputs must be known to read them; letters there, sentences below."""

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
    """What must be said at figures.

    Attributes
    ----------
    said
        Of each net, by its cell's name, the sentences.
    notes
        What is said below the table without a mark.
    """

    said: Mapping[str, Sequence[str]] = field(default_factory=dict)
    notes: Sequence[str] = ()

    def of(self, names: Sequence[str]) -> list[str]:
        """Return what is said of these nets, or of an average of them."""
        return list(dict.fromkeys(sentence for name in names for sentence in self.said.get(name, ())))

    def at(self, names: Sequence[str]) -> str:
        """Return the letters that stand behind the figure of these nets; empty where nothing is said of them."""
        return "".join(f" [{self._letters[sentence]}]" for sentence in self.of(names))

    @property
    def sentences(self) -> list[str]:
        """All of it, as it stands below the table."""
        return [f"[{letter}] {sentence}." for sentence, letter in self._letters.items()] + list(self.notes)

    @property
    def _letters(self) -> dict[str, str]:
        every = self.of(list(self.said))
        return {sentence: _letter(number) for number, sentence in enumerate(every)}


def _letter(number: int) -> str:
    """Return a, b, ..., z, aa, ab, ..."""
    high, low = divmod(number, len(_LETTERS))
    return (_letter(high - 1) if high else "") + _LETTERS[low]


def marks(cells: Sequence[Cell], validated: Sequence[Cell], others: Mapping[str, Recorded], look: Look) -> Marks:
    """Return the marks of a table's cells.

    Parameters
    ----------
    validated
        The same nets' cells on val, where weights are found on them and the table is of another split.
    others
        The records of figures that no net has, by their names.
    look
        How much is hashed.

    Raises
    ------
    EmotiwError
        If a net is proven to be another than the one that was scored.
    """
    said: dict[str, list[str]] = defaultdict(list)
    for cell in (training for each in (*cells, *validated) for training in each.trainings):
        run = Run(cell.folder) if cell.facts else None
        require_same(cell.protocol.inputs, cell.folder, run, look)
        if mark := words(cell.protocol.trained_on, len(cell.scores.labels)):
            said[cell.name].append(f"{mark} ({cell.protocol.split})")
        said[cell.name] += [f"{cell.name}: {one}" for one in _changed(cell, look)]
    for name, record in others.items():
        said[name] += [f"{name}: {one}" for one in in_words(record, look)]
    for name, one in _varied(cells):
        said[name].append(one)
    return Marks({name: list(dict.fromkeys(some)) for name, some in said.items() if some}, list(_notes(cells, others)))


def _changed(cell: Cell, look: Look) -> Iterator[str]:
    """Yield what of a cell's inputs is not as recorded, or was not hashed."""
    yield from in_words(Recorded(cell.folder, tuple(cell.protocol.inputs)), look)
    if cell.facts:
        yield from of_training(Run(cell.folder), look)


def _varied(cells: Sequence[Cell]) -> Iterator[tuple[str, str]]:
    """Yield what nets that stand beside each other do not have in common: set, iterations and seed of each stage."""
    trained = {cell.name: _history(cell.facts) for cell in cells if cell.facts}
    for key in dict.fromkeys(key for history in trained.values() for key in history):
        values = {name: history.get(key, "none on record") for name, history in trained.items()}
        if len(set(values.values())) > 1:
            for name, one in values.items():
                others = ", ".join(sorted(set(values.values()) - {one}))
                yield name, f"{key} {one}, beside others with {others}"


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
    """Yield of what nothing is on record, and what is not there to be compared."""
    older = [cell.title for cell in cells if not cell.protocol.inputs]
    older += [name for name, record in others.items() if not record.inputs]
    if older:
        yield f"Not known, as it is not on record: what the scores of {', '.join(older)} were made of."
    stages = {cell.title: tuple(unknown(cell.protocol.trained_on)) for cell in cells}
    for where in dict.fromkeys(some for some in stages.values() if some):
        names = ", ".join(name for name, some in stages.items() if some == where)
        yield f"Not known: whether {names} was trained on any of the images in {', '.join(where)}."
    published = [cell.title for cell in cells if cell.facts and Run(cell.folder).published]
    if published:
        yield (
            f"Published records: the models and sets of {', '.join(published)} are not here to be compared with; their "
            "digests stand in run.json and in the records of the scores."
        )
    here = [cell for cell in cells if cell.title not in published]
    absent = {cell.title: Recorded(cell.folder, tuple(cell.protocol.inputs)).absent for cell in here}
    if not published:  # else the baseline's record is a published one, too
        absent |= {name: record.absent for name, record in others.items()}
    for roles in dict.fromkeys(tuple(some) for some in absent.values() if some):
        names = ", ".join(name for name, some in absent.items() if tuple(some) == roles)
        yield f"Not compared, as it is not where it was: {', '.join(roles)} of {names}."
