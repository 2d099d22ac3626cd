"""The baseline on drawn faces, its files, and its row in the table."""

import csv
import json
import shutil
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest
from sklearn.metrics import accuracy_score
from sklearn.model_selection import StratifiedGroupKFold, cross_val_score
from sklearn.svm import SVC

from emotiw.__main__ import main
from emotiw.data_prep.prepare import prepare
from emotiw.data_prep.prepared_set import open_set
from emotiw.data_prep.synthetic.archives import as_sfew
from emotiw.data_prep.synthetic.expression_sets import as_fer2013_kaggle
from emotiw.data_prep.synthetic.faces import draw_expressions
from emotiw.data_prep.transform import Settings
from emotiw.errors import EmotiwError
from emotiw.evaluate.baseline import baseline as module
from emotiw.evaluate.baseline.features import face_histograms
from emotiw.evaluate.scores import read_scores
from emotiw.inputs import unsealed


@pytest.fixture(scope="module")
def made(sets, tmp_path_factory):
    """RUNS with the baseline of the drawn expressions. Do not write in there."""
    runs = tmp_path_factory.mktemp("runs with a baseline")
    assert main(["baseline", "--set", str(sets / "expressions"), "-o", str(runs)]) == 0
    return runs


def of(runs):
    """Return the folder of the only baseline."""
    (folder,) = (runs / "baseline").iterdir()
    return folder


def protocol_of(runs):
    return json.loads((of(runs) / "scores_val.json").read_text())


def features(prepared, split):
    records = list(prepared.records("rgb", split))
    X = np.array([face_histograms(record.blob, 7, 1) for record in records])
    return X, np.array([record.label for record in records]), [record.path for record in records]


def test_scores_are_those_of_scikit_learns_own_machine(made, sets):
    """Fitted here with the recorded kernel and C, which are the best by scikit-learn's own validation."""
    prepared, protocol = open_set(sets / "expressions"), protocol_of(made)
    (X, y, paths), (others, truth, names) = features(prepared, "train"), features(prepared, "val")
    scores = read_scores(of(made) / "scores_val.csv")
    assert (scores.paths, scores.labels.tolist()) == (tuple(names), truth.tolist())
    svm = protocol["svm"]
    theirs = SVC(kernel=svm["kernel"], C=svm["C"], gamma="scale", break_ties=True).fit(X, y)
    np.testing.assert_array_equal(scores.predictions, theirs.predict(others))
    assert scores.accuracy == accuracy_score(truth, theirs.predict(others))
    assert scores.accuracy > 2 / 7  # the drawn faces are easy
    group_of = {row["path"]: row["group"] for row in prepared.manifest}
    groups = [group_of[path] for path in paths]
    assert len(set(groups)) == 4  # people, so four folds, each person in one part of a fold
    own = cross_val_score(theirs, X, y, groups=groups, cv=StratifiedGroupKFold(4, shuffle=True, random_state=0))
    assert (svm["folds"], svm["accuracy"]) == (4, pytest.approx(own.mean()))


def test_the_written_files(made, sets):
    folder = of(made)
    scores, protocol = read_scores(folder / "scores_val.csv"), protocol_of(made)
    assert sorted(path.name for path in folder.iterdir()) == [
        "confusion_val.csv", "confusion_val.png", "predictions_val.txt", "scores_val.csv", "scores_val.json",
    ]  # fmt: skip
    with (folder / "confusion_val.csv").open() as file:
        rows = list(csv.reader(file))[1:]
    assert np.array_equal(np.array([row[1:] for row in rows], int), scores.confusion)
    assert len((folder / "predictions_val.txt").read_text().splitlines()) == len(scores.paths) == 28
    assert protocol["set_digest"] == open_set(sets / "expressions").digest
    assert (protocol["engine"], protocol["grid"], protocol["radius"]) == ("scikit-learn", 7, 1)
    assert (protocol["dataset"], protocol["drawn"]) == ("", True)
    assert scores.groups == tuple(path.rpartition("/")[2].split("_")[0] for path in scores.paths)  # the people
    assert protocol["train_images"] == 56


def test_it_prints_its_choice_and_is_reproducible(made, sets, tmp_path, capsys):
    command = ["baseline", "--set", str(sets / "expressions"), "-o", str(tmp_path)]
    assert main(command) == 0
    folder, scores = of(tmp_path), read_scores(of(made) / "scores_val.csv")
    svm = protocol_of(made)["svm"]
    how = f"SVM: {svm['kernel']}, C = {svm['C']:g}, by 4-fold cross-validation on 56 train images"
    assert capsys.readouterr().out.splitlines() == [
        f"{how} ({svm['accuracy']:.2%})",
        f"baseline: {scores.summary('val')} -> {folder / 'scores_val.csv'}",
    ]
    for name in ("scores_val.csv", "scores_val.json"):
        assert (folder / name).read_bytes() == (of(made) / name).read_bytes()
    assert main(command) == 1
    assert "scores_val.csv exists already: give --force" in capsys.readouterr().err
    (folder / "scores_val.csv").write_text("")
    assert main([*command, "--force"]) == 0
    assert read_scores(folder / "scores_val.csv").accuracy == scores.accuracy


