"""The warnings of a table about its figures' inputs: at the cells, in every format, or as an error."""

import csv
import json
import os
import re
import shutil
from dataclasses import asdict, fields, replace

import pytest

from emotiw.__main__ import main
from emotiw.data_prep.prepare import prepare
from emotiw.data_prep.prepared_set import open_set
from emotiw.data_prep.synthetic.faces import draw_expressions
from emotiw.data_prep.transform import Settings
from emotiw.evaluate.baseline.baseline import Baseline, folder_of
from emotiw.evaluate.baseline.baseline import Protocol as BaselineProtocol
from emotiw.evaluate.baseline.baseline import write as write_baseline
from emotiw.evaluate.baseline.svm import Choice
from emotiw.evaluate.scores import scores_text
from emotiw.evaluate.scoring import Protocol, read_evaluation, write_evaluation
from emotiw.evaluate.table.marks import Marks
from emotiw.evaluate.trained_on import TrainedOn, common, pixels_at
from emotiw.files import sha256_of
from emotiw.inputs import SMALL, taken
from emotiw.train.run_folder import Before, Facts, Run

LABELS = [0, 1, 2, 3, 4, 5, 6, 6]
ROWS = ("vgg_s-rgb", "vgg_s-lbp")


@pytest.fixture
def make(make_run, answers, tmp_path):
    """Write a run that knows its inputs: files of a few bytes, or as large as `model`; `facts` are changed in run.json,
    the rest in how it was scored."""

    def run(row, right=8, model=b"model", facts=None, before=(), split="val", **more):
        named = [label if at < right else (label + 1) % 7 for at, label in enumerate(LABELS)]
        folder = make_run(row, answers(*named), LABELS, split=split)
        known = Run(folder).facts()
        files = {"deploy": b"deploy", "mean": b"mean", "model": model}
        names = {"deploy": "deploy.prototxt", "mean": "mean.binaryproto", "model": "model.caffemodel"}
        if not (folder / names["model"]).is_file():
            for role, content in files.items():
                (folder / names[role]).write_bytes(content)
        own = [taken(role, folder / name, name=name) for role, name in names.items()]
        known = replace(known, inputs=own, before=list(before), **(facts or {}))
        Run(folder).write_facts(known)
        inputs = [*own, taken("run.json", folder / "run.json", name="run.json")]
        protocol, scores = read_evaluation(folder, split)
        weights = own[2].sha256
        protocol = replace(protocol, inputs=inputs, weights_sha256=weights, **more)
        write_evaluation(folder, row, split, scores, asdict(protocol))
        return folder

    return run


def tabled(tmp_path, capsys, *more):
    """Return a table in every format: the command's words, Markdown, CSV as rows by name, HTML."""
    capsys.readouterr()
    assert main(["table", str(tmp_path / "runs"), "-o", str(tmp_path / "table"), "--force", *more]) == 0
    with (tmp_path / "table/table.csv").open(newline="") as file:
        rows = {row["name"]: row for row in csv.DictReader(file)}
    words = (capsys.readouterr().out, (tmp_path / "table/table.md").read_text())
    return *words, rows, " ".join((tmp_path / "table/report.html").read_text().split())


def refused(tmp_path, capsys, *more):
    capsys.readouterr()
    assert main(["table", str(tmp_path / "runs"), "-o", str(tmp_path / "refused"), *more]) == 1
    (line,) = capsys.readouterr().err.splitlines()
    return line


def test_unchanged_inputs_have_no_mark(make, tmp_path, capsys):
    for row in ROWS:
        make(row)
    _, text, rows, report = tabled(tmp_path, capsys)
    for format_ in (text, report):
        assert " [a]" not in format_
        assert "Not known" not in format_
    assert "marks" not in rows[ROWS[0]]


