"""README is short, and its figures equal the tables'. test_docs.py has the checks of all pages."""

import csv
import re
from pathlib import Path

import pytest

from emotiw.evaluate.table.published import publications

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")
PROSE = re.sub(r"^```\n.*?^```$", "", README, flags=re.S | re.M)


def test_it_is_short():
    lines = README.splitlines()
    assert len(lines) <= 180
    assert [line for line in lines if len(line) > 120 and not line.startswith("|")] == []


def test_a_cell_has_at_most_eight_words():
    cells = [cell for line in PROSE.split("\n") if line.startswith("| ") for cell in line.strip("|").split("|")]
    assert len(cells) > 60
    shown = [re.sub(r"\]\([^)]+\)", "", cell) for cell in cells]
    assert [cell for cell in shown if len(cell.split()) > 8] == []


def test_nothing_is_installed_by_its_bare_name():
    """The package is in no index: `pip install emotiw` would fetch a stranger's, if anything."""
    pages = [README, *(path.read_text(encoding="utf-8") for path in (ROOT / "docs").glob("*.md"))]
    lines = [line for page in pages for line in re.findall(r"pip install ([^`\n]+)", page) if "emotiw" in line]
    assert lines
    assert [line for line in lines if "@ git+" not in line] == []


def test_every_footnote_is_there():
    table = PROSE.split("## Results")[1].split("\n1. ")[0]
    called = {number for group in re.findall(r"\(((?:\d+(?:, )?)+)\)", table) for number in group.split(", ")}
    assert called == set(re.findall(r"^(\d+)\. ", PROSE, re.M))


def test_the_published_figures_are_those_of_the_table():
    for paper in publications()[:2]:
        assert f"| SFEW 2.0 {paper.split} | {paper.n} | ensemble | {paper.accuracy} |" in README


@pytest.mark.parametrize(("page", "size"), [("pipeline", 5), ("reproduce", 20), ("real_faces", 5)])
def test_the_figures_trained_here_are_those_of_their_page(page, size):
    text = (ROOT / f"docs/{page}.md").read_text(encoding="utf-8")
    figure, *_ = re.findall(rf"^\| ensemble of {size}: uniform average +\| ([\d.]+) .*\d +\|$", text, re.M)
    (n,) = set(re.findall(r"^Accuracy in % on (\d+) val images", text, re.M))
    assert re.search(rf"^\| [^|]+ \| {n} \| ensemble of {size} \(\d\) \| - \| - \| {figure} \|$", README, re.M)


def test_the_figures_on_fer2013_are_those_of_the_committed_tables():
    table = (ROOT / "results/fer2013/table_test/table.md").read_text(encoding="utf-8")
    (n,) = re.findall(r"^Accuracy in % on (\d+) test images \(FER2013's validation\)", table, re.M)
    rows = re.findall(r"^\| FER2013 validation \| (\d+) \| (.+?) \| - \| - \| ([\d.]+) \|$", README, re.M)
    figures = dict(
        re.findall(r"^\| (vgg_s_medium-\w+|ensemble of 5: likelihood[^|]*?) +\| ([\d.]+) \[a\] ", table, re.M)
    )
    (ensemble,) = [figures.pop(name) for name in list(figures) if name.startswith("ensemble")]
    rgb = figures.pop("vgg_s_medium-rgb")
    assert rows == [(n, "vgg_s_medium, rgb (2)", rgb), (n, "ensemble of 5 (2)", ensemble)]
    assert f"mapped nets {min(figures.values())} - {max(figures.values())}" in README
    (seen,) = re.findall(r"^\[a\] trained on scored images: of \d+ images, (\d+) in", table, re.M)
    assert f"{seen} of the images are also training images" in README


def test_the_count_on_fer2013s_test_is_that_of_the_committed_file():
    with (ROOT / "results/fer2013/test_scores.csv").open(encoding="utf-8", newline="") as file:
        (line,) = [row for row in csv.DictReader(file) if row["name"] == "ensemble"]
    shown = f"{100 * int(line['correct']) / int(line['n']):.2f}" if line["correct"] else "to be scored"
    published = [one.accuracy for one in publications() if one.dataset == "FER2013" and one.split == "test"]
    known = f"{min(published, key=float)} - {max(published, key=float)} (1)"
    assert f"| FER2013 test | {line['n']} | ensemble of 5 | {known} | - | {shown} (3) |" in README


def test_pictures_are_there():
    pictures = re.findall(r"!\[.*?\]\((.+?)\)", README)
    assert pictures
    for picture in pictures:
        assert (ROOT / picture).is_file()


def test_the_way_to_uninstall_names_every_place():
    section = README.split("## Uninstall")[1].split("\n## ")[0]
    for place in ("`.venv`", "`~/.cache/emotiw`", "`demo`", "`make clean`", "`pip uninstall emotiw`"):
        assert place in section


def test_the_rows_are_whole():
    with (ROOT / "train/experiments.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert all(row["row"] == f"{row['net']}-{row['representation']}" for row in rows)
