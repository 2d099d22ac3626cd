"""What trainings will cost: hours, from iterations timed on this machine, and disk."""

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
from emotiw.prototxt.shapes import parameters, shapes
from emotiw.train.experiments import Experiment
from emotiw.train.net_setup import NetSetup, TrainOptions, set_up
from emotiw.train.run_folder import Run
from emotiw.train.stage import KEPT_SNAPSHOTS

# After the first iteration, which allocates: so many more at the least, and for so long.
_TIMED, _SECONDS = 3, 2.0
_LONG = 1000  # iterations that a timed training is set up for; it ends long before
_FLOAT = 4  # bytes


@dataclass(frozen=True)
class Task:
    """A stage of a row that is to be carried out on a set, to so many iterations.

    Attributes
    ----------
    anew
        Whether it cannot go on, since the weights that it begins with will be others.
    """

    experiment: Experiment
    stage: str
    prepared: PreparedSet
    iterations: int
    seed: int
    anew: bool = False

    def run(self, runs: Path) -> Run:
        """Its run folder below RUNS."""
        return Run(runs / self.experiment.row / self.stage)

    def setup(self) -> NetSetup:
        """Return its net and solver, as many classes wide as the set has."""
        options = TrainOptions(iterations=max(self.iterations, _LONG))
        return set_up(self.experiment, self.stage, self.prepared, options)


@dataclass(frozen=True)
class Cost:
    """What all runs of a net's stage cost.

    Attributes
    ----------
    runs, iterations
        How many are to do, those iterations left out that snapshots hold.
    longest
        The iterations of the run that has most left.
    taken
        What the runs' snapshots take already, in bytes.
    parameters
        Of the net, auxiliary heads included.
    seconds
        An iteration takes; None where it was not timed.
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
        """The bytes of a snapshot: weights and the solver's history."""
        return 2 * _FLOAT * self.parameters

    @property
    def bytes(self) -> int:
        """What the runs keep on the disk: some snapshots each; the model is a link to the last."""
        return self.runs * KEPT_SNAPSHOTS * self.snapshot

    @property
    def hours(self) -> float:
        """What one training after the other takes."""
        return self.iterations * (self.seconds or 0) / 3600


def hours(found: Sequence[Cost], jobs: int) -> float:
    """Return how long all of it takes at the least: `jobs` at a time, and a row's stages one after the other."""
    rows: dict[str, float] = defaultdict(float)
    for cost in found:
        rows[cost.net] += cost.longest * (cost.seconds or 0) / 3600
    return max([sum(cost.hours for cost in found) / jobs, *rows.values()])


def room(found: Sequence[Cost], jobs: int) -> int:
    """Return how many bytes more the disk needs: each training writes a snapshot before it removes the oldest."""
    return sum(cost.bytes - cost.taken for cost in found) + jobs * max((cost.snapshot for cost in found), default=0)


def costs(tasks: Iterable[Task], runs: Path, engine: Engine | None) -> list[Cost]:
    """Return the costs of `tasks`, a net and stage each; with an engine, by iterations that it carries out now.

    Parameters
    ----------
    runs
        The folder RUNS: what lies in it need not be done again.
    """
    alike: dict[tuple[str, str], list[Task]] = {}
    for task in tasks:
        alike.setdefault((task.experiment.net, task.stage), []).append(task)
    return [_cost(group, runs, engine) for group in alike.values()]


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
    """Return the iteration at which the task will go on: 0 where its run is another, or begins from other weights."""
    run = task.run(runs)
    try:
        facts = run.facts()
    except EmotiwError:  # none, or damaged
        return 0
    asked = (task.experiment.recipe(task.stage), task.prepared.digest, task.seed)
    same = (facts.recipe, facts.set_digest, facts.seed) == asked and not task.anew
    return newest if same and (newest := run.newest_snapshot()) <= task.iterations else 0


class _EnoughError(Exception):
    pass


def seconds_an_iteration(task: Task, engine: Engine) -> float:
    """Return how long an iteration of a task takes: the mean of a few, really trained and thrown away."""
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