def test_images_trained_on_are_counted_at_every_figure(make, tmp_path, capsys):
    make(ROWS[0], trained_on=[TrainedOn("pretrain", "people", 0), TrainedOn("finetune", "faces", 3)])
    make(ROWS[1], trained_on=[TrainedOn("finetune", "faces", 0)])
    said, text, rows, report = tabled(tmp_path, capsys)
    words = "trained on scored images: of 8 images, 3 in finetune on faces (val)"
    for format_ in (said, text, report):
        assert f"[a] {words}." in format_
    assert re.search(r"\| vgg_s +\| 100\.00 \[a\] +\| 100\.00 +\|", text)
    assert re.search(r"\| vgg_s-rgb +\| 100\.00 \[a\] +\|", text)
    assert re.search(r"\| ensemble of 2: uniform average +\| 100\.00 \[a\] +\|", text)
    assert re.search(r"\| vgg_s-lbp +\| 100\.00 +\|", text)
    assert rows["vgg_s-rgb"]["marks"] == rows["ensemble of 2: uniform average"]["marks"] == words
    assert rows["vgg_s-lbp"]["marks"] == ""
    # In the grid, among the figures, below them, above its pictures.
    assert report.count("[a]") == 4 + sum(name.startswith("ensemble") for name in rows)


def test_an_unknown_stage_is_reported(make, tmp_path, capsys):
    for row in ROWS:
        make(row, trained_on=[TrainedOn("before", "imagenet.caffemodel", -1), TrainedOn("finetune", "faces", 0)])
    _, text, rows, report = tabled(tmp_path, capsys)
    unknown = "whether vgg_s-rgb, vgg_s-lbp was trained on any of the images in before (imagenet.caffemodel)"
    for format_ in (text, report):
        assert f"Not known: {unknown}." in format_
    assert "marks" not in rows[ROWS[0]]


def test_differences_between_nets_are_marked_at_their_cells(make, tmp_path, capsys):
    first = Before("pretrain", "people", "b" * 64, 400, 1)
    make(ROWS[0], before=[first])
    make(ROWS[1], before=[replace(first, seed=2)], facts={"iterations": 3, "set_digest": "c" * 64})
    make("vgg_s-cyclic_lbp", before=[first])
    _, _, rows, _ = tabled(tmp_path, capsys)
    assert rows["vgg_s-lbp"]["marks"].split("; ") == [
        "pretrain: seed 2 (other rows: 1)",
        "finetune: training set cccccccccccc (other rows: dddddddddddd)",
        "finetune: iterations 3 (other rows: 4)",
    ]
    assert rows["vgg_s-rgb"]["marks"] == rows["vgg_s-cyclic_lbp"]["marks"] != ""
    make(ROWS[1])
    _, _, rows, _ = tabled(tmp_path, capsys)
    assert "pretrain: iterations not recorded (other rows: 400)" in rows["vgg_s-lbp"]["marks"]


OWN = {"model": "model.caffemodel", "mean": "mean.binaryproto", "deploy": "deploy.prototxt"}


@pytest.mark.parametrize("role", OWN)
def test_a_file_replaced_after_scoring_is_refused(make, tmp_path, capsys, role):
    folder = make(ROWS[0])
    make(ROWS[1])
    (folder / OWN[role]).write_bytes(b"other")
    line = refused(tmp_path, capsys)
    assert f"{folder} was scored before it changed: {folder / OWN[role]} is not the {role} on record: sha256 " in line
    assert line.endswith(": evaluate it again with --force")


def test_a_run_trained_again_after_scoring_is_refused(make, tmp_path, capsys):
    folder = make(ROWS[0])
    facts = Run(folder).facts()
    other = replace(facts.inputs[2], sha256="0" * 64)
    Run(folder).write_facts(replace(facts, inputs=[*facts.inputs[:2], other]))
    assert f"the model of {folder / 'run.json'} is not the model on record: sha256 000000000000" in refused(
        tmp_path, capsys
    )


