"""What the worker leaves out of pycaffe's own way, and that the net and its answers are the same."""

import json
import subprocess

import numpy as np
import pytest

from emotiw.engine.caffe.programs import start
from emotiw.engine.caffe.scorer import WORKER, CaffeScorer
from emotiw.engine.child_process import running
from emotiw.prototxt.formats.blobs import blob_of
from emotiw.prototxt.formats.messages import PackedBlob, PackedLayer, PackedNet

pytestmark = pytest.mark.caffe

NET = """
name: "tiny"
layer { name: "data" type: "Input" top: "data" input_param { shape { dim: 1 dim: 3 dim: 8 dim: 9 } } }
layer { name: "conv" type: "Convolution" bottom: "data" top: "conv"
        convolution_param { num_output: 4 kernel_size: 3 weight_filler { type: "xavier" } } }
layer { name: "relu" type: "ReLU" bottom: "conv" top: "conv" }
layer { name: "fc" type: "InnerProduct" bottom: "conv" top: "fc"
        inner_product_param { num_output: 7 weight_filler { type: "xavier" } } }
layer { name: "prob" type: "Softmax" bottom: "fc" top: "prob" }
"""
SHAPES = {"conv": [(4, 3, 3, 3), (4,)], "fc": [(7, 168), (7,)]}

BEGIN = "import json, sys; sys.path.insert(0, sys.argv[1]); import worker\n"

IMPORTED = (
    BEGIN
    + """
caffe = worker.import_caffe(worker.UNUSED)
left = [name for name in sys.modules if name.split(".")[0] in ("scipy", "skimage")]
from skimage.transform import resize
print(json.dumps([caffe.__version__, left, callable(resize)]))
"""
)


def in_caffe(caffe, code, *arguments):
    command = [caffe.python, "-c", code, WORKER.parent, *arguments]
    with running(start(caffe, command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)) as child:
        said = child.communicate()[0].decode()
    assert child.returncode == 0
    return [json.loads(line) for line in said.splitlines()]


def blobs(layer, kind):
    rng = np.random.default_rng(len(layer))
    return [kind(rng.normal(size=shape).astype(np.float32)) for shape in SHAPES[layer]]


def packed(array):
    return PackedBlob.FromString(blob_of(array).SerializeToString())


def layer(name, blobs):
    return PackedLayer(name=name, blobs=blobs)


def current(*layers):
    return PackedNet(layer=[layer(name, blobs(name, packed)) for name in layers])


@pytest.fixture
def written(tmp_path):
    """Write the net, and weights under a name; return both paths."""
    (tmp_path / "net.prototxt").write_text(NET)

    def write(name, net):
        (tmp_path / name).write_bytes(net.SerializeToString())
        return tmp_path / name

    return write


def test_scipy_and_scikit_image_are_not_imported_but_can_be(caffe):
    assert in_caffe(caffe, IMPORTED) == [["1.0.0", [], True]]


PYTHON_LAYER = """
import caffe
class Half(caffe.Layer):
    def setup(self, bottom, top): pass
    def reshape(self, bottom, top): top[0].reshape(1, 3, 4, 4)
    def forward(self, bottom, top):
        image = bottom[0].data[0].transpose(1, 2, 0)
        top[0].data[0] = caffe.io.resize_image(image, (4, 4)).transpose(2, 0, 1)
"""


def test_a_layer_in_python_has_all_of_pycaffe(caffe, written, tmp_path, monkeypatch):
    (tmp_path / "half.py").write_text(PYTHON_LAYER)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    half = (
        'layer { type: "Python" name: "half" bottom: "data" top: "half" python_param { module: "half" layer: "Half" } }'
    )
    net, weights = tmp_path / "python.prototxt", written("weights", current("conv"))
    net.write_text("\n".join(NET.splitlines()[:3]) + half)
    with CaffeScorer(caffe, net, weights, output="half") as scorer:
        answer = scorer.scores(np.full((1, 3, 8, 8), 7, np.float32))
    np.testing.assert_allclose(answer, np.full((1, 48), 7, np.float32))
