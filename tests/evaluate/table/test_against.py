"""Comparison of a table with a committed one: digests that must be equal, figures that must agree."""

import json
import shutil

import pytest
from scipy.stats import t

from emotiw.__main__ import main
from emotiw.evaluate.table.statistics import newcombe, spread_interval

N = 100
LABELS = [number % 7 for number in range(N)]


def named(right):
    """Predicted classes, of which the first `right` are correct."""
    return [label if at < right else (label + 1) % 7 for at, label in enumerate(LABELS)]


@pytest.fixture
def make(make_run, answers, tmp_path):
    """Return a function that writes runs with `right` of 100 images correct; `there` writes to results/runs."""

    def write(row, right, *, there=False, **more):
        folder = make_run(row, answers(*named(right)), LABELS, **more)
        if there:
            place = tmp_path / "results/runs" / row
            shutil.copytree(folder.parent, place, dirs_exist_ok=True)
            shutil.rmtree(folder.parent)

    return write


def compared(tmp_path, capsys, *more):
    """Return the exit status, the lines of the comparison by row, what was printed, and the error."""
    capsys.readouterr()
    command = ["table", str(tmp_path / "runs"), "-o", str(tmp_path / "table"), "--force", *more]
    status = main([*command, "--against", str(tmp_path / "results")])
    out, err = capsys.readouterr()
    written = tmp_path / "table/against.md"
    lines = {}
    if written.is_file():
        text = written.read_text()
        assert text in out
        cells = [[cell.strip() for cell in line.split("|")[1:-1]] for line in text.splitlines() if line[:1] == "|"]
        lines = {name: rest for name, *rest in cells[2:]}
    return status, lines, out, err


def test_figures_within_the_binomial_interval_agree(make, tmp_path, capsys):
    make("vgg_s-rgb", 66, there=True)
    make("vgg_s-rgb", 60)
    status, lines, out, _ = compared(tmp_path, capsys)
    assert status == 0
    between = newcombe((60, 100), (66, 100))
    interval = f"{between.low * 100:+.2f} to {between.high * 100:+.2f}"
    assert lines == {"vgg_s-rgb": ["60.00", "66.00", "-6.00", interval, "binomial", "agrees"]}
    assert "val: 100 images here, 100 there; the sets are equal (digest dddddddddddd)" in out


def test_a_figure_outside_the_interval_ends_with_1(make, tmp_path, capsys):
    make("vgg_s-rgb", 80, there=True)
    make("vgg_s-lbp", 60, there=True)
    make("vgg_s-rgb", 60)
    make("vgg_s-lbp", 60)
    status, lines, _, err = compared(tmp_path, capsys)
    assert status == 1
    assert (lines["vgg_s-rgb"][-1], lines["vgg_s-lbp"][-1]) == ("DIFFERS", "agrees")
    assert "does not agree with" in err
    assert "figures differ, such as vgg_s-rgb's: see" in err
    assert (tmp_path / "table/table.md").is_file()  # the table itself is written anyway


def test_rows_of_only_one_table_are_lines(make, tmp_path, capsys):
    for row in ("vgg_s-rgb", "vgg_s-lbp"):
        make(row, 60, there=True)
    make("vgg_s-rgb", 61)
    make("vgg_s-cyclic_lbp", 61)
    status, lines, _, _ = compared(tmp_path, capsys)
    assert status == 0
    assert lines["vgg_s-lbp"] == ["", "60.00", "", "", "", "only theirs"]
    assert lines["vgg_s-cyclic_lbp"] == ["61.00", "", "", "", "", "only ours"]
    assert lines["ensemble"][-1] == "not compared: different nets"


def test_ensembles_of_the_same_nets_are_compared(make, tmp_path, capsys):
    for there, right in ((True, 60), (False, 63)):
        for row in ("vgg_s-rgb", "vgg_s-lbp"):
            make(row, right, there=there)
    _, lines, _, _ = compared(tmp_path, capsys)
    assert lines["ensemble"][:3] == ["63.00", "60.00", "+3.00"]
    assert lines["ensemble"][-2:] == ["binomial", "agrees"]


@pytest.mark.parametrize(("right", "verdict"), [(68, "agrees"), (72, "DIFFERS")])
def test_several_seeds_give_the_spread(make, tmp_path, capsys, right, verdict):
    """58, 60 and 62 of 100: s is 2; one more run lies within 4.3027 x 2 x sqrt(4 / 3) = 9.94 of 60."""
    for seed, number in ((1, 58), (2, 60), (3, 62)):
        make(f"vgg_s-rgb-s{seed}", number, there=True, run={"row": "vgg_s-rgb", "seed": seed})
    make("vgg_s-rgb", right)
    status, lines, _, _ = compared(tmp_path, capsys)
    assert lines["vgg_s-rgb"][:2] == [f"{right}.00", "60.00"]
    assert lines["vgg_s-rgb"][-2:] == ["spread of 1 and 3 seeds", verdict]
    assert status == (verdict == "DIFFERS")


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"run": {"recipe": "f" * 64}}, "not compared: recipe eeeeeeeeeeee, theirs ffffffffffff"),
        ({"run": {"iterations": 8}}, "not compared: iterations finetune 4, theirs finetune 8"),
        ({"crops": 10}, "not compared: crops 1, theirs 10"),
        ({"mean_rule": "channel"}, "not compared: rule for the mean crop, theirs channel"),
    ],
)
def test_another_experiment_is_not_compared(make, tmp_path, capsys, change, words):
    make("vgg_s-rgb", 60, there=True, **change)
    make("vgg_s-rgb", 60)
    status, lines, _, err = compared(tmp_path, capsys)
    assert lines["vgg_s-rgb"] == ["60.00", "60.00", "", "", "", words]
    assert status == 1
    assert "no figure could be compared" in err


