"""The progress of a run: losses and accuracies, on screen and in `progress.csv`."""

from collections.abc import Callable, Sequence
from dataclasses import astuple, dataclass, fields
from pathlib import Path
from typing import Self

import numpy as np

from emotiw.csv_cells import csv_lines
from emotiw.csv_table import rows_of
from emotiw.engine.base import Event, Loss, Snapshot
from emotiw.engine.training_log import LOG, losses
from emotiw.files import read_text, write_text
from emotiw.json_record import Count, Finite, Share
from emotiw.progress_bar import bar

from .validation import Validation


@dataclass(frozen=True)
class Point:
    """A line of `progress.csv`; values not measured at that iteration are None.

    `loss` is the engine's displayed loss of a training batch; the others are of snapshots: see `Validation`. Files of
    older versions have only the first three.
    """

    iteration: Count
    loss: Finite | None = None
    val_accuracy: Share | None = None
    val_loss: Finite | None = None
    train_accuracy: Share | None = None


_COLUMNS = tuple(field.name for field in fields(Point))
_NEWER = ("val_loss", "train_accuracy")


# What helped nets leave the prior's loss here: the small nets (Deviation D6), and nets with a scaled input.
_HELPED = (
    "a base_lr three times higher or lower (--solver 'base_lr: ...'), or in a net of your own (--net) fillers of type "
    "xavier or msra in place of a narrow gaussian, which an input scaled by 1/128 needs, and less dropout"
)


class Progress:
    """Follows one run.

    Parameters
    ----------
    folder
        The run folder.
    start, iterations
        Its first and last iteration.
    prior_loss
        The loss of a net that always outputs the class frequencies.
    validate
        A function from a caffemodel to its `Validation`, or to None if the set has no validation split.
    """

    def __init__(
        self,
        folder: Path,
        start: int,
        iterations: int,
        prior_loss: float,
        validate: Callable[[Path], Validation | None],
    ) -> None:
        self._path, self._start = folder / "progress.csv", start
        self._validate, self._prior_loss, self._warned = validate, prior_loss, False
        self.points = _known(folder, start + 1 if start == iterations else start)
        write_text(self._path, "".join(csv_lines([_COLUMNS, *map(_row, self.points)])))
        self._bar = bar(range(start, iterations), "train", iterations, "it", start)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self._bar.close()

    def __call__(self, event: Event) -> None:
        """Process an event of the engine."""
        if isinstance(event, Loss):
            self._add(Point(event.iteration, loss=event.loss))
        elif found := self._validate(event.weights):
            self._add(Point(event.iteration, None, found.accuracy, found.loss, found.train_accuracy))
        self._bar.set_postfix_str(", ".join(self._shown()), refresh=False)
        self._bar.update(max(0, event.iteration - self._bar.n))
        if isinstance(event, Snapshot) and self.at_prior() and not self._warned:
            self._warned = True
            self._bar.write(self.warning())

    @property
    def last_loss(self) -> int:
        """The last iteration with a finite loss: a later snapshot may be of a diverged net."""
        return max([self._start, *series(self.points, "loss")[0]])

    def at_prior(self) -> bool:
        """Whether the last losses are those of a net that has not learned."""
        last = series(self.points, "loss")[1][-5:]
        return len(last) == 5 and float(np.mean(last)) > 0.98 * self._prior_loss

    def warning(self) -> str:
        """Return the warning for that."""
        return (
            f"warning: the loss is still that of guessing ({self._prior_loss:.3f}): the net has learned nothing yet; "
            f"if it stays there, try what has helped before: {_HELPED}"
        )

    def _add(self, point: Point) -> None:
        self.points.append(point)
        with self._path.open("a") as file:
            file.writelines(csv_lines([_row(point)]))

    def _shown(self) -> list[str]:
        """Return the text next to the bar: the latest values."""
        shown = {"loss": series(self.points, "loss"), "val accuracy": series(self.points, "val_accuracy")}
        return [f"{name} {values[-1]:.3f}" for name, (_, values) in shown.items() if values]


def _known(folder: Path, start: int) -> list[Point]:
    """Return a run's points before the iteration from which it resumes.

    When Caffe resumes from a snapshot, it logs the loss of that iteration again, but we do not validate it again.
    Losses logged after this process was killed, or during a validation, are only in the log.
    """
    points = [point for point in read_progress(folder / "progress.csv") if _place(point) < (start, True)]
    noted = {point.iteration for point in points if point.loss is not None}
    for iteration, loss in _logged(folder / LOG).items():
        if iteration not in noted and iteration < start and np.isfinite(loss):
            points.append(Point(iteration, loss=loss))
    return sorted(points, key=_place)


def _place(point: Point) -> tuple[int, bool]:
    """Return a point's position: a snapshot is validated before the loss of its iteration is logged."""
    return point.iteration, point.loss is not None


def _logged(log: Path) -> dict[int, float]:
    """Return the losses in a log, by iteration."""
    if not log.is_file():
        return {}
    with log.open(encoding="utf-8", errors="replace") as file:
        return losses(line for line in file if line.endswith("\n"))  # the last line may be cut off


def read_progress(path: Path) -> list[Point]:
    """Return the points of a `progress.csv`, without a truncated last line; none if there is no file.

    Raises
    ------
    EmotiwError
        If it is not in the format that a training writes.
    """
    whole_lines = read_text(path).rpartition("\n")[0] if path.exists() else ""
    if not whole_lines:
        return []
    mend = "remove the file: log.txt has its losses"
    return [point for point, _ in rows_of(whole_lines, str(path), Point, mend, missing=_NEWER)]


def _row(point: Point) -> list[object]:
    """Return a line of `progress.csv`."""
    iteration, *values = astuple(point)
    return [iteration, *("" if value is None else f"{value:.6g}" for value in values)]


def series(points: Sequence[Point], name: str) -> tuple[list[int], list[float]]:
    """Return the iterations at which `name` was measured, and its values there."""
    known = [point for point in points if getattr(point, name) is not None]
    return [point.iteration for point in known], [getattr(point, name) for point in known]
