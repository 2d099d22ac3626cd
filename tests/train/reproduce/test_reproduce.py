"""The whole experiment as a real workflow: one row, a few iterations, then the steps after a change."""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest

from emotiw.__main__ import main
from emotiw.data_prep.prepared_set import open_set
from emotiw.data_prep.synthetic.archives import as_sfew
from emotiw.data_prep.synthetic.faces import draw_expressions
from emotiw.engine.child_process import running
from emotiw.evaluate.baseline.baseline import folder_of
from emotiw.inputs import unsealed
from emotiw.train.experiments import experiment, preset_rows
from emotiw.train.progress import read_progress
from emotiw.train.reproduce.cost import Cost, Task, costs, hours, room
from emotiw.train.reproduce.snakemake import steps
from emotiw.train.reproduce.workflow import Options, lay_out
from emotiw.train.run_folder import STAGES, Run

pytestmark = pytest.mark.caffe

ROW, OTHER = "vgg_s_small-rgb", "vgg_s_small-cyclic_lbp"
SHORT = Options(iterations=3, engine=("--caffe", "/elsewhere/caffe"))


@pytest.fixture(scope="module")
def sfew(tmp_path_factory):
    """A prepared set with an unlabelled test split, under a name with characters special to a shell and Snakemake."""
    folder = tmp_path_factory.mktemp("faces")
    draw_expressions(folder / "drawn", 8, 1, seed=3)
    as_sfew(folder / "drawn", folder / "SFEW")
    output = folder / "a {row} of 'faces' $HOME"
    names = ["-r", "rgb", "cyclic_lbp"]
    assert (
        main(["prepare", str(folder / "SFEW"), "-o", str(output), "--labels", "emotions", "--size", "64", *names]) == 0
    )
    return output


def asked(sets, sfew, folder, *more, rows=(ROW,)):
    both = ["--pretrain", str(sets / "people"), "--finetune", str(sfew)]
    return ["reproduce", *both, "-o", str(folder), "--rows", *rows, *more]


@pytest.fixture(scope="module")
def done(sets, sfew, caffe, tmp_path_factory):
    """A finished reproduction; copy it before you change it."""
    folder = tmp_path_factory.mktemp("a reproduction") / "it's {done}"
    assert main(asked(sets, sfew, folder, "--iterations", "3")) == 0
    return folder


@pytest.fixture
def copy(done, tmp_path):
    return shutil.copytree(done, tmp_path / "copy", symlinks=True)


def todo(folder, sets, sfew, options=SHORT, rows=(ROW,), **settings):
    """Return the steps to do after a change; `settings` are those of the first row's stages."""
    chosen = [experiment(row) for row in rows]
    chosen[0] = replace(chosen[0], settings={**chosen[0].settings, **settings})
    both = {"pretrain": open_set(sets / "people"), "finetune": open_set(sfew)}
    baseline = str(folder_of(Path("runs"), both["finetune"].digest))
    lay_out(folder, chosen, both, replace(options, baseline=baseline))
    return sorted(str(step) for step in steps(folder) if step.why)


SCORED = [f"evaluate {ROW} test", f"evaluate {ROW} val", "table test", "table val"]


def test_all_outputs_exist_and_are_made_once(done, sets, sfew, capsys):
    for stage in STAGES:
        assert Run(done / "runs" / ROW / stage).facts().iterations == 3
    assert (done / "table_val/report.html").is_file()
    assert len((done / "table_test/predictions_test.txt").read_text().splitlines()) == open_set(sfew).count("test")
    log = (done / "runs" / ROW / "finetune/log.txt").read_bytes()
    assert main(asked(sets, sfew, done, "--iterations", "3")) == 0
    printed = capsys.readouterr().out
    assert "0 of 8 steps to do\n" in printed
    assert "baseline: LBP histograms, SVM" in printed
    assert "Accuracy in %" in printed
    assert (done / "runs" / ROW / "finetune/log.txt").read_bytes() == log


