"""Input that cannot be trained or run gives one line: what is wrong, where, and the remedy."""

import re

import lmdb
import numpy as np
import pytest
import torch

from emotiw.engine.base import DivergedError
from emotiw.engine.torch.data.lmdb_source import Sources
from emotiw.engine.torch.graph import State, graph_of
from emotiw.engine.torch.layers.convolution import Convolution
from emotiw.engine.torch.layers.labelled import spared
from emotiw.engine.torch.net import Net
from emotiw.engine.torch.scorer import TorchScorer
from emotiw.engine.torch.solver.out_of_memory import largest
from emotiw.engine.torch.solver.solver import Solver
from emotiw.engine.torch.weights import write_weights
from emotiw.errors import EmotiwError
from emotiw.prototxt.formats.blobs import write_mean
from emotiw.prototxt.formats.messages import Datum, NetParameter, SolverParameter, parse_text

DATA = 'layer { name: "data" type: "Data" top: "data" top: "label" '
DATA += 'data_param { source: "faces" batch_size: %d backend: LMDB } }'
CONV = """
layer { name: "conv" type: "Convolution" bottom: "data" top: "conv" convolution_param {
  num_output: 3 kernel_size: 3 weight_filler { type: "xavier" } } }"""
BODY = (
    CONV
    + """
layer { name: "copies" type: "Split" bottom: "label" top: "one" top: "other" }
layer { name: "fc" type: "InnerProduct" bottom: "conv" top: "fc" inner_product_param {
  num_output: 4 weight_filler { type: "xavier" } } }
layer { name: "right" type: "Accuracy" bottom: "fc" bottom: "one" top: "right" include { phase: TEST } }
layer { name: "loss" type: "SoftmaxWithLoss" bottom: "fc" bottom: "other" top: "loss" exclude { stage: "count" } }
"""
)
NET = DATA % 4 + BODY
INPUT = """layer { name: "in" type: "Input" top: "data" top: "label"
  input_param { shape { dim: 4 dim: 3 dim: 6 dim: 6 } shape { dim: 4 } } }"""
TESTS = "test_iter: 2 test_interval: 1 "


@pytest.fixture
def folder(tmp_path):
    write_lmdb(tmp_path, [0, 1, 2, 3, 2, 1])
    return tmp_path


def write_lmdb(folder, labels, side=6):
    generator = np.random.default_rng(0)
    with lmdb.open(str(folder / "faces"), map_size=1 << 24) as opened, opened.begin(write=True) as transaction:
        for k, label in enumerate(labels):
            pixels = generator.integers(0, 256, 3 * side * side, np.uint8).tobytes()
            datum = Datum(channels=3, height=side, width=side, data=pixels, label=label)
            transaction.put(f"{k:04d}_face.png".encode(), datum.SerializeToString())


def train(folder, net=NET, more="", iterations=3, device="cpu", watch=lambda solver: None):
    """Train as a solver of a few lines does; return it."""
    (folder / "net.prototxt").write_text(net)
    text = 'net: "net.prototxt" base_lr: 0.001 lr_policy: "fixed" snapshot: 1 snapshot_prefix: "s" random_seed: 1 '
    with Sources(folder, device, 0) as sources:
        solver = Solver(parse_text(text + more, SolverParameter, "it"), folder, sources, device)
        watch(solver)
        solver.step(iterations)
    return solver


def snapshots(folder):
    return sorted(path.name for path in folder.glob("s_*"))


def without_a_blob(folder):
    train(folder, NET.replace('bottom: "fc" bottom: "one"', 'bottom: "fc" bottom: "none"'), TESTS)


def with_another_mean(folder):
    write_mean(folder / "mean.binaryproto", np.zeros((3, 5, 6), np.float32))
    train(folder, NET.replace('top: "label"', 'top: "label" transform_param { mean_file: "mean.binaryproto" }', 1))


def with_a_crop_that_is_too_large(folder):
    train(folder, NET.replace('top: "label"', 'top: "label" transform_param { crop_size: 7 }', 1))


