"""The torch engine: the same nets and solvers on PyTorch, on any CPU or GPU that PyTorch supports."""

import os
import re
import subprocess
import sys
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import torch

from emotiw.engine.base import Engine, OnProgress
from emotiw.engine.child_process import leashed
from emotiw.engine.settings import EngineSettings
from emotiw.engine.training_log import follow
from emotiw.errors import EmotiwError, UsageError

from .scorer import TorchScorer
from .solver.random_state import Setting, read_random_state
from .worker import LEASHED

_WORKER = ["-m", "emotiw.engine.torch.worker"]
# Everything stays on this machine, whose host name may not resolve in a container. A rank asked to stop writes its
# snapshot before it ends, however long that takes.
_LOCAL = ["--standalone", "--local-addr", "127.0.0.1", "--shutdown-timeout", "86400"]
_TORCHRUN = ["-m", "torch.distributed.run", *_LOCAL, "--nproc-per-node"]
_GPU = re.compile(r"all|none|\d+(,\d+)*|")


@dataclass(frozen=True)
class TorchEngine(Engine):
    """PyTorch; see `Engine`. A training runs in one process per GPU; scores are computed in this process.

    Parameters
    ----------
    gpu
        The GPUs: "0", "0,1", "all", or "none"; empty: the first, if any. All of them train, the first scores.
    precision
        "float32", "tf32" or "bf16".
    threads
        The number of cores; 0: torch's default.
    ranks
        How many processes share a training; 0: one per GPU, or one on a CPU.

    Raises
    ------
    UsageError
        If `gpu` is none of those.
    """

    gpu: str = ""
    precision: str = "float32"
    threads: int = 0
    ranks: int = 0

    def __post_init__(self) -> None:
        if not _GPU.fullmatch(self.gpu):
            raise UsageError(f"--gpu {self.gpu}: it is 0, or 0,1, or all, or none")

    def require(self, *, training: bool = False) -> None:
        """Raise if a named GPU does not exist here."""
        here = torch.cuda.device_count()
        missing = [number for number in self.gpus if number >= here]
        if missing or (self.gpu == "all" and not here):
            raise EmotiwError(f"--gpu {self.gpu}: torch {self.version} finds {here or 'no'} GPUs here")

    @property
    def title(self) -> str:
        """Its name, with its precision unless that is Caffe's."""
        return "torch" if self.precision == "float32" else f"torch {self.precision}"

    @property
    def version(self) -> str:
        """Such as "2.13.0+cu130"."""
        return str(torch.__version__)

    @property
    def settings(self) -> EngineSettings:
        """The settings from which `open_engine` opens this engine."""
        return EngineSettings("torch", gpu=self.gpu, precision=self.precision)

    @property
    def gpus(self) -> list[int]:
        """The numbers of the GPUs that train; empty: the CPU trains."""
        if self.gpu in ("", "all"):
            return list(range(torch.cuda.device_count()))[: None if self.gpu else 1]
        return [] if self.gpu == "none" else list(map(int, self.gpu.split(",")))

    @property
    def on_gpu(self) -> bool:
        """Whether GPUs compute."""
        return self.gpu not in ("", "none") or bool(self.gpus)

    def __str__(self) -> str:
        where = ", ".join(torch.cuda.get_device_name(number) for number in self.gpus) or "CPU"
        precision = "" if self.precision == "float32" else f", {self.precision}"
        return f"torch {self.version} ({where}{precision})"

    def sharing(self, threads: int) -> "TorchEngine":
        """Return the same engine, limited to this many cores."""
        return replace(self, threads=threads)

    def train(
        self, solver: Path, on_progress: OnProgress, weights: Path | None = None, resume: Path | None = None
    ) -> None:
        """Run a worker, or several by torchrun; see `Engine.train`."""
        self.require()
        ranks = self.ranks or max(1, len(self.gpus))
        arguments = [*_WORKER, solver.name, "--device", "cuda" if self.gpus else "cpu", "--precision", self.precision]
        arguments += ["--weights", str(weights.absolute())] if weights else []
        arguments += ["--resume", resume.name] if resume else []
        launcher = [*_TORCHRUN, str(ranks)] if ranks > 1 else []
        command = [sys.executable, "-P", *launcher, *arguments]
        begin = partial(leashed, command, solver.parent, subprocess.DEVNULL, env=self._environment(ranks))
        follow(begin, solver.parent, on_progress, "training by torch")

    def continues(self, state: Path) -> bool:
        """Return whether a solverstate has a random-state file that was written with the same setting."""
        device = "cuda" if self.gpus else "cpu"
        setting = Setting(self.version, self.precision, device, self.ranks or max(1, len(self.gpus)))
        return read_random_state(state, setting) is not None

    def scorer(self, net: Path, weights: Path, output: str | None = "prob") -> TorchScorer:
        """Return a scorer of a net on torch; see `Scorer`."""
        device = f"cuda:{self.gpus[0]}" if self.gpus else "cpu"
        return TorchScorer(net, weights, output, device, self.precision)

    def _environment(self, ranks: int) -> dict[str, str]:
        """Return the additions to our environment that workers need."""
        # If other programs use the cores, too, threads that spin while they wait take five times as long.
        needed = {"PYTHONSAFEPATH": "1", "OMP_WAIT_POLICY": "passive"}
        if self.gpu and self.gpus:
            visible = os.environ.get("CUDA_VISIBLE_DEVICES", "")  # our numbers index that list
            names = visible.split(",") if visible else list(map(str, range(max(self.gpus) + 1)))
            needed["CUDA_VISIBLE_DEVICES"] = ",".join(names[number] for number in self.gpus)
        if self.threads or ranks > 1:  # torchrun's default is one thread per process
            cores = self.threads or int(os.environ.get("OMP_NUM_THREADS") or len(os.sched_getaffinity(0)))
            needed["OMP_NUM_THREADS"] = str(max(1, cores // ranks))
        # A cluster may have set these for its job; a single worker must not wait for others.
        alone = {"RANK": "0", "LOCAL_RANK": "0", "WORLD_SIZE": "1"}
        return needed | ({LEASHED: "1"} if ranks > 1 else alone)
