"""Versions, BLAS and devices of a Caffe."""

import json
import os
import re
import tempfile
from subprocess import PIPE, STDOUT
from typing import TypedDict

from emotiw.engine.child_process import running
from emotiw.engine.training_log import last_words
from emotiw.errors import EmotiwError

from .find import Caffe
from .programs import start
from .scorer import skip_to_answers, worker
from .version_output import version_output

# The worker's answer to `about`.
_Facts = TypedDict("_Facts", {"Python": str, "numpy": str, "BLAS": list[str], "layer types": int})


def about(caffe: Caffe) -> dict[str, str]:
    """Return the rows of `emotiw caffe info`, in order: name -> text."""
    facts = _ask(caffe)
    return {
        "program": str(caffe.program),
        "found by": caffe.source,
        "version": version(caffe),
        "Python": f"{facts['Python']} ({caffe.python})",
        "numpy": facts["numpy"],
        "BLAS": ", ".join(facts["BLAS"]) or "unknown",
        "its kernels": {**os.environ, **caffe.environment}.get("OPENBLAS_CORETYPE", "its own choice"),
        "device": _device(caffe),
        "layer types": str(facts["layer types"]),
    }


def version(caffe: Caffe) -> str:
    """Return the version that `caffe --version` prints, such as "1.0.0"."""
    # Without OpenBLAS's settings, as `find_caffe` has run it already.
    environment = {name: value for name, value in caffe.environment.items() if not name.startswith("OPENBLAS_")}
    found = re.search(r"caffe version (\S+)", version_output(caffe.program, environment))
    return found[1] if found else "unknown"


def require_gpu(caffe: Caffe) -> None:
    """Raise if a Caffe does not find the GPUs in its settings."""
    status, words = _run(caffe, "device_query", "-gpu", caffe.gpu)
    if status:
        raise EmotiwError(f"--gpu {caffe.gpu}: {caffe.program} cannot train there: {last_words(words, status)}")


def _device(caffe: Caffe) -> str:
    status, words = _run(caffe, "device_query", "-gpu", "0")
    if status == 0:
        return "GPU"
    return "CPU only" if "CPU-only" in words else f"CPU; built for GPUs, but: {last_words(words, status)}"


def _ask(caffe: Caffe) -> _Facts:
    with tempfile.TemporaryFile() as noise:
        with running(worker(caffe, "about", noise=noise)) as child:
            assert child.stdout is not None
            skip_to_answers(child.stdout)
            answer = child.stdout.read()
            child.wait()
        noise.seek(0)
        if child.returncode:
            words = last_words(noise.read().decode(errors="replace"), child.returncode)
            raise EmotiwError(f"{caffe.program}: Caffe stopped: {words}")
    facts: _Facts = json.loads(answer)
    return facts


def _run(caffe: Caffe, *arguments: str) -> tuple[int, str]:
    with running(start(caffe, [caffe.program, *arguments], stdout=PIPE, stderr=STDOUT)) as child:
        said, _ = child.communicate()
    return child.returncode, said.decode(errors="replace")
