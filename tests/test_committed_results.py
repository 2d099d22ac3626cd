"""The committed files in results/ are records and tables, without weights, faces or paths of a machine."""

import csv
import re
from pathlib import Path

import pytest

from emotiw.__main__ import main

ROOT = Path(__file__).parents[1]
RESULTS = ROOT / "results"
KINDS = {".csv", ".json", ".md", ".txt"}
# An absolute path: from the root, a home or a drive; not a fraction, a closing tag or an address.
PLACE = re.compile(r"""(?:^|[\s"'(=,:])((?:/(?:[\w.@~+-]+/)+[\w.@~+-]*)|~/|[A-Za-z]:\\)""", re.M)


def files() -> list[Path]:
    return sorted(path for path in RESULTS.rglob("*") if path.is_file() and not ignored(path))


def ignored(path: Path) -> bool:
    """Whether .gitignore excludes a file: a report may show faces."""
    return path.name == "report.html"


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ('"set_folder": "/home/me/sets/faces"', True),
        ("trained on images in finetune on /home/me/faces (val)", True),
        ("a C:\\faces", True),
        ("~/faces", True),
        ('"set_folder": "sets/faces"', False),
        ("| 5 / 3 | 1/2 |", False),
        ("https://example.org/faces/one", False),
        ("../pretrain/model.caffemodel", False),
    ],
)
def test_paths_of_a_machine_are_found(text, found):
    assert bool(PLACE.search(text)) == found


def test_no_committed_result_has_a_path_of_a_machine():
    assert [
        (path.name, match[1]) for path in files() if (match := PLACE.search(path.read_text(encoding="utf-8")))
    ] == []


def test_results_are_only_records_and_tables():
    assert (RESULTS / "README.md").is_file()
    assert {path.suffix for path in files()} <= KINDS
    assert list(RESULTS.rglob("*.caffemodel")) == []


def test_reports_are_not_committed():
    """A report may show faces."""
    assert "/results/**/report.html" in (ROOT / ".gitignore").read_text(encoding="utf-8").splitlines()


@pytest.mark.parametrize(
    "folder", sorted(RESULTS.glob("*/table_*")), ids=lambda folder: f"{folder.parent.name}-{folder.name}"
)
def test_tables_are_those_of_the_committed_records(folder, tmp_path):
    records, split = folder.parent / "runs", folder.name.removeprefix("table_")
    counts = [*folder.parent.glob("*_scores.csv")] if split == "test" else []
    more = [word for path in counts for word in ("--scored", str(path))]
    assert main(["table", str(records), "--split", split, "-o", str(tmp_path / "new"), *more]) == 0
    for path in folder.iterdir():
        if not ignored(path):
            assert path.read_text(encoding="utf-8") == (tmp_path / "new" / path.name).read_text(encoding="utf-8")


def test_predictions_without_labels_are_those_of_the_committed_records(tmp_path):
    """Someone who has the labels fills the column `correct` of the committed counts."""
    committed = RESULTS / "fer2013"
    assert main(["table", str(committed / "runs"), "--split", "official-test", "-o", str(tmp_path)]) == 0
    names = sorted(path.name for path in tmp_path.glob("predictions_*"))
    assert len(names) == 6
    assert names == sorted(path.name for path in committed.glob("predictions_*"))
    for name in names:
        assert (committed / name).read_text(encoding="utf-8") == (tmp_path / name).read_text(encoding="utf-8")
    counts = [
        [line.split(",")[:2] for line in (folder / "test_scores.csv").read_text().splitlines()]
        for folder in (committed, tmp_path)
    ]
    assert counts[0] == counts[1]
    assert {n for _, n in counts[0][1:]} == {"3589"}


def test_the_docs_show_the_committed_tables():
    shown = [
        (page.name, name, " ".join(text.split()) == " ".join((ROOT / name).read_text(encoding="utf-8").split()))
        for page in (ROOT / "docs").glob("*.md")
        for name, text in re.findall(
            r"<!-- (results/\S+) -->\n(.*?)<!-- end -->", page.read_text(encoding="utf-8"), re.S
        )
    ]
    assert shown
    assert [page for page, _, same in shown if not same] == []


def test_the_page_of_fer2013_shows_its_trials():
    with (RESULTS / "fer2013/trials.csv").open(encoding="utf-8", newline="") as file:
        trials = [
            (row["net"], row["base_lr"], int(row["iteration"]), float(row["accuracy"])) for row in csv.DictReader(file)
        ]
    page = (ROOT / "docs/fer2013.md").read_text(encoding="utf-8")
    shown = re.findall(r"^\| `(\w+)`(?: \(1\))? \| (0\.0\d) \| ([\d.]+) \| ([\d.]+) \|", page, re.M)
    assert len(shown) == 9
    for net, rate, *figures in shown:
        for iteration, figure in zip((400, 800), figures, strict=True):
            near = [
                100 * accuracy for *what, at, accuracy in trials if what == [net, rate] and 0 <= at - iteration <= 4
            ]
            assert f"{float(figure):.1f}" in [f"{accuracy:.1f}" for accuracy in near]


def test_the_page_of_the_torch_engine_shows_the_committed_curve():
    with (RESULTS / "fer2013/one_curve.csv").open(encoding="utf-8", newline="") as file:
        losses = [(float(row["caffe"]), float(row["torch"])) for row in csv.DictReader(file)]
    page = (ROOT / "docs/torch_engine.md").read_text(encoding="utf-8")
    shown = re.findall(r"^\| (\d+) - (\d+) +\| ([\d.]+) +\| ([\d.]+) +\| ([\de.-]+) +\|$", page, re.M)
    assert (len(losses), len(shown)) == (300, 6)
    for first, last, *figures, difference in shown:
        part = losses[int(first) : int(last) + 1]
        means = [f"{sum(column) / len(part):.4f}" for column in zip(*part, strict=True)]
        largest = max(abs(ours / theirs - 1) for theirs, ours in part)
        assert [*figures, difference] == [*means, f"{largest:.1e}"]
