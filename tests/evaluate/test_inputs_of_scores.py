"""The inputs of scores: a replacement during scoring is noticed, and they are compared with those of training."""

import json
import shutil
from contextlib import suppress
from dataclasses import replace

import numpy as np
import pytest

from emotiw.__main__ import main
from emotiw.data_prep.official_splits import MadeOf
from emotiw.data_prep.prepare import prepare
from emotiw.data_prep.prepared_set import open_set
from emotiw.data_prep.synthetic.expression_sets import as_fer2013_kaggle
from emotiw.data_prep.synthetic.faces import draw_expressions
from emotiw.data_prep.transform import Settings
from emotiw.errors import EmotiwError
from emotiw.evaluate import scoring
from emotiw.evaluate.model import Model, of_run
from emotiw.evaluate.scores import Scores
from emotiw.evaluate.scoring import Task, read_evaluation
from emotiw.evaluate.table.cells import run_cells
from emotiw.evaluate.table.frozen import frozen
from emotiw.evaluate.trained_on import NOT_KNOWN, TrainedOn, positions, trained_on, unknown, words
from emotiw.evaluate.trained_on import _pixels_at as pixels_of
from emotiw.inputs import Look, taken
from emotiw.train.run_folder import Before, Facts, Run
from emotiw.train.run_inputs import before, executed, model_input


@pytest.fixture(scope="module")
def faces(tmp_path_factory):
    """Two sets from one folder of drawn faces, with different splits."""
    folder = tmp_path_factory.mktemp("draws")
    draw_expressions(folder / "faces", 3, 2, seed=0)
    for seed in (0, 1):
        settings = Settings("emotions", ("rgb", "cyclic_lbp"), 16, val=0.5, seed=seed)
        prepare(folder / "faces", folder / f"{seed}", settings)
    return folder


def facts_of(prepared, representation="rgb", **more):
    return Facts(
        row=f"vgg_s-{representation}", stage="finetune", net="vgg_s", representation=representation, engine="caffe",
        engine_version="1", set_folder=str(prepared.folder), set_digest=prepared.digest, classes=prepared.classes,
        recipe="e" * 64, seed=1, iterations=4, weights="", weights_sha256="", emotiw="0.1.0", **more,
    )  # fmt: skip


@pytest.fixture
def run(faces, tmp_path):
    """A finished run on the first set, with files of a few bytes."""
    run = Run(tmp_path / "runs/vgg_s-rgb/finetune")
    run.folder.mkdir(parents=True)
    for name in ("train_val.prototxt", "solver.prototxt", "deploy.prototxt", "mean.binaryproto", "model.caffemodel"):
        (run.folder / name).write_text(name)
    (run.folder / "train_val.prototxt").write_text('layer { type: "Data" transform_param { mean_file: "mean" } }')
    prepared = open_set(faces / "0")
    inputs = [*prepared.inputs("rgb", ["train"], mean=True), *executed(run), model_input(run.model)]
    run.write_facts(facts_of(prepared, inputs=inputs))
    return run


class Fake:
    """An engine that is not used."""

    title, version = "caffe", "1"


def scored(model, prepared, engine, split, crops, mean_rule):
    """Scores without a net."""
    rows = [row for row in prepared.manifest if row["split"] == split]
    labels = np.array([int(row["label"]) for row in rows])
    return Scores(tuple(row["path"] for row in rows), labels, model.classes, np.full((len(rows), 7), 1 / 7))


def test_scores_record_what_they_are_made_of(run, faces, monkeypatch):
    monkeypatch.setattr(scoring, "score", scored)
    prepared, model = open_set(faces / "1"), of_run(run, Look.CHANGED)
    scoring.evaluate(model, prepared, Fake(), Task("val"), run.folder)
    protocol, _ = read_evaluation(run.folder, "val")
    assert [one.role for one in protocol.inputs] == [
        "manifest", "LMDB of rgb, val", "model", "deploy", "mean", "run.json",
    ]  # fmt: skip
    for one in protocol.inputs:
        path = run.folder / one.path
        assert path.exists()
        assert one.stamp == taken(one.role, path, "known").stamp
    (known,) = protocol.trained_on
    first = open_set(faces / "0")
    train = {row["pixels"] for row in first.manifest if row["split"] == "train"}
    expected = sum(row["pixels"] in train for row in prepared.manifest if row["split"] == "val")
    assert known == TrainedOn("finetune", str(faces / "0"), expected)
    assert 0 < expected < prepared.count("val")


