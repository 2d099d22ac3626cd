"""How long the command takes before it works."""

import subprocess
import sys
from functools import partial
from pathlib import Path

import cv2
from alternating import Row, Turns, alternate
from faces import face

TURNS = 15
EMPTY = ["-c", ""]
IMPORTS = ["-c", "import cv2, numpy"]


def run(program: str | Path, *arguments: str | Path) -> None:
    """Run a program to its end."""
    subprocess.run([program, *arguments], check=True, stdout=subprocess.DEVNULL)


def measure_help(folder: Path) -> Turns:
    """Time `emotiw --help` and a Python that does nothing."""
    return alternate(partial(run, _emotiw(), "--help"), partial(run, sys.executable, *EMPTY), TURNS)


def measure_map(folder: Path) -> Turns:
    """Time `emotiw map` of one image and a Python that imports what it needs to read one."""
    cv2.imwrite(str(folder / "face.png"), face()[..., ::-1])
    ours = partial(run, _emotiw(), "map", folder / "face.png", "-o", folder / "mapped", "--force")
    return alternate(ours, partial(run, sys.executable, *IMPORTS), TURNS)


def _emotiw() -> Path:
    return Path(sys.executable).with_name("emotiw")


ROWS = {
    "help": Row("`emotiw --help`", "an empty Python", measure_help, most=3),
    "map-command": Row("`emotiw map` of one face", "a Python that imports numpy and cv2", measure_map, most=1.5),
}
