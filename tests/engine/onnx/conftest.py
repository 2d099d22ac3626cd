"""Random weights of nets, and graphs run by ONNX Runtime and by OpenCV."""

from collections.abc import Callable, Sequence
from pathlib import Path

import cv2
import numpy as np
import onnx
import onnxruntime
import pytest

from emotiw.engine.onnx.graph import Graph, Value
from emotiw.prototxt.formats.blobs import blob_of
from emotiw.prototxt.formats.messages import NetParameter, format_text, write_binary
from emotiw.prototxt.shapes import shapes

Weights = dict[str, list[np.ndarray]]
Run = Callable[[onnx.ModelProto, np.ndarray], np.ndarray]


@pytest.fixture(scope="session")
def random_weights() -> Callable[..., Weights]:
    """Weights with which the posteriors of random images differ, and are neither 0 nor 1."""

    def make(net: NetParameter, seed: int) -> Weights:
        rng = np.random.default_rng(seed)
        learned = shapes(net)[1]
        found = {
            layer: [_blob(rng, shape, first=not number) for number, shape in enumerate(blobs)]
            for layer, blobs in learned.items()
        }
        found[next(iter(found))][0] *= np.float32(1 / 20)  # its inputs are pixels
        return found

    return make


def _blob(rng: np.random.Generator, shape: tuple[int, ...], *, first: bool) -> np.ndarray:
    """Return He's weights with a sum of zero for each output, so that what images have in common cancels; or biases."""
    values = rng.standard_normal(shape)
    if not first:
        return (0.1 * values).astype(np.float32)
    values -= values.mean(axis=tuple(range(1, len(shape))), keepdims=True)
    return (np.sqrt(2 / np.prod(shape[1:])) * values).astype(np.float32)


@pytest.fixture(scope="session")
def written() -> Callable[..., tuple[Path, Path]]:
    """Write a net and its weights, for Caffe."""

    def write(folder: Path, net: NetParameter, weights: Weights) -> tuple[Path, Path]:
        prototxt, caffemodel = folder / "deploy.prototxt", folder / "model.caffemodel"
        prototxt.write_text(format_text(net))
        stored = NetParameter()
        for layer in net.layer:
            if layer.name in weights:
                blobs = [blob_of(array) for array in weights[layer.name]]
                stored.layer.add(name=layer.name, type=layer.type, blobs=blobs)
        write_binary(caffemodel, stored)
        return prototxt, caffemodel

    return write


@pytest.fixture(scope="session")
def by_runtime() -> Run:
    """Run a model by ONNX Runtime, after ONNX's own checks of it."""

    def run(model: onnx.ModelProto, value: np.ndarray) -> np.ndarray:
        onnx.checker.check_model(model, full_check=True)
        settings = onnxruntime.SessionOptions()
        settings.intra_op_num_threads = 1
        session = onnxruntime.InferenceSession(model.SerializeToString(), settings, ["CPUExecutionProvider"])
        return np.asarray(session.run(None, {session.get_inputs()[0].name: value})[0])

    return run


@pytest.fixture(scope="session")
def by_opencv() -> Callable[..., np.ndarray]:
    """Run a model by OpenCV's dnn; its convolution of 3 x 3 by Winograd's algorithm, the default, rounds more."""

    def run(model: onnx.ModelProto, value: np.ndarray, *, winograd: bool = False) -> np.ndarray:
        net = cv2.dnn.readNetFromONNX(np.frombuffer(model.SerializeToString(), np.uint8))
        net.enableWinograd(winograd)
        net.setInput(value)
        return np.asarray(net.forward())

    return run


@pytest.fixture(scope="session")
def computed(by_runtime: Run) -> Callable[..., np.ndarray]:
    """What a function of values makes of an array, by ONNX Runtime."""

    def compute(
        function: Callable[[Value], Value], value: np.ndarray, shape: Sequence[int | str], rank: int = 3
    ) -> np.ndarray:
        graph = Graph()
        result = function(graph.input("given", value.dtype.type, shape))
        graph.output(result, [f"d{axis}" for axis in range(rank)])
        graph.model.graph.name = "test"
        return by_runtime(graph.model, value)

    return compute
