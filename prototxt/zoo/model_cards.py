"""The model cards of the nets, in the format of Caffe's own models: front matter, differences, layers with shapes."""

from collections.abc import Mapping
from dataclasses import dataclass

from emotiw.prototxt.formats.descriptors import enum_name
from emotiw.prototxt.formats.messages import LayerParameter, NetParameter
from emotiw.prototxt.shapes import Shape, parameters, shapes


@dataclass(frozen=True)
class Origin:
    """The published net that a net follows.

    Attributes
    ----------
    facts
        The front matter: name, caffemodel (the published file), url, licence (of that file), source.
    differences
        The differences from the published net, a sentence each.
    """

    facts: Mapping[str, str]
    differences: tuple[str, ...]


def card(name: str, note: str, origin: Origin, deploy: NetParameter) -> str:
    """Return the text of a net's README.md; `deploy` is its NetParameter."""
    facts = "".join(f"{key}: {value}\n" for key, value in origin.facts.items())
    differences = "".join(f"- {difference}\n" for difference in origin.differences)
    blobs, params = shapes(deploy)
    rows = "".join(f"| {row} |\n" for row in _rows(deploy, blobs))
    return (
        f"---\n{facts}---\n\n# {name}\n\n{note}\n\nDifferences:\n\n{differences}\n"
        f"{parameters(params):,} parameters with 7 classes. Layers and outputs (channels x height x width):\n\n"
        f"| layer | what | output |\n|---|---|---|\n{rows}"
    )


def _rows(deploy: NetParameter, blobs: Mapping[str, Shape]) -> list[str]:
    """Return a row for each blob; in-place layers are in the row of their blob."""
    making: dict[str, list[LayerParameter]] = {}
    for layer in deploy.layer:
        making.setdefault(layer.top[0], []).append(layer)
    return [
        f"{layers[0].name} | {', '.join(map(_words, layers))} | {' x '.join(map(str, blobs[blob][1:]))}"
        for blob, layers in making.items()
    ]


def _words(layer: LayerParameter) -> str:
    """Return a description of a layer, such as "convolution of 7, stride 2"."""
    match layer.type:
        case "Convolution":
            p = layer.convolution_param
            return f"convolution of {p.kernel_size[0]}" + _beyond(stride=[*p.stride, 1][0], pad=[*p.pad, 0][0])
        case "Pooling":
            window = layer.pooling_param
            kind = enum_name(window, "pool")
            return f"{kind} of {window.kernel_size}" + _beyond(stride=window.stride, pad=window.pad)
        case "LRN":
            norm = layer.lrn_param
            return f"LRN over {norm.local_size} channels, alpha {norm.alpha:g}, beta {norm.beta:g}, k {norm.k:g}"
        case "InnerProduct":
            return "fully connected"
        case "Power":
            return f"times {layer.power_param.scale:g}"
        case "Dropout":
            return f"dropout {layer.dropout_param.dropout_ratio:g}"
    return layer.type


def _beyond(stride: int, pad: int) -> str:
    """Return stride and padding, unless they are 1 and 0."""
    return (f", stride {stride}" if stride != 1 else "") + (f", pad {pad}" if pad else "")


_CHATFIELD = "Chatfield et al., Return of the Devil in the Details, BMVC 2014, https://gist.github.com/ksimonyan/"
_SOLVERS = "The solvers of both stages are ours (Deviation D5), because none was found."
_RULES = (
    "Fine-tuning follows the released VGG_S (Deviation D12): {} learns at 9 / 18 times the rate (weights / biases), "
    "and the last layer, which gets a new name, at 12 / 24 times."
)
_VGG_M = (
    _RULES.format("fc7") + " In fine-tuning, fc6 and fc7 have the dropout ratio 0.7.",
    "The fillers are those of the released VGG_S (Deviation D12); ImageNet weights copy by name (`emotiw pretrain "
    "--from`).",
    _SOLVERS,
    "7 classes, or the set's number of classes, instead of 1000.",
)
_NONE = {"caffemodel": "none", "url": "none", "licence": "BSD-2-Clause", "source": "this project"}
_HALF = (
    "{}; crops of 112 pixels from images of 128; batches of 64.",
    "The net scales its input by 1/128 (input_scale). MSRA fillers, except a Gaussian of 0.01 in the last layer, "
    "biases 0, dropout 0.5, one rate for all layers: Deviation D16.",
)
_NARROW = (
    "{}; crops of 56 pixels from images of 64.",
    "xavier fillers, except a Gaussian of 0.01 in the first and the last layer, biases 0.1, dropout 0.25, higher "
    "rates: at this size vgg_s_small learns nothing with the published ones (Deviation D6).",
    "For demos and tests; its figures say nothing about the net it follows.",
)


