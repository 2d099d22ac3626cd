"""Commands that are killed: the inputs and results of each, and the files that may exist in between."""

import hashlib
import json
import math
import os
import shutil
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import lmdb

from emotiw.prototxt.formats.blobs import read_weights
from emotiw.train.progress import read_progress
from emotiw.train.run_folder import Run

# `emotiw`, with a changed row of its table, so that snapshots come quickly.
QUICK = """
import sys
from emotiw.__main__ import main
from emotiw.train.experiments import Experiment, experiments
row = Experiment("vgg_s_small", "rgb", {"pretrain": "snapshot: 5", "finetune": "snapshot: 5"})
experiments()[row.row] = row
sys.exit(main(sys.argv[1:]))
"""
# `emotiw` with released models of a small net: 3 MB instead of the authors' 498.
SMALL = """
import sys
from emotiw.evaluate.released import verify as checking, stand_in; from emotiw.evaluate import model as models
from emotiw.__main__ import main
for module in checking, models, stand_in:
    module.NET = "vgg_s_small"
sys.exit(main(sys.argv[1:]))
"""
# `emotiw`, with packages to install in a folder.
PACKAGES = """
import shutil, sys, time
from pathlib import Path
from emotiw.engine.caffe.install import apt, debian, lockfile as lock
from emotiw.__main__ import main

def fetch(wanted, folder, mirror=None):
    for package in wanted:
        archive = package.archive(Path("served"))
        shutil.copy(archive, folder / "part")
        time.sleep(0.05)
        (folder / "part").replace(folder / archive.name)

apt.fetch, debian.LOCK = fetch, Path("test.lock")
debian.target.__defaults__ = debian.installed.__defaults__ = (debian.LOCK,)
debian.install.__defaults__ = (None, False, debian.LOCK)
sys.exit(main(sys.argv[1:]))
"""
ROW, ITERATIONS = "vgg_s_small-rgb", 20

Answer = dict[str, object]


@dataclass(frozen=True)
class Victim:
    """A command; all paths are relative to the folder it runs in.

    Attributes
    ----------
    arguments
        The arguments of emotiw.
    answer
        Returns the folder's results, which must be the same after a kill and a second run.
    whole
        Checks, after a kill, the files that already have their final names; raises if one is partial.
    given
        The inputs that are copied into the folder, by their names there.
    script
        The program to run instead of `python -m emotiw`.
    caches
        Whether it has its own cache folder, without a Caffe.
    room
        The largest file size on a simulated full disk: less than it needs.
    """

    arguments: tuple[str, ...]
    answer: Callable[[Path], Answer]
    whole: Callable[[Path], None] = lambda folder: None
    given: dict[str, str] = field(default_factory=dict)
    script: str = ""
    caches: bool = False
    room: int = 40_000

    @property
    def command(self) -> list[str]:
        """Return the command line."""
        python = [sys.executable, "-P", *(["-c", self.script] if self.script else ["-m", "emotiw"])]
        return [*python, *self.arguments]


def digests(folder: Path, top: str) -> Answer:
    """Return the digests of a folder's files by name; for an LMDB, those of its records."""
    found: Answer = {}
    for path in sorted((folder / top).rglob("*")):
        name = str(path.relative_to(folder))
        if path.name == "data.mdb":
            found[name] = records(path.parent)
        elif path.is_file() and path.name != "lock.mdb":
            found[name] = hashlib.sha256(path.read_bytes()).hexdigest() if path.suffix != ".json" else recorded(path)
    return found


def recorded(path: Path) -> object:
    """Return a record without the paths and times of its inputs, and without its seal."""
    values = json.loads(path.read_text())
    if not isinstance(values, dict):
        return values
    inputs = [(one["role"], one["sha256"]) for one in values.get("inputs", []) if one["role"] != "run.json"]
    return {key: value for key, value in values.items() if key != "seal"} | {"inputs": inputs}


def records(folder: Path) -> str:
    """Return the digest of an LMDB's keys and values."""
    digest = hashlib.sha256()
    with lmdb.open(str(folder), readonly=True, lock=False) as opened, opened.begin() as transaction:
        for key, value in transaction.cursor():
            digest.update(b"%d %s %d %s" % (len(key), key, len(value), value))
    return digest.hexdigest()


