"""What Caffe makes of a net, and what a Caffe is made of."""

import json
import os
import tempfile
from pathlib import Path
from subprocess import PIPE, STDOUT
from typing import Any

from emotiw.engine.child_process import running
from emotiw.engine.training_log import last_words
from emotiw.errors import EmotiwError

from .find import Caffe
from .programs import start
from .scorer import WORKER


def describe(caffe: Caffe, net: Path, weights: Path | None = None, phase: str = "TEST") -> dict[str, Any]:
    """Have Caffe build `net` and tell what it is made of.

    Parameters
    ----------
    caffe : Caffe
        Which Caffe.
    net : Path
        A prototxt; its paths count from the current folder, as in Caffe.
    weights : Path, optional
        A caffemodel to load into it.
    phase : {"TEST", "TRAIN"}
        Which of its layers are built.

    Returns
    -------
    dict
        `layers`, `types`: name and type of each layer, in order; `inputs`, `outputs`: blob names; `blobs`: shape of
        each by name; `params`: shapes by layer name; `parameters`: how many numbers are learned.

    Raises
    ------
    EmotiwError
        Where Caffe refuses it, with Caffe's own words.
    """
    return _ask(caffe, str(net), "describe", net, weights or "", phase)


def about(caffe: Caffe) -> dict[str, str]:
    """Return what `caffe` is made of: a row's name -> its text, in the order of `emotiw caffe info`."""
    told = _ask(caffe, str(caffe.program), "about")
    return {
        "program": str(caffe.program),
        "found by": caffe.source,
        "version": version(caffe),
        "Python": f"{told['Python']} ({caffe.python})",
        "numpy": told["numpy"],
        "BLAS": ", ".join(told["BLAS"]) or "unknown",
        "its kernels": {**os.environ, **caffe.environment}.get("OPENBLAS_CORETYPE", "its own choice"),
        "device": _device(caffe),
        "layer types": str(told["layer types"]),
    }


def version(caffe: Caffe) -> str:
    """Return what `caffe --version` says of itself, such as "1.0.0"."""
    _, said = _run(caffe, caffe.program, "--version")
    return said.strip().removeprefix("caffe version ")


def _device(caffe: Caffe) -> str:
    status, words = _run(caffe, caffe.program, "device_query", "-gpu", "0")
    if status == 0:
        return "GPU"
    return "CPU only" if "CPU-only" in words else f"CPU; built for GPUs, but: {last_words(words, status)}"


def _ask(caffe: Caffe, subject: str, *question: str | Path) -> dict[str, Any]:
    with tempfile.TemporaryFile() as noise:
        child = start(caffe, [WORKER, *question], program=caffe.python, stdout=PIPE, stderr=noise)
        with running(child):
            answer, _ = child.communicate()
        noise.seek(0)
        if child.returncode:
            words = last_words(noise.read().decode(errors="replace"), child.returncode)
            raise EmotiwError(f"{subject}: Caffe stopped: {words}")
    told: dict[str, Any] = json.loads(answer)
    return told


def _run(caffe: Caffe, program: Path, *args: str) -> tuple[int, str]:
    with running(start(caffe, args, program=program, stdout=PIPE, stderr=STDOUT)) as child:
        said, _ = child.communicate()
    return child.returncode, said.decode(errors="replace")
