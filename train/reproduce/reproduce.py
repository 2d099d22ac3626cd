"""The whole experiment in one call: log the steps to do, and do them."""

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
from emotiw.files import alone, is_empty, refuse_foreign
from emotiw.text import counted
from emotiw.train.experiments import Experiment, unlisted
from emotiw.train.net_setup import set_up
from emotiw.train.stage import check_set, unreached

from .cost import Cost, Task, costs, hours, reached, room
from .snakemake import LOG, RULES, Step, complaints, start, steps, watch
from .workflow import ASKED, Options, lay_out

_LOG = logging.getLogger(__name__)

_MOST_REPORTED = 3


def reproduce(
    folder: Path,
    rows: Sequence[Experiment],
    sets: Mapping[str, PreparedSet],
    options: Options,
    engine: Engine,
    *,
    dry_run: bool = False,
) -> None:
    """Run or continue the whole experiment in `folder`; log the steps to do, and each step that is done.

    Parameters
    ----------
    sets
        The prepared set of each stage. Without one for pretrain every net starts from scratch.
    dry_run
        Log the steps to do and their cost, with timed iterations, and train nothing.

    Raises
    ------
    EmotiwError
        If a set is not as needed, the disk is too small, another process works in the folder, or steps failed.
    KeyboardInterrupt
        If Ctrl-C is pressed, once every training has written its snapshot; a second Ctrl-C does not wait.
    """
    for stage, prepared in sets.items():
        labels = {"pretrain": ["identities"], "finetune": ["emotions", "classes"]}[stage]
        if prepared.facts.labels not in labels:
            raise UsageError(
                f"--{stage} {prepared.folder}: its labels are not {' or '.join(labels)}: are the two sets swapped?"
            )
    notes: dict[str, list[str]] = {}
    for row in rows:
        for stage, prepared in sets.items():
            check_set(row, stage, prepared)
            both = unlisted(row), unreached(set_up(row, stage, prepared, options.training))
            for words in filter(None, both):
                notes.setdefault(words, []).append(f"{row.row}, {stage}")
    if "pretrain" in sets:
        for line in shared_pictures(sets["pretrain"], sets["finetune"]):
            _LOG.warning(line)
    refuse_foreign(folder, "a reproduction's folder", (folder / ASKED).is_file() or is_empty(folder))
    with alone(folder, f"another emotiw reproduce is working in {folder}: wait for it, or name another -o"):
        lay_out(folder, rows, sets, options)
        every = steps(folder)
        todo = [step for step in every if step.why]
        _LOG.info(f"{_what(rows, sets)} -> {folder}; {options.jobs} at a time")
        _LOG.info(f"{len(todo)} of {len(every)} steps to do{_by_rule(todo)}")
        for words, where in notes.items():
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
    """Yield a warning if a picture of the pre-training set is also scored; older sets have no pixel digests."""
    scored = {row["pixels"]: row for row in emotions.manifest if row["split"] != "train"}
    both = [row for row in people.manifest if row["pixels"] in scored and row["pixels"] != UNKNOWN]
    if both:
        names = counted(len({row["name"] for row in both}), "person", "people")
        path, same = both[0]["path"], scored[both[0]["pixels"]]["path"]
        yield (
            f"warning: {people.folder} has {counted(len(both), 'picture')} of {names} to pre-train on that are also "
            f"scored in {emotions.folder}, such as {path}, there {same}"
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
    """Return the trainings among the steps by their outputs, in the rows' order."""
    outputs = {step.output for step in todo}
    tasks: dict[Path, Task] = {}
    for row in rows:
        models = {stage: Path("runs", row.row, stage, "model.caffemodel") for stage in sets}
        for stage in [stage for stage in sets if models[stage] in outputs]:
            restart = stage == "finetune" and models.get("pretrain") in tasks
            iterations = options.training.iterations_of(row, stage, sets[stage])
            seed = options.training.seed_of(row, stage)
            tasks[models[stage]] = Task(row, stage, sets[stage], iterations, seed, restart)
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
        f"at least {hours(found, options.jobs):,.1f} hours of training, {options.jobs} at a time, without scoring; "
        f"it needs {room(found, options.jobs) / 1e9:,.1f} GB, and {free / 1e9:,.1f} GB are free"
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
        reasons = ["Snakemake was killed"] if status < 0 else complaints(folder, left, began)
        rest = f"; and {len(reasons) - _MOST_REPORTED} more" if len(reasons) > _MOST_REPORTED else ""
        raise EmotiwError(
            f"{len(left)} of {len(todo)} steps are not done: {'; '.join(reasons[:_MOST_REPORTED])}{rest} "
            f"(see {folder}/logs and snakemake.log; run the same command again to continue)"
        )
