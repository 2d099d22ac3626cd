"""The whole experiment in one call: say what is to do, and do it."""

import logging
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from tabulate import tabulate

from emotiw.data_prep.prepared_set import UNKNOWN, PreparedSet
from emotiw.disk import free_space, require_space
from emotiw.engine.base import Engine
from emotiw.engine.child_process import ctrl_c_passed_on, running
from emotiw.errors import EmotiwError, UsageError
from emotiw.files import alone
from emotiw.text import counted
from emotiw.train.experiments import Experiment
from emotiw.train.net_setup import set_up
from emotiw.train.stage import check_set, unreached

from .cost import Cost, Task, costs, hours, reached, room
from .snakemake import LOG, RULES, Step, complaints, start, steps, watch
from .workflow import ASKED, Options, lay_out

_LOG = logging.getLogger(__name__)

_MOST_TOLD = 3


def reproduce(
    folder: Path,
    rows: Sequence[Experiment],
    sets: Mapping[str, PreparedSet],
    options: Options,
    engine: Engine,
    *,
    dry_run: bool = False,
) -> None:
    """Carry out, or go on with, the whole experiment in `folder`; log what is to do, and what is done.

    Parameters
    ----------
    sets
        The prepared set of each stage. Without one for pretrain every net begins from scratch.
    dry_run
        Say what is to do and what it costs, by iterations really timed, and train nothing.

    Raises
    ------
    EmotiwError
        Where a set is not as needed, the disk is too small, somebody else works in the folder, or steps failed.
    KeyboardInterrupt
        After Ctrl-C, once every training has its snapshot; a second Ctrl-C does not wait.
    """
    for stage, prepared in sets.items():
        labels = {"pretrain": "identities", "finetune": "emotions"}[stage]
        if prepared.facts.labels != labels:
            raise UsageError(f"--{stage} {prepared.folder}: its labels are not {labels}: are the two sets swapped?")
    told: dict[str, list[str]] = {}
    for row in rows:
        for stage, prepared in sets.items():
            check_set(row, stage, prepared)
            words = unreached(set_up(row, stage, prepared, options.training))
            if words:
                told.setdefault(words, []).append(f"{row.row}, {stage}")
    if "pretrain" in sets:
        for line in shared_pictures(sets["pretrain"], sets["finetune"]):
            _LOG.warning(line)
    if folder.exists() and any(folder.iterdir()) and not (folder / ASKED).is_file():
        raise EmotiwError(f"{folder} is there and no reproduction's folder: name another -o")
    with alone(folder, f"another emotiw reproduce works in {folder} now: wait for it, or name another -o"):
        lay_out(folder, rows, sets, options)
        every = steps(folder)
        todo = [step for step in every if step.why]
        _LOG.info(f"{_what(rows, sets)} -> {folder}; {options.jobs} at a time")
        _LOG.info(f"{len(todo)} of {len(every)} steps to do{_by_rule(todo)}")
        for words, where in told.items():
            more = f" and {len(where) - 1} more" if len(where) > 1 else ""
            _LOG.info(f"{where[0]}{more}: {words}")
        tasks = _tasks(todo, rows, sets, options)
        if dry_run:
            found = costs(tasks.values(), folder / "runs", engine.sharing(options.threads))
            _LOG.info(_estimate(found, folder, options))
        elif todo:
            need = room(costs(tasks.values(), folder / "runs", None), options.jobs)
            require_space(folder, "the snapshots need", need, "free some, name another -o, or fewer --rows")
            _carry_out(folder, todo, tasks, options)


def shared_pictures(people: PreparedSet, emotions: PreparedSet) -> Iterator[str]:
    """Yield a warning where pictures to pre-train on are to be scored in the end; older sets do not know theirs."""
    scored = {row["pixels"]: row for row in emotions.manifest if row["split"] != "train"}
    both = [row for row in people.manifest if row["pixels"] in scored and row["pixels"] != UNKNOWN]
    if both:
        whose = counted(len({row["name"] for row in both}), "person", "people")
        path, same = both[0]["path"], scored[both[0]["pixels"]]["path"]
        yield (
            f"warning: {people.folder} pre-trains on {counted(len(both), 'picture')} of {whose} that {emotions.folder} "
            f"scores, such as {path}, there {same}"
        )


