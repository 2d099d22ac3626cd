import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import cv2
import lmdb
import numpy as np
import pytest

from emotiw.__main__ import main
from emotiw.data_prep.prepared_set import open_set
from emotiw.data_prep.synthetic.faces import draw_expressions
from emotiw.lbp_mapping.representation import parse
from emotiw.prototxt.formats.blobs import read_weights
from emotiw.prototxt.formats.messages import format_text
from emotiw.prototxt.surgery import committed, use_set

from ..conftest import without_stamps

YALE = Path(__file__).parents[3] / "shared/data/faces/yale"

# Besides the paper's five: three other radii and two other thresholds.
OWN = ("cyclic_lbp:radius=3:threshold=5", "lbp:radius=2", "cyclic_lbp:radius=7:threshold=-2.5")


@pytest.fixture(scope="module")
def drawn(tmp_path_factory):
    folder = tmp_path_factory.mktemp("drawn")
    draw_expressions(folder / "faces", people=4, images=1, seed=0)
    return folder / "faces"


def prepare(source, output, *more, labels="emotions"):
    sizes = () if "--size" in more else ("--size", "16")
    return main(["prepare", str(source), "-o", str(output), "--labels", labels, "--jobs", "1", *sizes, *more])


def test_it_says_what_it_does_and_prints_the_report(drawn, tmp_path, capfd):
    assert prepare(drawn, tmp_path / "set", "-r", "rgb", "lbp", "-r", "rgb", "--val", "0.25") == 0
    out, err = capfd.readouterr()
    lines = out.splitlines()
    start = f"{drawn} -> {tmp_path / 'set'}: layout folders, 28 images; rgb, lbp at 16 x 16, raw: 0.00 GB, and "
    assert lines[0].startswith(start)
    assert re.fullmatch(r"\d+\.\d\d GB are free", lines[0].removeprefix(start))
    assert lines[1].split() == ["7", "classes", "train", "val"]
    assert lines[3].split() == ["Angry", "3", "1"]
    assert lines[10].split() == ["all", "21", "7"]
    assert lines[11].startswith(
        "warning: --val draws single images, because no group (a person, a movie, a video) is known"
    )
    assert lines[12:] == [f"prepared set: {tmp_path / 'set'}"]
    assert (tmp_path / "set/report.txt").read_text().splitlines() == [
        "layout: folders, by what no other layout recognises",
        f"labels: by folders named like an emotion, such as {next(iter(sorted(drawn.glob('*/*')))).parent.name}",
        "groups: none known",
        "splits: train, val, by --val 0.25, which draws that share of each class, seed 0",
        "equal pictures: none",
        "",
        *lines[1:12],
    ]
    assert (
        len(re.split("[\r\n]", err.strip())) <= 5
    )  # without a terminal: two bars, a line at the start and the end of each


def test_the_five_are_prepared_by_default(drawn, tmp_path):
    assert prepare(drawn, tmp_path / "set") == 0
    expected = ["rgb", "lbp", "cyclic_lbp", "cyclic_lbp_5", "cyclic_lbp_10"]
    assert open_set(tmp_path / "set").facts.representations == expected


def test_a_set_is_replaced_only_by_force(drawn, tmp_path, capsys):
    assert prepare(drawn, tmp_path / "set", "-r", "rgb") == 0
    digest, made = open_set(tmp_path / "set").digest, (tmp_path / "set/set.json").stat().st_mtime_ns
    capsys.readouterr()
    assert prepare(drawn, tmp_path / "set", "-r", "lbp", "--val", "0.25") == 1
    assert capsys.readouterr().err == (
        f"emotiw: {tmp_path / 'set'} exists already: give --force to replace it, or name another output\n"
    )
    assert (tmp_path / "set/set.json").stat().st_mtime_ns == made
    assert prepare(drawn, tmp_path / "set", "-r", "lbp", "--val", "0.25", "--force") == 0
    assert open_set(tmp_path / "set").digest != digest
    assert not (tmp_path / "set/rgb").exists()


