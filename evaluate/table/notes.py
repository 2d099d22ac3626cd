"""What must be said beside the figures, a sentence or two each."""

from collections import Counter
from collections.abc import Sequence

from emotiw.evaluate.model import STAND_INS, TRAINED

from .published import Publication, cell_of
from .results import Results
from .rows import Net, compared, grid, percent
from .statistics import shares

_SIZES = range(400, 441)  # what may have been left of SFEW's 431 validation faces


def remarks(results: Results, known: Sequence[Publication]) -> list[str]:
    """Return everything that a table says below its figures."""
    said = [published(results, known), arithmetic(results, known), released_nets(results)]
    for column in results.columns:
        if column.averages:
            said += [_whose(column, sentence) for sentence in (*_weights(column), honesty(column), growth(column))]
    said.append(baseline(results, known))
    said += [_verdict(net) for net in grid(results) if "rgb" in net.cells and len(net.cells) > 1 and net.best]
    return [sentence for sentence in said if sentence]


def _whose(column: Results, sentence: str) -> str:
    """Return a sentence that says whose nets it is about, where they were not trained here."""
    return f"{_capital(column)}. {sentence}" if sentence and column.kind is not TRAINED else sentence


def _capital(column: Results) -> str:
    return column.kind.title[0].upper() + column.kind.title[1:]


def released_nets(results: Results) -> str:
    """Return what stands in the released models' column, and what does not follow from it; nothing without them."""
    column = results.released
    if not column:
        return ""
    if column.kind is STAND_INS:
        return (
            f"{_capital(column)}: nets of the released models' structure in their place. Their figures say nothing "
            "about the authors' nets and are compared with nothing."
        )
    return (
        f"{_capital(column)}: the released VGG_S nets; the mean is subtracted by the rule "
        f"`{column.cells[0].protocol.mean_rule}`, which is today's Caffe's for what the authors' notebook hands it. "
        "The published ensemble was of VGG_M and GoogLeNet nets, too, whose weights were not released."
    )


def published(results: Results, known: Sequence[Publication]) -> str:
    """Return the paper's figures, and when they compare; nothing where the classes are not the emotions."""
    if not compared(results):
        return ""
    return (
        f"Published (SFEW 2.0): {known[0].method}: val {known[0].val}, test {known[0].test}. "
        "On other faces than SFEW's the comparison says nothing."
    )


def arithmetic(results: Results, known: Sequence[Publication]) -> str:
    """Return why the paper's figure cannot be hit to the digit, on as many images as SFEW has; else nothing."""
    paper, n = known[0], len(results.first.labels)
    figure, size = (getattr(paper, results.protocol.split, ""), paper.count(results.protocol.split))
    if not (compared(results) and figure and n == size) or shares(figure, [n]):
        return ""
    near = ", ".join(f"{k}/{of}" for k, of in shares(figure, _SIZES))
    return (
        f"{figure} % is no k/{n}, neither rounded nor truncated, so nobody hits it to the digit on all {n} images. "
        f"Of {_SIZES[0]} to {_SIZES[-1]} images it is {near} only; the authors probably scored 427, as "
        f"{paper.test}, too, is truncated (203/372)."
    )


def honesty(results: Results) -> str:
    """Return on which images the weights were found, and what that means for the figures; nothing without weights."""
    split = results.protocol.split
    if not results.weights:
        return ""
    if split != "val":
        return (
            f"Frozen: weights are found on the {len(results.known[0].labels)} val images alone, before {split} is "
            f"touched; no {split} image and no {split} label takes part in them."
        )
    said = "Weights found and judged on the same images flatter; the other averages do not."
    if results.nested:
        times = ", ".join(f"{name} {count}" for name, count in Counter(results.nested[1]).most_common())
        said += f" Nested cross-validation chose the method anew in each of {len(results.nested[1])} folds: {times}."
    return said


def growth(results: Results) -> str:
    """Return the gain of each added net, and where the order of adding was found."""
    split = results.protocol.split
    where = "" if split == "val" else " on val" if results.known else f" on {split} itself"
    grown = ", ".join(f"{cell.title} {percent(accuracy)}" for cell, accuracy in results.gains)
    return f"The uniform average as it grows by the net that helps most{where}: {grown}."


def baseline(results: Results, known: Sequence[Publication]) -> str:
    """Return how the baseline was made, and what the published one beside it is; nothing where there is none."""
    if not results.baseline:
        return ""
    made = results.baseline.protocol
    said = (
        f"Baseline: histograms of LBP codes (R = {made.radius}) in {made.grid} x {made.grid} regions of the face, "
        f"SVM ({made.svm.kernel}, C = {made.svm.C:g}, chosen by {made.svm.folds}-fold cross-validation on "
        f"{made.train_images} train images: {made.svm.accuracy:.2%}); no part of the ensemble."
    )
    other = cell_of(known, "baseline", "") if compared(results) else None
    if other:
        said += f" Published beside it, for orientation: {other.method} ({other.standing})."
    return said


def _weights(results: Results) -> list[str]:
    said = []
    for name, weights in results.weights.items():
        some = ", ".join(f"{c.title} {w:.2f}" for c, w in zip(results.cells, weights, strict=True) if w >= 0.005)
        said.append(f"Weights by {name}, found on {len(results.known[0].labels)} val images: {some}.")
    return said


def _verdict(net: Net) -> str:
    if "rgb" not in net.best:
        verdict = "as in the paper, not RGB"
    else:
        verdict = "unlike in the paper, RGB" if len(net.best) == 1 else "RGB is among equals"
    return f"Best representation of {net.title}: {', '.join(net.best)} ({verdict})."
