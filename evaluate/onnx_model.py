"""A model as an ONNX graph: what it takes, its weights, and the metadata that say where it comes from."""

import json

import numpy as np
from onnx import ModelProto

from emotiw.engine.onnx.mapping import CodeMapping
from emotiw.engine.onnx.model import ImageInput, model_of
from emotiw.errors import UsageError
from emotiw.inputs import require_unchanged
from emotiw.lbp_mapping.codes import GREY_WEIGHTS, NEIGHBOURS, sample_terms
from emotiw.lbp_mapping.representation import Representation, parse
from emotiw.lbp_mapping.tables import palette
from emotiw.prototxt.formats.blobs import read_weights
from emotiw.prototxt.formats.upgrade import read_net
from emotiw.prototxt.zoo.model_cards import ORIGINS
from emotiw.train.run_folder import Run
from emotiw.version import __version__

from .model import TRAINED, Model

INPUTS = ("prepared", "face")
"""What a graph takes: images of one size, as in a prepared set; or a face of any size, which it resizes."""

FACE = "face"
"""The name of a graph's input that is a face as it was cropped; other inputs have the name of a representation."""


def image_input(model: Model, given: str = INPUTS[0], mapping: bool = False, mean_rule: str = "") -> ImageInput:
    """Return what the graph of a model takes, and what it does before the net.

    Parameters
    ----------
    given
        One of `INPUTS`.
    mapping
        Whether the graph maps a face, too, before it is resized.
    mean_rule
        As for `Model.input_mean`.

    Raises
    ------
    UsageError
        If the model's representation is RGB and is to be mapped, or is mapped and the graph would get a plain face.
    """
    representation = parse(model.representation)
    mapped = representation.mapping != "rgb"
    if mapping and not mapped:
        raise UsageError(f"{model.name} sees RGB, which has no mapping: give --input face instead of --mapping")
    if given == FACE and mapped and not mapping:
        raise UsageError(f"{model.name} sees {representation}, not plain faces: give --mapping, too")
    face = mapping or given == FACE
    return ImageInput(
        FACE if face else representation.name,
        model.size,
        model.input_mean(mean_rule).astype(np.float32, copy=False),
        model.transform.scale,
        face,
        _code_mapping(representation) if mapping else None,
    )


def _code_mapping(representation: Representation) -> CodeMapping:
    return CodeMapping(
        GREY_WEIGHTS,
        [sample_terms(k, representation.radius) for k in range(NEIGHBOURS)],
        representation.radius,
        representation.threshold,
        palette(representation.mapping),
    )


def steps(model: Model, image: ImageInput, mean_rule: str = "") -> str:
    """Describe a graph's input and what happens to it before the net, in one line."""
    shape = " x ".join(map(str, image.shape))
    kind = (
        "RGB" if image.face or model.representation == "rgb" else f"RGB as emotiw map -r {model.representation} writes"
    )
    words = [f"uint8, {shape}, {kind}"]
    if image.mapping:
        words.append(f"mapped to {model.representation}")
    if image.face:
        words.append(f"resized to {image.size} x {image.size} as pycaffe does")
    words.append(f"the centre crop of {model.crop} x {model.crop}, BGR{model.subtracted(mean_rule)}")
    return ": ".join([words[0], ", ".join(words[1:])])


def onnx_model(model: Model, image: ImageInput, mean_rule: str = "") -> ModelProto:
    """Return a model as an ONNX model with metadata; the same files give the same bytes.

    Raises
    ------
    LayerError
        If a layer cannot be exported; the message names it.
    EmotiwError
        If a file was replaced while it was read.
    """
    facts = metadata(model) | {"input": steps(model, image, mean_rule)}
    exported = model_of(read_net(model.deploy), read_weights(model.weights), image, facts, model.title)
    require_unchanged(model.inputs, model.weights.parent)
    return exported


def metadata(model: Model) -> dict[str, str]:
    """Return what the file says of its origin; lists and mappings are JSON.

    Returns
    -------
    dict
        `classes` in label order, `representation`, `provenance`, the `sha256` of each file by role, and for a run how
        it was trained. No path, and no time.
    """
    facts = {
        "emotiw": __version__,
        "model": model.name,
        "net": model.net,
        "representation": model.representation,
        "classes": json.dumps(model.classes, ensure_ascii=False),
        "provenance": model.provenance.tag or model.provenance.mark,
        "sha256": json.dumps({one.role: one.sha256 for one in model.inputs}),
    }
    return facts | (_of_run(model) if model.provenance is TRAINED else _of_released(model))


def _of_released(model: Model) -> dict[str, str]:
    return {"licence": ORIGINS[model.net].facts["licence"], "url": ORIGINS[model.net].facts["url"]}


def _of_run(model: Model) -> dict[str, str]:
    run = Run(model.weights.parent).facts()
    found = {
        "engine": f"{run.engine} {run.engine_version}",
        "seed": str(run.seed),
        "iterations": str(run.iterations),
        "set_digest": model.set_digest,
        "faces": model.faces,
        "marks": "; ".join(run.marks),
        "not_verified": "; ".join(difference.role for difference in model.unverified),
    }
    return {name: value for name, value in found.items() if value}
