"""The real Caffe as an engine: the reference."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

from emotiw.engine.base import Engine, OnProgress

from .describe import version
from .locate import Caffe
from .scores import CaffeScorer
from .training import train


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
    def options(self) -> Mapping[str, object]:
        """By which flags a verb finds this Caffe again."""
        return {"--caffe": self.caffe.program.absolute(), "--gpu": self.caffe.gpu}

    @property
    def on_gpu(self) -> bool:
        """Whether it trains on GPUs."""
        return bool(self.caffe.gpu)

    def __str__(self) -> str:
        return f"Caffe {self.version}"

    def require(self) -> None:
        """Do nothing: Caffe itself says so where it has no GPU."""

    def sharing(self, threads: int) -> "CaffeEngine":
        """Return this Caffe on so many cores."""
        environment = {**self.caffe.environment, "OPENBLAS_NUM_THREADS": str(threads)}
        return CaffeEngine(replace(self.caffe, environment=environment))

    def train(
        self, solver: Path, on_progress: OnProgress, weights: Path | None = None, resume: Path | None = None
    ) -> None:
        """Run `caffe train`; see `Engine.train`."""
        train(self.caffe, solver, on_progress, weights, resume)

    def scorer(self, net: Path, weights: Path, output: str | None = "prob") -> CaffeScorer:
        """Return what scores by pycaffe; see `Scorer`."""
        return CaffeScorer(self.caffe, net, weights, output)
