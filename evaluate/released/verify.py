"""Verify fetched released models: their structure, and size and digest if a public source gives them."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from emotiw.errors import EmotiwError
from emotiw.files import file_digest
from emotiw.prototxt.formats.blobs import array_of, read_mean
from emotiw.prototxt.formats.messages import AnyBlob, NetParameter, PackedNet, read_binary
from emotiw.prototxt.formats.upgrade import read_net, types, weighted
from emotiw.prototxt.net_diff import differences
from emotiw.prototxt.shapes import Shape, parameters, shapes
from emotiw.prototxt.surgery import committed
from emotiw.prototxt.weight_transfer import compare

from .catalog import DEPLOY, MEAN, MEAN_SIDE, NET, WEIGHTS, File, is_stand_in, models_folder, released

_MOST = 4  # reported faults per file


def faults(path: Path, file: File) -> list[str]:
    """Return the faults of one of a model's files, a sentence each, with expected and found values.

    Size and digest are checked if a source gives them and the file is not a stand-in's; the structure is checked unless
    the digest already matches.

    Parameters
    ----------
    path
        The path, which may have any name.
    file
        The file that it should be.
    """
    if not is_stand_in(path) and file.digest and not _wrong_bytes(path, file):
        return []
    try:
        wrong = _CHECKS[file.name](path)
    except EmotiwError as error:
        return [str(error).removeprefix(f"{path} ").removeprefix(f"{path}: ")]
    if not wrong and not is_stand_in(path):
        wrong = _wrong_bytes(path, file)
    more = len(wrong) - _MOST
    return wrong if more <= 0 else [*wrong[:_MOST], f"and {more} things more"]


def _wrong_bytes(path: Path, file: File) -> list[str]:
    size = path.stat().st_size
    if file.size is not None and size != file.size:
        return [f"it has {size} bytes, the authors' has {file.size}"]
    kind, _, digest = file.digest.partition(":")
    if not digest:
        return _anothers(path, file)
    found = file_digest(path, kind)
    return [] if found == digest else [f"its {kind} is {found}, the authors' is {digest}"]


def _anothers(path: Path, file: File) -> list[str]:
    """Return the other model that these weights belong to, if known: those of all five have the same name and size."""
    for name, model in released().items():
        other = model.files[file.name]
        kind, _, digest = other.digest.partition(":")
        if file.name == WEIGHTS and digest and path.stat().st_size == other.size and file_digest(path, kind) == digest:
            return [f"it is {name}'s, by its {kind}"]
    return []


def _card() -> NetParameter:
    card: NetParameter = committed(NET, DEPLOY)
    return card


def card_params() -> dict[str, list[Shape]]:
    """Return the shapes of weights and biases by layer, from the net's model card."""
    return shapes(_card())[1]


def least_bytes(file: str) -> int:
    """Return the smallest possible size of a model's file, from the number of values that it holds."""
    return {WEIGHTS: 4 * parameters(card_params()), MEAN: 4 * 3 * MEAN_SIDE**2, DEPLOY: 1}[file]


def _weights(path: Path) -> list[str]:
    try:
        net = read_binary(path, PackedNet)
    except EmotiwError as error:
        raise EmotiwError(f"{error}; expected: a caffemodel of {least_bytes(WEIGHTS)} bytes or more") from None
    found, params = weighted(net), card_params()
    if not found:
        return [f"it holds no layer with weights; expected: {', '.join(params)}"]
    copy, kinds, wanted = compare(net, params), types(net), types(_card())
    wrong = [f"{layer} is missing; expected: {_card_words(params[layer])}" for layer in copy.new]
    wrong += [f"{layer} is {words.replace(' in the net', ' on the card')}" for layer, words in copy.misfits.items()]
    wrong += [f"{layer} is one too many: the card has none" for layer in copy.left]
    wrong += [f"{layer} is of type {kinds[layer]}, expected: {wanted[layer]}"
              for layer in found if layer in wanted and kinds[layer] != wanted[layer]]  # fmt: skip
    return wrong or [f"{layer} holds {count} values that are not numbers (NaN, infinity)"
          for layer, blobs in found.items() if (count := _infinite(blobs, layer))]  # fmt: skip


