"""The whole experiment as a workflow: what Snakemake is told, what is to do, and starting it.

```
REPRODUCTION/reproduction.json     what was asked for
             sets/                 links to the prepared sets
             runs/<row>/<stage>/   the run folders
             table_<split>/        the results
             logs/, snakemake.log  what the steps and Snakemake said
```
"""

import csv
import json
import re
import shlex
import subprocess
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from emotiw.data_prep.sets import PreparedSet
from emotiw.engine import leash
from emotiw.engine.leash import Stream, leashed, running
from emotiw.errors import EmotiwError
from emotiw.files import write_text

from .experiments import Experiment
from .runs import STAGES

SNAKEFILE = Path(__file__).with_name("Snakefile")
ASKED = "reproduction.json"
_SNAKEMAKE_LOG = "snakemake.log"
RULES = (*STAGES, "evaluate", "baseline", "table")  # of the Snakefile, in the order of their work

# We hold the folder and Snakemake is on our leash, so its own lock, which a kill would leave behind, is not needed, and
# what a kill left half done is made again. Another version of the Snakefile is no reason to train for days again.
_ALWAYS = ("--nolock", "--rerun-incomplete", "--rerun-triggers", "mtime", "params", "input")


@dataclass(frozen=True)
class Options:
    """What is the same for all rows; the verb's help says what each is."""

    iterations: int | None = None
    seed: int = 1
    crops: int = 1
    truth: Path | None = None
    gpu: str = ""
    jobs: int = 1
    threads: int = 1


@dataclass(frozen=True)
class Step:
    """A file that the workflow makes.

    Attributes
    ----------
    output, log
        Relative to the reproduction's folder; the log may not be there.
    rule
        One of RULES.
    why
        Why it is to be made, such as "missing"; empty where it is there.
    """

    output: Path
    rule: str
    log: Path
    why: str

    def __str__(self) -> str:
        row = [self.output.parts[1]] if self.rule in {*STAGES, "evaluate"} else []
        split = [self.output.stem.rpartition("_")[2]] if self.rule not in STAGES else []
        return " ".join([self.rule, *row, *split])


def splits_of(emotions: PreparedSet) -> list[str]:
    """Return the splits that are scored: val, and test where the set has it."""
    return ["val", *["test"] * bool(emotions.count("test"))]


def lay_out(
    folder: Path,
    rows: Iterable[Experiment],
    sets: Mapping[str, PreparedSet],
    options: Options,
    caffe: Path,
    baseline: str,
) -> None:
    """Write what the workflow needs into `folder`.

    Parameters
    ----------
    sets
        The prepared set of each stage.
    caffe
        The program that the steps are to use.
    baseline
        Where the baseline of the emotions' set goes, relative to `folder`; empty where it can have none.

    Raises
    ------
    EmotiwError
        Where the emotions' set has no validation split: the ensemble's weights are found on it; or where there is
        truth, and no test split.
    """
    emotions = sets["finetune"]
    emotions.lmdb(emotions.settings["representations"][0], "val")
    if options.truth:
        emotions.lmdb(emotions.settings["representations"][0], "test")
    configuration = _configuration(rows, sets, options) | {
        "caffe": _flags({"--caffe": caffe.absolute()}),
        "baseline": baseline,
    }
    folder.mkdir(parents=True, exist_ok=True)
    write_text(folder / ASKED, json.dumps(configuration, indent=1) + "\n")
    links = {stage: one.folder for stage, one in sets.items()} | ({"truth": options.truth} if options.truth else {})
    (folder / "sets").mkdir(parents=True, exist_ok=True)
    for name, target in links.items():
        link = folder / "sets" / name
        link.unlink(missing_ok=True)
        link.symlink_to(target.resolve())