def test_force_replaces_only_a_set(drawn, tmp_path, capsys):
    shutil.copytree(drawn, tmp_path / "faces")
    (tmp_path / "thesis").mkdir()
    for output, status in ((tmp_path / "faces", 2), (tmp_path, 2), (tmp_path / "thesis", 1)):
        assert prepare(tmp_path / "faces", output, "-r", "rgb", "--force") == status
    assert len(list((tmp_path / "faces").rglob("*.png"))) == 28
    assert (tmp_path / "thesis").is_dir()


@pytest.mark.parametrize(
    ("more", "said"),
    [
        (["--size", "7"], "--size 7: give a side between 8 and 4096 pixels"),
        (["--size", "5000"], "--size 5000: give a side between 8 and 4096 pixels"),
        (["--size", "large"], "argument --size: invalid int value: 'large'"),
        (["--jobs", "0"], "--jobs must be at least 1 and --seed at least 0"),
        (["--seed", "-1"], "--jobs must be at least 1 and --seed at least 0"),
        (["--val", "1.2"], "--val 1.2 is not a fraction: give a number between 0 and 1, such as 0.2"),
        (["--group", "("], "--group '(' is not a regular expression: "),
        (["-r", "lpb"], "lpb: not a representation; give one of rgb, lbp, cyclic_lbp, cyclic_lbp_5, cyclic_lbp_10"),
        (["--store", "jpeg"], "argument --store: invalid choice: 'jpeg'"),
        (["--labels", "names"], "argument --labels: invalid choice: 'names'"),
    ],
)
def test_a_usage_error_is_one_line_and_2(drawn, tmp_path, capfd, more, said):
    try:
        status = prepare(drawn, tmp_path / "set", *more)
    except SystemExit as stopped:
        status = stopped.code
    assert status == 2
    err = capfd.readouterr().err
    assert said in err
    assert err.count("\n") == 1
    assert list(tmp_path.iterdir()) == []


def test_an_error_in_the_data_is_one_line_and_1(drawn, tmp_path, capfd):
    (tmp_path / "empty").mkdir()
    for source, more, said in (
        (tmp_path / "none", [], "none: no such file or folder: give the folder that holds <class>/<image>"),
        (tmp_path / "empty", [], "empty holds no image in a folder named like an emotion: Angry, Disgust, "),
        (drawn, ["--group", "subject"], "does not match --group 'subject': every image needs its group"),
    ):
        assert prepare(source, tmp_path / "set", *more) == 1
        err = capfd.readouterr().err
        assert said in err
        assert err.count("\n") == 1
    assert sorted(path.name for path in tmp_path.iterdir()) == ["empty"]


def test_strict_and_the_same_without(drawn, tmp_path, capfd):
    shutil.copytree(drawn, tmp_path / "faces")
    (tmp_path / "faces/Sad/0.png").write_bytes(b"x")
    assert prepare(tmp_path / "faces", tmp_path / "set", "-r", "rgb", "--strict") == 1
    said = capfd.readouterr().err.splitlines()[-1]
    assert said.startswith(f"emotiw: --strict: 1 files of {tmp_path / 'faces'} cannot be used; ")
    assert prepare(tmp_path / "faces", tmp_path / "set", "-r", "rgb") == 0
    assert "  Sad/0.png: not an image that OpenCV reads" in capfd.readouterr().out.splitlines()


def test_people_of_a_group_are_on_one_side(drawn, tmp_path):
    assert prepare(drawn, tmp_path / "set", "-r", "rgb", "--val", "0.25", "--group", r"(actor\d+)_") == 0
    sides = {split: set() for split in ("train", "val")}
    for row in open_set(tmp_path / "set").manifest:
        sides[row["split"]].add(row["group"])
    assert len(sides["val"]) == 1
    assert len(sides["train"]) == 3
    assert not sides["val"] & sides["train"]