def test_sfews_test_split_without_labels_gets_predictions(sets, tmp_path, capsys):
    """Drawn faces in SFEW's folders; the movies are the groups."""
    as_sfew(sets / "faces/expressions", tmp_path / "sfew")
    prepare(tmp_path / "sfew", tmp_path / "set", Settings("emotions", ("rgb",), 64))
    prepared = open_set(tmp_path / "set")
    capsys.readouterr()
    command = ["baseline", "--set", str(tmp_path / "set"), "-o", str(tmp_path / "runs"), "--split", "test"]
    assert main(command) == 0
    assert f"{prepared.count('test')} test images without labels -> " in capsys.readouterr().out
    folder = of(tmp_path / "runs")
    scores = read_scores(folder / "scores_test.csv")
    assert not scores.labelled
    lines = (folder / "predictions_test.txt").read_text().splitlines()
    for line, path, label in zip(lines, scores.paths, scores.predictions, strict=True):
        assert line == f"{path.rpartition('/')[2]} {scores.classes[label]}"
    assert len(set(scores.predictions)) > 2
    assert not (folder / "confusion_test.csv").exists()


def test_errors_are_one_line(sets, tmp_path, capsys, monkeypatch):
    def refused(folder, *arguments):
        capsys.readouterr()
        assert main(["baseline", "--set", str(folder), "-o", str(tmp_path / "runs"), *arguments]) == 1
        return capsys.readouterr().err.splitlines()[-1]

    expressions = sets / "expressions"
    assert "is not a prepared set" in refused(tmp_path)
    assert "holds no test split" in refused(expressions, "--split", "test")
    assert "holds no val split" in refused(sets / "people")
    faces = sets / "faces/expressions"
    prepare(faces, tmp_path / "lbp", Settings("emotions", ("lbp",), 64, val=0.5))
    assert "holds no rgb, only lbp: add it by emotiw prepare " in refused(tmp_path / "lbp")
    prepare(faces, tmp_path / "small", Settings("emotions", ("rgb",), 8, val=0.5))
    assert "has 8-pixel images: prepare it with a larger --size" in refused(tmp_path / "small")
    prepare(sets / "faces/people", tmp_path / "one", Settings("identities", ("rgb",), 64, val=0.4, group=r"(\d+)/"))
    assert "has too few training images to choose C on: each class needs two, in two groups" in refused(
        tmp_path / "one"
    )
    monkeypatch.setattr(module, "MOST_IMAGES", 55)
    assert "has 56 training images, but the baseline takes at most 55" in refused(expressions)
    assert not (tmp_path / "runs").exists()


def test_a_set_with_a_baseline_is_not_checked_again(made, sets, tmp_path, monkeypatch):
    monkeypatch.setattr(module, "folds", lambda *_: [])
    prepared = open_set(sets / "expressions")
    module.require(prepared, of(made))
    with pytest.raises(EmotiwError, match="too few training images"):
        module.require(prepared, tmp_path)


def test_a_set_with_a_baseline_needs_no_heavy_import(made, sets):
    """The command `reproduce` asks for it at each start."""
    code = (
        "import sys; from pathlib import Path\n"
        "from emotiw.data_prep.prepared_set import open_set\n"
        "from emotiw.evaluate.baseline.baseline import require\n"
        "require(open_set(Path(sys.argv[1])), Path(sys.argv[2]))\n"
        "print(*sorted({'matplotlib', 'scipy', 'sklearn'} & set(sys.modules)))"
    )
    command = [sys.executable, "-P", "-c", code, sets / "expressions", of(made)]
    assert subprocess.run(command, check=True, capture_output=True, text=True).stdout.split() == []


@pytest.fixture
def beside(made, sets, make_run, tmp_path):
    """RUNS with two runs on the baseline's images, and the baseline."""
    prepared = open_set(sets / "expressions")
    scores = read_scores(of(made) / "scores_val.csv")
    for seed, row in enumerate(("vgg_s-rgb", "vgg_s-lbp")):
        folder = make_run(
            row, np.random.default_rng(seed).dirichlet(np.ones(7), 28), scores.labels, digest=prepared.digest,
            groups=scores.groups, dataset="SFEW 2.0",
        )  # fmt: skip
        lines = (folder / "scores_val.csv").read_text().splitlines()
        named = [f"{path},{line.split(',', 1)[1]}" for path, line in zip(scores.paths, lines[1:], strict=True)]
        (folder / "scores_val.csv").write_text("\n".join([lines[0], *named]) + "\n")
    shutil.copytree(made / "baseline", tmp_path / "runs/baseline")
    protocol = unsealed(protocol_of(made)) | {"drawn": False, "official": {}}  # as for SFEW's own split
    (of(tmp_path / "runs") / "scores_val.json").write_text(json.dumps(protocol))
    return tmp_path / "runs"