def _medium(net: str, half: str) -> Origin:
    return Origin({"name": f"{net}, medium", **_NONE}, (_HALF[0].format(half), *_HALF[1:]))


def _small(net: str, narrow: str) -> Origin:
    return Origin({"name": f"{net}, small", **_NONE}, (_NARROW[0].format(narrow), *_NARROW[1:]))


ORIGINS: Mapping[str, Origin] = {
    "vgg_s": Origin(
        {
            "name": "VGG_S of Levi & Hassner (EmotiW_VGG_S)",
            "caffemodel": "EmotiW_VGG_S.caffemodel",
            "url": "https://gist.github.com/GilLevi/54aee1b8b0397721aa4b",
            "licence": "Copyright 2015, Gil Levi and Tal Hassner, as is; no open licence",
            "source": "the authors' gist in Caffe's Model Zoo",
        },
        (
            "deploy and train_val_finetune have the authors' layers, in the current format.",
            "The authors' net is not Chatfield's CNN_S: conv2 is padded by 2, k is 1, fc6 and fc7 have 4048 outputs.",
            "train_val_pretrain is the same net with the last layer `fc8` and one rate for all layers (Deviation D9).",
            _SOLVERS,
        ),
    ),
    "vgg_m_2048": Origin(
        {
            "name": "CNN_M-2048 (VGG_CNN_M_2048)",
            "caffemodel": "VGG_CNN_M_2048.caffemodel",
            "url": "http://www.robots.ox.ac.uk/~vgg/software/deep_eval/releases/bvlc/VGG_CNN_M_2048.caffemodel",
            "licence": "see the source: not open, as far as we know",
            "source": f"{_CHATFIELD}78047f3591446d1d7b91",
        },
        _VGG_M,
    ),
    "vgg_m_4096": Origin(
        {
            "name": "CNN_M (VGG_CNN_M)",
            "caffemodel": "VGG_CNN_M.caffemodel",
            "url": "see the source",
            "licence": "see the source: not open, as far as we know",
            "source": f"{_CHATFIELD}f194575702fae63b2829",
        },
        _VGG_M,
    ),
    "googlenet": Origin(
        {
            "name": "BVLC GoogLeNet",
            "caffemodel": "bvlc_googlenet.caffemodel",
            "url": "http://dl.caffe.berkeleyvision.org/bvlc_googlenet.caffemodel",
            "sha1": "405fc5acd08a3bb12de8ee5e23a96bec22f08204",
            "licence": "see the source",
            "source": "Caffe's models/bvlc_googlenet, after Szegedy et al., CVPR 2015",
        },
        (
            _RULES.format("the hidden fully connected layer of each auxiliary head") + " There are three last layers.",
            f"{_SOLVERS} Batches are 50 and 30, not 32, and the weight decay is 0.0005, not 0.0002.",
            "Only top-1 accuracy is printed, because top-5 of 7 classes says little.",
            "deploy has no auxiliary heads; in training their losses have the weight 0.3.",
            "7 classes, or the set's number of classes, instead of 1000.",
        ),
    ),
    "vgg_s_medium": _medium("vgg_s", "half the filters, fc6 and fc7 of 1024"),
    "vgg_m_2048_medium": _medium("vgg_m_2048", "half the filters, fc6 of 1024, fc7 of 512, stride 1 in conv2"),
    "vgg_m_4096_medium": _medium("vgg_m_4096", "half the filters, fc6 and fc7 of 1024, stride 1 in conv2"),
    "googlenet_medium": _medium("googlenet", "half of every layer's outputs, stride 1 in pool3"),
    "vgg_s_small": _small("vgg_s", "24, 64, 128, 128, 128 filters, fc6 and fc7 of 256"),
    "vgg_m_2048_small": _small(
        "vgg_m_2048", "24, 64, 128, 128, 128 filters, fc6 of 256, fc7 of 128, stride 1 in conv2"
    ),
    "vgg_m_4096_small": _small("vgg_m_4096", "24, 64, 128, 128, 128 filters, fc6 and fc7 of 256, stride 1 in conv2"),
    "googlenet_small": _small("googlenet", "an eighth of every layer's outputs, stride 1 in pool3, pool5 of 2"),
}
"""The origin of each net, by its name."""