def test_scores_record_which_official_split_they_are_on(run, faces, tmp_path, monkeypatch, capsys):
    as_fer2013_kaggle(faces / "faces", tmp_path / "held")
    for splits in ("train=train,validation=test", "test=test"):
        settings = Settings("emotions", ("rgb",), 16, splits=splits, dataset="FER2013")
        prepare(tmp_path / "held", tmp_path / splits, settings)
    monkeypatch.setattr(scoring, "score", scored)
    monkeypatch.setattr(scoring, "require", lambda *_: None)
    monkeypatch.setattr("emotiw.commands.evaluate.engine_of", lambda _: Fake())
    monkeypatch.setattr("emotiw.evaluate.model.open_model", lambda _, look: of_run(run, look))
    command = ["evaluate", str(run.folder), "--split", "test", "--force", "--set"]
    assert main([*command, str(tmp_path / "train=train,validation=test")]) == 0
    assert "on 14 test images (FER2013's validation; commonest class: 14.29%) -> " in capsys.readouterr().out
    protocol, _ = read_evaluation(run.folder, "test")
    assert (protocol.official, protocol.beside) == (MadeOf(("validation",)), " (FER2013's validation)")
    assert main([*command, str(tmp_path / "test=test")]) == 0
    assert "on 14 test images (commonest class: 14.29%) -> " in capsys.readouterr().out
    assert read_evaluation(run.folder, "test")[0].official == MadeOf(("test",))


@pytest.mark.parametrize("victim", ["model.caffemodel", "deploy.prototxt", "mean.binaryproto", "run.json"])
def test_a_run_that_is_replaced_while_it_is_scored(run, faces, monkeypatch, victim):
    """As by a finetune that ends meanwhile: the new file has at least another inode."""

    def meanwhile(*arguments):
        content = (run.folder / victim).read_bytes()
        (run.folder / "new").write_bytes(content)
        (run.folder / "new").replace(run.folder / victim)
        return scored(*arguments)

    monkeypatch.setattr(scoring, "score", meanwhile)
    model = of_run(run, Look.CHANGED)
    assert model.inputs
    with pytest.raises(EmotiwError, match=rf"{victim}, the .*, was replaced while it was read: run the same command"):
        scoring.evaluate(model, open_set(faces / "1"), Fake(), Task("val"), run.folder)
    assert not (run.folder / "scores_val.csv").exists()


@pytest.mark.parametrize("victim", ["manifest.csv", "rgb/val_lmdb"])
def test_a_set_that_is_replaced_while_it_is_scored(run, faces, tmp_path, monkeypatch, victim):
    copy = shutil.copytree(faces / "1", tmp_path / "set")

    def meanwhile(*arguments):
        found = scored(*arguments)
        (copy / victim).rename(tmp_path / "away")
        (shutil.copytree if (tmp_path / "away").is_dir() else shutil.copy)(faces / "0" / victim, copy / victim)
        return found

    monkeypatch.setattr(scoring, "score", meanwhile)
    with pytest.raises(EmotiwError, match=r"was replaced while it was read: run the same command again"):
        scoring.evaluate(of_run(run, Look.CHANGED), open_set(copy), Fake(), Task("val"), run.folder)