def _configuration(rows: Iterable[Experiment], sets: Mapping[str, PreparedSet], options: Options) -> dict[str, object]:
    """Return what the Snakefile calls `config`; the command lines in it are quoted for the shell."""
    truth = {"test": "sets/truth"} if options.truth else {}

    def fingerprint(row: Experiment, stage: str) -> str:
        iterations = options.iterations or row.solver(stage).max_iter
        return f"{row.recipe(stage)} {sets[stage].digest} {iterations} {options.seed}"

    return {
        "rows": {row.row: {stage: fingerprint(row, stage) for stage in STAGES} for row in rows},
        "splits": (splits := splits_of(sets["finetune"])),
        "scored": sets["finetune"].digest,
        "truth": truth,
        "threads": options.threads,
        "leash": _quoted([sys.executable, "-I", "-S", leash.__file__]),
        "emotiw": _quoted([sys.executable, "-P", "-m", "emotiw"]),  # -P: not a folder emotiw that lies here
        "training": _flags({"--iterations": options.iterations, "--seed": options.seed, "--gpu": options.gpu}),
        "scoring": {split: _flags({"--crops": options.crops, "--truth": truth.get(split)}) for split in splits},
    }


def _flags(values: Mapping[str, object]) -> str:
    """Return those that are given, for the shell."""
    given = {flag: str(value) for flag, value in values.items() if value is not None and value != ""}
    return _quoted([word for pair in given.items() for word in pair])


def _quoted(words: Sequence[str]) -> str:
    """Return a command line for the shell, by way of Snakemake's formatting."""
    return shlex.join(words).replace("{", "{{").replace("}", "}}")


def steps(folder: Path) -> list[Step]:
    """Return all steps of the workflow that was laid out in `folder`, in no order.

    Raises
    ------
    EmotiwError
        Where Snakemake is not installed, or refuses.
    """
    with running(_snakemake(folder, ["--summary"], subprocess.PIPE, subprocess.PIPE)) as process:
        table, complaints = (stream.decode(errors="replace") for stream in process.communicate())
    if process.returncode:
        raise EmotiwError(f"Snakemake refuses: {last_words(complaints)}")
    return [
        Step(
            Path(row["output_file"]),
            row["rule"],
            Path(row["log-file(s)"]),
            row["status"] if row["plan"] == "update pending" else "",
        )
        for row in csv.DictReader(table.splitlines(), delimiter="\t")
    ]


def start(folder: Path, options: Options, more: Sequence[str] = ()) -> subprocess.Popen[bytes]:
    """Start the workflow, `options.jobs` steps at a time; `more` arguments are handed to Snakemake."""
    cores = str(options.jobs * options.threads)
    with (folder / _SNAKEMAKE_LOG).open("wb") as log:
        return _snakemake(folder, ["--cores", cores, "--keep-going", *more], log, log)


def require_snakemake() -> None:
    """Raise `EmotiwError` where Snakemake, an extra of ours, is not installed."""
    if find_spec("snakemake") is None:
        raise EmotiwError("Snakemake is not installed: pip install 'emotiw[reproduce]'")


def _snakemake(folder: Path, arguments: Sequence[str], stdout: Stream, stderr: Stream) -> subprocess.Popen[bytes]:
    require_snakemake()
    what = ["--snakefile", str(SNAKEFILE), "--configfile", ASKED]
    return leashed([sys.executable, "-P", "-m", "snakemake", *what, *_ALWAYS, *arguments], folder, stdout, stderr)


def complaints(folder: Path, left: Iterable[Step], since: float) -> list[str]:
    """Return what each of the steps that are `left` said last, if it ran since a time; else what Snakemake said."""
    logs = {str(step): folder / step.log for step in left}
    said = [
        f"{name}: {last_words(_read(log))}"
        for name, log in logs.items()
        if log.is_file() and log.stat().st_mtime >= since and log.stat().st_size
    ]
    snakemakes = _read(folder / _SNAKEMAKE_LOG)
    messages = re.findall(r"^ +message: (.+)", snakemakes, re.MULTILINE)  # of an executor, such as a cluster's
    return said or [f"Snakemake: {messages[-1] if messages else last_words(snakemakes)}"]


def _read(log: Path) -> str:
    return log.read_text(encoding="utf-8", errors="replace")


def last_words(text: str) -> str:
    """Return the last line that says something and is no progress bar, without what our own command puts before it."""
    lines = [line.strip() for line in text.replace("\r", "\n").split("\n") if line.strip() and "%|" not in line]
    return lines[-1].removeprefix("emotiw: ") if lines else "it said nothing"
