"""The time from start to end of two short commands; the peers do less, so their times are lower bounds."""

import sys
from pathlib import Path

import cv2
from alternating import Row, Turns, alternate, on_cores
from faces import face
from programs import Program

TURNS = 15
EMOTIW = Path(sys.executable).with_name("emotiw")


def beside(ours: Program, python: str) -> Turns:
    """Time a program, and Python with a minimal script, on two cores, from start to end."""
    with on_cores(2):
        return alternate(ours.run, Program([sys.executable, "-c", python]).run, TURNS)


def measure_help(folder: Path) -> Turns:
    """Time `emotiw --help` and a Python that does nothing."""
    return beside(Program([EMOTIW, "--help"]), "")


def measure_map(folder: Path) -> Turns:
    """Time `emotiw map` of one image and a Python that imports the modules for reading one."""
    cv2.imwrite(str(folder / "face.png"), face()[..., ::-1])
    return beside(
        Program([EMOTIW, "map", folder / "face.png", "-o", folder / "mapped", "--force"]), "import cv2, numpy"
    )


ROWS = {
    "help": Row("`emotiw --help`, two cores", "an empty Python, which does less", measure_help, most=3),
    "map-command": Row(
        "`emotiw map` of one face, two cores",
        "a Python that imports numpy and cv2, which does less",
        measure_map,
        most=1.5,
    ),
}