def same_as_whole(top: str) -> Callable[[Path], None]:
    """Return a check for a folder under its final name: its contents can be read."""

    def look(folder: Path) -> None:
        for path in (folder / top).rglob("data.mdb"):
            records(path.parent)

    return look


def trained(folder: Path, stage: str, last: int = ITERATIONS) -> Answer:
    """Return results that do not depend on a resumed Caffe's position in the LMDB: iterations, files, shapes.

    The last loss, which is logged after the last snapshot, may not have been logged before the kill.
    """
    run = Run(folder / f"runs/{ROW}/{stage}")
    points = [point for point in read_progress(run.folder / "progress.csv") if point.loss is not None]
    displayed = [point.iteration for point in points]
    shapes = {name: [blob.shape for blob in blobs] for name, blobs in read_weights(run.model).items()}
    return {
        "displayed": [iteration for iteration in displayed if iteration < last],
        "losses": all(math.isfinite(point.loss) for point in points if point.loss is not None),
        "snapshots": [iteration for iteration, _ in run.snapshots()],
        "files": sorted(str(path.relative_to(folder)) for path in run.folder.rglob("*")),
        "shapes": shapes,
        "finished": run.finished,
    }


def whole_models(folder: Path) -> None:
    """Read each caffemodel under its final name."""
    for path in folder.glob("runs/**/model.caffemodel"):
        read_weights(path)


def scored(folder: Path) -> Answer:
    """Return the scores, the confusion matrices and the protocols."""
    return {name: digest for name, digest in digests(folder, "runs").items() if "_val." in name}


def reproduced(folder: Path) -> Answer:
    """Return both stages, and the names of all files made, except Snakemake's own."""
    there = folder / "reproduction"
    files = [path.relative_to(there) for path in there.rglob("*") if path.is_file()]
    stages = {stage: trained(there, stage, last=10) for stage in ("pretrain", "finetune")}
    return {**stages, "files": sorted(str(path) for path in files if not path.parts[0].startswith("."))}


def stage(name: str, over: str, engine: str, *more: str, **given: str) -> Victim:
    """Return a training."""
    how = ("-o", "runs", "--iterations", str(ITERATIONS), "--engine", engine)
    arguments = (name, ROW, "--set", f"sets/{over}", *how, *more)
    return Victim(arguments, lambda folder: trained(folder, name), whole_models, {"sets": "sets", **given}, QUICK)


def evaluation(engine: str) -> Victim:
    """Return an evaluation."""
    arguments = ("evaluate", f"runs/{ROW}/finetune", "--set", "sets/expressions", "--engine", engine)
    return Victim(arguments, scored, given={"sets": "sets", "runs": "runs"}, room=10_000)


BOTH = ("--pretrain", "sets/people", "--finetune", "sets/expressions")
VICTIMS = {
    "prepare": Victim(
        ("prepare", "faces", "-o", "made", "--labels", "emotions", "--size", "64", "--val", "0.3"),
        lambda folder: digests(folder, "made"),
        same_as_whole("made"),
        {"faces": "sets/faces/expressions"},
    ),
    **{f"pretrain by {engine}": stage("pretrain", "people", engine) for engine in ("caffe", "torch")},
    **{
        f"finetune by {engine}": stage(
            "finetune",
            "expressions",
            engine,
            "--from",
            "model.caffemodel",
            **{"model.caffemodel": f"runs/{ROW}/pretrain/model.caffemodel"},
        )
        for engine in ("caffe", "torch")
    },
    **{f"evaluate by {engine}": evaluation(engine) for engine in ("caffe", "torch")},
    "reproduce": Victim(
        ("reproduce", *BOTH, "-o", "reproduction", "--rows", ROW, "--iterations", "10"),
        reproduced,
        whole_models,
        {"sets": "sets"},
        QUICK,
    ),
    "models fetch": Victim(
        ("models", "fetch", "VGG_S_lbp", "VGG_S_cyclic_lbp", "--from", "{server}/DemoDir"),
        lambda folder: digests(folder, "models"),
        script=SMALL,
    ),
    "caffe install": Victim(
        ("caffe", "install"),
        lambda folder: digests(folder, "cache"),
        given={"served": "packages/served", "test.lock": "packages/test.lock"},
        script=PACKAGES,
        caches=True,
    ),
}