def with_an_image_of_another_size(folder):
    write_lmdb(folder, [0, 1, 2, 3, 2, 1, 0], side=6)
    with lmdb.open(str(folder / "faces"), map_size=1 << 24) as opened, opened.begin(write=True) as transaction:
        datum = Datum(channels=3, height=2, width=2, data=bytes(12), label=1)
        transaction.put(b"0005_face.png", datum.SerializeToString())
    train(folder)


def with_a_kernel_larger_than_its_image(folder):
    train(folder, NET.replace("kernel_size: 3", "kernel_size: 9"))


def with_an_input_of_other_channels(folder):
    net = Net(graph_of(parse_text(INPUT + BODY, NetParameter, "deploy.prototxt"), State("TRAIN")))
    net({"data": torch.zeros(4, 1, 6, 6)})


def with_an_input_of_another_side(folder):
    net = Net(graph_of(parse_text(INPUT + BODY, NetParameter, "deploy.prototxt"), State("TRAIN")))
    net({"data": torch.zeros(4, 3, 7, 6)})


def with_fewer_labels(folder):
    net = Net(graph_of(parse_text(INPUT + BODY, NetParameter, "deploy.prototxt"), State("TRAIN")))
    net({"label": torch.zeros(3)})


def with_a_label_too_large(folder):
    write_lmdb(folder, [0, 1, 2, 3, 2, 7])
    train(folder)


def with_a_negative_label(folder):
    write_lmdb(folder, [0, -1])
    train(folder)


def with_a_label_too_large_in_a_test(folder):
    write_lmdb(folder, [0, 4])
    train(folder, more=TESTS + 'train_state { stage: "count" } test_state { stage: "count" }')


def with_an_input_of_a_label_too_large(folder):
    net = Net(graph_of(parse_text(INPUT + BODY, NetParameter, "deploy.prototxt"), State("TRAIN")))
    net({"label": torch.tensor([0.0, 1, 2, 4])})


@pytest.mark.parametrize(
    ("bad", "line"),
    [
        (
            without_a_blob,
            "net.prototxt:7: layer 'right' (Accuracy): its bottom 'none' is the top of no layer",
        ),
        (
            with_another_mean,
            "net.prototxt:1: layer 'data' (Data): faces: an image of 3 x 6 x 6 does not fit the mean "
            "mean.binaryproto of 3 x 5 x 6: name the mean of this LMDB",
        ),
        (
            with_a_crop_that_is_too_large,
            "net.prototxt:1: layer 'data' (Data): faces: an image of 3 x 6 x 6 is smaller than crop_size 7",
        ),
        (
            with_an_image_of_another_size,
            "net.prototxt:1: layer 'data' (Data): faces: images of 3 x 2 x 2 and of 3 x 6 x 6 in one batch: they must "
            "have one size, or a crop_size",
        ),
        (with_a_kernel_larger_than_its_image, "Kernel size can't be greater than actual input size"),
        (
            with_an_input_of_other_channels,
            "the net: layer 'conv' (Convolution): Given groups=1, weight of size [3, 3, 3, 3]",
        ),
        (
            with_an_input_of_another_side,
            "the net: layer 'fc' (InnerProduct): it has weights for 48 inputs, not 60",
        ),
        (with_fewer_labels, "the net: layer 'loss' (SoftmaxWithLoss): 3 labels for scores of (4, 4): one for each"),
        (
            with_a_label_too_large,
            "net.prototxt:1: layer 'data' (Data): faces: the record '0005_face.png' has label 7, which is none of the "
            "4 classes of layer 'loss', 0 to 3",
        ),
        (with_a_negative_label, "faces: the record '0001_face.png' has label -1, which is none of the 4 classes"),
        (with_a_label_too_large_in_a_test, "has label 4, which is none of the 4 classes of layer 'right', 0 to 3"),
        (
            with_an_input_of_a_label_too_large,
            "the net: layer 'loss' (SoftmaxWithLoss): label 4 is not one of its 4 classes, 0 to 3",
        ),
    ],
)
def test_one_line_says_what_is_wrong(folder, bad, line):
    with pytest.raises(EmotiwError) as caught:
        bad(folder)
    words = str(caught.value).replace(f"{folder}/", "")
    assert line in words
    assert "\n" not in words