def test_a_large_model_is_hashed_only_with_verify(make, tmp_path, capsys):
    folder = make(ROWS[0], model=bytes(SMALL + 1))
    os.utime(folder / "model.caffemodel", ns=(1, 1))
    _, text, rows, _ = tabled(tmp_path, capsys)
    unsure = (
        f"{folder / 'model.caffemodel'} has another size, time or inode than the model on record; it was not hashed"
    )
    assert f"{unsure} (--verify does)" in rows[ROWS[0]]["marks"]
    assert " [a]" in text
    _, text, rows, _ = tabled(tmp_path, capsys, "--verify")
    assert "marks" not in rows[ROWS[0]]
    _, text, rows, _ = tabled(tmp_path, capsys)  # remembered
    assert "marks" not in rows[ROWS[0]]
    (folder / "model.caffemodel").write_bytes(bytes(SMALL) + b"x")
    assert "is not the model on record" in refused(tmp_path, capsys, "--verify")


def test_verify_hashes_files_with_equal_size_time_and_inode(make, tmp_path, capsys):
    folder = make(ROWS[0])
    kept = (folder / "model.caffemodel").stat()
    (folder / "model.caffemodel").write_bytes(b"other")
    os.utime(folder / "model.caffemodel", ns=(kept.st_atime_ns, kept.st_mtime_ns))
    tabled(tmp_path, capsys)
    assert "is not the model on record" in refused(tmp_path, capsys, "--verify")


def test_a_moved_folder_of_runs_gives_the_same_table(make, tmp_path, capsys):
    make(ROWS[0])
    (tmp_path / "runs").rename(tmp_path / "moved")
    shutil.copytree(tmp_path / "moved", tmp_path / "runs", copy_function=shutil.copy)
    _, _, rows, _ = tabled(tmp_path, capsys)
    assert "marks" not in rows[ROWS[0]]


def test_changed_and_missing_sets_are_reported(make, tmp_path, capsys):
    (tmp_path / "manifest.csv").write_text("1")
    folder = make(ROWS[0])
    protocol, scores = read_evaluation(folder, "val")
    known = replace(protocol, inputs=[*protocol.inputs, taken("manifest", tmp_path / "manifest.csv")])
    write_evaluation(folder, ROWS[0], "val", scores, asdict(known))
    (tmp_path / "manifest.csv").write_text("2")
    _, text, _, report = tabled(tmp_path, capsys)
    for format_ in (text, report):
        assert f"[a] vgg_s-rgb: {tmp_path / 'manifest.csv'} is not the manifest on record: sha256 " in format_
    (tmp_path / "manifest.csv").unlink()
    _, text, _, report = tabled(tmp_path, capsys)
    for format_ in (text, report):
        assert "Not compared, because no longer at the recorded path: manifest of vgg_s-rgb." in format_


@pytest.mark.parametrize(("facts", "marked"), [({}, True), ({"set_digest": "f" * 64}, False)])
def test_images_that_the_baseline_was_trained_on_are_counted(make, tmp_path, capsys, facts, marked):
    """The baseline learns from the train split of the scored set, like a net that was trained on that set."""
    folder = make(ROWS[0], facts=facts, trained_on=[TrainedOn("finetune", "faces", 3)])
    protocol, scores = read_evaluation(folder, "val")
    chosen = Choice("linear", 1.0, 0.0, folds=2, accuracy=0.5)
    how = BaselineProtocol("scikit-learn", "1.5", "val", protocol.set_folder, protocol.set_digest, 7, 7, 1, chosen)
    write_baseline(Baseline(how, scores), folder_of(tmp_path / "runs", protocol.set_digest))
    _, text, rows, _ = tabled(tmp_path, capsys)
    words = "trained on scored images: of 8 images, 3 in finetune on faces (val)"
    assert rows["vgg_s-rgb"]["marks"] == words
    assert rows["baseline: LBP histograms, SVM"]["marks"] == (words if marked else "")
    assert text.count("[a] trained on scored images") == 1


