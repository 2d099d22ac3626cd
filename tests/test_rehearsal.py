"""A rehearsal of the paper's experiment, from the layouts of the two downloads to the table, with kills."""

import csv
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from emotiw.__main__ import main
from emotiw.data_prep.prepared_set import open_set
from emotiw.data_prep.synthetic.archives import as_recordio, as_sfew, as_sfew_zips
from emotiw.data_prep.synthetic.faces import draw_expressions, draw_identities
from emotiw.engine.child_process import running
from emotiw.train.experiments import preset_rows
from emotiw.train.run_folder import STAGES, Run

pytestmark = [pytest.mark.caffe, pytest.mark.slow]

FACES = Path(__file__).parents[2] / "shared/data/faces"
SEED = 2015


@pytest.fixture(scope="module")
def downloads(tmp_path_factory):
    """Drawn faces as CASIA-WebFace's folders, as insightface's RecordIO, and as SFEW 2.0's folders and zips."""
    folder = tmp_path_factory.mktemp("downloads")
    draw_identities(folder / "CASIA-maxpy-clean", 20, 12, SEED)
    as_recordio(folder / "CASIA-maxpy-clean", folder / "faces_webface_112x112")
    draw_expressions(folder / "drawn", 16, 2, SEED)
    as_sfew(folder / "drawn", folder / "SFEW_2.0")
    as_sfew_zips(folder / "drawn", folder / "SFEW_2.0_zips")
    return folder


def prepared(downloads, name, output, *options):
    assert main(["prepare", str(downloads / name), "-o", str(output), "--size", "64", *options]) == 0
    return open_set(output)


def test_both_forms_of_each_download_make_like_sets(downloads, tmp_path):
    people = [
        prepared(downloads, name, tmp_path / name, "--labels", "identities", "--val", "0.1", "-r", "rgb")
        for name in ("CASIA-maxpy-clean", "faces_webface_112x112")
    ]
    assert [one.facts.layout for one in people] == ["folders", "recordio"]
    assert [(one.count("train"), one.count("val")) for one in people] == [(220, 20)] * 2
    emotions = [
        prepared(downloads, name, tmp_path / name, "--labels", "emotions", "-r", "rgb")
        for name in ("SFEW_2.0", "SFEW_2.0_zips")
    ]
    shas = [sorted((row["sha256"], row["split"], row["name"]) for row in one.manifest) for one in emotions]
    assert shas[0] == shas[1]
    assert [one.count("test") for one in emotions] == [56, 56]


def done(folder):
    """Return the models that are there, and when they were made."""
    return {path: path.stat().st_mtime_ns for path in folder.glob("runs/*/*/model.caffemodel")}


def killed_after(command, folder, models):
    """Run the command until a number of models exist, then kill it; no process may be left."""
    with running(
        subprocess.Popen(command, process_group=0, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    ) as process:
        while len(done(folder)) < models:
            assert process.poll() is None, process.communicate()[1].decode()[-500:]
            time.sleep(0.1)
        os.kill(process.pid, signal.SIGKILL)
    end = time.monotonic() + 60
    while alive := [process for process in Path("/proc").glob("[0-9]*") if works_in(process, folder)]:
        assert time.monotonic() < end, alive
        time.sleep(0.1)


def works_in(process, folder):
    try:
        return (process / "cwd").readlink().is_relative_to(folder.resolve())
    except OSError:  # gone meanwhile
        return False


def test_all_20_rows_killed_twice_still_end_in_the_table(downloads, caffe, tmp_path, capsys):
    prepared(downloads, "faces_webface_112x112", tmp_path / "casia", "--labels", "identities", "--val", "0.1")
    emotions = prepared(downloads, "SFEW_2.0_zips", tmp_path / "sfew", "--labels", "emotions")
    folder = tmp_path / "reproduction"
    both = ["--pretrain", str(tmp_path / "casia"), "--finetune", str(tmp_path / "sfew")]
    asked = ["reproduce", *both, "-o", str(folder), "--small", "--iterations", "30"]
    command = [sys.executable, "-P", "-m", "emotiw", *asked]
    killed_after(command, folder, 7)
    first = done(folder)
    killed_after(command, folder, 23)
    second = done(folder)
    capsys.readouterr()
    assert main(asked) == 0
    printed, last = capsys.readouterr().out, done(folder)

    assert len(last) == 40
    # A step killed between its last rename and Snakemake's record of it is checked again.
    assert sum(last[path] != made for path, made in second.items()) <= 2
    assert sum(second.get(path) != made for path, made in first.items()) <= 2
    for row in preset_rows("small"):
        for stage in STAGES:
            assert Run(folder / "runs" / row.row / stage).facts().iterations == 30
    table = (folder / "table_val/table.md").read_text()
    assert table.strip() in printed
    with (folder / "table_val/table.csv").open() as file:
        names = [line["name"] for line in csv.DictReader(file)]
    assert names[:20] == sorted(names[:20], key=lambda name: name.split("-")[0])
    assert set(names[:20]) == {row.row for row in preset_rows("small")}
    assert any(name.startswith("ensemble of 20: ") for name in names)
    predictions = (folder / "table_test/predictions_test.txt").read_text().splitlines()
    assert len(predictions) == emotions.count("test") == 56
    assert all(line.rpartition(" ")[2] in emotions.classes for line in predictions)


@pytest.mark.skipif(not FACES.is_dir(), reason="the real faces are not beside this checkout")
def test_the_four_real_nets_on_real_faces(caffe, tmp_path, capsys):
    """A few iterations each, at 256 pixels: this shows only that they train."""
    people, emotions = tmp_path / "orl", tmp_path / "yale"
    options = ["-r", "cyclic_lbp_5", "rgb", "--size", "256"]
    assert (
        main(["prepare", str(FACES / "att"), "-o", str(people), "--labels", "identities", "--val", "0.1", *options])
        == 0
    )
    crops = ["--detect", "--val", "0.34", "--group", r"subject\d+"]
    source = str(FACES / "yale/expressions")
    assert main(["prepare", source, "-o", str(emotions), "--labels", "emotions", *crops, *options]) == 0
    rows = [row.row for row in preset_rows() if row.representation == "cyclic_lbp_5"]
    assert len(rows) == 4
    both = ["--pretrain", str(people), "--finetune", str(emotions)]
    folder = tmp_path / "reproduction"
    asked = ["reproduce", *both, "-o", str(folder), "--rows", *rows, "--iterations", "2", "--jobs", "1"]
    assert main(asked) == 0
    for row in rows:
        for stage, classes in zip(STAGES, (40, 7), strict=True):
            facts = json.loads((folder / "runs" / row / stage / "run.json").read_text())
            assert (facts["iterations"], len(facts["classes"])) == (2, classes)
    assert "Accuracy in % on 20 val images of 5 groups, " in capsys.readouterr().out
    shutil.rmtree(folder)  # gigabytes
