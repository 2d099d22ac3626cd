"""What must be said beside the figures, a sentence or two each."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from emotiw.evaluate.model import STAND_INS, TRAINED

from .frozen import frozen
from .published import Publication, cell_of
from .results import Column, Table
from .rows import Net, percent
from .statistics import shares

_SIZES = range(400, 441)  # what may have been left of SFEW's 431 validation faces


@dataclass(frozen=True)
class EnsembleNotes:
    """What is said of a column's ensemble."""

    column: Column
    weights: list[str]
    honesty: str
    growth: str

    @property
    def sentences(self) -> list[str]:
        """All of it; where the nets were not trained here, each sentence names them."""
        said = [sentence for sentence in (*self.weights, self.honesty, self.growth) if sentence]
        if self.column.provenance is TRAINED:
            return said
        return [f"{_capital(self.column)}. {sentence}" for sentence in said]


@dataclass(frozen=True)
class Notes:
    """Everything that a table says beside its figures; a text is empty where nothing is to be said."""

    published: str
    arithmetic: str
    released: str
    ensembles: list[EnsembleNotes]
    baseline: str
    best: list[str]
    marks: list[str]

    @property
    def sentences(self) -> list[str]:
        """All of them in order."""
        ensembles = [sentence for ensemble in self.ensembles for sentence in ensemble.sentences]
        said = [self.published, self.arithmetic, self.released, *ensembles, self.baseline, *self.best, *self.marks]
        return [sentence for sentence in said if sentence]


def notes(table: Table, nets: Sequence[Net], published: Sequence[Publication]) -> Notes:
    """Return what is said of a table; `published` is empty where no published figure may stand beside it."""
    return Notes(
        published=_published(published),
        arithmetic=_arithmetic(table, published),
        released=_released(table.released),
        ensembles=[
            EnsembleNotes(column, _weights(column), _honesty(column), _growth(column))
            for column in table.columns
            if column.averages
        ],
        baseline=_baseline(table, published),
        best=[_best(net) for net in nets if "rgb" in net.cells and len(net.cells) > 1 and net.best],
        marks=table.marks.sentences,
    )


def _capital(column: Column) -> str:
    title = column.provenance.title
    return title[0].upper() + title[1:]


def _released(column: Column | None) -> str:
    """Return what stands in the released models' column, and what does not follow from it."""
    if not column:
        return ""
    if column.provenance is STAND_INS:
        return (
            f"{_capital(column)}: nets of the released models' structure in their place. Their figures say nothing "
            "about the authors' nets and are compared with nothing."
        )
    return (
        f"{_capital(column)}: the released VGG_S nets; the mean is subtracted by the rule "
        f"`{column.protocol.mean_rule}`, which is today's Caffe's for what the authors' notebook hands it. "
        "The published ensemble was of VGG_M and GoogLeNet nets, too, whose weights were not released."
    )


def _published(published: Sequence[Publication]) -> str:
    """Return the paper's figures, and when they compare."""
    if not published:
        return ""
    paper = published[0]
    return (
        f"Published (SFEW 2.0): {paper.method}: val {paper.val}, test {paper.test}. "
        "On other faces than SFEW's the comparison says nothing."
    )


def _arithmetic(table: Table, published: Sequence[Publication]) -> str:
    """Return why the paper's figure cannot be hit to the digit, on as many images as SFEW has."""
    if not published:
        return ""
    paper, n, split = published[0], len(table.scores.labels), table.protocol.split
    figure = getattr(paper, split, "")
    if not figure or n != paper.count(split) or shares(figure, [n]):
        return ""
    near = ", ".join(f"{k}/{of}" for k, of in shares(figure, _SIZES))
    return (
        f"{figure} % is no k/{n}, neither rounded nor truncated, so nobody hits it to the digit on all {n} images. "
        f"Of {_SIZES[0]} to {_SIZES[-1]} images it is {near} only; the authors probably scored 427, as "
        f"{paper.test}, too, is truncated (203/372)."
    )


def _honesty(column: Column) -> str:
    """Return on which images the weights were found, and what that means for the figures."""
    split = column.protocol.split
    if not column.weights:
        return ""
    if split != "val":
        return frozen(column.cells, column.validated)
    said = "Weights found and judged on the same images flatter; the other averages do not."
    if column.nested:
        methods = column.nested[1]
        times = ", ".join(f"{name} {count}" for name, count in Counter(methods).most_common())
        said += f" Nested cross-validation chose the method anew in each of {len(methods)} folds: {times}."
    return said


def _growth(column: Column) -> str:
    """Return the gain of each added net, and where the order of adding was found."""
    split = column.protocol.split
    where = "" if split == "val" else " on val" if column.validation else f" on {split} itself"
    grown = ", ".join(f"{cell.title} {percent(accuracy)}" for cell, accuracy in column.gains)
    return f"The uniform average as it grows by the net that helps most{where}: {grown}."


def _baseline(table: Table, published: Sequence[Publication]) -> str:
    """Return how the baseline was made, and what the published one beside it is."""
    if not table.baseline:
        return ""
    made = table.baseline.protocol
    said = (
        f"Baseline: histograms of LBP codes (R = {made.radius}) in {made.grid} x {made.grid} regions of the face, "
        f"SVM ({made.svm.kernel}, C = {made.svm.C:g}, chosen by {made.svm.folds}-fold cross-validation on "
        f"{made.train_images} train images: {made.svm.accuracy:.2%}); no part of the ensemble."
    )
    if other := cell_of(published, "baseline", ""):
        said += f" Published beside it, for orientation: {other.method} ({other.standing})."
    return said


def _weights(column: Column) -> list[str]:
    said = []
    for name, weights in column.weights.items():
        some = ", ".join(f"{c.title} {w:.2f}" for c, w in zip(column.cells, weights, strict=True) if w >= 0.005)
        said.append(f"Weights by {name}, found on {len(column.validation[0].labels)} val images: {some}.")
    return said


def _best(net: Net) -> str:
    if "rgb" not in net.best:
        verdict = "as in the paper, not RGB"
    else:
        verdict = "unlike in the paper, RGB" if len(net.best) == 1 else "RGB is among equals"
    return f"Best representation of {net.title}: {', '.join(net.best)} ({verdict})."
