"""Estimate the cost of trainings: hours, from iterations timed on this machine, and disk usage."""

import tempfile
import time
from collections import defaultdict
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from emotiw.data_prep.prepared_set import PreparedSet
from emotiw.engine.base import Engine, Event, Loss
from emotiw.errors import EmotiwError
from emotiw.progress_bar import bar
from emotiw.prototxt.shapes import parameters, shapes
from emotiw.train.experiments import Experiment
from emotiw.train.net_setup import NetSetup, TrainOptions, set_up
from emotiw.train.run_folder import Run
from emotiw.train.stage import KEPT_SNAPSHOTS

# Time at least this many iterations after the first one, which allocates, and for at least this many seconds.
_TIMED, _SECONDS = 3, 2.0
_LONG = 1000  # iterations of a timed training, which ends long before
_FLOAT = 4  # bytes


@dataclass(frozen=True)
class Task:
    """A training to do: a stage of a row on a set.

    Attributes
    ----------
    iterations
        Its last iteration.
    restart
        Whether an existing run cannot be resumed, because the starting weights will change.
    """

    experiment: Experiment
    stage: str
    prepared: PreparedSet
    iterations: int
    seed: int
    restart: bool = False

    def run(self, runs: Path) -> Run:
        """Return its run folder in RUNS."""
        return Run(runs / self.experiment.row / self.stage)

    def setup(self) -> NetSetup:
        """Return its net and solver, with the set's number of classes."""
        options = TrainOptions(iterations=max(self.iterations, _LONG))
        return set_up(self.experiment, self.stage, self.prepared, options)


@dataclass(frozen=True)
class Cost:
    """The cost of all runs of one stage of a net.

    Attributes
    ----------
    runs, iterations
        The numbers of runs and of iterations to do, without the iterations before existing snapshots.
    longest
        The largest number of iterations that a run has left.
    taken
        The size of the runs' existing snapshots in bytes.
    parameters
        The number of parameters of the net, with auxiliary heads.
    seconds
        The seconds of an iteration; None if it was not timed.
    """

    net: str
    stage: str
    runs: int
    iterations: int
    longest: int
    taken: int
    parameters: int
    seconds: float | None = None

    @property
    def snapshot(self) -> int:
        """The size of a snapshot in bytes: weights and the solver's history."""
        return 2 * _FLOAT * self.parameters

    @property
    def bytes(self) -> int:
        """The final disk usage of the runs in bytes: some snapshots each; the model is a link to the last one."""
        return self.runs * KEPT_SNAPSHOTS * self.snapshot

    @property
    def hours(self) -> float:
        """The hours of all trainings, one after the other."""
        return self.iterations * (self.seconds or 0) / 3600


def hours(found: Sequence[Cost], jobs: int) -> float:
    """Return a lower bound for the hours of all trainings, `jobs` at a time, a row's stages one after the other."""
    rows: dict[str, float] = defaultdict(float)
    for cost in found:
        rows[cost.net] += cost.longest * (cost.seconds or 0) / 3600
    return max([sum(cost.hours for cost in found) / jobs, *rows.values()])


def room(found: Sequence[Cost], jobs: int) -> int:
    """Return the disk space needed in bytes; each training writes a new snapshot before it removes the oldest."""
    return sum(cost.bytes - cost.taken for cost in found) + jobs * max((cost.snapshot for cost in found), default=0)


def costs(tasks: Iterable[Task], runs: Path, engine: Engine | None) -> list[Cost]:
    """Return the costs of `tasks`, for each net and stage.

    Parameters
    ----------
    runs
        The folder RUNS; iterations before snapshots in it are not counted.
    engine
        The engine that times some iterations; None: they are not timed.
    """
    alike: dict[tuple[str, str], list[Task]] = {}
    for task in tasks:
        alike.setdefault((task.experiment.net, task.stage), []).append(task)
    return [_cost(group, runs, engine) for group in bar(alike.values(), "time", len(alike), "training", short=True)]


def _cost(group: Sequence[Task], runs: Path, engine: Engine | None) -> Cost:
    left = [task.iterations - reached(task, runs) for task in group]
    return Cost(
        net=group[0].experiment.net,
        stage=group[0].stage,
        runs=len(group),
        iterations=sum(left),
        longest=max(left),
        taken=sum(path.stat().st_size for task in group for path in task.run(runs).folder.glob("snapshot_iter_*")),
        parameters=parameters(shapes(group[0].setup().train_val)[1]),
        seconds=seconds_an_iteration(group[0], engine) if engine else None,
    )


def reached(task: Task, runs: Path) -> int:
    """Return the iteration from which a task will resume; 0 if its folder has another run, or the weights change."""
    run = task.run(runs)
    try:
        facts = run.facts()
    except EmotiwError:  # there is no run, or it is damaged
        return 0
    asked = (task.experiment.recipe(task.stage), task.prepared.digest, task.seed)
    same = (facts.recipe, facts.set_digest, facts.seed) == asked and not task.restart
    return newest if same and (newest := run.newest_snapshot()) <= task.iterations else 0


class _EnoughError(Exception):
    pass


def seconds_an_iteration(task: Task, engine: Engine) -> float:
    """Return the mean seconds of an iteration of a task, from a short training in a temporary folder."""
    times: list[float] = []

    def clock(event: Event) -> None:
        if isinstance(event, Loss):
            times.append(time.perf_counter())
            if len(times) > _TIMED + 1 and times[-1] - times[1] > _SECONDS:
                raise _EnoughError

    setup = task.setup()
    setup.solver.display = 1
    with tempfile.TemporaryDirectory() as folder, suppress(_EnoughError):
        setup.write(Path(folder))
        engine.train(Path(folder) / "solver.prototxt", clock)
    return (times[-1] - times[1]) / (len(times) - 2)
