"""What the worker leaves out of pycaffe's own way, and that the net and its answers are the same."""

import json
import re
import subprocess

import numpy as np
import pytest

from emotiw.engine.caffe.programs import start
from emotiw.engine.caffe.scorer import WORKER, CaffeScorer
from emotiw.engine.child_process import running
from emotiw.errors import EmotiwError
from emotiw.prototxt.formats.blobs import blob_of, old_blob_of
from emotiw.prototxt.formats.messages import NetParameter, PackedBlob, PackedLayer, PackedNet, PackedV1Layer

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
left = [name for name in sys.modules if name.split(".")[0] in ("scipy", "skimage", "google", "pkg_resources")]
from skimage.transform import resize
from caffe.proto import caffe_pb2
from caffe.net_spec import NetSpec
print(json.dumps([caffe.__version__, left, callable(resize), callable(NetSpec), caffe_pb2.TEST == worker.TEST]))
"""
)

# Whether each file gives the same net, read by the worker alone and by Caffe.
COPIED = (
    BEGIN
    + """
import caffe, numpy as np
def blobs(net):
    return [blob.data for name in net.params for blob in net.params[name]]
for weights in sys.argv[3:]:
    ours, theirs = caffe.Net(sys.argv[2], caffe.TEST), caffe.Net(sys.argv[2], caffe.TEST)
    for blob in blobs(ours) + blobs(theirs):
        blob[...] = 0.5
    theirs.copy_from(weights)
    worker.copy_layers(ours, worker.fields(np.memmap(weights, np.uint8, "r")))
    print(json.dumps([float(np.ptp(blobs(ours)[0])), all(map(np.array_equal, blobs(ours), blobs(theirs)))]))
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


def negated(array):
    return packed(-array)


def layer(name, blobs):
    return PackedLayer(name=name, blobs=blobs)


def current(*layers):
    return PackedNet(layer=[layer(name, blobs(name, packed)) for name in layers])


def v1(*layers):
    return PackedNet(layers=[PackedV1Layer(name=name, blobs=blobs(name, old_blob_of)) for name in layers])


def other(**fields):
    """Weights of which fc's biases are another message."""
    net = current("conv", "fc")
    net.layer[1].blobs[1].CopyFrom(PackedBlob(**fields))
    return net


@pytest.fixture
def written(tmp_path):
    """Write the net, and weights under a name; return both paths."""
    (tmp_path / "net.prototxt").write_text(NET)

    def write(name, net):
        (tmp_path / name).write_bytes(net.SerializeToString())
        return tmp_path / name

    return write


def test_scipy_and_scikit_image_are_not_imported_but_can_be(caffe):
    assert in_caffe(caffe, IMPORTED) == [["1.0.0", [], True, True, True]]


def test_the_worker_copies_as_caffe_does(caffe, written, tmp_path):
    files = {
        "current": current("conv", "fc"),
        "v1": v1("conv", "fc"),
        "one layer": current("conv"),
        "another layer": PackedNet(layer=[*current("fc", "conv").layer, layer("x", blobs("fc", packed))]),
        "a layer without blobs": PackedNet(layer=[layer("relu", []), *current("conv").layer]),
        "no layer": NetParameter(name="none", input=["data"], input_dim=[1, 3, 8, 9]),
        "twice": PackedNet(layer=[layer("fc", blobs("fc", negated)), *current("fc").layer]),
    }
    answers = in_caffe(caffe, COPIED, tmp_path / "net.prototxt", *(written(*each) for each in files.items()))
    assert [same for _, same in answers] == [True] * len(files)
    assert [spread > 0 for spread, _ in answers] == [name not in ("no layer", "twice") for name in files]


@pytest.mark.parametrize(
    ("weights", "words"),
    [
        (other(data=bytes(28), shape={"dim": [1, 7]}), "Cannot copy param 1 weights from layer 'fc'; shape mismatch"),
        (other(data=bytes(24), shape={"dim": [7]}), "Check failed: count_ == proto.data_size() (7 vs. 6)"),
        (
            PackedNet(layer=current("fc").layer, layers=v1("conv").layers),
            "Refusing to upgrade inconsistent",
        ),
        (PackedNet(layer=[layer("relu", blobs("conv", packed))]), "Check failed: target_blobs.size()"),
        (PackedNet(layer=[layer("fc", [])]), "Check failed: target_blobs.size()"),
    ],
)
def test_what_does_not_fit_is_refused_in_caffes_words(caffe, written, tmp_path, weights, words):
    with (
        pytest.raises(EmotiwError, match=re.escape(words)),
        CaffeScorer(caffe, tmp_path / "net.prototxt", written("weights", weights)) as scorer,
    ):
        scorer.scores(np.zeros((1, 3, 8, 9), np.float32))


def test_what_only_caffe_reads_is_read_by_caffe(caffe, written, tmp_path):
    """Values as doubles."""
    image = np.random.default_rng(0).normal(size=(1, 3, 8, 9)).astype(np.float32)

    def answer(weights):
        with CaffeScorer(caffe, tmp_path / "net.prototxt", written("weights", weights)) as scorer:
            return scorer.scores(image)

    biases = blobs("fc", np.asarray)[1]
    doubles = other(double_data=biases.astype("<f8").tobytes(), shape={"dim": [7]})
    expected = answer(current("conv", "fc"))
    np.testing.assert_array_equal(answer(doubles), expected)


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