def test_an_ignored_label_may_come_from_an_lmdb(folder):
    write_lmdb(folder, [0, 9, 1])
    said = 'top: "loss" loss_param { ignore_label: 9 }'
    assert train(folder, NET.replace('top: "loss"', said)).iteration == 3
    with pytest.raises(EmotiwError, match=r"has label 9, .* of layer 'right'"):
        train(folder, NET.replace('top: "loss"', said), TESTS)


def test_snapshots_from_before_a_wrong_label_stay(folder):
    write_lmdb(folder, [0, 1, 2, 3, 2, 1, 0, 1, 7])
    with pytest.raises(EmotiwError, match=r"'0008_face\.png' has label 7"):
        train(folder, iterations=9)
    assert snapshots(folder) == [f"s_iter_{k}.{kind}" for k in (1, 2) for kind in ("caffemodel", "solverstate")]


def test_labels_that_a_gpu_would_end_at_make_the_loss_nan():
    labels, wrong = spared(torch.tensor([2, 9, -1]), torch.tensor([False, True, True]))
    assert labels.tolist() == [2, 0, 0]
    assert torch.isnan(wrong)
    labels, wrong = spared(torch.tensor([2, 9]), torch.tensor([False, False]))
    assert (labels.tolist(), wrong.item()) == ([2, 9], 0)


@pytest.mark.gpu
@pytest.mark.parametrize("top", ["loss", "right"])
def test_a_gpu_lives_on_after_a_wrong_label(top):
    phase = "TEST" if top == "right" else "TRAIN"
    net = Net(graph_of(parse_text(INPUT + BODY, NetParameter, "it"), State(phase)), device="cuda")
    for last, is_number in ((4.0, False), (3.0, True)):
        net({"label": torch.tensor([0, 1, 2, last])})
        assert torch.isfinite(net.blobs[top]).item() is is_number


def test_a_nan_loss_leaves_the_last_good_snapshot(folder):
    """As with too large a rate, the weights overflow at the third iteration."""

    def watch(solver):
        blob = solver.net.params["conv"][0].data
        solver.on_start.append(lambda: blob.fill_(3e38) if solver.iteration == 2 else None)

    with pytest.raises(DivergedError, match=r"^the loss is (nan|inf) at iteration 2$"):
        train(folder, iterations=9, watch=watch)
    assert snapshots(folder)[-2:] == ["s_iter_2.caffemodel", "s_iter_2.solverstate"]
    solver = train(folder, iterations=1, watch=lambda solver: solver.restore(folder / "s_iter_2.solverstate"))
    assert solver.iteration == 3
    assert all(one.blob.isfinite().all() for one in solver.net.learnable)


def small_memory(net, most):
    """Give a net's `fc` memory for only so many images."""
    layer = next(layer for layer in net.layers if layer.param.name == "fc")
    forward = layer.forward

    def limited(*bottoms):
        if len(bottoms[0]) > most:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB.\nAnd more")
        return forward(*bottoms)

    layer.forward = limited


@pytest.mark.parametrize(
    ("batch", "most", "more", "line"),
    [
        (
            256,
            96,
            "",
            "batch 256 does not fit into the memory of this machine: 96 fits; set batch_size 64 and iter_size 4",
        ),
        (12, 11, "iter_size: 2", "batch 12 does not fit .*: 11 fits; set batch_size 6 and iter_size 4"),
        (7, 5, "", "batch 7 does not fit .*: 5 fits; set batch_size 1 and iter_size 7"),
        (7, 0, "", "batch 7 does not fit .*, nor does a smaller one: use another device, or a smaller net"),
        (1, 0, "", "batch 1 does not fit .*, nor does a smaller one"),
    ],
)
def test_out_of_memory_says_which_batch_would_fit(folder, batch, most, more, line):
    with pytest.raises(EmotiwError, match=f"^{line}$" if line.endswith("4") else line):
        train(folder, DATA % batch + BODY, more, watch=lambda solver: small_memory(solver.net, most))
    assert snapshots(folder) == []


