"""Training curves in one picture: losses above, accuracies below, and the steps of the learning rate."""

from collections.abc import Sequence
from pathlib import Path

from emotiw.files import whole

from .progress import Point, series

# A curve's name in `Point`, its label, colour and marker; losses first, then accuracies.
_CURVES = (
    (("loss", "training loss", "tab:blue", ""), ("val_loss", "validation loss", "tab:red", "o")),
    (
        ("train_accuracy", "training accuracy", "tab:green", "s"),
        ("val_accuracy", "validation accuracy", "tab:orange", "o"),
    ),
)
_MOST_STEPS = 30  # more lines would hide the curves


def draw_curves(points: Sequence[Point], title: str, path: Path, steps: Sequence[int] = ()) -> None:
    """Write the curves of losses and accuracies as a PNG.

    Parameters
    ----------
    steps
        The iterations at which the learning rate was lowered: dotted lines.
    """
    from matplotlib.figure import Figure

    figure = Figure(figsize=(6, 5.4), layout="constrained")
    panels = figure.subplots(2, sharex=True)
    for axes, curves in zip(panels, _CURVES, strict=True):
        for name, label, colour, marker in curves:
            if (curve := series(points, name))[0]:
                axes.plot(*curve, color=colour, marker=marker, markersize=4, linewidth=1, label=label)
        for number, step in enumerate(steps[:_MOST_STEPS]):
            label = "" if number else "the rate steps"
            axes.axvline(step, color="tab:gray", linewidth=1, linestyle=":", label=label or None)
        axes.set_ylim(bottom=0)
        if axes.get_legend_handles_labels()[0]:
            axes.legend(loc="upper left", bbox_to_anchor=(1, 1), frameon=False, fontsize=8)
    panels[0].set(title=title, ylabel="loss")
    panels[1].set(xlabel="iteration", ylabel="accuracy", ylim=(0, 1))
    with whole(path) as temporary:
        figure.savefig(temporary, format="png", dpi=110)
