"""The authors' five released models: what they consist of, and where they lie when they are here.

`released.csv` lists their files as the authors' gist in Caffe's Model Zoo does; a digest stands where a public source
has one. The files are the authors', "as is", under no open licence: they are fetched, never shipped.
"""

import csv
import os
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib import resources
from pathlib import Path

from emotiw.files import cache_folder

NET = "vgg_s"
WEIGHTS, MEAN, DEPLOY = "EmotiW_VGG_S.caffemodel", "mean.binaryproto", "deploy.prototxt"
MEAN_SIDE = 256  # of their mean images, and of the images behind them, in pixels

# A stand-in's files say so themselves, each in its first bytes, so it goes where the file goes.
STAND_IN = "stand-in for EmotiW_VGG_S: random weights"


@dataclass(frozen=True)
class File:
    """A file of a model: its id on Google Drive, and its bytes and digest (`sha256:...`) where a source has them."""

    name: str
    drive: str
    size: int | None
    digest: str


@dataclass(frozen=True)
class Released:
    """One of the five; `name` is the authors' folder, `representation` what it takes as its input."""

    name: str
    files: Mapping[str, File]

    @property
    def representation(self) -> str:
        """The representation's name."""
        return self.name.removeprefix("VGG_S_")


@cache
def released() -> Mapping[str, Released]:
    """Return the five by name, in the authors' order."""
    table = resources.files(__package__).joinpath("released.csv").read_text(encoding="utf-8")
    models: dict[str, dict[str, File]] = {}
    for row in csv.DictReader(table.splitlines()):
        size = int(row["bytes"]) if row["bytes"] else None
        models.setdefault(row["model"], {})[row["file"]] = File(row["file"], row["drive"], size, row["digest"])
    return {name: Released(name, files) for name, files in models.items()}


def models_folder() -> Path:
    """Return where fetched models lie, a folder each: $EMOTIW_MODELS, else in the user's cache folder."""
    named = os.environ.get("EMOTIW_MODELS")
    return Path(named) if named else cache_folder() / "models"


def is_stand_in(file: Path, words: str = STAND_IN) -> bool:
    """Return whether a model's file calls itself a stand-in's: all three do, near their beginning."""
    if not file.is_file():
        return False
    with file.open("rb") as opened:
        return words.encode() in opened.read(256)