MARK = "EMOTIW_VICTIM"  # in the environment of a command and its children: the process of the test, and a number
OURS = f"{MARK}={os.getpid()}-"


def living(mark: str = OURS) -> dict[int, str]:
    """Return the command lines, by process number, of the processes with a mark in their environment."""
    found = {}
    for process in Path("/proc").glob("[0-9]*"):
        try:
            if mark.encode() in (process / "environ").read_bytes():
                found[int(process.name)] = (process / "cmdline").read_bytes().replace(b"\0", b" ").decode()
        except OSError:  # it has ended, or is a zombie
            continue
    return found


@dataclass
class Trial:
    """One start of a command in a folder.

    Attributes
    ----------
    server
        The address from which models are fetched.
    more
        Additions to the environment.
    limit
        Called in the process before it starts.
    before
        Prefix of its command.
    first, seconds
        The seconds from its start to its first output, and to its end.
    """

    victim: Victim
    folder: Path
    server: str = ""
    more: Mapping[str, str] = field(default_factory=dict)
    limit: Callable[[], None] | None = None
    before: tuple[str, ...] = ()
    first: float = 0
    seconds: float = 0

    def begin(self) -> "Trial":
        """Start it."""
        self.mark, self.begun = f"{os.getpid()}-{uuid.uuid4().hex}", time.monotonic()
        given = {MARK: self.mark, "EMOTIW_MODELS": "models", "PYTHONDONTWRITEBYTECODE": "1"}
        if self.victim.caches:
            given["XDG_CACHE_HOME"] = str(self.folder / "cache")
        command = [word.replace("{server}", self.server) for word in self.victim.command]
        self.output = tempfile.TemporaryFile()  # noqa: SIM115  # not where it works: that disk may be full
        self.process = subprocess.Popen(
            [*self.before, *command],
            cwd=self.folder,
            env={**os.environ, **given, **self.more},
            stdout=self.output,
            stderr=self.output,
            process_group=0,
            preexec_fn=self.limit,
        )
        return self

    def wait(self, kill_at: float | None = None, patience: float = 600) -> int:
        """Wait for its end, or kill it; return its status."""
        while self.process.poll() is None:
            self.seconds = time.monotonic() - self.begun
            if not self.first and os.fstat(self.output.fileno()).st_size:
                self.first = self.seconds
            if kill_at is not None and self.seconds >= kill_at:
                self.process.kill()
            assert self.seconds < patience, self.said[-5:]
            time.sleep(0.002)
        self.output_so_far = self._read()
        self.output.close()
        return self.process.returncode

    def run(self) -> "Trial":
        """Start it, and check that it succeeds."""
        status = self.begin().wait()
        assert status == 0, self.said[-5:]
        return self

    def _read(self) -> bytes:
        return os.pread(self.output.fileno(), 1 << 24, 0)  # does not move the position for writing

    @property
    def said(self) -> list[str]:
        """The lines of its output, with each state of a progress bar."""
        text = self.output_so_far if self.output.closed else self._read()
        text = text.decode(errors="replace").replace("\r", "\n")
        return [line.strip() for line in text.splitlines() if line.strip()]

    @property
    def complaint(self) -> str:
        """Its one-line error."""
        (line,) = [line for line in self.said if line.startswith("emotiw: ")]
        assert "internal error" not in line, line
        assert not any(line.startswith("Traceback") for line in self.said), self.said
        return line

    def living(self) -> dict[int, str]:
        """The command lines of the process and of those that it started, by number."""
        return living(f"{MARK}={self.mark}")

    def gone(self) -> None:
        """Wait, for a minute at most, until all its processes have ended."""
        end = time.monotonic() + 60
        while self.living():
            assert time.monotonic() < end, self.living()
            time.sleep(0.02)


def place(victim: Victim, made: Callable[[str], Path], folder: Path) -> Path:
    """Make a folder with a command's inputs; `made` has the folder of each fixture's files."""
    folder.mkdir()
    for name, given in victim.given.items():
        top, _, rest = given.partition("/")
        source = made(top) / rest
        if source.is_file():
            shutil.copy(source, folder / name)
        elif top == "runs":  # outputs are written next to the inputs
            shutil.copytree(source, folder / name, ignore=shutil.ignore_patterns("*s_val.*", "confusion_*"))
        else:
            (folder / name).symlink_to(source)
    return folder
