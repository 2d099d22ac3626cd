"""The reference engine: the real Caffe."""

import os
import subprocess
from dataclasses import dataclass, replace
from functools import cached_property, partial
from pathlib import Path

from emotiw.engine.base import Engine, OnProgress
from emotiw.engine.settings import EngineSettings
from emotiw.engine.training_log import follow
from emotiw.errors import EmotiwError
from emotiw.prototxt.formats.messages import NetParameter, SolverParameter, read_text

from .find import Caffe
from .info import require_gpu, version
from .programs import start
from .scorer import CaffeScorer


def train(
    caffe: Caffe,
    solver: Path,
    on_progress: OnProgress,
    weights: Path | None = None,
    resume: Path | None = None,
) -> None:
    """Run `caffe train`: see `Engine.train`."""
    command: list[str | Path] = [caffe.program, "train", f"--solver={solver.name}"]
    command += [f"--weights={weights.absolute()}"] if weights else []
    command += [f"--snapshot={resume.name}"] if resume else []
    command += [f"--gpu={caffe.gpu}"] if caffe.gpu else []
    begin = partial(start, caffe, command, solver.parent, subprocess.DEVNULL)
    try:
        follow(begin, solver.parent, on_progress, "caffe train")
    except EmotiwError as error:
        folder = _unlockable(solver) if "Permission denied" in str(error) else None
        if folder is None:
            raise
        raise EmotiwError(
            f"{folder}: Caffe has to write lock.mdb there, and may not: allow it (chmod), copy the set, or train with "
            "--engine torch"
        ) from None


def _unlockable(solver: Path) -> Path | None:
    """Return a training's first LMDB with a lock file that the user may not write; Caffe's error does not name it."""
    net = read_text(solver.parent / read_text(solver, SolverParameter).net, NetParameter)
    sources = [solver.parent / layer.data_param.source for layer in net.layer if layer.data_param.source]
    return next((folder for folder in sources if not os.access(_lock(folder), os.W_OK)), None)


def _lock(folder: Path) -> Path:
    """Return what must be writable: the lock file, or, if there is none yet, the folder."""
    lock = folder / "lock.mdb"
    return lock if lock.exists() else folder


@dataclass(frozen=True)
class CaffeEngine(Engine):
    """The real Caffe; see `Engine`."""

    caffe: Caffe
    title = "caffe"

    @cached_property
    def version(self) -> str:
        """Such as "1.0.0"."""
        return version(self.caffe)

    @property
    def settings(self) -> EngineSettings:
        """The settings from which `open_engine` opens this engine."""
        return EngineSettings(caffe=str(self.caffe.program.absolute()), gpu=self.caffe.gpu)

    @property
    def on_gpu(self) -> bool:
        """Whether it trains on GPUs."""
        return bool(self.caffe.gpu)

    def __str__(self) -> str:
        return f"Caffe {self.version}"

    def require(self, *, training: bool = False) -> None:
        """Raise if this Caffe cannot train on the GPUs in its settings; it scores on the CPU."""
        if training and self.caffe.gpu:
            require_gpu(self.caffe)

    def sharing(self, threads: int) -> "CaffeEngine":
        """Return the same engine, limited to this many cores."""
        environment = {**self.caffe.environment, "OPENBLAS_NUM_THREADS": str(threads)}
        return CaffeEngine(replace(self.caffe, environment=environment))

    def train(
        self, solver: Path, on_progress: OnProgress, weights: Path | None = None, resume: Path | None = None
    ) -> None:
        """Run `caffe train`; see `Engine.train`."""
        train(self.caffe, solver, on_progress, weights, resume)

    def continues(self, state: Path) -> bool:
        """Return False: Caffe reads the LMDB from its beginning again, and draws other random numbers."""
        return False

    def scorer(self, net: Path, weights: Path, output: str | None = "prob") -> CaffeScorer:
        """Return a scorer of a net, which runs pycaffe; see `Scorer`."""
        return CaffeScorer(self.caffe, net, weights, output)
