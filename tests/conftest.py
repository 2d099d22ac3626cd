import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from emotiw.__main__ import main
from emotiw.data_prep.prepare import prepare
from emotiw.data_prep.synthetic.faces import draw_expressions, draw_identities
from emotiw.data_prep.transform import Settings
from emotiw.engine.base import Engine
from emotiw.engine.caffe.engine import CaffeEngine
from emotiw.engine.caffe.find import Caffe, find_caffe
from emotiw.engine.caffe.programs import start
from emotiw.engine.child_process import running
from emotiw.engine.training_log import last_words
from emotiw.errors import EmotiwError
from emotiw.evaluate.released.catalog import released
from emotiw.evaluate.released.stand_in import write_stand_in

# Pythons that tests start must import the installed emotiw, not the folder of that name in the checkout.
os.environ["PYTHONSAFEPATH"] = "1"
# Processes started with a shell's & ignore Ctrl-C, and so would the programs that tests start.
signal.signal(signal.SIGINT, signal.default_int_handler)

OWN = "cyclic_lbp_r3_t5"

# Caffe's shapes of a net, as JSON.
DESCRIBE = """
import json, sys
import caffe
net_path, weights, phase, answer = sys.argv[1:]
phase = getattr(caffe, phase)
net = caffe.Net(net_path, weights, phase) if weights else caffe.Net(net_path, phase)
described = {
    "layers": list(net._layer_names),
    "types": [layer.type for layer in net.layers],
    "inputs": list(net.inputs),
    "outputs": list(net.outputs),
    "blobs": {name: list(blob.data.shape) for name, blob in net.blobs.items()},
    "params": {name: [list(p.data.shape) for p in blobs] for name, blobs in net.params.items()},
    "parameters": sum(int(p.data.size) for blobs in net.params.values() for p in blobs),
}
open(answer, "w").write(json.dumps(described))
"""

# Start the command from a small process, because a child's peak memory starts with its parent's.
MEASURED = """
import resource, subprocess, sys
resource.setrlimit(resource.RLIMIT_CPU, (int(sys.argv[1]),) * 2)  # so that a hang ends
status = subprocess.call(sys.argv[2:])
print("peak in kB:", resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)
sys.exit(status)
"""


def without_stamps(path: Path) -> dict[str, Any]:
    """A record without the size, time and inode of each input, and without its seal."""
    values = json.loads(path.read_text())
    inputs = sorted((one["role"], one["path"], one["sha256"]) for one in values.get("inputs", []))
    return {key: value for key, value in values.items() if key != "seal"} | {"inputs": inputs}


@pytest.fixture(scope="session")
def measured() -> Callable[..., tuple[subprocess.CompletedProcess[str], int]]:
    """Run a command to its end with a limit on CPU seconds; return it, and its peak memory in bytes."""

    def run(
        command: Sequence[object], seconds: int = 120, **how: object
    ) -> tuple[subprocess.CompletedProcess[str], int]:
        words = [sys.executable, "-S", "-c", MEASURED, str(seconds), *map(str, command)]
        done = subprocess.run(words, capture_output=True, text=True, timeout=10 * seconds, **how)  # type: ignore[call-overload]
        return done, int(done.stdout.split()[-1]) * 1024

    return run


@pytest.fixture(scope="session")
def caffe() -> Caffe:
    """The real Caffe; tests that use it have the marker `caffe` and are never skipped."""
    try:
        return find_caffe()
    except EmotiwError as error:
        pytest.fail(str(error))  # it names `emotiw caffe install`


@pytest.fixture(scope="session")
def engine(caffe: Caffe) -> CaffeEngine:
    """The real Caffe as an engine."""
    return CaffeEngine(caffe)


@pytest.fixture(scope="session")
def describe(caffe: Caffe, tmp_path_factory: pytest.TempPathFactory) -> Callable[..., dict[str, Any]]:
    """Have the real Caffe build a net, with weights or not; return its layers, blobs and parameters.

    If Caffe refuses the net, the error has its message.
    """
    answer = tmp_path_factory.mktemp("described") / "net.json"

    def ask(net: Path, weights: Path | str = "", phase: str = "TEST") -> dict[str, Any]:
        command = [caffe.python, "-c", DESCRIBE, net, weights, phase, answer]
        with running(start(caffe, command, stderr=subprocess.PIPE)) as child:
            _, noise = child.communicate()
        if child.returncode:
            raise EmotiwError(f"{net}: Caffe stopped: {last_words(noise.decode(), child.returncode)}")
        return json.loads(answer.read_text())

    return ask


@pytest.fixture(scope="session")
def scores() -> Callable[..., NDArray[np.float32]]:
    """Return a net's last output, (N, classes) float32, for N inputs, in batches that do not divide most N."""

    def score(engine: Engine, net: Path, weights: Path, inputs: NDArray[np.float32]) -> NDArray[np.float32]:
        with engine.scorer(net, weights, output=None) as scorer:
            return np.concatenate([scorer.scores(inputs[first : first + 10]) for first in range(0, len(inputs), 10)])

    return score


@pytest.fixture(scope="session")
def sets(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two small sets of drawn faces at 64 pixels: `people`, 5 of them, without a split; `expressions`, of which 28
    images validate, so that Caffe's batches of 20 do not divide them. Do not write in there."""
    folder = tmp_path_factory.mktemp("sets of faces")
    draw_identities(folder / "faces/people", 5, 12, seed=0)
    draw_expressions(folder / "faces/expressions", 6, 2, seed=0)
    known, names = ("rgb", "cyclic_lbp", OWN), r"actor\d+"
    prepare(folder / "faces/people", folder / "people", Settings("identities", known[:1], 64))
    prepare(
        folder / "faces/expressions", folder / "expressions", Settings("emotions", known, 64, val=0.34, group=names)
    )
    return folder


@pytest.fixture(scope="session")
def runs(sets: Path, caffe: Caffe, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """RUNS of vgg_s_small, a few iterations each: rgb through both stages, with different seeds, and a row of one's own
    from scratch. Copy it before you change it."""
    folder = tmp_path_factory.mktemp("runs")
    people, faces = (["--set", str(sets / name), "-o", str(folder)] for name in ("people", "expressions"))
    for command in (
        ["pretrain", "vgg_s_small-rgb", *people, "--iterations", "6", "--seed", "7"],
        ["finetune", "vgg_s_small-rgb", *faces, "--iterations", "3"],
        ["finetune", "vgg_s_small-cyclic_lbp:radius=3:threshold=5", *faces, "--iterations", "2", "--from", "scratch"],
        ["evaluate", *(str(folder / f"vgg_s_small-{name}/finetune") for name in ("rgb", OWN)), *faces[:2]],
    ):
        assert main(command) == 0
    return folder


@pytest.fixture(scope="session")
def stand_ins(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A models folder with stand-ins of all five, 2.5 GB: $EMOTIW_MODELS is for the test to set. Link or copy a file
    of it before you change it; it goes when the session ends."""
    folder = tmp_path_factory.mktemp("models")
    for name in released():
        write_stand_in(folder / name, name)
    yield folder
    shutil.rmtree(folder)
