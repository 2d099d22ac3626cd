"""Losses, accuracies and places of maxima: labels, ties, ignored labels, every norm; as the real Caffe's to 1e-5."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from emotiw.engine.torch.graph import State, graph_of
from emotiw.engine.torch.net import Net
from emotiw.errors import EmotiwError
from emotiw.prototxt.formats.messages import NetParameter, parse_text

FLAT, MAPS, LAST = (6, 5), (3, 4, 2, 3), (3, 2, 4)

# The prototxt, the shape of the scores, the axis of the classes, the number of tops.
LAYERS = {
    "loss": ('type: "SoftmaxWithLoss"', FLAT, 1, 1),
    "loss without a top": ('type: "SoftmaxWithLoss"', FLAT, 1, 0),
    "loss of maps": ('type: "SoftmaxWithLoss"', MAPS, 1, 1),
    "loss of the last axis": ('type: "SoftmaxWithLoss" softmax_param { axis: -1 }', LAST, 2, 1),
    "loss ignoring": ('type: "SoftmaxWithLoss" loss_param { ignore_label: 2 }', MAPS, 1, 1),
    "loss ignoring 255": ('type: "SoftmaxWithLoss" loss_param { ignore_label: 255 }', MAPS, 1, 1),
    "loss weighted": ('type: "SoftmaxWithLoss" loss_weight: 0.3', FLAT, 1, 1),
    **{
        f"loss {norm} {ignored}": (
            f'type: "SoftmaxWithLoss" loss_param {{ normalization: {norm} {ignored} }}',
            MAPS,
            1,
            1,
        )
        for norm in ("FULL", "VALID", "BATCH_SIZE", "NONE")
        for ignored in ("", "ignore_label: 1")
    },
    "loss of old, normalized": ('type: "SoftmaxWithLoss" loss_param { normalize: true ignore_label: 1 }', MAPS, 1, 1),
    "loss of old, not": ('type: "SoftmaxWithLoss" loss_param { normalize: false ignore_label: 1 }', MAPS, 1, 1),
    "loss of both": (
        'type: "SoftmaxWithLoss" loss_param { normalize: false normalization: FULL ignore_label: 1 }',
        MAPS,
        1,
        1,
    ),
    "accuracy": ('type: "Accuracy"', FLAT, 1, 1),
    "accuracy of maps": ('type: "Accuracy"', MAPS, 1, 1),
    "accuracy of the last axis": ('type: "Accuracy" accuracy_param { axis: -1 }', LAST, 2, 1),
    "accuracy of two": ('type: "Accuracy" accuracy_param { top_k: 2 }', FLAT, 1, 1),
    "accuracy of all": ('type: "Accuracy" accuracy_param { top_k: 5 }', FLAT, 1, 1),
    "accuracy ignoring": ('type: "Accuracy" accuracy_param { ignore_label: 2 }', MAPS, 1, 1),
    "accuracy of each class": ('type: "Accuracy" accuracy_param { top_k: 2 ignore_label: 1 }', MAPS, 1, 2),
    "places": ('type: "ArgMax"', MAPS, None, 1),
    "places of three": ('type: "ArgMax" argmax_param { top_k: 3 }', MAPS, None, 1),
    "places and values": ('type: "ArgMax" argmax_param { top_k: 3 out_max_val: true }', MAPS, None, 1),
    "places along an axis": ('type: "ArgMax" argmax_param { top_k: 2 axis: -1 }', MAPS, None, 1),
    "values along an axis": ('type: "ArgMax" argmax_param { top_k: 2 axis: 1 out_max_val: true }', MAPS, None, 1),
    "distance": ('type: "EuclideanLoss"', FLAT, 1, 1),
    "distance weighted": ('type: "EuclideanLoss" loss_weight: 2.5', MAPS, 1, 1),
    "hinge": ('type: "HingeLoss"', FLAT, 1, 1),
    "hinge squared": ('type: "HingeLoss" hinge_loss_param { norm: L2 }', FLAT, 1, 1),
    "hinge of maps": ('type: "HingeLoss" loss_weight: 0.3', MAPS, 1, 1),
    "pairs": ('type: "ContrastiveLoss" contrastive_loss_param { margin: 4 }', FLAT, 1, 1),
    "pairs of old": (
        'type: "ContrastiveLoss" contrastive_loss_param { margin: 9 legacy_version: true }',
        (6, 5, 1, 1),
        1,
        1,
    ),
    "cross entropy": ('type: "SigmoidCrossEntropyLoss"', MAPS, 1, 1),
    **{
        f"cross entropy {norm} {ignored}": (
            f'type: "SigmoidCrossEntropyLoss" loss_param {{ {norm} {ignored} }}',
            FLAT,
            1,
            1,
        )
        for norm in (
            *[f"normalization: {norm}" for norm in ("FULL", "VALID", "BATCH_SIZE", "NONE")],
            *("normalize: true", "normalize: false", ""),
        )
        for ignored in ("", "ignore_label: -1")
    },
    "maxima and their places": ('type: "Pooling" pooling_param { kernel_size: 2 stride: 1 }', MAPS, None, 2),
    "maxima and their places padded": (
        'type: "Pooling" pooling_param { kernel_size: 2 stride: 2 pad: 1 }',
        (2, 3, 5, 4),
        None,
        2,
    ),
    "maxima and their places padded far": (
        'type: "Pooling" pooling_param { kernel_size: 3 stride: 2 pad: 2 }',
        (2, 3, 5, 4),
        None,
        2,
    ),
    "cut": ('type: "Slice" slice_param { slice_point: 1 slice_point: 3 }', MAPS, None, 3),
    "cut equally": ('type: "Slice" slice_param { axis: 0 }', FLAT, None, 3),
    "twice": ('type: "Split"', FLAT, None, 2),
    "any blob a loss": ('type: "TanH" loss_weight: -0.5', MAPS, None, 1),
}


def labels_shape(said, shape, axis):
    if "Euclidean" in said or "CrossEntropy" in said:
        return shape
    return shape[:1] if "Hinge" in said or "Contrastive" in said else (*shape[:axis], *shape[axis + 1 :])


def prototxt(said, shape, axis, tops):
    shapes = {"x": shape} | ({"z": shape} if "Contrastive" in said else {})
    shapes |= {"t": labels_shape(said, shape, axis)} if axis else {}
    inputs = "".join(
        f'layer {{ name: "{name}" type: "Input" top: "{name}" input_param {{ shape {{ {dims} }} }} }}\n'
        for name, shape in shapes.items()
        for dims in [" ".join(f"dim: {dim}" for dim in shape)]
    )
    bottoms = " ".join(f'bottom: "{name}"' for name in shapes)
    outputs = " ".join(f'top: "y{k}"' for k in range(tops))
    return f'force_backward: true\n{inputs}layer {{ name: "it" {bottoms} {outputs} {said} }}\n'


def case_of(name, make_case):
    """Scores on a grid of halves, so that there are ties, one of them hopeless; labels of all classes."""
    said, shape, axis, tops = LAYERS[name]
    rng = np.random.default_rng(len(name))
    given = {"blob:x": (np.round(2 * rng.standard_normal(shape)) / 2).astype(np.float32)}
    given["blob:x"].flat[0] -= 150
    if axis:
        targets = labels_shape(said, shape, axis)
        given["blob:t"] = rng.integers(0, shape[axis], targets).astype(np.float32)
        given["blob:t"].flat[:3] = (0, 1, 255 if "255" in said else 2)
    if "CrossEntropy" in said:
        given["blob:t"] = rng.choice(np.float32([0, 0.25, 1, -1]), shape)
    if "Contrastive" in said:
        given["blob:z"] = (np.round(2 * rng.standard_normal(shape)) / 2).astype(np.float32)
        given["blob:z"][3], given["blob:t"][3:] = given["blob:x"][3], (0, 0, 1)
    backward = not any(word in said for word in ("Accuracy", "ArgMax"))
    case = make_case(prototxt(said, shape, axis, tops), given, backward=backward)
    if axis is None and backward and "loss_weight" not in said:
        shapes = graph_shapes(case.prototxt)
        differentiable = ["y0"] if "Pooling" in said else [f"y{k}" for k in range(tops)]
        given |= {f"diff:{top}": rng.standard_normal(shapes[top]).astype(np.float32) for top in differentiable}
    return replace(case, given=given)


def net_of(text):
    return Net(graph_of(parse_text(text, NetParameter, "it"), State("TRAIN")))


def graph_shapes(text):
    return net_of(text).shapes


@pytest.fixture(scope="module")
def cases(make_case):
    return {name: case_of(name, make_case) for name in LAYERS}


@pytest.fixture(scope="module")
def by_caffe(cases, in_caffe):
    return in_caffe(cases)


@pytest.mark.caffe
@pytest.mark.parametrize("name", LAYERS)
def test_forward_and_backward(cases, by_caffe, in_torch, relative_error, name, device):
    ours, theirs = in_torch(cases[name], device), by_caffe[name]
    assert {key for key in ours if key.startswith("blob:")} == {
        key for key in theirs if key.startswith("blob:") and "(automatic)" not in key
    }
    if cases[name].backward:
        assert "diff:x" in ours
    errors = {key: relative_error(ours[key], theirs[key]) for key in ours}
    assert max(errors.values()) <= 1e-5, errors


def loss_of(labels, said='type: "SoftmaxWithLoss"', scores=None):
    scores = torch.zeros(len(labels), 3) if scores is None else scores
    net = net_of(prototxt(said, tuple(scores.shape), 1, 1))
    net({"x": scores, "t": torch.tensor(labels, dtype=torch.float32)})
    return float(net.blobs["y0"].detach())


@pytest.mark.parametrize("label", [3, -1])
@pytest.mark.parametrize("said", ['type: "SoftmaxWithLoss"', 'type: "HingeLoss"', 'type: "Accuracy"'])
def test_a_label_outside_the_classes_is_named(said, label):
    words = rf"^the net: layer 'it' .*: label {label} is not one of its 3 classes, 0 to 2$"
    with pytest.raises(EmotiwError, match=words):
        loss_of([0, label, 2], said)


def test_an_ignored_label_need_be_no_class():
    said = 'type: "SoftmaxWithLoss" loss_param { ignore_label: -1 }'
    assert loss_of([0, -1, 2], said) == pytest.approx(np.log(3))
    assert loss_of([-1, -1], said) == 0
    with pytest.raises(EmotiwError, match="label -2 is not one of its 3 classes"):
        loss_of([-2, -1], said)


def test_a_hopeless_label_costs_log_of_the_least_float():
    assert loss_of([1], scores=torch.tensor([[0.0, -200.0, 0.0]])) == pytest.approx(126 * np.log(2), rel=1e-6)


def test_ties_are_wrong_and_nan_is_right_as_in_caffe():
    scores = torch.tensor([[2.0, 2.0, 1.0], [0.0, 3.0, 1.0]])
    assert loss_of([0, 1], 'type: "Accuracy"', scores) == 0.5
    assert loss_of([0, 2], 'type: "Accuracy" accuracy_param { top_k: 2 }', scores) == 1
    assert loss_of([0, 1], 'type: "Accuracy"', scores * float("nan")) == 1


def test_labels_that_are_not_as_many_as_the_scores():
    with pytest.raises(EmotiwError, match=r"2 labels for scores of \(3, 3\)"):
        loss_of([0, 1], scores=torch.zeros(3, 3))


@pytest.mark.parametrize(
    ("said", "words"),
    [
        (
            'type: "Pooling" pooling_param { pool: STOCHASTIC kernel_size: 2 }',
            "STOCHASTIC pooling is not in this engine",
        ),
        ('type: "Pooling" pooling_param { kernel_size: 2 pad: 2 }', "a pad of .* is not smaller than the kernel"),
        (
            'type: "Pooling" pooling_param { kernel_size: 2 kernel_h: 2 }',
            "kernel_size, or kernel_h and kernel_w, not both",
        ),
        ('type: "Pooling" pooling_param { kernel_size: 5 }', r"an image of 2 x 3 is smaller than the kernel, \(5, 5\)"),
        (
            'type: "Pooling" pooling_param { kernel_size: 2 global_pooling: true }',
            "global_pooling takes the whole image",
        ),
        ('type: "Pooling" pooling_param { }', "kernel_size and stride must be at least 1"),
        ('type: "LRN" lrn_param { local_size: 4 }', "local_size is odd, not 4"),
        (
            'type: "Convolution" convolution_param { kernel_size: 3 num_output: 2 }',
            "Calculated padded input size|Kernel size",
        ),
        (
            'type: "Convolution" convolution_param { kernel_size: 1 num_output: 3 group: 2 }',
            "4 channels to 3 outputs cannot be split into 2",
        ),
        ('type: "Convolution" convolution_param { num_output: 3 }', "a kernel has at least 1 pixel"),
        ('type: "InnerProduct" inner_product_param { axis: 4 num_output: 1 }', "no axis 4 in a blob of 4 axes"),
        ('type: "InnerProduct" param { } param { } param { } inner_product_param { num_output: 1 }', "3 params for 2"),
        ('type: "InnerProduct" inner_product_param { num_output: 1 weight_filler { type: "he" } }', "no filler 'he'"),
        ('type: "Slice" slice_param { slice_point: 4 }', r"an axis of 4 is not cut in 1 at \[4\]"),
        ('type: "TanH" loss_weight: 1 loss_weight: 1', "2 loss weights for 1 tops"),
        (
            'type: "TanH" propagate_down: true propagate_down: true',
            "propagate_down is given for every bottom, or for none",
        ),
        ('type: "ArgMax" argmax_param { top_k: 25 }', "top_k is 1 to 24, not 25"),
        ('type: "Tile"', "tiles is 1 or more, not 0"),
        ('type: "SPP"', "its pyramid_height 1 or more"),
        ('type: "SPP" spp_param { pyramid_height: 3 }', "a pad of .* is not smaller than the kernel"),
        (
            'type: "SPP" spp_param { pyramid_height: 1 pool: STOCHASTIC }',
            "STOCHASTIC pooling is not in this engine",
        ),
        ('type: "Exp" exp_param { base: 0 }', "base is positive, or -1 for e, not 0"),
        ('type: "Log" log_param { base: 1 }', "there is no logarithm to the base 1"),
        ('type: "Reduction" reduction_param { axis: 4 }', "no axis 4 in a blob of 4 axes"),
        ('type: "BatchNorm" param { lr_mult: 0 } param { }', "its statistics are not learned: lr_mult is 0"),
    ],
)
def test_what_a_layer_cannot_be(said, words):
    with pytest.raises(EmotiwError, match=r"^the net: layer 'it' \(\w+\): .*" + words) as caught:
        net_of(prototxt(said, MAPS, None, 1))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("kind", ["AbsVal", "Flatten", "Reshape"])
def test_layers_that_do_not_compute_in_place(kind):
    with pytest.raises(EmotiwError, match="it does not compute in place: give its top another name"):
        net_of(prototxt(f'type: "{kind}"', FLAT, None, 1).replace('"y0"', '"x"'))


@pytest.mark.parametrize(
    ("said", "shapes", "words"),
    [
        ('type: "Crop"', [MAPS, (1, 1, 3, 3)], r"\(3, 4, 2, 3\) cannot be cropped to \(1, 1, 3, 3\) at \[0, 0\]"),
        ('type: "Crop"', [MAPS, (1, 1, 2)], r"cannot be cropped to \(1, 1, 2\)"),
        ('type: "Crop" crop_param { offset: 1 }', [MAPS, MAPS], r"at \[1, 1\] from axis 2 on"),
        ('type: "Crop" crop_param { axis: 1 offset: 0 offset: 0 }', [MAPS, MAPS], "once, or for each of 3 axes, not 2"),
        ('type: "ContrastiveLoss"', [FLAT, FLAT, (5,)], r"N x C, N x C and N, not \(6, 5\), \(6, 5\), \(5,\)"),
        ('type: "ContrastiveLoss"', [MAPS, MAPS, (3,)], "N x C, N x C and N, not"),
        ('type: "SigmoidCrossEntropyLoss"', [FLAT, (5, 6)], r"blobs of one size, not \(6, 5\) and \(5, 6\)"),
        ('type: "PReLU"', [(6,)], r"its bottom is N x C x ..., not \(6,\)"),
        ('type: "BatchNorm"', [(6,)], r"its bottom is N x C x ..., not \(6,\)"),
    ],
)
def test_bottoms_that_do_not_fit(said, shapes, words):
    bottoms = [f'bottom: "b{k}"' for k in range(len(shapes))]
    inputs = [
        f'layer {{ name: "b{k}" type: "Input" top: "b{k}" input_param {{ shape {{ {dims} }} }} }}'
        for k, shape in enumerate(shapes)
        for dims in [" ".join(f"dim: {dim}" for dim in shape)]
    ]
    with pytest.raises(EmotiwError, match=words):
        net_of("\n".join([*inputs, f'layer {{ name: "it" {said} {" ".join(bottoms)} top: "y" }}']))


def test_batch_norm_takes_the_multipliers_of_old_files():
    """UpgradeNetBatchNorm: three ParamSpecs of any rate are those of fixed blobs."""
    net = net_of(prototxt('type: "BatchNorm"' + " param { lr_mult: 1 decay_mult: 2 }" * 3, MAPS, None, 1))
    assert [(one.lr_mult, one.decay_mult) for one in net.learnable] == [(0, 0)] * 3