def test_out_of_memory_of_a_scorer(tmp_path, monkeypatch):
    def fail(self, *bottoms):
        raise torch.OutOfMemoryError("CUDA out of memory.\nAnd more")

    deploy, weights = tmp_path / "deploy.prototxt", tmp_path / "w.caffemodel"
    deploy.write_text(INPUT.replace(' top: "label"', "").replace(" shape { dim: 4 } }", " }") + CONV)
    write_weights(weights, Net(graph_of(parse_text(deploy.read_text(), NetParameter, "it"), State("TEST"))))
    with TorchScorer(deploy, weights, "conv") as scorer:
        monkeypatch.setattr(Convolution, "forward", fail)
        with pytest.raises(EmotiwError, match=r"a batch of \(2, 3, 6, 6\) does not fit into cpu's memory: give fewer"):
            scorer.scores(np.zeros((2, 3, 6, 6), np.float32))


def test_out_of_memory_in_a_test(folder):
    line = "^a test's batch 8 does not fit .*: 5 fits; set batch_size 4 and test_iter 2 times as large$"
    with pytest.raises(EmotiwError, match=line):
        train(folder, DATA % 8 + BODY, TESTS, watch=lambda solver: small_memory(solver.test_nets[0], 5))


@pytest.mark.parametrize(
    ("text", "line"),
    [
        (INPUT + BODY, "does not fit .*; no smaller batch was tried, because no Data layer gives its size"),
        (
            NET.replace('bottom: "conv" top: "fc"', 'bottom: "fixed" top: "fc"').replace(
                'layer { name: "fc"',
                'layer { name: "fixed" type: "Reshape" bottom: "conv" top: "fixed" reshape_param { shape { '
                'dim: 4 dim: 48 } } }\nlayer { name: "fc"',
            ),
            "batch 4 does not fit .*; which size would fit was not found: .*layer 'fixed'",
        ),
    ],
)
def test_out_of_memory_where_no_batch_is_found(folder, text, line):
    with pytest.raises(EmotiwError, match=line):
        train(folder, text, watch=lambda solver: small_memory(solver.net, 3))


def test_what_was_tried_leaves_no_trace(folder):
    kept = []

    def watch(solver):
        small_memory(solver.net, 2)
        kept.append((solver, [one.blob.clone() for one in solver.net.learnable], solver.net.layers[0].source))

    with pytest.raises(EmotiwError, match="2 fits"):
        train(folder, watch=watch)
    ((solver, weights, source),) = kept
    assert all(torch.equal(one.blob, weight) for one, weight in zip(solver.net.learnable, weights, strict=True))
    assert all(one.blob.grad is None for one in solver.net.learnable)
    assert (solver.net.layers[0].source, solver.net.blobs) == (source, {})


@pytest.mark.parametrize("wanted", range(6))
def test_the_largest_that_fits(wanted):
    tried = []
    assert largest(5, lambda size: tried.append(size) or size <= wanted) == wanted
    assert len(tried) <= 3
    assert largest(0, lambda size: True) == 0


@pytest.mark.gpu
def test_a_gpus_memory(folder):
    """A hundredth of the GPU's memory holds the weights, but not the columns of so many images."""
    torch.cuda.set_per_process_memory_fraction(0.01)
    wide = (DATA % 2**18 + BODY).replace("num_output: 3", "num_output: 512")
    try:
        with pytest.raises(EmotiwError) as caught:
            train(folder, wide, iterations=1, device="cuda")
        words = re.match(
            r"batch 262144 .* of (.*): (\d+) fits; set batch_size (\d+) and iter_size (\d+)$", str(caught.value)
        )
        assert words[1] == torch.cuda.get_device_name()
        fits, size, times = map(int, words.groups()[1:])
        assert size <= fits < 2**18
        assert size * times == 2**18
        smaller = wide.replace(f"batch_size: {2**18}", f"batch_size: {size}")
        assert train(folder, smaller, iterations=1, device="cuda").iteration == 1
    finally:
        torch.cuda.set_per_process_memory_fraction(1.0)