def test_a_set_that_changed_since_the_baseline_was_made(make, tmp_path, capsys):
    protocol, scores = read_evaluation(make(ROWS[0]), "val")
    (tmp_path / "manifest.csv").write_text("1")
    chosen = Choice("linear", 1.0, 0.0, folds=2, accuracy=0.5)
    how = BaselineProtocol("scikit-learn", "1.5", "val", protocol.set_folder, protocol.set_digest, 7, 7, 1, chosen)

    def with_inputs(*inputs):
        made = Baseline(replace(how, inputs=list(inputs)), scores)
        write_baseline(made, folder_of(tmp_path / "runs", protocol.set_digest))
        return tabled(tmp_path, capsys)

    recorded = taken("manifest", tmp_path / "manifest.csv")
    _, text, rows, _ = with_inputs(recorded)
    assert "[a]" not in text
    assert "marks" not in rows["baseline: LBP histograms, SVM"]
    (tmp_path / "manifest.csv").write_text("2")
    _, text, rows, report = with_inputs(recorded)
    said = f"baseline: LBP histograms, SVM: {tmp_path / 'manifest.csv'} is not the manifest on record: sha256 "
    for format_ in (text, report):
        assert f"[a] {said}" in format_
    assert "| 100.00 [a] |" in next(line for line in text.splitlines() if line.startswith("| baseline"))
    assert rows["baseline: LBP histograms, SVM"]["marks"].startswith(said)
    (tmp_path / "manifest.csv").unlink()
    _, text, _, _ = with_inputs(recorded)
    assert "Not compared, because no longer at the recorded path: manifest of baseline: LBP histograms, SVM." in text
    _, text, _, _ = with_inputs()
    assert "Not known, because not recorded: the inputs of the scores of baseline: LBP histograms, SVM." in text


def test_scores_and_protocol_must_be_of_one_evaluation(make, tmp_path, capsys):
    """They differ if `table` reads while `evaluate --force` writes."""
    folder = make(ROWS[0])
    _, scores = read_evaluation(folder, "val")
    other = scores_text(replace(scores, posteriors=scores.posteriors[::-1]))
    path = folder / "scores_val.csv"
    before, after = (sha256_of(content)[:12] for content in (path.read_bytes(), other.encode()))
    path.write_text(other)
    assert refused(tmp_path, capsys) == (
        f"emotiw: {path} is not the file that scores_val.json records: sha256 {after}, recorded {before}: "
        "if emotiw evaluate is writing there now, try again, else evaluate again with --force"
    )


@pytest.mark.parametrize("kind", [Protocol, Facts])
def test_a_field_changed_by_hand_removes_the_figure(make, tmp_path, capsys, kind):
    """Every field in turn."""
    folder, _ = make(ROWS[0]), make(ROWS[1])
    path = folder / {Protocol: "scores_val.json", Facts: "run.json"}[kind]
    kept = path.read_text()
    for field in fields(kind):
        values = json.loads(kept)
        old = values[field.name]
        if isinstance(old, dict):
            values[field.name] = {**old, "names": ["another"]}
        else:
            values[field.name] = not old if isinstance(old, bool) else old + old if old else [{}] if old == [] else "x"
        path.write_text(json.dumps(values))
        said, text, rows, report = tabled(tmp_path, capsys)
        assert rows[ROWS[0]]["accuracy"] == "", field.name
        assert rows[ROWS[0]]["marks"].startswith("unreadable: "), field.name
        for format_ in (said, text, report):
            assert f"unreadable: {path} is " in format_, field.name