def table_of(runs, output):
    assert main(["table", str(runs), "-o", str(output), "--force"]) == 0
    with (output / "table.csv").open() as file:
        return (output / "table.md").read_text(), list(csv.DictReader(file)), (output / "report.html").read_text()


def test_its_row_is_below_the_ensembles_and_changes_nothing_else(beside, made, tmp_path):
    text, rows, page = table_of(beside, tmp_path / "table")
    scores, svm = read_scores(of(made) / "scores_val.csv"), protocol_of(made)["svm"]
    assert rows[-1]["name"] == "baseline: LBP histograms, SVM"
    assert (rows[-1]["engine"], rows[-1]["crops"], rows[-1]["weight"]) == ("scikit-learn", "", "")
    assert float(rows[-1]["accuracy"]) == pytest.approx(scores.accuracy, abs=1e-6)
    (line,) = [line for line in text.splitlines() if line.startswith("| baseline: ")]
    cells = [cell.strip() for cell in line.split("|")]
    assert cells[2] == f"{scores.accuracy * 100:.2f}"
    assert cells[4:6] == ["35.93", f"{scores.accuracy * 100 - 35.93:+.2f}"]
    for where in (text, page):
        assert f"SVM ({svm['kernel']}, C = {svm['C']:g}, chosen by 4-fold cross-validation on 56 train images" in where
        assert "not part of the ensemble" in where
        assert "for orientation, is Challenge baseline (PHOG + LPQ, SVM) (recalled, 75 % sure)." in where
    (of(beside) / "scores_val.csv").unlink()
    without, rows_without, page = table_of(beside, tmp_path / "without")
    assert rows[:-1] == rows_without
    assert "aseline: " not in without
    assert "aseline: " not in page
    assert without.splitlines()[:5] == text.splitlines()[:5]  # the grid of nets and representations


def test_it_is_not_shown_for_another_set_or_other_images(beside, tmp_path, capsys):
    folder = of(beside)
    other = folder.rename(folder.with_name("0" * 12))
    text, _, _ = table_of(beside, tmp_path / "table")
    assert "aseline: " not in text
    other.rename(folder)
    scores = (folder / "scores_val.csv").read_text().splitlines()

    def refused():
        capsys.readouterr()
        assert main(["table", str(beside), "-o", str(tmp_path / "table"), "--force"]) == 1
        (line,) = capsys.readouterr().err.splitlines()
        return line

    record = json.loads((folder / "scores_val.json").read_text()) | {"scores_sha256": ""}  # of another version
    (folder / "scores_val.json").write_text(json.dumps(unsealed(record)))
    (folder / "scores_val.csv").write_text("\n".join(scores[:-1]) + "\n")
    assert "the baseline and vgg_s-rgb have scores of different images: make both again" in refused()
    (folder / "scores_val.csv").write_text("path,label\n")
    assert "holds damaged scores of val: make them again with emotiw baseline --set SET --force" in refused()
    (folder / "scores_val.json").write_text("{}")
    assert "holds damaged scores of val: make them again with emotiw baseline --set SET --force" in refused()


def test_drawn_faces_are_not_compared_with_published_results(beside, made, tmp_path):
    """One record of a drawn set is enough, because all figures are on one set."""
    (of(beside) / "scores_val.json").write_text(json.dumps(protocol_of(made)))
    text, rows, page = table_of(beside, tmp_path / "table")
    assert text.startswith("Set gone: SFEW 2.0, DRAWN, no photographs: not comparable with published figures.\n")
    assert "published" not in rows[0]
    for where in (text, page):
        assert "35.93" not in where
        assert "51.75" not in where
        assert "DRAWN" in where


def test_scores_say_which_official_split_they_are_on(tmp_path, capsys):
    draw_expressions(tmp_path / "faces", 8, 1, seed=0)
    as_fer2013_kaggle(tmp_path / "faces", tmp_path / "held")
    settings = Settings("emotions", ("rgb",), 32, splits="train=train,validation=test", dataset="FER2013")
    prepare(tmp_path / "held", tmp_path / "set", settings)
    assert main(["baseline", "--set", str(tmp_path / "set"), "--split", "test", "-o", str(tmp_path / "a")]) == 0
    assert "on 14 test images (FER2013's validation; commonest class: 14.29%) -> " in capsys.readouterr().out
    folder = of(tmp_path / "a")
    assert json.loads((folder / "scores_test.json").read_text())["official"] == {"names": ["validation"], "how": "all"}
    prepare(tmp_path / "held", tmp_path / "older", replace(settings, splits=None))
    assert main(["baseline", "--set", str(tmp_path / "older"), "--split", "test", "-o", str(tmp_path)]) == 0
    assert "on 28 test images (FER2013's validation and test; commonest" in capsys.readouterr().out
