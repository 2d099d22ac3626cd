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


def test_the_figures_on_fer2013_are_those_of_the_committed_table():
    table = (ROOT / "results/fer2013/table_val/table.md").read_text(encoding="utf-8")
    (n,) = re.findall(r"^Accuracy in % on (\d+) val images", table, re.M)
    net, representation, figure = re.search(
        r"^\| FER2013 choice split \| (?:\d+) \| (\w+), (\w+) \(2\) \| - \| - \| ([\d.]+) \|$", README, re.M
    ).groups()
    assert f"| FER2013 choice split | {n} |" in README
    assert re.search(rf"^\| {net}-{representation} +\| {figure} +\|", table, re.M)
    trained = {path.parts[-3] for path in (ROOT / "results/fer2013/runs").glob("*/finetune/run.json")}
    rows = len((ROOT / "results/fer2013/experiments.csv").read_text(encoding="utf-8").splitlines()) - 1
    assert (
        f"{len(trained)} of {rows} rows is trained" in README or f"{len(trained)} of {rows} rows are trained" in README
    )
    assert re.search(
        rf"^\*\*Status\*\*: {len(trained)} of the {rows} rows ", (ROOT / "docs/fer2013.md").read_text(), re.M
    )


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
