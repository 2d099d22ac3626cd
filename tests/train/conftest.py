"""Users' own nets, copied from the small VGG_S and edited; a fake engine without a net."""

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pytest

from emotiw.engine.base import DivergedError, Loss, Snapshot
from emotiw.prototxt.formats.blobs import blob_of
from emotiw.prototxt.formats.messages import (
    NetParameter,
    SolverParameter,
    SolverState,
    format_text,
    read_text,
    write_binary,
)
from emotiw.prototxt.shapes import shapes
from emotiw.prototxt.surgery import committed, data_layers, deploy


@dataclass
class Drill:
    """A fake engine: it writes snapshots of zeros, reports a loss after each, and fails on request."""

    fails_at: int | None = None
    watch: object = None
    seen: list[str] = field(default_factory=list)
    title, version = "drill", "1"

    def require(self, **_: object) -> None:
        pass

    def continues(self, state: Path) -> bool:
        return False

    def train(self, solver, on_progress, weights=None, resume=None):
        folder = solver.parent
        net = read_text(folder / "train_val.prototxt", NetParameter)
        begin = int(resume.stem.rpartition("_")[2]) if resume else 0
        last = read_text(solver, SolverParameter).max_iter
        for iteration in range(begin, last + 1, 2):
            if self.watch:
                self.seen.append(self.watch())
            if iteration == self.fails_at:
                raise DivergedError(f"the loss is nan at iteration {iteration}, logged in {folder}")
            if iteration > begin:
                on_progress(Snapshot(iteration, snapshot(folder, net, iteration)))
            on_progress(Loss(iteration, 1.0))


def snapshot(folder, net, iteration):
    weights, state = NetParameter(name=net.name), SolverState(iter=iteration)
    for name, blobs in shapes(net)[1].items():
        layer = weights.layer.add(name=name)
        for shape in blobs:
            layer.blobs.append(blob_of(np.zeros(shape, np.float32)))
            state.history.append(blob_of(np.zeros(shape, np.float32)))
    path = folder / f"snapshot_iter_{iteration}.caffemodel"
    write_binary(path, weights)
    write_binary(path.with_suffix(".solverstate"), state)
    return path


@pytest.fixture
def drill():
    """The engine's class."""
    return Drill


@pytest.fixture(scope="session")
def transformed() -> Callable[..., NetParameter]:
    """Return vgg_s_small's train_val of fine-tuning with other settings in every transform_param; None clears one."""

    def change(**settings: object) -> NetParameter:
        net: NetParameter = committed("vgg_s_small", "train_val_finetune.prototxt")
        net.name = "mine"
        for layer in data_layers(net):
            for name, value in settings.items():
                layer.transform_param.ClearField(name)
                if isinstance(value, list):
                    getattr(layer.transform_param, name).extend(value)
                elif value is not None:
                    setattr(layer.transform_param, name, value)
        return net

    return change


@pytest.fixture(scope="session")
def written() -> Callable[..., Path]:
    """Write the folder of a net; by default with the matching deploy net."""

    def write(folder: Path, train_val: NetParameter, deployed: NetParameter | None = None, solver: bool = True) -> Path:
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "train_val.prototxt").write_text(format_text(train_val))
        (folder / "deploy.prototxt").write_text(format_text(deployed or deploy(train_val)))
        if solver:
            settings: SolverParameter = committed("vgg_s_small", "solver_finetune.prototxt")
            (folder / "solver.prototxt").write_text(format_text(settings))
        return folder

    return write