def test_earlier_stages_count_and_unknown_inputs_are_reported(run, faces, tmp_path):
    one, other = open_set(faces / "0"), open_set(faces / "1")
    model = of_run(run)
    first = Before("pretrain", str(other.folder), other.digest, 9, 1)
    run.write_facts(replace(run.facts(), before=[first]))
    assert [(known.stage, known.images) for known in trained_on(model, other, "train")] == [
        ("pretrain", other.count("train")),
        ("finetune", trained_on(model, other, "train")[1].images),
    ]
    run.write_facts(replace(run.facts(), before=[replace(first, set_folder=str(tmp_path / "gone"))]))
    found = trained_on(model, one, "val")
    assert [(known.stage, known.images) for known in found] == [("pretrain", NOT_KNOWN), ("finetune", 0)]
    assert unknown(found) == [f"pretrain ({tmp_path / 'gone'})"]
    assert words(found, one.count("val")) == ""
    run.write_facts(replace(run.facts(), before=[], weights="/imagenet.caffemodel"))
    assert trained_on(model, one, "val")[0] == TrainedOn("before", "/imagenet.caffemodel", NOT_KNOWN)


def test_weights_that_are_another_runs_are_refused(run):
    assert before(None) == before(run.folder / "deploy.prototxt") == []
    facts = run.facts()
    assert before(run.model) == [Before("finetune", facts.set_folder, facts.set_digest, 4, 1)]
    run.model.write_text("of another run")
    with pytest.raises(EmotiwError, match=r"is not the model on record: sha256 .*, recorded .*: name the weights"):
        before(run.model)


def test_a_copied_run_is_marked_unverified_until_hashed(run, tmp_path):
    assert of_run(run).title == "vgg_s-rgb/finetune"
    copy = Run(tmp_path / "copy/vgg_s-rgb/finetune")
    shutil.copytree(run.folder, copy.folder)
    assert of_run(copy).title == "vgg_s-rgb/finetune (NOT VERIFIED: deploy, mean, model)"
    assert all("was not hashed" in difference.words for difference in of_run(copy).unverified)
    assert of_run(copy, Look.CHANGED).title == of_run(copy).title == "vgg_s-rgb/finetune"
    copy.model.write_text("other")
    with pytest.raises(
        EmotiwError, match=r"is not the model on record: sha256 .*: put it back, or train the run again"
    ):
        of_run(copy, Look.CHANGED)


def test_colours_of_another_version_are_refused(faces, run, monkeypatch):
    prepared = open_set(faces / "0")
    inputs = [one for one in prepared.inputs("cyclic_lbp", ["train"]) if one.role.startswith("colours")]
    assert len(inputs) == 1
    run.write_facts(facts_of(prepared, "cyclic_lbp", inputs=inputs))
    assert isinstance(of_run(run), Model)
    run.write_facts(facts_of(prepared, "cyclic_lbp", inputs=[replace(inputs[0], sha256="0" * 64)]))
    with pytest.raises(EmotiwError, match=r"the mapping of this version .* is not the colours of cyclic_lbp on record"):
        of_run(run)


def test_an_older_run_has_nothing_to_compare(run):
    values = json.loads((run.folder / "run.json").read_text())
    for name in ("before", "inputs", "seal"):
        del values[name]
    (run.folder / "run.json").write_text(json.dumps(values))
    run.model.write_text("whatever")
    assert of_run(run, Look.ALL).unverified == ()


@pytest.mark.caffe
def test_evaluate_says_how_many_images_were_trained_on(runs, sets, tmp_path, capsys):
    copy = shutil.copytree(runs / "vgg_s_small-rgb", tmp_path / "runs/vgg_s_small-rgb")
    count = open_set(sets / "expressions").count("train")
    command = ["evaluate", str(copy / "finetune"), "--set", str(sets / "expressions"), "--split", "train"]
    assert main([*command, "--verify"]) == 0
    warning, figure = capsys.readouterr().out.splitlines()
    where = (sets / "expressions").resolve()
    words = f"trained on scored images: of {count} images, {count} in finetune on {where}"
    assert warning == f"warning: vgg_s_small-rgb: {words}"
    assert figure.startswith("vgg_s_small-rgb: accuracy ")