def _what(rows: Sequence[Experiment], sets: Mapping[str, PreparedSet]) -> str:
    nets = ", ".join(dict.fromkeys(row.net for row in rows))
    where = ", ".join(f"{stage} on {one.folder}" for stage, one in sets.items())
    scratch = "" if "pretrain" in sets else ", from scratch"
    return f"{counted(len(rows), 'row')} of {nets}, {where}{scratch}"


def _by_rule(todo: Sequence[Step]) -> str:
    if not todo:
        return ""
    counts = Counter(step.rule for step in todo)
    return ": " + ", ".join(f"{counts[rule]} {rule}" for rule in RULES if counts[rule])


def _tasks(
    todo: Sequence[Step], rows: Sequence[Experiment], sets: Mapping[str, PreparedSet], options: Options
) -> dict[Path, Task]:
    """Return the trainings among the steps, by their outputs; in the rows' order."""
    outputs = {step.output for step in todo}
    tasks: dict[Path, Task] = {}
    for row in rows:
        models = {stage: Path("runs", row.row, stage, "model.caffemodel") for stage in sets}
        for stage in [stage for stage in sets if models[stage] in outputs]:
            anew = stage == "finetune" and models.get("pretrain") in tasks
            iterations = options.training.iterations_of(row, stage, sets[stage])
            seed = options.training.seed_of(row, stage)
            tasks[models[stage]] = Task(row, stage, sets[stage], iterations, seed, anew)
    return tasks


def _estimate(found: Sequence[Cost], folder: Path, options: Options) -> str:
    """Return the table of costs, with their sums."""
    rows = [
        [c.net, c.stage, c.runs, f"{c.iterations:,}", f"{c.seconds:.3f}", f"{c.hours:,.1f}", f"{c.bytes / 1e9:,.1f}"]
        for c in found
    ]
    head = ["net", "stage", "runs", "iterations", "s / iteration", "hours", "GB"]
    free = free_space(folder)
    return (
        f"{tabulate(rows, head, 'github', disable_numparse=True)}\n\n"
        f"at least {hours(found, options.jobs):,.1f} hours of training, {options.jobs} at a time, scoring apart; "
        f"{room(found, options.jobs) / 1e9:,.1f} GB more, and {free / 1e9:,.1f} GB are free"
    )


def _carry_out(folder: Path, todo: Sequence[Step], tasks: Mapping[Path, Task], options: Options) -> None:
    began, status = time.time(), 0
    (folder / LOG).unlink(missing_ok=True)
    last = [step for step in todo if step.split == "test"]
    for target, pending in (("validated", [step for step in todo if step not in last]), ("all", last)):
        if pending and not status:
            trained = {step.output: tasks[step.output] for step in pending if step.output in tasks}
            iterations = {output: task.iterations for output, task in trained.items()}
            begun = {output: reached(task, folder / "runs") for output, task in trained.items()}
            with running(start(folder, options, target)) as process, ctrl_c_passed_on(process) as interrupted:
                watch(process, folder, pending, iterations, begun, began)
                status = process.wait()
                if interrupted.is_set():
                    raise KeyboardInterrupt
    left = [step for step in steps(folder) if step.why]
    if left or status:
        told = ["Snakemake was killed"] if status < 0 else complaints(folder, left, began)
        rest = f"; and {len(told) - _MOST_TOLD} more" if len(told) > _MOST_TOLD else ""
        raise EmotiwError(
            f"{len(left)} of {len(todo)} steps are not done: {'; '.join(told[:_MOST_TOLD])}{rest} "
            f"(see {folder}/logs and snakemake.log; run the same command again to continue)"
        )
