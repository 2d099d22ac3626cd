"""The project's nets as ONNX models, by ONNX Runtime and by OpenCV: the real Caffe's posteriors."""

import cv2
import numpy as np
import pytest

from emotiw.engine.onnx.model import ImageInput, model_of
from emotiw.engine.preprocessing import net_inputs
from emotiw.prototxt.surgery import committed, input_side, uncropped
from emotiw.prototxt.zoo.nets import NETS

pytestmark = pytest.mark.caffe

SMALL = [name for name, net in NETS.items() if net.preset == "small"]
OTHERS = [name for name in NETS if name not in SMALL]


def check(net_name, tools, engine, folder):
    """Compare the posteriors of three images."""
    random_weights, written, by_runtime, by_opencv = tools
    rng = np.random.default_rng(0)
    net = committed(net_name, "deploy.prototxt")
    crop = input_side(net, net_name)
    size = uncropped(crop)
    weights = random_weights(net, 1)
    mean = rng.uniform(0, 255, (3, crop, crop)).astype(np.float32)
    coarse = rng.integers(0, 256, (3, 5, 5, 3), np.uint8)  # smooth images, since the responses to noise are all alike
    images = np.stack([cv2.resize(image, (size, size), interpolation=cv2.INTER_CUBIC) for image in coarse])

    with engine.scorer(*written(folder, net, weights)) as scorer:
        wanted = scorer.scores(
            np.concatenate([net_inputs(image[..., ::-1].transpose(2, 0, 1), mean) for image in images])
        )
    model = model_of(net, weights, ImageInput("rgb", size, mean), {}, net_name)
    assert not weights  # each layer's are in the model
    found = {
        "ONNX Runtime": by_runtime(model, images),
        "OpenCV": by_opencv(model, images),
        "OpenCV, of float32": by_opencv(model, images.astype(np.float32)),
        "OpenCV with Winograd": by_opencv(model, images, winograd=True),
    }
    assert wanted.max() < 0.999
    assert all(scores.shape == wanted.shape == (3, 7) for scores in found.values())
    differences = {name: float(np.abs(scores - wanted).max()) for name, scores in found.items()}
    print(f"{net_name}: largest differences from Caffe:", *(f"{name} {far:.1e}" for name, far in differences.items()))
    assert differences.pop("OpenCV with Winograd") < 5e-5
    assert max(differences.values()) < min(1e-5, wanted.std(axis=0).max() / 100)  # less, or a constant would pass


@pytest.fixture(scope="module")
def tools(random_weights, written, by_runtime, by_opencv):
    return random_weights, written, by_runtime, by_opencv


@pytest.mark.parametrize("name", SMALL)
def test_small_nets(name, tools, engine, tmp_path):
    check(name, tools, engine, tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize("name", OTHERS)
def test_medium_and_real_nets(name, tools, engine, tmp_path):
    check(name, tools, engine, tmp_path)