def _card_words(wanted: list[Shape]) -> str:
    return " + ".join("x".join(map(str, shape)) for shape in wanted)


def _infinite(blobs: Sequence[AnyBlob], layer: str) -> int:
    return sum(int((~np.isfinite(array_of(blob, layer))).sum()) for blob in blobs)


def _mean(path: Path) -> list[str]:
    mean = read_mean(path)
    if mean.shape != (3, MEAN_SIDE, MEAN_SIDE):
        return [f"it is a mean of {' x '.join(map(str, mean.shape))}, expected: 3 x {MEAN_SIDE} x {MEAN_SIDE}"]
    if not np.isfinite(mean).all():
        return ["it holds values that are not numbers (NaN, infinity)"]
    if mean.min() < 0 or mean.max() > 255:
        return [f"its values reach from {mean.min():g} to {mean.max():g}, expected: within 0 to 255"]
    return []


def _deploy(path: Path) -> list[str]:
    return differences(read_net(path), _card())


_CHECKS: Mapping[str, Callable[[Path], list[str]]] = {WEIGHTS: _weights, MEAN: _mean, DEPLOY: _deploy}


@dataclass(frozen=True)
class Verdict:
    """The result of a model's verification.

    Attributes
    ----------
    checked
        What was checked, and what could not be.
    wrong
        The faults, a line each.
    """

    checked: str
    wrong: tuple[str, ...]


def verify(name: str) -> Verdict:
    """Verify the fetched model `name`; report every problem, not only the first."""
    folder, files = models_folder() / name, released()[name].files
    here = _here(name)
    wrong = [f"{folder / file} is missing: emotiw models fetch {name}" for file in files if file not in here]
    wrong += [f"{folder / file}: {fault}" for file in here for fault in faults(folder / file, files[file])]
    random = _random(name)
    if len(random) not in {0, len(here)}:
        wrong.append(
            f"{folder} has {', '.join(random)} of a STAND-IN among files that are not: "
            f"emotiw models fetch {name} --force"
        )
    structure = (
        f"{parameters(card_params()):,} parameters in {len(card_params())} layers as on the card, all finite; "
        f"deploy as on the card; mean 3 x {MEAN_SIDE} x {MEAN_SIDE}"
    )
    return Verdict(f"{structure}; {_digests(files, bool(random))}", tuple(wrong))


def state(name: str) -> str:
    """Return the state of a fetched model in a few words; only sizes and first bytes are read."""
    folder, here = models_folder() / name, _here(name)
    if not here:
        return "nothing"
    lacking = [f"{file} is missing" for file in released()[name].files if file not in here]
    if WEIGHTS in here and (folder / WEIGHTS).stat().st_size < least_bytes(WEIGHTS):
        lacking.append(f"{WEIGHTS} is cut off")
    if _random(name):
        lacking.insert(0, "STAND-IN")
    return ", ".join(lacking) or "whole"


def _here(name: str) -> list[str]:
    return [file for file in released()[name].files if (models_folder() / name / file).is_file()]


def _random(name: str) -> list[str]:
    """Return the files that are a stand-in's."""
    return [file for file in _here(name) if is_stand_in(models_folder() / name / file)]


def _digests(files: Mapping[str, File], stand_in: bool) -> str:
    """Return which files have a published digest, and for which files none is published."""
    if stand_in:
        return "random weights, so no digest is checked"
    known = [f"{file.digest.partition(':')[0]} of {file.name}" for file in files.values() if file.digest]
    unknown = [file.name for file in files.values() if not file.digest]
    said = []
    if known:
        said.append(f"{' and '.join(known)} as published")
    if unknown:
        said.append(f"no digest is known of {', '.join(unknown)}")
    return "; ".join(said)