def train(caffe, folder, prepared, name):
    """Two iterations of vgg_s_small in the real Caffe; return the weights."""
    folder.mkdir()
    net = committed("vgg_s_small", "train_val_finetune.prototxt")
    sources = {"TRAIN": str(prepared.lmdb(name, "train")), "TEST": str(prepared.lmdb(name, "val"))}
    use_set(net, sources, str(prepared.mean_file(name)))
    solver = committed("vgg_s_small", "solver_finetune.prototxt")
    solver.max_iter = 2
    (folder / solver.net).write_text(format_text(net))
    (folder / "solver.prototxt").write_text(format_text(solver))
    env = {**os.environ, **caffe.environment}
    command = [caffe.program, "train", "--solver=solver.prototxt"]
    done = subprocess.run(command, cwd=folder, env=env, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "Optimization Done." in done.stderr
    return read_weights(folder / "snapshot_iter_2.caffemodel")


@pytest.mark.caffe
def test_caffe_trains_on_lmdbs_of_own_radii_and_thresholds(caffe, drawn, tmp_path):
    names = ["rgb", "lbp", "cyclic_lbp", "cyclic_lbp_5", "cyclic_lbp_10"]
    own = ["cyclic_lbp_r3_t5", "lbp_r2", "cyclic_lbp_r7_t-2.5"]
    assert prepare(drawn, tmp_path / "set", "--size", "64", "--val", "0.25", "-r", *names, *OWN) == 0
    prepared = open_set(tmp_path / "set")
    assert sorted(path.name for path in prepared.folder.iterdir() if path.is_dir()) == sorted(names + own)
    assert [parse(name) for name in own] == [
        parse(name) for name in OWN
    ]  # a representation can be given by its folder's name
    means = {name: prepared.mean_file(name).read_bytes() for name in names + own}
    assert len(set(means.values())) == 8
    weights = train(caffe, tmp_path / "run", prepared, own[0])
    assert list(weights) == ["conv1", "conv2", "conv3", "conv4", "conv5", "fc6", "fc7", "fc8_cat"]
    assert all(np.isfinite(blob).all() for blobs in weights.values() for blob in blobs)
    assert np.abs(weights["fc8_cat"][1]).max() > 0  # the biases start at 0, so they have learned


@pytest.mark.skipif(not YALE.is_dir(), reason="needs the Yale faces in ../shared/data/faces")
def test_faces_are_found_and_cropped_in_every_yale_picture(tmp_path, capsys):
    more = ("-r", "rgb", "--size", "64", "--detect", "--val", "0.2", "--group", r"(subject\d+)")
    assert prepare(YALE / "expressions", tmp_path / "set", *more) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split() for line in lines if line.startswith("all")] == [["all", "48", "12"]]
    assert not any("left out" in line for line in lines)
    assert [line for line in lines if "same picture" in line] == [
        "warning: the same picture under two labels: Neutral/subject04.png, Sad/subject04.png"
    ]
    picture = cv2.imread(str(YALE / "expressions/Happy/subject01.png"))
    prepared = open_set(tmp_path / "set")
    records = [*prepared.records("rgb", "train"), *prepared.records("rgb", "val")]
    record = next(record for record in records if record.path == "Happy/subject01.png")
    shrunk = cv2.resize(picture, (64, 64)).transpose(2, 0, 1)
    assert np.abs(record.blob.astype(int) - shrunk).mean() > 10  # a crop, not the whole picture