def input_of(role, digest):
    return {"role": role, "path": "", "size": 1, "mtime_ns": 0, "inode": 0, "sha256": digest * 64}


def test_lmdbs_of_equal_sets_must_be_equal(make, tmp_path, capsys):
    make("vgg_s-rgb", 60, there=True, run={"inputs": [input_of("LMDB of rgb, train", "1")]})
    make("vgg_s-rgb", 60, run={"inputs": [input_of("LMDB of rgb, train", "1")]})
    assert compared(tmp_path, capsys)[0] == 0
    make("vgg_s-rgb", 60, run={"inputs": [input_of("LMDB of rgb, train", "2")]})
    status, _, out, err = compared(tmp_path, capsys)
    assert status == 1
    words = "vgg_s-rgb: LMDB of rgb, train has sha256 222222222222, theirs 111111111111, but the sets are equal"
    assert f"NOT EQUAL: {words}." in out
    assert words in err


def test_for_different_sets_only_figures_are_compared(make, tmp_path, capsys):
    make("vgg_s-rgb", 60, there=True, digest="c" * 64, run={"inputs": [input_of("LMDB of rgb, train", "1")]})
    make("vgg_s-rgb", 60, run={"inputs": [input_of("LMDB of rgb, train", "2")]})
    status, _, out, _ = compared(tmp_path, capsys)
    assert status == 0
    assert "the sets differ (digest dddddddddddd, theirs cccccccccccc): pixels, splits or labels may differ" in out
    assert "NOT EQUAL" not in out


def test_another_official_split_is_not_compared(make, tmp_path, capsys):
    make("vgg_s-rgb", 60, there=True, official={"names": ["validation"], "how": "all"})
    make("vgg_s-rgb", 60, official={"names": ["train"], "how": "drawn"})
    status, _, _, err = compared(tmp_path, capsys)
    assert status == 1
    assert "val is drawn from train here and validation there, so its figures are not compared" in err
    make("vgg_s-rgb", 60)  # older scores do not record it
    assert compared(tmp_path, capsys)[0] == 0


def test_different_labels_are_not_compared(make, make_run, answers, tmp_path, capsys):
    make("vgg_s-rgb", 60, there=True)
    make("vgg_s-rgb", 60)
    path = tmp_path / "runs/vgg_s-rgb/finetune/scores_val.csv"
    head, first, *rest = path.read_text().splitlines()
    cells = first.split(",")
    cells[1] = "3"
    path.write_text("\n".join([head, ",".join(cells), *rest, ""]))
    _, lines, _, _ = compared(tmp_path, capsys)
    assert lines["vgg_s-rgb"][-1] == "not compared: the same images have different labels"


def test_a_folder_that_has_nothing_to_compare_with(make, tmp_path, capsys):
    make("vgg_s-rgb", 60)
    status, _, _, err = compared(tmp_path, capsys)
    assert status == 1
    assert "has no finetune run with val scores" in err
    assert not (tmp_path / "table").exists()


def test_a_comparison_is_not_overwritten(make, tmp_path, capsys):
    make("vgg_s-rgb", 60, there=True)
    make("vgg_s-rgb", 60)
    (tmp_path / "table").mkdir()
    (tmp_path / "table/against.md").write_text("kept")
    command = ["table", str(tmp_path / "runs"), "-o", str(tmp_path / "table"), "--against", str(tmp_path / "results")]
    for words in (command, command[:4]):
        assert main(words) == 1
        assert "against.md exists already: give --force" in capsys.readouterr().err
        assert (tmp_path / "table/against.md").read_text() == "kept"
    assert main([*command[:4], "--force"]) == 0
    assert not (tmp_path / "table/against.md").exists()  # it belonged to another table


def test_the_exported_records_agree_with_their_runs(make, tmp_path, capsys):
    make("vgg_s-rgb", 60)
    make("vgg_s-lbp", 55)
    assert main(["records", str(tmp_path / "runs"), "-o", str(tmp_path / "results/runs")]) == 0
    status, lines, _, _ = compared(tmp_path, capsys)
    assert status == 0
    assert {line[2] for line in lines.values()} == {"+0.00"}
    json.loads((tmp_path / "results/runs/vgg_s-rgb/finetune/run.json").read_text())


def test_intervals_of_differences():
    """Newcombe 1998, table II, example (a), method 10; and Student's of one figure beside three."""
    between = newcombe((56, 70), (48, 80))
    assert (round(between.low, 4), round(between.high, 4)) == (0.0524, 0.3339)
    between = newcombe((9, 10), (3, 10))
    assert (round(between.low, 4), round(between.high, 4)) == (0.1705, 0.8090)
    half = t.ppf(0.975, 2) * 0.02 * (1 + 1 / 3) ** 0.5
    between = spread_interval([0.60], [0.58, 0.60, 0.62])
    assert between.high == pytest.approx(half)
    assert spread_interval([0.6], [0.6]) is None
    assert spread_interval([0.6, 0.6], [0.6]) is None
