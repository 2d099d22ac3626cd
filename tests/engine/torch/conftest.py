"""The same net in the real Caffe and in torch, on the same numbers."""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from subprocess import PIPE

import numpy as np
import pytest
import torch

from emotiw.engine.caffe.find import Caffe
from emotiw.engine.caffe.programs import start
from emotiw.engine.child_process import running
from emotiw.engine.torch.graph import State, graph_of
from emotiw.engine.torch.net import Net
from emotiw.engine.training_log import last_words
from emotiw.prototxt.formats.messages import NetParameter, parse_text

WORKER = Path(__file__).with_name("caffe_worker.py")
Arrays = Mapping[str, np.ndarray]


def pixels_as_seen(net: Net) -> float:
    """Return the spread of pixels at the first convolution, at least 1: 50, or less in a net that scales its input."""
    scales = [layer.param.power_param.scale for layer in net.layers if layer.param.type == "Power"]
    return max(1.0, 50 * float(np.prod(scales)))


@dataclass(frozen=True)
class Case:
    """A net with its inputs.

    Names of arrays: `blob:<name>`, `diff:<name>`, `param:<layer>:<k>`, `gradient:<layer>:<k>`.
    """

    prototxt: str
    given: Arrays = field(default_factory=dict)
    phase: str = "TRAIN"
    backward: bool = True
    weights: str = ""
    save: str = ""
    passes: int = 1


@pytest.fixture(scope="session")
def make_case() -> type[Case]:
    """The class of cases: test modules cannot import this one."""
    return Case


@pytest.fixture(scope="session")
def in_caffe(
    caffe: Caffe, tmp_path_factory: pytest.TempPathFactory
) -> Callable[[Mapping[str, Case]], dict[str, Arrays]]:
    """A function from cases by name to the real Caffe's results, in one process."""

    def run(cases: Mapping[str, Case]) -> dict[str, Arrays]:
        folder = tmp_path_factory.mktemp("cases")
        for name, case in cases.items():
            place = folder / name
            place.mkdir()
            (place / "net.prototxt").write_text(case.prototxt)
            reported = {key: getattr(case, key) for key in ("phase", "backward", "weights", "save", "passes")}
            (place / "case.json").write_text(json.dumps(reported))
            np.savez(place / "given.npz", **case.given)
        quiet = replace(caffe, environment={**caffe.environment, "GLOG_minloglevel": "2"})
        with running(start(quiet, [caffe.python, WORKER, folder], stderr=PIPE)) as child:
            _, noise = child.communicate()
        assert child.returncode == 0, (
            last_words(noise.decode(errors="replace"), child.returncode) + noise.decode()[-2000:]
        )
        return {name: dict(np.load(folder / name / "answers.npz")) for name in cases}

    return run


@pytest.fixture(params=["cpu", pytest.param("cuda", marks=pytest.mark.gpu)])
def device(request: pytest.FixtureRequest) -> str:
    """The device of torch."""
    return str(request.param)


@pytest.fixture(scope="session")
def in_torch() -> Callable[..., Arrays]:
    """A function from a case to torch's results, under the names of `in_caffe`."""

    def run(case: Case, device: str = "cpu") -> Arrays:
        net = Net(graph_of(parse_text(case.prototxt, NetParameter, "case"), State(case.phase)), seed=0, device=device)
        net.keep_diffs = True
        for name, array in case.given.items():
            kind, _, rest = name.partition(":")
            if kind == "blob":
                net.set_input(rest, torch.from_numpy(array))
            elif kind == "param":
                layer, _, k = rest.rpartition(":")
                net.params[layer][int(k)].data.copy_(torch.from_numpy(array))
        loss = net()
        tops, diffs = [loss] * loss.requires_grad, [torch.ones_like(loss)] * loss.requires_grad
        for name, array in case.given.items():
            if name.startswith("diff:"):
                tops.append(net.blobs[name[5:]])
                diffs.append(torch.from_numpy(array).to(device))
        if case.backward:
            with net.precision.computing():
                torch.autograd.backward(tops, diffs)
        reported = {f"blob:{name}": blob for name, blob in net.blobs.items()}
        reported |= {f"diff:{name}": diff for name, diff in net.diffs.items()}
        for layer, blobs in net.params.items():
            reported |= {f"param:{layer}:{k}": blob for k, blob in enumerate(blobs)}
            reported |= {f"gradient:{layer}:{k}": blob.grad for k, blob in enumerate(blobs) if blob.grad is not None}
        return {name: value.detach().cpu().numpy() for name, value in reported.items()}

    return run


@pytest.fixture(scope="session")
def relative_error() -> Callable[[np.ndarray, np.ndarray], float]:
    """From ours and theirs to max |ours - theirs| / max |theirs|."""

    def error(ours: np.ndarray, theirs: np.ndarray) -> float:
        assert ours.shape == theirs.shape
        far, scale = np.abs(ours - theirs).max(initial=0), np.abs(theirs).max(initial=0)
        return float(far / scale if scale else far)

    return error
