"""Nets of one's own: the small VGG_S as a user would copy it, and edit it."""

from collections.abc import Callable
from pathlib import Path

import pytest

from emotiw.prototxt.formats.messages import NetParameter, SolverParameter, format_text
from emotiw.prototxt.surgery import committed, data_layers, deploy


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
    """Write the folder of a net; without a deploy form of its own, with the one that belongs to it."""

    def write(folder: Path, train_val: NetParameter, deployed: NetParameter | None = None, solver: bool = True) -> Path:
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "train_val.prototxt").write_text(format_text(train_val))
        (folder / "deploy.prototxt").write_text(format_text(deployed or deploy(train_val)))
        if solver:
            settings: SolverParameter = committed("vgg_s_small", "solver_finetune.prototxt")
            (folder / "solver.prototxt").write_text(format_text(settings))
        return folder

    return write
