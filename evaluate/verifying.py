"""What is here of the released models, and whether it is what the authors published, as far as that is known."""

from collections.abc import Mapping
from dataclasses import dataclass

from emotiw.prototxt.shapes import parameters

from .checking import card_params, faults, least_bytes
from .model import is_stand_in
from .released import MEAN_SIDE, WEIGHTS, File, models_folder, released


@dataclass(frozen=True)
class Verdict:
    """What came of a model's verification.

    Attributes
    ----------
    checked
        What was looked at, and what could not be.
    wrong
        What is not as it should be, a line each.
    """

    checked: str
    wrong: tuple[str, ...]


def verify(name: str) -> Verdict:
    """Verify the model `name` where fetched models lie; all that is wrong of it is told, not the first thing alone."""
    folder, files = models_folder() / name, released()[name].files
    here = _here(name)
    wrong = [f"{folder / file} is missing: emotiw models fetch {name}" for file in files if file not in here]
    wrong += [f"{folder / file}: {fault}" for file in here for fault in faults(folder / file, files[file])]
    random = _random(name)
    if len(random) not in {0, len(here)}:
        wrong.append(
            f"{folder} has {', '.join(random)} of a STAND-IN beside files that are none: "
            f"emotiw models fetch {name} --force"
        )
    structure = (
        f"{parameters(card_params()):,} parameters in {len(card_params())} layers as on the card, all finite; "
        f"deploy as on the card; mean 3 x {MEAN_SIDE} x {MEAN_SIDE}"
    )
    return Verdict(f"{structure}; {_digests(files, bool(random))}", tuple(wrong))


def state(name: str) -> str:
    """Return in a few words what is here of a model; nothing is read for it but sizes and first bytes."""
    folder, here = models_folder() / name, _here(name)
    if not here:
        return "nothing"
    lacking = [f"{file} is missing" for file in released()[name].files if file not in here]
    if WEIGHTS in here and (folder / WEIGHTS).stat().st_size < least_bytes(WEIGHTS):
        lacking.append(f"{WEIGHTS} is cut off")
    return ", ".join([*["STAND-IN"][: len(_random(name))], *lacking]) or "whole"


def _here(name: str) -> list[str]:
    return [file for file in released()[name].files if (models_folder() / name / file).is_file()]


def _random(name: str) -> list[str]:
    """Return which files are a stand-in's."""
    return [file for file in _here(name) if is_stand_in(models_folder() / name / file)]


def _digests(files: Mapping[str, File], stand_in: bool) -> str:
    """Return which files have the bytes that a public source gives, and of which no source does."""
    if stand_in:
        return "random weights, so no digest is looked at"
    known = [f"{file.digest.partition(':')[0]} of {file.name}" for file in files.values() if file.digest]
    unknown = [file.name for file in files.values() if not file.digest]
    told = [f"{' and '.join(known)} as published"] if known else []
    return "; ".join([*told, *[f"no digest is known of {', '.join(unknown)}"][: len(unknown)]])
