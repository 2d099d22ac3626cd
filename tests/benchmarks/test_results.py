"""The harness by hand, and the committed results against the rows that there are."""

import os
from pathlib import Path

import pytest

README = Path(__file__).parents[2] / "README.md"


def test_a_ratio_is_of_turns_side_by_side(load):
    turns = load("alternating").Turns([2.0, 1.0, 3.0], [4.0, 3.0, 3.0])
    assert turns.ratios == [2, 3, 1]


@pytest.mark.parametrize(
    ("target", "found", "met", "words"),
    [
        ({"least": 2}, (2, 1, 3), True, "at least 2"),
        ({"least": 2.5}, (2, 1, 3), False, "at least 2.5"),
        ({"most": 0.5}, (0.5, 1 / 3, 1), True, "at most 0.5"),
        ({"most": 0.25}, (0.5, 1 / 3, 1), False, "at most 0.25"),
    ],
)
def test_a_target_is_of_speed_or_of_time(load, target, found, met, words):
    alternating = load("alternating")
    turns = alternating.Turns([2.0, 1.0, 3.0], [4.0, 3.0, 3.0])
    row = alternating.Row("work", "peer", lambda folder: turns, **target)
    assert row.ratio(turns) == pytest.approx(found)
    assert row.met(turns) is met
    assert row.target == words


def test_the_two_alternate_and_the_first_of_each_does_not_count(load):
    done = []
    turns = load("alternating").alternate(
        lambda: done.append("ours"), lambda: done.append("theirs"), turns=3, clear=lambda: done.append("clear")
    )
    assert len(turns.ours) == len(turns.theirs) == 3
    assert done[::2] == ["clear"] * 8
    assert done[1::2] == ["theirs", "ours", "ours", "theirs"] * 2


def test_cores_are_given_back(load):
    before = os.sched_getaffinity(0)
    with load("alternating").on_cores(1):
        assert len(os.sched_getaffinity(0)) == 1
    assert os.sched_getaffinity(0) == before


def test_a_line_is_put_in_its_place(load, tmp_path):
    alternating, results = load("alternating"), load("results")
    about = {"machine": "m", "versions": "v", "date": "2026-01-01"}
    row = alternating.Row("work", "peer", lambda folder: None, least=2)
    for name, ours in (("b", 4.0), ("a", 1.0), ("b", 2.0)):
        turns = alternating.Turns([ours] * 5, [4.0] * 5, {"decoding": 0.5})
        results.put(tmp_path, results.result(name, row, turns, about), ["a", "b"])
    assert list(results.read(tmp_path)) == ["a", "b"]
    *_, last, _, where = results.table(tmp_path).splitlines()
    assert where == "m; v; 2026-01-01."
    cells = [cell.strip() for cell in last.strip("|").split("|")]
    assert cells == ["work", "peer", "2", "4", "2.00 (2.00 to 2.00)", "at least 2", "yes", "decoding 25% of ours"]


def test_what_was_measured_had_the_target_that_its_row_has_now(load):
    rows, found = load("rows").ROWS, load("results").read(README.parent / "benchmarks")
    assert list(found) == [name for name in rows if name in found]
    assert {name: (one.work, one.peer, one.target) for name, one in found.items()} == {
        name: (rows[name].work, rows[name].peer, rows[name].target) for name in found
    }
    assert all(one.met in ("yes", "no") or name.startswith("gpu-") for name, one in found.items())
    assert all(int(one.turns) >= 5 for one in found.values() if one.turns)


def test_the_readme_shows_what_was_measured(load):
    text, folder = README.read_text(), README.parent / "benchmarks"
    for table in (load("results").table(folder), load("growth").table(folder)):
        assert table in text


def test_growth_is_a_power_of_the_images(load, tmp_path):
    growth = load("growth")
    points = [growth.Point(100, 1.0, 50), *(growth.Point(100 + n, 1 + n / 500, 60) for n in (1_000, 10_000, 100_000))]
    assert growth.slope(points) == pytest.approx(1)
    growth.write(tmp_path, points)
    assert (tmp_path / "growth.csv").read_text().splitlines()[-1] == "100100,201.00,60,10"
    assert growth.table(tmp_path).splitlines()[-1].endswith("to the power of 1.00.")


@pytest.mark.slow
@pytest.mark.caffe
@pytest.mark.parametrize("name", ["map", "prepare-rgb", "prepare-five", "mean", "help", "map-command"])
def test_both_come_to_the_same(load, monkeypatch, tmp_path, name):
    """Each row's own check, on little."""
    preparing, rows = load("preparing"), load("rows")
    for constant in ("COUNT", "FIVE_COUNT", "MEAN_COUNT"):
        monkeypatch.setattr(preparing, constant, 80)
    turns = rows.ROWS[name].measure(tmp_path)
    assert min(*turns.ours, *turns.theirs) > 0