def test_a_run_without_a_figure_is_a_line_of_the_table(make, tmp_path, capsys):
    make(ROWS[0])
    for row in ("vgg_s-lbp", "vgg_s-cyclic_lbp", "vgg_m_2048-rgb", "vgg_m_2048-lbp"):
        (make(row) / "scores_val.csv").unlink()
    runs = tmp_path / "runs"
    (runs / "vgg_s-cyclic_lbp/finetune/model.caffemodel").unlink()
    (runs / "vgg_m_2048-rgb/finetune/run.json").write_text("{")
    make("vgg_s-cyclic_lbp_5")
    (runs / "vgg_s-cyclic_lbp_5/finetune/scores_val.csv").write_text("path\n")
    said, text, rows, report = tabled(tmp_path, capsys)
    why = {
        "vgg_s-lbp": "not evaluated",
        "vgg_s-cyclic_lbp": "not finished",
        "vgg_m_2048-lbp": "not evaluated",
        "vgg_m_2048-rgb": f"unreadable: {runs}/vgg_m_2048-rgb/finetune/run.json is damaged",
        "vgg_s-cyclic_lbp_5": f"unreadable: {runs}/vgg_s-cyclic_lbp_5/finetune/scores_val.csv is not a table of scores",
    }
    for row, reason in why.items():
        assert rows[row]["marks"].startswith(reason)
        assert rows[row]["accuracy"] == ""
        for format_ in (said, text):
            assert re.search(rf"\| {row} +\| {re.escape(reason)}", format_), row
        assert re.search(rf"<td>{row}</td>\s*<td class=\"empty\" colspan=\"3\">{re.escape(reason)}", report), row
    _, text, rows, _ = tabled(tmp_path, capsys, "--rows", ROWS[0])
    assert set(rows) == {ROWS[0]}


def test_letters_continue_after_z():
    said = {f"{number}": [f"sentence {number}"] for number in range(28)}
    assert [Marks(said).at([name]) for name in ("0", "25", "26", "27")] == [" [a]", " [z]", " [aa]", " [ab]"]
    assert Marks(said).at(["1", "0", "none"]) == " [b] [a]"


# Frozen


@pytest.fixture(scope="module")
def drawn(tmp_path_factory):
    """Sets with test splits: `one`; `far`, with other pictures; `other`, with the val pictures of `one` as test."""
    folder = tmp_path_factory.mktemp("frozen")
    for name, seed in (("one", 0), ("far", 9)):
        for split in ("Train", "Val", "Test"):
            draw_expressions(folder / f"{name}/{split}", 1, 1, seed=seed + len(split) + ord(split[0]))
    shutil.copytree(folder / "far", folder / "other")
    shutil.rmtree(folder / "other/Test")
    shutil.copytree(folder / "one/Val", folder / "other/Test")
    for name in ("one", "other", "far"):
        prepare(folder / name, folder / f"{name} set", Settings("emotions", ("rgb",), 16))
    return {name: open_set(folder / f"{name} set") for name in ("one", "other", "far")}


def of_set(prepared):
    return {"set_folder": str(prepared.folder), "set_digest": prepared.digest}


def frozen(make, tmp_path, capsys, val, test, trained=0, **more):
    known = [TrainedOn("finetune", "faces", trained)]
    for row in ROWS:
        make(row, trained_on=known, **of_set(val))
        make(row, split="test", trained_on=known, **of_set(test), **more)
    _, text, _, report = tabled(tmp_path, capsys, "--split", "test")
    (line,) = [line for line in text.splitlines() if line.startswith(("Frozen: ", "NOT independent: "))]
    assert line.split("(")[0] in report
    return line


def test_frozen_compares_images_by_their_pixels(drawn, make, tmp_path, capsys):
    one = drawn["one"]
    assert frozen(make, tmp_path, capsys, one, one) == (
        "Frozen: weights are fitted on the 8 val images only, before test is read; of the 8 test images 0 are among "
        f"them, and 0 among the training images of a net, by pixels (val of one set ({one.digest[:8]}) and test of "
        f"one set ({one.digest[:8]})); they use no test label."
    )


def test_test_images_in_another_sets_val_are_not_frozen(drawn, make, tmp_path, capsys):
    line = frozen(make, tmp_path, capsys, drawn["one"], drawn["other"])
    assert line.startswith(
        "NOT independent: weights are fitted on the 8 val images only, before test is read, but of the "
    )
    assert (
        "of the 8 test images 7 (each picture counted once) are among them, and 0 among the training images of a net"
        in line
    )
    assert f"(val of one set ({drawn['one'].digest[:8]}) and test of other set ({drawn['other'].digest[:8]}))" in line


