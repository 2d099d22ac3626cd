"""How many of the scored images a net was trained on, in any of its stages: by pixels, whatever their names."""

from collections.abc import Set
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from emotiw.data_prep.prepared_set import UNKNOWN, PreparedSet, open_set
from emotiw.errors import EmotiwError
from emotiw.text import counted
from emotiw.train.run_folder import Before, Run

from .model import TRAINED, Model

NOT_KNOWN = -1


@dataclass(frozen=True)
class TrainedOn:
    """On how many of the scored images a stage was trained.

    Attributes
    ----------
    stage, where
        Which, and its set's folder; or the weights that it began with, of whose making nothing is known.
    images
        `NOT_KNOWN` where the set is not there or does not know its pixels.
    """

    stage: str
    where: str
    images: int


def trained_on(model: Model, prepared: PreparedSet, split: str) -> list[TrainedOn]:
    """Return what is known of a run's stages and the images of a split; nothing of a released model."""
    if model.provenance is not TRAINED:
        return []
    facts = Run(model.weights.parent).facts()
    scored = pixels(prepared, split)
    own = Before(facts.stage, facts.set_folder, facts.set_digest, facts.iterations, facts.seed)
    found = [
        TrainedOn(stage.stage, stage.set_folder, common(scored, pixels_at(stage.set_folder, stage.set_digest)))
        for stage in (*facts.before, own)
    ]
    if facts.weights and not facts.before:
        found.insert(0, TrainedOn("before", facts.weights, NOT_KNOWN))
    return found


def words(found: list[TrainedOn], count: int) -> str:
    """Return what must be said of figures on `count` images; empty where none of them is known to be trained on."""
    some = [f"{one.images:,} in {one.stage} on {one.where}" for one in found if one.images > 0]
    if not some:
        return ""
    return f"trained on images that are scored: of {counted(count, 'image')}, {', '.join(some)}"


def unknown(found: list[TrainedOn]) -> list[str]:
    """Return the stages of which it is not known, and why."""
    return [f"{one.stage} ({one.where})" for one in found if one.images == NOT_KNOWN]


def common(scored: list[str], others: Set[str] | None) -> int:
    """Return how many of the scored images are among others, by pixels; `NOT_KNOWN` where either are not known."""
    if others is None or UNKNOWN in scored:
        return NOT_KNOWN
    return sum(one in others for one in scored)


def pixels(prepared: PreparedSet, split: str) -> list[str]:
    """Return the pixel digests of a split's images."""
    return [row["pixels"] or UNKNOWN for row in prepared.manifest if row["split"] == split]


def pixels_at(folder: str, digest: str, split: str = "train") -> frozenset[str] | None:
    """Return the pixel digests of a split of the set of this digest; None where it is not there, or has none."""
    try:
        found = _pixels_at(folder, digest, split)
    except (EmotiwError, OSError):
        return None
    return None if UNKNOWN in found else found


@cache  # a set that is not there is looked for again: what raises is not kept
def _pixels_at(folder: str, digest: str, split: str) -> frozenset[str]:
    prepared = open_set(Path(folder))
    if prepared.digest != digest:
        raise EmotiwError(f"{folder} holds another set")
    return frozenset(pixels(prepared, split))
