"""The harness by hand, and the committed results against the current rows."""

import importlib.util
import os
from dataclasses import replace
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


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


def test_threads_are_as_many_as_cores_and_given_back(load, monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", "7")
    monkeypatch.delenv("OPENBLAS_NUM_THREADS", raising=False)
    with load("alternating").on_cores(1):
        assert os.environ["OMP_NUM_THREADS"] == os.environ["OPENBLAS_NUM_THREADS"] == "1"
    assert os.environ["OMP_NUM_THREADS"] == "7"
    assert "OPENBLAS_NUM_THREADS" not in os.environ


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


def test_a_slower_row_says_so_whatever_its_target(load):
    alternating, results = load("alternating"), load("results")
    row = alternating.Row("work", "peer", lambda folder: None, least=0.5)
    about = {"machine": "m", "versions": "v", "date": "2026-01-01"}
    slower, faster = (
        results.result("a", row, alternating.Turns([4.0] * 5, [theirs] * 5, {"reading": 1.0}), about)
        for theirs in (3.0, 5.0)
    )
    assert (slower.met, slower.notes) == ("yes", "ours is slower; reading 25% of ours")
    assert (faster.met, faster.notes) == ("yes", "reading 25% of ours")


def test_lines_of_an_earlier_version_are_read(load, tmp_path):
    (tmp_path / "results.csv").write_text("name,work,peer,target,met\na,w,p,at least 1,yes\n")
    assert load("results").read(tmp_path)["a"].remark == ""


def test_what_was_measured_had_the_target_that_its_row_has_now(load):
    rows, results = load("rows").ROWS, load("results")
    found = results.read(ROOT / "benchmarks")
    assert list(found) == [name for name in rows if name in found]
    now = {name: one for name, one in found.items() if one.remark != results.BEFORE}
    assert {name: (one.work, one.peer, one.target) for name, one in now.items()} == {
        name: (rows[name].work, rows[name].peer, rows[name].target) for name in now
    }
    assert all(one.met in ("yes", "no") or name.startswith("gpu-") for name, one in found.items())
    assert all(int(one.turns) >= 5 for one in found.values() if one.turns)


def test_what_the_costs_are_of_is_what_their_rows_are(load):
    rows, results = load("costs").ROWS, load("results")
    found = results.read(ROOT / "benchmarks", results.Cost)
    assert list(found) == [name for name in rows if name in found]
    assert {name: (one.work, one.bare, one.limit) for name, one in found.items()} == {
        name: (rows[name].work, rows[name].bare, str(rows[name].limit or "")) for name in found
    }


def test_limits_of_costs(load):
    costs = load("costs")
    ours, bare = costs.Figures(2, 3, 90_000_000), costs.Figures(1, 1.5, 60_000_000)
    for limit, words, met in [
        (costs.Limit(3), "3 CPU s", True),
        (costs.Limit(2.9), "2.9 CPU s", False),
        (costs.Limit(1.5, bare="+"), "1.5 CPU s more than the bare program", True),
        (costs.Limit(1.4, bare="+"), "1.4 CPU s more than the bare program", False),
        (costs.Limit(90, "peak"), "90 MB", True),
        (costs.Limit(89, "peak"), "89 MB", False),
        (costs.Limit(1.5, "peak", "x"), "1.5 x the bare program's MB", True),
        (costs.Limit(1.4, "peak", "x"), "1.4 x the bare program's MB", False),
    ]:
        assert (str(limit), limit.met(ours, bare)) == (words, met)


def test_costs_are_written_and_shown(load, tmp_path):
    costs, results = load("costs"), load("results")
    about = {"machine": "m", "versions": "v", "date": "2026-01-01"}
    for name, figures in {
        "table": (costs.Figures(2.5, 3.25, 100_000_000), None),
        "evaluate": (costs.Figures(2, 3, 90_000_000), costs.Figures(1, 1.5, 60_000_000)),
    }.items():
        results.put(tmp_path, results.cost(name, costs.ROWS[name], 5, figures, about), costs.ROWS)
    *_, evaluate, table, _, where = results.cost_table(tmp_path).splitlines()
    assert where == "m; v; 2026-01-01."
    assert [cell.strip() for cell in evaluate.strip("|").split("|")][2:] == [
        *("2.00", "3.00", "90"),
        *("1.00", "1.50", "60"),
        *("2 CPU s", "no"),
    ]
    assert [cell.strip() for cell in table.strip("|").split("|")][1:] == ["none", "2.50", "3.25", "100", *[""] * 5]


def test_the_page_shows_what_was_measured(load):
    text, folder = (ROOT / "docs/benchmarks.md").read_text(encoding="utf-8"), ROOT / "benchmarks"
    pages = load("pages")
    assert pages.filled(text, folder) == text
    assert all(table in text for table in pages.tables(folder).values())


def test_a_page_without_a_place_for_a_table_is_refused(load):
    with pytest.raises(SystemExit, match="make bench: results"):
        load("pages").filled("# emotiw\n", ROOT / "benchmarks")


def test_without_a_gpu_what_was_measured_on_one_stays(load, monkeypatch, tmp_path):
    load("results")  # so that the script finds its modules
    spec = importlib.util.spec_from_file_location("measuring", ROOT / "benchmarks/__main__.py")
    script = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(script)

    def no_gpu(folder):
        raise script.NoGpuError

    for name in ("gpu-float32", "gpu-tf32"):
        monkeypatch.setitem(script.ROWS, name, replace(script.ROWS[name], measure=no_gpu))
    old = script.results.read(ROOT / "benchmarks")["gpu-float32"]
    assert old.remark == script.results.BEFORE
    script.results.put(tmp_path, old, script.ROWS)
    about = {"machine": "m", "versions": "v", "date": "2026-01-01"}
    for name in ("gpu-float32", "gpu-tf32"):
        script.measure(name, tmp_path, about)
    found = script.results.read(tmp_path)
    assert found["gpu-float32"] == old
    assert (found["gpu-tf32"].met, found["gpu-tf32"].ratio) == (script.results.NOT_HERE, "")


def test_growth_is_a_power_of_the_images(load, tmp_path):
    growth = load("growth")
    points = [growth.Point(100, 1.0, 50), *(growth.Point(100 + n, 1 + n / 500, 60) for n in (1_000, 10_000, 100_000))]
    assert growth.slope(points) == pytest.approx(1)
    growth.write(tmp_path, points)
    assert (tmp_path / "growth.csv").read_text().splitlines()[-1] == "100100,201.00,60,10"
    assert growth.table(tmp_path).splitlines()[-1].endswith("to the power of 1.00.")
