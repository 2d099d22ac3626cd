"""The scored images that a net was trained on in any of its stages, recognised by their pixels."""

from collections.abc import Iterable, Sequence, Set
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from emotiw.data_prep.prepared_set import UNKNOWN, PreparedSet, open_set
from emotiw.errors import EmotiwError
from emotiw.text import counted
from emotiw.train.run_folder import Run

from .model import TRAINED, Model

NOT_KNOWN = -1


@dataclass(frozen=True)
class TrainedOn:
    """The number of scored images that a stage was trained on.

    Attributes
    ----------
    stage, where
        The stage and its set's folder; or "before" and the weights that the first stage started from, if their
        training is not recorded.
    images
        The number, or `NOT_KNOWN` if the set is not there or has no pixel digests.
    """

    stage: str
    where: str
    images: int


def trained_on(model: Model, prepared: PreparedSet, split: str) -> list[TrainedOn]:
    """Return for each stage of a run how many images of a split it was trained on; empty for a released model."""
    if model.provenance is not TRAINED:
        return []
    facts = Run(model.weights.parent).facts()
    scored = pixels(prepared, split)
    found = [
        TrainedOn(stage.stage, stage.set_folder, common(scored, pixels_at(stage.set_folder, stage.set_digest)))
        for stage in facts.stages
    ]
    if facts.weights and not facts.before:
        found.insert(0, TrainedOn("before", facts.weights, NOT_KNOWN))
    return found


def seen(model: Model, prepared: PreparedSet, paths: Sequence[str]) -> str:
    """Return the positions in `paths` of the images that a run's stages were trained on, in the format of `spans`.

    A stage for which this is not known counts as trained on none; `trained_on` names such stages.
    """
    if model.provenance is not TRAINED:
        return ""
    stages = Run(model.weights.parent).facts().stages
    known = [pixels_at(stage.set_folder, stage.set_digest) or frozenset() for stage in stages]
    pixels_of = {row["path"]: row["pixels"] for row in prepared.manifest}
    trained = frozenset().union(*known) - {UNKNOWN}
    return spans(at for at, path in enumerate(paths) if pixels_of.get(path) in trained)


def in_val(model: Model, prepared: PreparedSet, split: str) -> tuple[str, int]:
    """Return the digest of a run's own set, and how many different images of the split are also in its val."""
    if model.provenance is not TRAINED:
        return "", NOT_KNOWN
    own = Run(model.weights.parent).facts().stages[-1]
    val = pixels_at(own.set_folder, own.set_digest, "val")
    return own.set_digest, common(sorted(set(pixels(prepared, split))), val)


def spans(positions: Iterable[int]) -> str:
    """Return ascending numbers as text.

    Examples
    --------
    >>> spans([0, 1, 2, 7, 9, 10])
    '0-2 7 9-10'
    """
    found: list[list[int]] = []
    for position in positions:
        if found and found[-1][-1] == position - 1:
            found[-1][1:] = [position]
        else:
            found.append([position])
    return " ".join("-".join(map(str, span)) for span in found)


def positions(text: str, count: int) -> NDArray[np.bool_]:
    """Return which of `count` images `spans` named, (N,) bool.

    Raises
    ------
    ValueError
        If the text is not a list of spans below `count`.
    """
    named = np.zeros(count, bool)
    for span in text.split():
        first, _, last = span.partition("-")
        if not 0 <= int(first) <= int(last or first) < count:
            raise ValueError(f"{span} is not a span of {count} images")
        named[int(first) : int(last or first) + 1] = True
    return named


def words(found: list[TrainedOn], count: int) -> str:
    """Return the warning about figures on `count` images; empty if no image is known to be a training image."""
    some = [f"{one.images:,} in {one.stage} on {one.where}" for one in found if one.images > 0]
    if not some:
        return ""
    return f"trained on scored images: of {counted(count, 'image')}, {', '.join(some)}"


def unknown(found: list[TrainedOn]) -> list[str]:
    """Return the stages for which the number is not known, with their sets."""
    return [f"{one.stage} ({one.where})" for one in found if one.images == NOT_KNOWN]


def common(scored: list[str], others: Set[str] | None) -> int:
    """Return how many of the scored images are among others, by pixels; `NOT_KNOWN` if pixels are not known."""
    if others is None or UNKNOWN in scored:
        return NOT_KNOWN
    return sum(one in others for one in scored)


def pixels(prepared: PreparedSet, split: str) -> list[str]:
    """Return the pixel digests of a split's images."""
    return [row["pixels"] or UNKNOWN for row in prepared.manifest if row["split"] == split]


def pixels_at(folder: str, digest: str, split: str = "train") -> frozenset[str] | None:
    """Return the pixel digests of a split of the set with this digest; None if the set or its digests are missing."""
    try:
        found = _pixels_at(folder, digest, split)
    except (EmotiwError, OSError):
        return None
    return None if UNKNOWN in found else found


@cache  # errors are not cached, so a missing set is looked for again
def _pixels_at(folder: str, digest: str, split: str) -> frozenset[str]:
    prepared = open_set(Path(folder))
    if prepared.digest != digest:
        raise EmotiwError(f"{folder} holds another set")
    return frozenset(pixels(prepared, split))