@pytest.mark.slow
def test_without_a_pretraining_set_every_net_starts_from_scratch(sets, sfew, tmp_path, capsys):
    """The test split is scored last, after all rows are trained."""
    rows, folder = (ROW, OTHER), tmp_path / "it"
    asked_for = asked(sets, sfew, folder, "--iterations", "3", "--engine", "torch", "--jobs", "1", rows=rows)
    scratch = [word for word in asked_for if word not in ("--pretrain", str(sets / "people"))]
    assert main(scratch) == 0
    said = capsys.readouterr().out
    assert f"2 rows of vgg_s_small, finetune on {sfew}, from scratch -> {folder}" in said
    assert "Trained from scratch for 3 iterations, seed 1, by torch." in said
    order = re.findall(r"^\[ *\d+ s\] (.+)$", said, re.MULTILINE)
    last = [step for step in order if step.endswith("test")]
    assert order[-len(last) :] == last
    assert sorted(last) == ["baseline test", f"evaluate {OTHER} test", f"evaluate {ROW} test", "table test"]
    for row in rows:
        assert [path.name for path in (folder / "runs" / row).iterdir()] == ["finetune"]
        assert Run(folder / "runs" / row / "finetune").facts().weights == ""
    assert main(scratch) == 0
    assert "0 of 10 steps to do" in capsys.readouterr().out
    one = asked(sets, sfew, folder, "--iterations", "3", "--engine", "torch", "--dry-run")
    assert main(one) == 0
    said = capsys.readouterr().out
    assert ": 1 pretrain, 1 finetune, 2 evaluate, 2 table" in said, "from other weights it is another training"


@pytest.mark.slow
def test_another_engine_runs_all_steps_and_is_in_the_tables(sets, sfew, tmp_path, capsys):
    options = ["--iterations", "3", "--engine", "torch", "--gpu", "none", "--precision", "bf16"]
    assert main(asked(sets, sfew, tmp_path / "it", *options)) == 0
    assert "Trained for 3 iterations, seed 1, by torch bf16." in capsys.readouterr().out
    run = Run(tmp_path / "it/runs" / ROW / "finetune")
    assert run.facts().engine == "torch bf16"
    # Another engine does not repeat finished steps; the tables name the engine of each.
    assert main(asked(sets, sfew, tmp_path / "it", "--iterations", "3")) == 0
    assert "0 of 8 steps to do\n" in capsys.readouterr().out


def test_a_changed_setting_repeats_only_what_depends_on_it(copy, sets, sfew):
    tuned = [*SCORED[:2], f"finetune {ROW}", *SCORED[2:]]
    every = [*SCORED[:2], f"finetune {ROW}", f"pretrain {ROW}", *SCORED[2:]]
    assert todo(copy, sets, sfew) == []
    assert (
        todo(
            copy,
            sets,
            sfew,
            replace(SHORT, jobs=2, threads=7, engine=(*SHORT.engine, "--gpu", "all")),
        )
        == []
    )
    assert todo(copy, sets, sfew, replace(SHORT, crops=10)) == SCORED
    assert todo(copy, sets, sfew, finetune="base_lr: 0.002") == tuned
    assert todo(copy, sets, sfew, pretrain="base_lr: 0.002") == every
    assert todo(copy, sets, sfew, replace(SHORT, iterations=4)) == every
    assert todo(copy, sets, sfew, replace(SHORT, seed=2)) == every
    more = todo(copy, sets, sfew, rows=(ROW, OTHER))
    assert more == sorted([*(step.replace(ROW, OTHER) for step in every[:4]), *SCORED[2:]])
    (sfew / "set.json").touch()
    assert todo(copy, sets, sfew) == [], "a set that was only touched is the same set"


@pytest.mark.slow
def test_another_set_is_another_experiment(copy, sets, sfew, tmp_path):
    other = tmp_path / "other"
    source = ["prepare", str(sets / "faces/expressions"), "-o", str(other), "--labels", "emotions", "--size", "64"]
    assert main([*source, "--val", "0.34", "--group", r"actor\d+", "-r", "rgb"]) == 0
    os.utime(other / "set.json", (1, 1))
    expected = ["baseline val", f"evaluate {ROW} val", f"finetune {ROW}", "table val"]
    assert todo(copy, sets, other) == expected
    more = shutil.copytree(other, tmp_path / "more")  # as after `prepare` with a further representation
    facts = unsealed(json.loads((other / "set.json").read_text()))
    (more / "set.json").write_text(json.dumps(facts | {"representations": ["rgb", "lbp"]}))
    assert main(asked(sets, other, copy, "--iterations", "3")) == 0
    assert todo(copy, sets, more) == []