def test_test_images_that_a_net_was_trained_on_are_not_frozen(drawn, make, tmp_path, capsys):
    line = frozen(make, tmp_path, capsys, drawn["one"], drawn["far"], trained=2)
    assert "0 (each picture counted once) are among them, and 2 among the training images of a net" in line
    assert line.startswith("NOT independent")


def test_what_cannot_be_compared_is_not_known(drawn, make, tmp_path, capsys):
    line = frozen(make, tmp_path, capsys, drawn["one"], drawn["one"], trained=-1)
    assert "is a training image of a net (" in line
    gone = replace(drawn["one"], folder=tmp_path / "gone")
    line = frozen(make, tmp_path, capsys, gone, gone)
    assert "is among them (" in line


def test_val_and_test_are_of_the_same_crops(drawn, make, tmp_path, capsys):
    make(ROWS[0])
    make(ROWS[0], split="test", crops=10)
    line = refused(tmp_path, capsys, "--split", "test")
    assert "its test scores are of 10 crops, its val scores of 1: evaluate both splits in the same way" in line


def test_images_in_common():
    assert common(["a", "b", "b"], {"b", "c"}) == 2
    assert common(["a"], None) == common(["not known"], {"a"}) == -1


def test_a_set_with_another_digest_is_not_the_training_set(drawn):
    one = drawn["one"]
    assert len(pixels_at(str(one.folder), one.digest)) == 7
    assert pixels_at(str(one.folder), "0" * 64) is None


def test_another_rule_for_the_mean_is_marked(make, make_released, answers, tmp_path, capsys):
    """At the net's figure and at those of averages with it; nets by their own rules have no mark."""
    make("vgg_s-rgb", mean_rule="channel")
    make("vgg_s-lbp")
    make_released("VGG_S_rgb", answers(*LABELS), LABELS, mean_rule="channel")
    make_released("VGG_S_lbp", answers(*LABELS), LABELS)
    text, _, rows, report = tabled(tmp_path, capsys)
    words = {
        "vgg_s-rgb": "vgg_s-rgb: the mean was subtracted by the rule channel instead of its own, crop (val)",
        "VGG_S_rgb": "VGG_S_rgb: the mean was subtracted by the rule channel instead of its own, resize (val)",
    }
    for name, other in (("vgg_s-rgb", "vgg_s-lbp"), ("VGG_S_rgb", "VGG_S_lbp")):
        assert f"] {words[name]}." in text
        assert words[name] in report
        assert words[name] in rows[name]["marks"]
        assert rows[name]["mean_rule"] == "channel"
        assert "the mean was" not in rows[other]["marks"]
        assert rows[other]["mean_rule"] == ""
    (average,) = [row for name, row in rows.items() if name.endswith("uniform average") and "authors" not in name]
    assert words["vgg_s-rgb"] in average["marks"]
    assert "the mean is subtracted by the rule `resize`, which current Caffe applies" in text
    assert "of the authors' notebook, except where marked." in text


def test_the_usual_rules_are_no_column(make, make_released, answers, tmp_path, capsys):
    make("vgg_s-rgb")
    make_released("VGG_S_rgb", answers(*LABELS), LABELS)
    text, _, rows, _ = tabled(tmp_path, capsys)
    assert "mean_rule" not in rows["vgg_s-rgb"]
    assert "except where marked" not in text


@pytest.mark.parametrize("other", ["val", "test"])
def test_another_rule_is_marked_on_the_split_that_it_was_used_on(make, tmp_path, capsys, other):
    """Also if the figures are by the usual rule, but the weights were fitted on scores by another."""
    for split in ("val", "test"):
        for row in ROWS:
            make(row, split=split, mean_rule="resize" if split == other else "crop")
    text, *_ = tabled(tmp_path, capsys, "--split", "test")
    for row in ROWS:
        assert f"] {row}: the mean was subtracted by the rule resize instead of its own, crop ({other})." in text
