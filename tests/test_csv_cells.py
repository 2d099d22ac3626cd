"""Cells that a spreadsheet would run are written as text and read back unchanged, in all our CSVs."""

import csv
import io
import re
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from emotiw.csv_cells import csv_lines, read_rows
from emotiw.csv_table import rows_of
from emotiw.evaluate.scores import Scores, read_scores, write_scores

ROOT = Path(__file__).parents[1]
FORMULAS = ["=1+1", "+cmd|' /C calc'!A0", "-1+1", "@SUM(A1)", "\t=1", "\r=1", "\n=1", '=HYPERLINK("x")', "\uff1d1", "-"]
PLAIN = ["", "a", "a=b", "'", "''a", "-1", "+1.5", "-2.5e-3", "a\rb", 'say "x"', "a,b", "a\nb", " =1", "-nan"]

cells = st.one_of(
    st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0")),
    st.text("'=+-@\t\r\n,\"1e."),
    st.sampled_from([*FORMULAS, *PLAIN]),
)


def text(rows):
    return "".join(csv_lines(rows))


def raw(line):
    """The cells as a spreadsheet reads them."""
    return next(csv.reader(io.StringIO(line, newline="")))


@pytest.mark.parametrize("cell", FORMULAS)
def test_what_would_be_a_formula_is_text(cell):
    (seen,) = raw(text([[cell]]))
    assert seen == f"'{cell}"
    assert list(read_rows(io.StringIO(text([[cell]]), newline=""))) == [[cell]]


@pytest.mark.parametrize("cell", [cell for cell in PLAIN if cell != "-nan"])
def test_other_cells_and_numbers_are_written_as_they_are(cell):
    assert raw(text([[cell, "x"]])) == [cell, "x"]


@settings(deadline=None, derandomize=True, database=None)
@given(st.lists(st.lists(cells, min_size=2, max_size=4), min_size=1, max_size=4))
def test_whatever_is_written_comes_back_and_no_cell_is_live(rows):
    written = text(rows)
    assert list(read_rows(io.StringIO(written, newline=""))) == rows
    for row in csv.reader(io.StringIO(written, newline="")):
        for cell in row:
            assert not re.match(r"[=+\-@\t\r\n]", cell) or re.fullmatch(r"[+-][\d.]+(e[+-]?\d+)?", cell, re.I)


@dataclass(frozen=True)
class Line:
    name: str
    value: float | None = None


def test_tables_of_records_go_the_same_way_and_none_is_empty():
    written = text([["name", "value", "=x"], ["@a", None, "-"], [-1, -2.5, "'"]])
    found = list(rows_of(written, "it", Line, "", others=True))
    assert [record for record, _ in found] == [Line("@a"), Line("-1", -2.5)]
    assert [cells["=x"] for _, cells in found] == ["-", "'"]


def test_scores_of_images_and_classes_that_look_like_formulas(tmp_path):
    paths, classes = ("=1+1/x.png", "-a/y.png"), ("@home", "+x")
    scores = Scores(paths, np.array([0, 1]), classes, np.array([[0.25, 0.75], [0.5, 0.5]]))
    write_scores(tmp_path / "scores.csv", scores)
    again = read_scores(tmp_path / "scores.csv")
    assert (again.paths, again.classes) == (paths, classes)
    with (tmp_path / "scores.csv").open(newline="") as file:
        assert [row[0] for row in csv.reader(file)] == ["path", "'=1+1/x.png", "'-a/y.png"]


def test_no_other_module_writes_csv():
    """Modules that draw examples of other layouts are excepted."""
    folders = ("emotiw", "lbp_mapping", "prototxt", "data_prep", "engine", "train", "evaluate")
    paths = [path for folder in folders for path in (ROOT / folder).rglob("*.py")]
    writing = {path.relative_to(ROOT).as_posix() for path in paths if re.search(r"csv\.\w*[wW]riter", path.read_text())}
    assert writing == {
        "emotiw/csv_cells.py",
        "data_prep/synthetic/archives.py",
        "data_prep/synthetic/expression_sets.py",
    }