def test_the_table_is_of_the_rows_asked_for(copy, sets, sfew):
    """runs/ has other rows from an earlier call, scored differently."""
    other = copy / "runs/vgg_s_small-lbp"
    shutil.copytree(copy / "runs" / ROW, other)
    for name in ("finetune/run.json", "pretrain/run.json"):
        (other / name).write_text((other / name).read_text().replace(ROW, "vgg_s_small-lbp"))
    assert main(asked(sets, sfew, copy, "--iterations", "3", "--crops", "10")) == 0
    table = (copy / "table_val/table.csv").read_text()
    assert "vgg_s_small-lbp" not in table
    assert ",10," in table


def test_a_missing_gpu_is_refused_before_anything_is_written(sets, sfew, caffe, tmp_path, capsys):
    """The Caffe here has no GPU; the message is Caffe's."""
    folder = tmp_path / "reproduction"
    options = ["--iterations", "2", "--gpu", "all", "--caffe", str(caffe.program)]
    assert main(asked(sets, sfew, folder, *options)) == 1
    line = capsys.readouterr().err.splitlines()[-1]
    assert line.startswith(f"emotiw: --gpu all: {caffe.program} cannot train there: ")
    assert "CPU-only" in line
    assert not folder.exists()


def test_gpu_reaches_every_training_where_another_machine_trains(sets, sfew, caffe, tmp_path, capsys):
    folder = tmp_path / "reproduction"
    options = ["--iterations", "2", "--gpu", "all", "--caffe", str(caffe.program), "--", "--quiet"]
    assert main(asked(sets, sfew, folder, *options)) == 1
    line = capsys.readouterr().err.splitlines()[-1]
    assert f"pretrain {ROW}: --gpu all: {caffe.program} cannot train there: " in line
    assert main(asked(sets, sfew, folder, "--iterations", "2", "--caffe", str(caffe.program))) == 0


def test_truth_is_used_only_for_the_test_split(copy, sets, sfew, tmp_path):
    names = [row["path"].rpartition("/")[2] for row in open_set(sfew).manifest if row["split"] == "test"]
    truth = tmp_path / "truth of 'test'.txt"
    truth.write_text("".join(f"{name} Happy\n" for name in names))
    with_truth = replace(SHORT, truth=truth)
    assert todo(copy, sets, sfew, with_truth) == [f"evaluate {ROW} test", "table test"]
    assert main(asked(sets, sfew, copy, "--iterations", "3", "--truth", str(truth))) == 0
    assert f"on {len(names)} test images" in (copy / "table_test/table.md").read_text()
    assert todo(copy, sets, sfew, with_truth) == []
    assert main(asked(sets, sfew, copy, "--iterations", "3")) == 0, "and without it again"
    assert sorted(path.name for path in (copy / "table_test").iterdir()) == [
        "predictions_test.txt",
        f"predictions_test_{ROW}.txt",
        "test_scores.csv",
    ]
    assert not list((copy / "runs" / ROW / "finetune").glob("confusion_test.*"))


@pytest.mark.slow
def test_after_a_change_stages_restart_or_resume(copy, sets, sfew):
    pretrain, finetune = (Run(copy / "runs" / ROW / stage) for stage in STAGES)
    assert main(asked(sets, sfew, copy, "--iterations", "5")) == 0
    assert "Resuming from snapshot_iter_3.solverstate" in (pretrain.folder / "log.txt").read_text()
    assert pretrain.facts().iterations == finetune.facts().iterations == 5
    # Its starting weights changed, so it started from the beginning.
    assert "Resuming" not in (finetune.folder / "log.txt").read_text()
    assert main(asked(sets, sfew, copy, "--iterations", "2")) == 0
    assert pretrain.facts().iterations == 2


