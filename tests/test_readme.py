"""The README tells the truth."""

import csv
import re
import shlex
from pathlib import Path

import pytest

from emotiw.__main__ import parse
from emotiw.evaluate.publications import publications

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")
CODE = [path for folder in ("lbp_mapping", "prototxt", "data_prep", "engine", "train", "evaluate", "emotiw")
        for path in (ROOT / folder).rglob("*") if path.suffix in {".py", ".csv", ".prototxt"}]  # fmt: skip

COMMANDS = [
    line.strip().removeprefix("$ ").partition(" #")[0]
    for block in re.findall(r"```\n(.*?)```", README, re.S)
    for line in block.split("\n")
    if re.match(r"(\$ |  +)emotiw ", line)
]


def test_there_are_commands():
    assert len(COMMANDS) > 12


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_parses(command):
    parse(shlex.split(command.replace("$r", "cyclic_lbp"))[1:])


def test_the_register_and_the_code_name_the_same_deviations():
    register = re.findall(r"^\| (D\d+) \|", README, re.M)
    tagged = {tag for path in CODE for tag in re.findall(r"Deviation (D\d+)", path.read_text(encoding="utf-8"))}
    assert register == [f"D{number}" for number in range(1, len(register) + 1)]
    assert tagged == set(register)
    with (ROOT / "train/experiments.csv").open(encoding="utf-8", newline="") as file:
        assert {tag for row in csv.DictReader(file) for tag in row["standing"].split()} <= set(register)


def test_the_published_figures_are_those_of_the_table():
    paper = publications()[0]
    assert f"ensemble | {paper.val} |" in README
    assert f"ensemble | {paper.test} |" in README


def test_every_package_and_folder_named_is_there():
    packages = re.findall(r"^\| ([a-z-]+) \| (.+) \|$", README.split("## What is used where")[1], re.M)[1:]
    assert [name for name, _ in packages] == [
        "pycaffe", "numpy", "scipy", "scikit-learn", "pot", "opencv-python", "protobuf", "lmdb", "matplotlib", "pytest",
    ]  # fmt: skip
    modules = {"scikit-learn": "sklearn", "pot": "ot", "opencv-python": "cv2", "protobuf": "google", "pycaffe": "caffe"}
    for name, where in packages:
        for file in re.findall(r"`([a-z_/]+\.py)`", where):
            assert re.search(
                rf"(import|from) {modules.get(name, name)}\b", (ROOT / file).read_text(encoding="utf-8")
            ), file
    *parts, images, benchmarks = re.findall(r"^\| `(\w+)/` \|", README, re.M)
    assert all((ROOT / folder / "__init__.py").is_file() for folder in parts)
    assert (images, benchmarks) == ("docker", "benchmarks")
    assert (ROOT / images / "Dockerfile").is_file()
    assert all((ROOT / script).is_file() for script in re.findall(rf"{benchmarks}/\w+\.py", README))


def test_nothing_is_left_to_be_filled_in():
    assert not re.findall(r"^[A-Z]{4,}$|TODO|FIXME", README.replace("\nEND\n", "\n"), re.M)


def test_pictures_are_there():
    pictures = re.findall(r"!\[.*?\]\((.+?)\)", README)
    assert pictures
    for picture in pictures:
        assert (ROOT / picture).is_file()


def test_the_rows_are_whole():
    with (ROOT / "train/experiments.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert all(row["row"] == f"{row['net']}-{row['representation']}" for row in rows)
