"""The authors' five released models: their files, and the folder of fetched ones.

`released.csv` lists their files as the authors' gist in Caffe's Model Zoo does, with a digest if a public source has
one. The files are the authors', "as is", under no open licence: they are fetched, never shipped.
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
DEMO = "demo_image.png"  # beside each model in DemoDir.zip; mapped already for the models of codes; no id of its own
MEAN_SIDE = 256  # of their mean images, and of the images they were computed from, in pixels

# Each of a stand-in's files says so in its first bytes, so the mark stays with a copied file.
STAND_IN = "stand-in for EmotiW_VGG_S: random weights"


@dataclass(frozen=True)
class File:
    """A file of a model: its id on Google Drive, and its size and digest (`sha256:...`) if a source has them."""

    name: str
    drive: str
    size: int | None
    digest: str


@dataclass(frozen=True)
class Released:
    """A released model; `name` is the authors' folder, `representation` the kind of its input."""

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
    """Return the parent of fetched models' folders: $EMOTIW_MODELS, else a folder in the user's cache folder."""
    named = os.environ.get("EMOTIW_MODELS")
    return Path(named) if named else cache_folder() / "models"


def is_stand_in(file: Path, words: str = STAND_IN) -> bool:
    """Return whether a model's file is marked as a stand-in's, near its beginning, as all three are."""
    if not file.is_file():
        return False
    with file.open("rb") as opened:
        return words.encode() in opened.read(256)