def test_a_dry_run_prints_the_cost_and_makes_no_run(sets, sfew, tmp_path, capsys):
    assert main(asked(sets, sfew, tmp_path / "new", "--dry-run", rows=(ROW, "vgg_m_2048_small-rgb"))) == 0
    printed = capsys.readouterr().out
    steps_line = "12 of 12 steps to do: 2 pretrain, 2 finetune, 4 evaluate, 2 baseline, 2 table"
    assert steps_line in printed.splitlines()
    rows = [
        [cell.strip() for cell in line.split("|")[1:-1]] for line in printed.splitlines() if line.startswith("| vgg")
    ]
    assert [row[:4] for row in rows] == [
        ["vgg_s_small", "pretrain", "1", "400"],
        ["vgg_s_small", "finetune", "1", "300"],
        ["vgg_m_2048_small", "pretrain", "1", "400"],
        ["vgg_m_2048_small", "finetune", "1", "300"],
    ]
    assert all(float(row[4]) > 0 for row in rows)
    assert not (tmp_path / "new/runs").exists()


def test_costs_follow_from_file_sizes_and_iterations_left(done, sets):
    prepared = open_set(sets / "people")
    task = Task(experiment(ROW), "pretrain", prepared, 10, 1)
    (cost,) = costs([task], done / "runs", None)
    snapshot = sum(path.stat().st_size for path in (done / "runs" / ROW / "pretrain").glob("snapshot_iter_3.*"))
    assert cost.bytes == pytest.approx(2 * snapshot, rel=0.01)
    assert (cost.runs, cost.iterations) == (1, 7)
    assert replace(cost, seconds=3600).hours == 7
    assert cost.taken == snapshot
    assert room([cost], 1) == pytest.approx(2 * snapshot, rel=0.01)  # one more is kept, and one more during writing
    for other in (replace(task, seed=2), replace(task, restart=True), replace(task, iterations=2)):
        assert costs([other], done / "runs", None)[0].iterations == other.iterations


def test_a_rows_stages_run_one_after_the_other_with_many_jobs():
    one = Cost("vgg_s", "pretrain", 5, 500, 100, 0, 1, seconds=36)
    two = replace(one, stage="finetune", iterations=50, longest=10)
    assert hours([one, two], 1) == pytest.approx(5.5)
    assert hours([one, two], 100) == pytest.approx(1.1)


def test_the_papers_rows_cost_what_their_parameters_do(monkeypatch, capsys):
    """vgg_s with 7 classes: 124,507,607 parameters of 4 bytes, twice in each of the two snapshots that are kept."""

    class Seven:
        classes = tuple("abcdefg")

    tasks = [Task(row, "finetune", Seven, 100, 1) for row in preset_rows()]
    found = {cost.net: cost for cost in costs(tasks, Path("nowhere"), None)}
    assert [cost.runs for cost in found.values()] == [5, 5, 5, 5]
    assert found["vgg_s"].bytes == 5 * 2 * 2 * 4 * 124_507_607
    assert capsys.readouterr().err == ""
    monkeypatch.setattr("emotiw.progress_bar._SHORT", 0)
    costs(tasks, Path("nowhere"), None)
    assert "/4 " in capsys.readouterr().err  # timing the real nets takes minutes


@pytest.mark.slow
def test_a_step_that_fails_after_a_success_is_done_again(copy, sets, sfew, capsys):
    """An existing table without the scores that a failed step has removed is not a success."""
    model = copy / "runs" / ROW / "finetune/model.caffemodel"
    kept, made = model.read_bytes(), model.stat().st_mtime_ns
    model.write_bytes(b"no model")
    os.utime(model, ns=(made, made))  # so that Snakemake has no reason to run it
    command = asked(sets, sfew, copy, "--iterations", "3", "--crops", "10")
    assert main(command) == 1
    capsys.readouterr()
    assert main(command) == 1, "and reported again"
    assert f"evaluate {ROW} " in capsys.readouterr().err.splitlines()[-1]
    model.write_bytes(kept)
    os.utime(model, ns=(made, made))
    assert main(command) == 0
    assert ",10," in (copy / "table_val/table.csv").read_text()


