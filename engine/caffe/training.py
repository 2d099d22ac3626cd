"""Training by the real `caffe train`."""

import subprocess
from functools import partial
from pathlib import Path

from emotiw.engine.base import OnProgress
from emotiw.engine.training_log import follow

from .locate import Caffe
from .process import start


def train(
    caffe: Caffe,
    solver: Path,
    on_progress: OnProgress,
    weights: Path | None = None,
    resume: Path | None = None,
) -> None:
    """Run `caffe train`: see `Engine.train`."""
    arguments = ["train", f"--solver={solver.name}"]
    arguments += [f"--weights={weights.absolute()}"] if weights else []
    arguments += [f"--snapshot={resume.name}"] if resume else []
    arguments += [f"--gpu={caffe.gpu}"] if caffe.gpu else []
    begin = partial(start, caffe, arguments, solver.parent, subprocess.DEVNULL)
    follow(begin, solver.parent, on_progress, "caffe train")