def test_ctrl_c_ends_with_130_and_the_same_command_resumes(drawn, tmp_path):
    """A real Ctrl-C to the command and its processes; the final set equals an uninterrupted one."""
    arguments = ["prepare", str(drawn), "--labels", "emotions", "--size", "256", "--jobs", "2"]
    code = (
        "import os, signal, sys\nfrom emotiw.data_prep import prepare as preparing\nfrom emotiw.__main__ import main\n"
        "preparing._COMMIT_EVERY, add = 4, preparing.add\n"
        "def interrupted(*entries):\n    add(*entries)\n    os.killpg(0, signal.SIGINT)\n"
        "preparing.add = interrupted if sys.argv[1] == 'break' else add\n"
        "if __name__ == '__main__':\n    sys.exit(main(sys.argv[2:]))\n"
    )
    (tmp_path / "broken.py").write_text(code)
    run = lambda *args: subprocess.run(  # noqa: E731
        [sys.executable, tmp_path / "broken.py", *args], start_new_session=True, capture_output=True, text=True
    )
    broken = run("break", *arguments, "-o", str(tmp_path / "set"))
    assert (broken.returncode, broken.stderr.splitlines()[-1]) == (130, "emotiw: interrupted")
    assert "Traceback" not in broken.stderr
    assert not (tmp_path / "set").exists()
    assert (tmp_path / ".set.partial/journal.jsonl").read_text().count("\n") == 4
    assert run("go on", *arguments, "-o", str(tmp_path / "set")).returncode == 0
    assert prepare(drawn, tmp_path / "whole", "--size", "256") == 0
    for name in ("manifest.csv", "report.txt", "lbp/mean.binaryproto", "rgb/mean.binaryproto"):
        assert (tmp_path / "set" / name).read_bytes() == (tmp_path / "whole" / name).read_bytes()
    assert without_stamps(tmp_path / "set/set.json") == without_stamps(tmp_path / "whole/set.json")
    assert _dump(tmp_path / "set/cyclic_lbp_10/train_lmdb") == _dump(tmp_path / "whole/cyclic_lbp_10/train_lmdb")


def _dump(path):
    with lmdb.open(str(path), readonly=True, lock=False) as environment, environment.begin() as transaction:
        return [(bytes(key), bytes(value)) for key, value in transaction.cursor()]


def test_a_dry_run_says_what_it_understood_and_writes_nothing(drawn, tmp_path, capfd):
    faces = tmp_path / "faces"
    shutil.copytree(drawn, faces / "Training")
    some = sorted(faces.glob("Training/Angry/*"))[:2]
    for name, copy in (("PublicTest/Angry", some[0]), ("PublicTest/Sad", some[1])):
        (faces / name).mkdir(parents=True)
        shutil.copy(copy, faces / name / "copy.png")
    (faces / "Training/Sad/notes.txt").write_text("notes")
    (faces / "Training/Sad/broken.png").write_bytes(b"")
    before = sorted(tmp_path.rglob("*"))
    assert main(["prepare", str(faces), "--labels", "emotions", "--dry-run", "--jobs", "1"]) == 0
    understood, counts = capfd.readouterr().out.split("\n\n")
    assert understood.splitlines() == [
        "layout: folders, by what no other layout recognises",
        "labels: by folders named like an emotion, such as PublicTest/Angry",
        "groups: none known",
        "splits: train, val, by folders named PublicTest, Training",
        "official splits: train (Training, 28 images): train 28; validation (PublicTest, 2 images): val 2",
        "equal pictures: 2 are there more than once, 4 images together",
    ]
    rest = counts.splitlines()[10:]
    assert rest[:3] == [
        "left out, 2 files (1 not the name of an image, 1 empty file):",
        "  Training/Sad/broken.png: empty file",
        "  Training/Sad/notes.txt: not the name of an image",
    ]
    assert all(line.startswith("warning: ") for line in rest[3:])
    assert "the same picture under two labels: PublicTest/Sad/copy.png, Training/Angry/" in counts
    assert "warning: 2 pictures are on two sides of the split, such as: " in counts
    assert sorted(tmp_path.rglob("*")) == before