def in_folder(folder):
    """Return the processes with a folder as current folder, and their commands."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            if (process / "cwd").readlink().is_relative_to(folder.resolve()):
                found.append((process / "cmdline").read_bytes().replace(b"\0", b" ").decode())
        except OSError:
            continue
    return found


def wait_for(condition):
    end = time.monotonic() + 120
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.05)


def begin(sets, sfew, folder, until):
    """Start a long workflow, and wait until Caffe has trained some iterations."""
    command = [sys.executable, "-P", "-m", "emotiw", *asked(sets, sfew, folder, "--iterations", "4000")]
    process = subprocess.Popen(command, process_group=0, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    wait_for(lambda: process.poll() is not None or until(folder / "runs" / ROW / "pretrain"))
    return process


def trains(run, after=0):
    return any(point.loss is not None and point.iteration >= after for point in read_progress(run / "progress.csv"))


def has_snapshot(run):
    """Whether a run has a complete snapshot: the loss of its iteration is logged after it is written."""
    newest = Run(run).newest_snapshot()
    return newest and trains(run, after=newest)


def resumes(run):
    return "Resuming from snapshot_iter_" in (run / "log.txt").read_text()


def complaint(process):
    lines = process.communicate(timeout=120)[1].decode().replace("\r", "\n").splitlines()
    return [line for line in lines if line.startswith("emotiw")]


@pytest.mark.parametrize("victim", [pytest.param("emotiw reproduce", marks=pytest.mark.slow), "snakemake"])
def test_after_a_kill_no_process_is_left_and_it_can_continue(sets, sfew, caffe, tmp_path, victim):
    folder = tmp_path / "reproduction"
    with running(begin(sets, sfew, folder, has_snapshot)) as process:
        assert any("caffe train" in command for command in in_folder(folder)), in_folder(folder)
        if victim == "snakemake":
            children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
            for child in children:
                os.kill(int(child), signal.SIGKILL)
            assert re.search(r"\d of 8 steps are not done: Snakemake was killed ", complaint(process)[0])
        else:
            process.kill()
            process.wait()
    wait_for(lambda: not in_folder(folder))
    with running(begin(sets, sfew, folder, resumes)) as process:
        assert process.poll() is None
    wait_for(lambda: not in_folder(folder))


def test_ctrl_c_leaves_a_snapshot_of_every_training(sets, sfew, caffe, tmp_path):
    folder = tmp_path / "reproduction"
    run = Run(folder / "runs" / ROW / "pretrain")
    with running(begin(sets, sfew, folder, trains)) as process:
        os.killpg(process.pid, signal.SIGINT)
        (line,) = complaint(process)
        assert line == "emotiw: interrupted: run the same command again to continue from the last snapshots"
    assert process.returncode == 130
    assert not in_folder(folder)
    reached = run.snapshots()[-1][0]
    assert main(asked(sets, sfew, folder, "--iterations", str(reached + 1))) == 0
    assert f"Resuming from snapshot_iter_{reached}.solverstate" in (run.folder / "log.txt").read_text()


def test_a_failed_step_is_reported_and_the_rest_is_done(sets, sfew, caffe, tmp_path, capsys):
    broken = shutil.copytree(sfew, tmp_path / "broken")
    (broken / "cyclic_lbp/mean.binaryproto").write_bytes(b"no mean")
    folder = tmp_path / "reproduction"
    people = shutil.copytree(sets / "people", tmp_path / "people")
    shutil.copytree(people / "rgb", people / "cyclic_lbp")
    facts = unsealed(json.loads((people / "set.json").read_text()))
    (people / "set.json").write_text(json.dumps(facts | {"representations": ["rgb", "cyclic_lbp"]}))
    command = [
        "reproduce",
        "--pretrain",
        str(people),
        "--finetune",
        str(broken),
        "-o",
        str(folder),
        "--iterations",
        "2",
    ]
    assert main([*command, "--rows", ROW, OTHER]) == 1
    (line,) = [line for line in capsys.readouterr().err.splitlines() if line.startswith("emotiw: ")]
    assert f"finetune {OTHER}: " in line
    assert line.endswith("run the same command again to continue)")
    assert (folder / "runs" / ROW / "finetune/scores_val.csv").is_file()
    assert not (folder / "table_val").exists()
    assert not list(folder.rglob("scores_test.csv")), "nothing is scored on test before every net is trained"


def refused(capsys, *command, status=1):
    capsys.readouterr()
    assert main(list(map(str, command))) == status
    (line,) = capsys.readouterr().err.splitlines()
    return line


def test_errors_are_one_line(sets, sfew, caffe, tmp_path, capsys):
    (tmp_path / "thesis").mkdir()
    (tmp_path / "thesis/mine.txt").write_text("precious")
    line = refused(capsys, *asked(sets, sfew, tmp_path / "thesis"))
    assert line.endswith("is not a reproduction's folder, so it is not replaced: remove it, or name another output")
    line = refused(capsys, *asked(sets, sets / "people", tmp_path / "new"), status=2)
    assert line.endswith("its labels are not emotions or classes: are the two sets swapped?")
    unsplit = tmp_path / "unsplit"
    source = ["prepare", sets / "faces/expressions", "-o", unsplit, "--labels", "emotions", "--size", "64", "-r", "rgb"]
    assert main(list(map(str, source))) == 0
    assert "holds no val split" in refused(capsys, *asked(sets, unsplit, tmp_path / "new"))
    assert "no net 'vgg_x'" in refused(capsys, *asked(sets, sfew, tmp_path / "new", rows=("vgg_x-rgb",)), status=2)
    assert "--jobs" in refused(capsys, *asked(sets, sfew, tmp_path / "new", "--jobs", "0"), status=2)
    assert "No such file" in refused(capsys, *asked(sets, sfew, tmp_path / "new", "--truth", tmp_path / "none"))
    (tmp_path / "truth.txt").write_text("a.png happi\n")
    bad = refused(capsys, *asked(sets, sfew, tmp_path / "new", "--truth", tmp_path / "truth.txt"))
    assert bad.startswith(f"emotiw: {tmp_path / 'truth.txt'}, line 1: give <name> <label>")
    truth = ["--truth", sfew / "set.json"]
    assert "holds no test split" in refused(capsys, *asked(sets, sets / "expressions", tmp_path / "new", *truth))
    line = refused(capsys, *asked(sets, sfew, tmp_path / "new", "--dry-run", rows=("googlenet-rgb",)), status=2)
    assert "prepare the set with --size 256" in line
    capsys.readouterr()
    assert main([*map(str, asked(sets, sfew, tmp_path / "other")), "--", "--executor", "nonsense"]) == 1
    assert "nonsense" in capsys.readouterr().err.splitlines()[-1]


def test_without_snakemake_the_error_names_the_package(sets, sfew, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr("emotiw.extras.find_spec", lambda name: None)
    assert "in the clone, pip install '.[reproduce]'" in refused(capsys, *asked(sets, sfew, tmp_path / "new"))


def test_missing_disk_space_is_reported_first(sets, sfew, tmp_path, monkeypatch, capsys):
    usage = shutil.disk_usage(tmp_path)
    monkeypatch.setattr("emotiw.disk.shutil.disk_usage", lambda path: usage._replace(free=10**6))
    assert "GB free: free some" in refused(capsys, *asked(sets, sfew, tmp_path / "new"))


def test_without_a_baseline_the_rest_is_done(sets, sfew, caffe, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr("emotiw.evaluate.baseline.baseline.MOST_IMAGES", 3)
    folder = tmp_path / "reproduction"
    assert main(asked(sets, sfew, folder, "--iterations", "2")) == 0
    printed = capsys.readouterr().out
    assert printed.startswith("no baseline: ")
    assert "6 of 6 steps to do: 1 pretrain, 1 finetune, 2 evaluate, 2 table\n" in printed
    assert "baseline:" not in (folder / "table_val/table.md").read_text()


def test_an_incompletely_written_folder_is_continued(sets, sfew, caffe, tmp_path):
    folder = tmp_path / "reproduction"
    folder.mkdir()
    (folder / "reproduction.json").write_text("{}")
    assert len(todo(folder, sets, sfew)) == 8
