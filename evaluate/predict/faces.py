"""Read the pictures for `emotiw predict`, and find the faces in them, one picture at a time."""

import sys
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from emotiw.data_prep.face_detection import Box, find_faces
from emotiw.data_prep.image_list import unusable
from emotiw.data_prep.images import UnreadableImageError, decode
from emotiw.data_prep.prepared_set import FACES
from emotiw.errors import EmotiwError, UsageError
from emotiw.evaluate.model import Model
from emotiw.train.run_folder import Run

Rgb = NDArray[np.uint8]

STDIN = "-"
_GIF = b"GIF8"
NO_FACE = "no face found; if it is already a face crop, give --aligned"


@dataclass(frozen=True)
class Face:
    """A face of a picture.

    Attributes
    ----------
    image
        The picture's name.
    number
        The number of the face in it, from 1.
    box
        (x, y, width, height) in the picture, in pixels; None: the picture is the face.
    picture, rgb : (H, W, 3) uint8
        The whole picture, and the face in it; RGB.
    """

    image: str
    number: int
    box: Box | None
    picture: Rgb
    rgb: Rgb

    @property
    def kind(self) -> str:
        """The part of the picture, as in `PreparedSet.faces`."""
        return "whole" if self.box is None else "detected"

    @property
    def where(self) -> str:
        """The face's position as text."""
        if self.box is None:
            return "whole picture"
        x, y, width, height = self.box
        return f"face {self.number} at ({x}, {y}), {width} x {height}"


@dataclass(frozen=True)
class Failure:
    """A picture or a face that was not scored, and why."""

    image: str
    reason: str


def title(model: Model, face: Face) -> str:
    """Return a model's name for its results on a face, with what it was trained on if the face is of another kind."""
    return model.title if model.faces in ("", face.kind) else f"{model.title}, trained on {FACES[model.faces]}"


def looked_for(models: Iterable[Model], asked: bool | None = None) -> bool:
    """Return whether to detect faces: as asked; by default yes, unless all models were trained on whole pictures."""
    return {model.faces for model in models} != {"whole"} if asked is None else asked


def warnings(models: Iterable[Model], *, detect: bool) -> list[str]:
    """Return a warning for each model that is given another kind of input than it was trained on."""
    given = "detected" if detect else "whole"
    return [
        f"warning: {model.title} was trained on {FACES[model.faces]} and is given {FACES[given]}"
        for model in models
        if model.faces not in ("", given)
    ]


def pictures(named: Sequence[str]) -> list[str]:
    """Return the named pictures: files, image files in folders (by suffix), and - for standard input.

    Raises
    ------
    EmotiwError
        If one does not exist, or a folder has no image.
    UsageError
        If a folder is that of a run, or has runs in it, or - is given twice.
    """
    found: list[str] = []
    for name in named:
        path = Path(name)
        if name == STDIN or path.is_file():
            found.append(name)
        elif path.is_dir():
            inside = sorted(str(file) for file in path.rglob("*") if _is_picture(file, path))
            if not inside:
                raise EmotiwError(f"{name} holds no image: give a folder of JPEGs, PNGs or other pictures")
            if runs := [Path(file).parent for file in inside if Run(Path(file).parent).started]:
                raise UsageError(f"{name} has a run's plots, not faces: name a model by --model {runs[0]}")
            found += inside
        else:
            raise EmotiwError(f"{name}: no such file")
    if found.count(STDIN) > 1:
        raise UsageError("- is given twice: standard input is one picture")
    return found


def faces_in(images: Iterable[str], *, detect: bool) -> Iterator[Face | Failure]:
    """Yield the faces of each picture, read one after another, or why there is none."""
    for image in images:
        try:
            picture = read(image)
        except UnreadableImageError as error:
            yield Failure(image, str(error))
            continue
        faces = find(picture, image, detect=detect)
        yield from faces
        if not faces:
            yield Failure(image, NO_FACE)


def find(picture: Rgb, image: str, *, detect: bool) -> list[Face]:
    """Return the faces of a picture, the largest first; without `detect` the picture itself is the face."""
    if not detect:
        return [Face(image, 1, None, picture, picture)]
    # Deviation D4
    return [
        Face(image, number, (x, y, width, height), picture, picture[y : y + height, x : x + width])
        for number, (x, y, width, height) in enumerate(find_faces(picture), 1)
    ]


def read(image: str) -> Rgb:
    """Return a picture; - is standard input.

    Raises
    ------
    UnreadableImageError
        If it is not a picture, or is a GIF, which may hold several pictures.
    """
    if image == STDIN:
        return decode_one(sys.stdin.buffer.read())
    try:
        return decode_one(Path(image).read_bytes())
    except OSError as error:
        raise UnreadableImageError(error.strerror or "cannot be read") from None


def decode_one(data: bytes) -> Rgb:
    """Return the picture in a file's bytes; see `read`."""
    if data.startswith(_GIF):
        raise UnreadableImageError("a GIF, which may hold many pictures: give a JPEG or a PNG")
    return decode(data)


def _is_picture(file: Path, root: Path) -> bool:
    inside = file.relative_to(root)
    hidden = any(part.startswith(".") for part in inside.parts)
    return file.is_file() and not hidden and not unusable(inside.as_posix())
