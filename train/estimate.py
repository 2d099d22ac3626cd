"""What trainings will cost: hours, from iterations timed on this machine, and disk."""

import tempfile
import time
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from emotiw.data_prep.sets import PreparedSet
from emotiw.engine.caffe.locate import Caffe
from emotiw.engine.caffe.training import train
from emotiw.engine.events import Event, Loss
from emotiw.prototxt.execution import use_classes
from emotiw.prototxt.shapes import parameters, shapes

from .executed import write_executed
from .experiments import Experiment
from .runs import Run
from .staging import KEPT_SNAPSHOTS

# After the first iteration, which allocates: so many more at the least, and for so long.
_TIMED, _SECONDS = 3, 2.0
_FLOAT = 4  # bytes


@dataclass(frozen=True)
class Task:
    """A stage of a row that is to be carried out on a set, to so many iterations."""

    experiment: Experiment
    stage: str
    prepared: PreparedSet
    iterations: int


@dataclass(frozen=True)
class Cost:
    """What all runs of a net's stage cost.

    Attributes
    ----------
    runs, iterations
        How many are to do, those iterations left out that snapshots hold.
    parameters
        Of the net, auxiliary heads included.
    seconds
        An iteration takes; None where it was not timed.
    """

    net: str
    stage: str
    runs: int
    iterations: int
    parameters: int
    seconds: float | None = None

    @property
    def bytes(self) -> int:
        """What the runs keep on the disk: snapshots, each of weights and the solver's history; the model is a link."""
        return self.runs * KEPT_SNAPSHOTS * 2 * _FLOAT * self.parameters

    @property
    def hours(self) -> float:
        """What one training after the other takes."""
        return self.iterations * (self.seconds or 0) / 3600


def costs(tasks: Iterable[Task], runs: Path, caffe: Caffe | None) -> list[Cost]:
    """Return the costs of `tasks`, a net and stage each; with a Caffe, by iterations that it carries out now.

    Parameters
    ----------
    runs
        The folder RUNS: what lies in it need not be done again.
    """
    alike: dict[tuple[str, str], list[Task]] = {}
    for task in tasks:
        alike.setdefault((task.experiment.net, task.stage), []).append(task)
    return [
        Cost(
            *key,
            len(group),
            sum(task.iterations - _reached(task, runs) for task in group),
            _parameters(group[0]),
            seconds_an_iteration(group[0], caffe) if caffe else None,
        )
        for key, group in alike.items()
    ]


def _reached(task: Task, runs: Path) -> int:
    """Return the iteration at which the task will go on."""
    run = Run(runs / task.experiment.row / task.stage)
    if not run.started or run.facts().recipe != task.experiment.recipe(task.stage):
        return 0
    return min(task.iterations, run.newest_snapshot())


def _parameters(task: Task) -> int:
    train_val = task.experiment.train_val(task.stage)
    use_classes(train_val, len(task.prepared.classes))
    return parameters(shapes(train_val)[1])


class _EnoughError(Exception):
    pass


def seconds_an_iteration(task: Task, caffe: Caffe) -> float:
    """Return how long an iteration of a task takes: the mean of a few, really trained and thrown away."""
    times: list[float] = []

    def clock(event: Event) -> None:
        if isinstance(event, Loss):
            times.append(time.perf_counter())
            if len(times) > _TIMED + 1 and times[-1] - times[1] > _SECONDS:
                raise _EnoughError

    train_val, solver = task.experiment.train_val(task.stage), task.experiment.solver(task.stage)
    use_classes(train_val, len(task.prepared.classes))
    solver.display = 1
    with tempfile.TemporaryDirectory() as folder, suppress(_EnoughError):
        write_executed(Run(Path(folder)), train_val, solver, task.prepared, task.experiment.representation, seed=1)
        train(caffe, Path(folder) / "solver.prototxt", clock)
    return (times[-1] - times[1]) / (len(times) - 2)
