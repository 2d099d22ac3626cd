"""The notes below a table, a sentence or two each."""

from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field

from emotiw.evaluate.model import STAND_INS, TRAINED
from emotiw.text import counted

from .claims import LEVEL, Claim, verdict
from .frozen import frozen
from .published import Publication, cell_of, published_on
from .results import Column, Table
from .rows import Net, percent, seeds_of
from .statistics import FEW, shares

_SIZES = range(400, 441)  # candidates for the number of SFEW's 431 validation faces that the authors scored


@dataclass(frozen=True)
class EnsembleNotes:
    """The notes about a column's ensemble."""

    column: Column
    weights: list[str]
    honesty: str
    growth: str

    @property
    def sentences(self) -> list[str]:
        """All notes; if the nets were not trained here, each names them."""
        notes = [sentence for sentence in (*self.weights, self.honesty, self.growth) if sentence]
        if self.column.provenance is TRAINED:
            return notes
        return [f"{_capital(self.column)}. {sentence}" for sentence in notes]


@dataclass(frozen=True)
class Notes:
    """All notes of a table; a note that does not apply is empty."""

    intervals: str
    published: str
    arithmetic: str
    released: str
    ensembles: list[EnsembleNotes]
    baseline: str
    seeds: list[str]
    tests: str
    best: list[str]
    marks: list[str]
    recipes: list[str] = field(default_factory=list)
    scored: str = ""

    @property
    def sentences(self) -> list[str]:
        """All notes in order."""
        ensembles = [sentence for ensemble in self.ensembles for sentence in ensemble.sentences]
        before = [self.intervals, self.scored, self.published, self.arithmetic, self.released]
        notes = [*before, *ensembles, self.baseline, *self.seeds, self.tests, *self.best, *self.recipes, *self.marks]
        return [sentence for sentence in notes if sentence]


def notes(table: Table, nets: Sequence[Net], published: Sequence[Publication], tested: Sequence[Claim]) -> Notes:
    """Return the notes of a table; `published` is empty if no published figure is comparable."""
    return Notes(
        intervals=_intervals(table),
        published=_published(table, published),
        arithmetic=_arithmetic(table, published),
        released=_released(table.released),
        ensembles=[
            EnsembleNotes(column, _weights(column), _honesty(column), _growth(column))
            for column in table.columns
            if column.averages
        ],
        baseline=_baseline(table, published),
        seeds=_seeds(table),
        tests=_tests(table, tested),
        best=[text for net in nets if (text := verdict(net, tested))],
        marks=table.marks.sentences,
        recipes=[*_settings(table.trained), *_chosen(table.trained)],
    )


def _capital(column: Column) -> str:
    title = column.provenance.title
    return title[0].upper() + title[1:]


def _released(column: Column | None) -> str:
    """Return what the released models' column contains, and what it does not show."""
    if not column:
        return ""
    if column.provenance is STAND_INS:
        return (
            f"{_capital(column)}: nets with the structure of the released models. Their figures say nothing about the "
            "authors' nets and are not compared."
        )
    usual = [cell for cell in column.cells if not cell.provenance.unusual(cell.protocol.mean_rule)]
    rule = (
        f"; the mean is subtracted by the rule `{column.provenance.mean_rule}`, which current Caffe applies to the "
        f"mean of the authors' notebook{'' if len(usual) == len(column.cells) else ', except where marked'}"
    )
    return (
        f"{_capital(column)}: the released VGG_S nets{rule if usual else ''}. "
        "The published ensemble also had VGG_M and GoogLeNet nets; their weights were not released."
    )


def _intervals(table: Table) -> str:
    """Return how the intervals were computed."""
    groups, n = table.groups, len(table.scores.labels)
    if not groups:
        units, size = f"the {n} images (their groups, such as people or movies, are not known)", ""
    else:
        units = f"the {counted(len(set(groups)), 'group')} of the {n} images, such as {groups[0]}"
        size = " with the effective number of images (Korn and Graubard 1998)"
    return (
        f"95 % intervals: bootstrap of {units}; if fewer than {FEW} of them are right, or wrong, the exact interval of "
        f"Clopper and Pearson{size}. They do not include the spread between trainings."
    )


def _published(table: Table, published: Sequence[Publication]) -> str:
    """Return the published figures: the paper's ensemble, or all if there is none on this data set."""
    shown = [each for each in published if each.net == "ensemble"] or published
    if not shown:
        return ""
    figures: dict[str, list[str]] = defaultdict(list)
    for each in shown:
        recalled = "" if each.standing == "verified" else f" ({each.standing})"
        figures[f"{each.method}{recalled}"].append(f"{each.split} {each.accuracy}")
    listed = "; ".join(f"{method}: {', '.join(some)}" for method, some in figures.items())
    n, split = len(table.scores.labels), table.protocol.split
    here = published_on(shown, table.dataset, table.official.official(split))
    others = dict.fromkeys(each.n for each in here if each.n not in ("", str(n)))
    mine = f" They are on {' or '.join(others)} {split} images; this table is on {n}." if others else ""
    if not here and (table.beside or not table.official.official(split)):
        mine = f" None of them is on {split}{table.beside or ' (no official split)'}."
    return f"Published ({table.dataset}): {listed}.{mine}"