def test_a_dry_run_and_the_report_of_the_set_say_the_same(drawn, tmp_path, capfd):
    how = ["--labels", "emotions", "--val", "0.25", "--group", "^(..)", "--jobs", "1"]
    assert main(["prepare", str(drawn), "--dry-run", *how]) == 0
    said = capfd.readouterr().out.splitlines()
    assert main(["prepare", str(drawn), "-o", str(tmp_path / "set"), "--size", "16", "-r", "rgb", *how]) == 0
    report = (tmp_path / "set/report.txt").read_text().splitlines()
    assert report[:16] == said[:16]
    assert "groups: 7 (of all 28 images), such as An (4 images), by --group ^(..)" in said
    assert "splits: train, val, by --val 0.25, which draws whole groups, seed 0" in said


def test_a_dry_run_refuses_with_the_flags_of_each_reading(tmp_path, capfd):
    for person in ("a", "b"):
        (tmp_path / f"faces/{person}/0").mkdir(parents=True)
        cv2.imwrite(str(tmp_path / f"faces/{person}/0/1.png"), np.zeros((16, 16, 3), np.uint8))
    assert main(["prepare", str(tmp_path / "faces"), "--labels", "identities", "--dry-run"]) == 2
    err = capfd.readouterr().err
    assert "(--person-level 1)" in err
    assert "(--person-level 2)" in err
    assert err.count("\n") == 1


def test_a_representation_is_added_to_a_set(drawn, tmp_path, capfd):
    target = str(tmp_path / "set")
    assert prepare(drawn, tmp_path / "set", "-r", "rgb") == 0
    assert main(["prepare", str(drawn), "-o", target, "-r", "lbp", "--extend", "--jobs", "1"]) == 0
    assert capfd.readouterr().out.endswith(f"added to {target}: lbp\n")
    assert open_set(target).facts.representations == ["rgb", "lbp"]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--labels", "emotions"], "-o SET is missing: name the set to make, or give --dry-run"),
        (["-o", "set"], "--labels is missing: give emotions, identities or classes"),
        (["--dry-run"], "--labels is missing: give emotions, identities or classes"),
        (["-o", "set", "--extend", "--force"], "--extend and --force exclude each other: leave one out"),
        (["--dry-run", "--labels", "emotions", "--strict"], "--dry-run and --strict exclude each other: leave one out"),
        (["--dry-run", "--extend", "--labels", "emotions"], "--dry-run and --extend: give one of them"),
        (["-o", "set", "--labels", "emotions", "--images", "."], "--images is for tables and lists, and "),
        (["-o", "set", "--labels", "emotions", "--first-neutral"], "--first-neutral is for CK+, and "),
    ],
)
def test_flags_that_do_not_go_together_are_a_usage_error(drawn, tmp_path, monkeypatch, capfd, words, said):
    monkeypatch.chdir(tmp_path)
    assert main(["prepare", str(drawn), *words]) == 2
    assert capfd.readouterr().err.startswith(f"emotiw: {said}")
    assert list(tmp_path.iterdir()) == []


def test_the_paths_of_a_list_may_be_relative_to_any_folder(drawn, tmp_path, monkeypatch):
    (tmp_path / "lists").mkdir()
    paths = sorted(path.relative_to(drawn) for path in drawn.glob("*/*"))
    (tmp_path / "lists/train.txt").write_text("".join(f"{path} {path.parent}\n" for path in paths[:-1]))
    monkeypatch.chdir(drawn.parent)
    assert prepare(tmp_path / "lists/train.txt", tmp_path / "set", "-r", "rgb", "--images", "faces") == 0
    made = open_set(tmp_path / "set")
    assert [row["path"] for row in made.manifest] == [str(path) for path in paths[:-1]]
    assert all(row["name"] == row["path"].split("/")[0] for row in made.manifest)
    report = (tmp_path / "set/report.txt").read_text()
    assert f"names 27 of the 28 images that are here, and not {paths[-1]}" in report
