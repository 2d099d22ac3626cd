from collections.abc import Callable
from pathlib import Path

import cv2
import lmdb
import numpy as np
import pytest

from ..conftest import without_stamps

Draw = Callable[..., Path]


def contents(folder: Path) -> dict[str, object]:
    """Return the content of a set: the keys and Datums of every LMDB, the bytes of every other file, and of set.json
    what is equal in a copy: not the path of the source, nor the times and paths of files."""
    found: dict[str, object] = {}
    for path in sorted(path for path in folder.rglob("*") if path.is_file()):
        name = str(path.relative_to(folder))
        if path.name == "data.mdb":
            with lmdb.open(str(path.parent), readonly=True, lock=False) as environment, environment.begin() as cursor:
                found[name] = [(bytes(key), bytes(value)) for key, value in cursor.cursor()]
        elif path.name == "set.json":
            found[name] = {key: value for key, value in without_stamps(path).items() if key != "source"}
        elif path.name != "lock.mdb":
            found[name] = path.read_bytes()
    return found


@pytest.fixture
def draw() -> Draw:
    """Return a function that writes a smooth random picture, seeded by the path, in the format of the path's suffix."""

    def write(path: Path, height: int = 37, width: int = 31, seed: int = 0) -> Path:
        rng = np.random.default_rng(seed)
        small = rng.integers(0, 256, (height // 4 + 1, width // 4 + 1, 3), np.uint8)
        noise = rng.integers(0, 24, (height, width, 3), np.uint8)
        picture = cv2.add(cv2.resize(small, (width, height), interpolation=cv2.INTER_CUBIC), noise)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(cv2.imencode(path.suffix, picture)[1].tobytes())
        return path

    return write


@pytest.fixture
def source(tmp_path: Path, draw: Draw) -> Path:
    """Three emotions, eight drawn pictures each, of odd sizes and three formats."""
    for number in range(24):
        name, ending = ("Angry", "Happy", "Sad")[number % 3], ("png", "jpg", "bmp")[number // 3 % 3]
        draw(tmp_path / f"faces/{name}/{number:02d}.{ending}", 30 + 3 * number, 75 - 2 * number, number)
    return tmp_path / "faces"