def test_scores_record_images_trained_on_and_images_in_val(run, faces, monkeypatch):
    """They are recognised by pixels and recorded, so that a table needs neither set."""
    monkeypatch.setattr(scoring, "score", scored)
    first, other = open_set(faces / "0"), open_set(faces / "1")
    known = {split: {row["pixels"] for row in first.manifest if row["split"] == split} for split in ("train", "val")}
    scoring.evaluate(of_run(run, Look.CHANGED), other, Fake(), Task("val"), run.folder)
    protocol, scores = read_evaluation(run.folder, "val")
    rows = {row["path"]: row["pixels"] for row in other.manifest if row["split"] == "val"}
    expected = [rows[path] in known["train"] for path in scores.paths]
    assert positions(protocol.seen, len(expected)).tolist() == expected
    assert sum(expected) == protocol.trained_on[0].images
    assert (protocol.val_digest, protocol.in_val) == (first.digest, len(set(rows.values()) & known["val"]))


def test_scores_of_a_second_set_have_a_name_of_their_own(run, faces, monkeypatch, capsys):
    """They are in the run's folder beside those of its own set, and a table can be made by their name."""
    monkeypatch.setattr(scoring, "score", scored)
    model, one, other = of_run(run, Look.CHANGED), open_set(faces / "0"), open_set(faces / "1")
    scoring.evaluate(model, one, Fake(), Task("val"), run.folder)
    scoring.evaluate(model, other, Fake(), Task("val", title="far"), run.folder)
    here, far = (read_evaluation(run.folder, name)[0] for name in ("val", "far"))
    assert (here.split, here.set_split, here.split_of_set) == ("val", "", "val")
    assert (far.split, far.set_split, far.split_of_set) == ("far", "val", "val")
    assert (here.set_digest, far.set_digest) == (one.digest, other.digest)
    assert (run.folder / "predictions_far.txt").is_file()
    assert main(["table", str(run.folder.parents[1]), "-o", str(run.folder / "table"), "--split", "far"]) == 0
    assert f"on {other.count('val')} far images" in capsys.readouterr().out


def test_frozen_is_known_without_the_sets(run, faces, monkeypatch, tmp_path):
    monkeypatch.setattr(scoring, "score", scored)
    copies = [open_set(shutil.copytree(faces / name, tmp_path / f"set {name}")) for name in ("0", "1")]
    run.write_facts(replace(run.facts(), set_folder=str(copies[0].folder)))
    for prepared, title in zip(copies, ("", "far"), strict=True):
        scoring.evaluate(of_run(run, Look.STAT), prepared, Fake(), Task("val", title=title), run.folder)
    cells = [run_cells([run], name) for name in ("far", "val")]
    said = frozen(*cells)
    assert said.startswith("NOT independent: ")
    pixels_of.cache_clear()
    for prepared in copies:
        shutil.rmtree(prepared.folder)
    assert frozen(*cells) == said


@pytest.mark.parametrize("title", ["val", "Far", "far_away", "-far", ""])
def test_names_of_scores_that_are_refused(title, faces, capsys):
    """Another split's name, and names that would be ambiguous in names of files."""
    command = ["evaluate", "none", "--set", str(faces / "0"), "--split", "train", f"--as={title}", "--engine", "torch"]
    with suppress(SystemExit):
        assert main(command) == 2
    assert "is no name of scores" in (said := capsys.readouterr().err) or "is the name of another split" in said


def test_scores_of_another_set_are_not_replaced_by_these(run, faces, monkeypatch, capsys):
    monkeypatch.setattr(scoring, "score", scored)
    monkeypatch.setattr(scoring, "require", lambda *_: None)
    monkeypatch.setattr("emotiw.evaluate.model.check", lambda _: None)
    scoring.evaluate(of_run(run, Look.CHANGED), open_set(faces / "0"), Fake(), Task("val"), run.folder)
    command = ["evaluate", str(run.folder), "--set", str(faces / "1"), "--engine", "torch"]
    assert main(command) == 1
    assert f"scores_val.csv has scores of another set, {(faces / '0').resolve()}: give --as NAME to keep both" in (
        capsys.readouterr().err
    )