def _arithmetic(table: Table, published: Sequence[Publication]) -> str:
    """Return why no result on all of SFEW's images can equal the paper's figure to the digit."""
    n, split = len(table.scores.labels), table.official.official(table.protocol.split)
    here, test = (cell_of(published_on(published, table.dataset, each), "ensemble", "") for each in (split, "test"))
    if not here or not test or here.n != str(n) or shares(here.accuracy, [n]):
        return ""
    near = ", ".join(f"{k}/{of}" for k, of in shares(here.accuracy, _SIZES))
    return (
        f"{here.accuracy} % is not k/{n} for any k, neither rounded nor truncated, so no result on all {n} images can "
        f"equal it. Of {_SIZES[0]} to {_SIZES[-1]} images only {near} give it; the authors probably scored 427, "
        f"because {test.accuracy} is also truncated (203/372)."
    )


def _seeds(table: Table) -> list[str]:
    """Return the spread of rows with several trainings."""
    cells = [cell for column in table.columns for cell in column.cells if cell.others]
    lines = [f"{cell.title}: the mean of {len(cell.trainings)} trainings, seeds {seeds_of(cell)}." for cell in cells]
    if lines:
        lines.append("For such rows, the ensemble and the tests use the training with the lowest seed.")
    return lines


def _tests(table: Table, tested: Sequence[Claim]) -> str:
    """Return how the claims were tested, and whether the ensemble could be tested."""
    where = "out of fold" if table.protocol.split == "val" else "on val"
    lines = []
    if tested:
        grouped = any(claim.paired.grouped is not None for claim in tested)
        and_groups = " and a paired bootstrap of groups (the larger p counts)" if grouped else ""
        lines.append(
            f"Claims are tested by McNemar's exact two-sided test{and_groups}, corrected by Holm for "
            f"{counted(len(tested), 'comparison')}; a corrected p below {LEVEL} shows a difference. Each p compares "
            "one training (one seed) of each net, so it does not include the spread between trainings."
        )
    if any(not claim.net for claim in tested):
        lines.append(
            f"The ensemble and its best member are both chosen {where}, never on the images that they are tested on."
        )
    elif any(column.averages and column.provenance.compared for column in table.columns):
        lines.append(f"The ensemble is not tested against its best member: the two cannot be chosen {where}.")
    return " ".join(lines)


def _honesty(column: Column) -> str:
    """Return on which images the weights were fitted, and what that means for the figures."""
    split = column.protocol.split
    if not column.weights:
        return ""
    if split != "val":
        return frozen(column.cells, column.validated)
    text = "Weights fitted and scored on the same images overestimate accuracy; the other averages do not."
    if column.nested:
        methods = column.nested[1]
        times = ", ".join(f"{name} {count}" for name, count in Counter(methods).most_common())
        text += f" Nested cross-validation chose a method in each of {len(methods)} folds: {times}."
    return text


def _growth(column: Column) -> str:
    """Return the accuracy of the uniform average after each added net, and where the order was found."""
    split = column.protocol.split
    where = "" if split == "val" else " on val" if column.validation else f" on {split} itself"
    grown = ", ".join(f"{cell.title} {percent(accuracy)}" for cell, accuracy in column.gains)
    return f"Uniform average after adding, step by step, the net that improves it most{where}: {grown}."


def _baseline(table: Table, published: Sequence[Publication]) -> str:
    """Return how the baseline was made, and the published baseline."""
    if not table.baseline:
        return ""
    made = table.baseline.protocol
    text = (
        f"Baseline: histograms of LBP codes (R = {made.radius}) in {made.grid} x {made.grid} regions of the face, "
        f"SVM ({made.svm.kernel}, C = {made.svm.C:g}, chosen {made.choice}: {made.svm.accuracy:.2%}) "
        f"by {made.engine}; not part of the ensemble."
    )
    if other := cell_of(published, "baseline", ""):
        text += f" The published baseline, for orientation, is {other.method} ({other.standing})."
    return text


def _weights(column: Column) -> list[str]:
    lines = []
    for name, weights in column.weights.items():
        some = ", ".join(f"{c.title} {w:.2f}" for c, w in zip(column.cells, weights, strict=True) if w >= 0.005)
        beside = column.validated[0].protocol.beside if column.validated else ""
        lines.append(f"Weights by {name}, fitted on {len(column.validation[0].labels)} val images{beside}: {some}.")
    return lines


def _settings(column: Column) -> list[str]:
    """Return the settings of rows that were not trained with the shipped ones."""
    rows: dict[str, list[str]] = defaultdict(list)
    for cell in column.cells:
        usual = cell.name == f"{cell.kind}-{cell.representation}"
        rows[cell.settings].append(cell.name if usual else f"{cell.name} ({cell.kind} on {cell.representation})")
    return [
        f"{', '.join(names)} {'was trained with its' if len(names) == 1 else 'were trained with their'} own settings: "
        f"{settings}."
        for settings, names in rows.items()
        if settings
    ]


def _chosen(column: Column) -> list[str]:
    """Return the best on val of several rows of one net and representation, with a warning about its figure."""
    if not column.cells:
        return []
    known = column.validation or (tuple(c.scores for c in column.cells) if column.protocol.split == "val" else ())
    groups: dict[tuple[str, str], list[tuple[float, str]]] = {}
    for cell, scores in zip(column.cells, known, strict=False):  # all of them, or none
        groups.setdefault((cell.kind, cell.representation), []).append((scores.accuracy, cell.name))
    lines = []
    for (net, representation), rows in groups.items():
        if len(rows) > 1:
            accuracy = max(rows)[0]
            best = " and ".join(name for found, name in rows if found == accuracy)
            where = "" if column.protocol.split == "val" else f", but not its figure on {column.protocol.split}"
            lines.append(
                f"Best of the {len(rows)} rows of {net} on {representation}, chosen on val: {best} "
                f"({percent(accuracy)} on val). The choice makes its figure on val too high{where}."
            )
    return lines
