"""Classes of one's own, from a folder to a prediction by the real Caffe: eight emotions with contempt, and two sides.

Everything that knows the classes of a net has those of its set, and refuses what has others.
"""

import csv
import json
import shutil
from pathlib import Path

import onnx
import pytest

from emotiw.__main__ import main
from emotiw.data_prep.emotions import EMOTIONS
from emotiw.data_prep.synthetic.faces import draw_expressions
from emotiw.evaluate.scores import read_scores
from emotiw.evaluate.serve.page import render_title
from emotiw.prototxt.formats.blobs import read_weights
from emotiw.train.run_folder import Run

pytestmark = pytest.mark.caffe

EIGHT = ("Angry", "Contempt", "Disgust", "Fear", "Happy", "Neutral", "Sad", "Surprise")
SIDES = ("positive", "negative")
ROWS = ("vgg_s_small-rgb", "vgg_s_small-cyclic_lbp")
OF = {"eight": EIGHT, "sides": SIDES, "swapped": SIDES[::-1], "emotions": EMOTIONS}


def run(*words: object) -> None:
    assert main([*map(str, words)]) == 0, words


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """Sets of one folder of drawn faces, some of which are called contempt; a run of two rows on each, scored."""
    folder = tmp_path_factory.mktemp("own classes")
    draw_expressions(folder / "faces", 6, 2, seed=0)
    for path in sorted((folder / "faces").glob("Disgust/*_001.png")):
        path.rename(path.with_name(f"contempt {path.name}"))
    (folder / "faces/contempt").mkdir()
    for path in (folder / "faces/Disgust").glob("contempt*"):
        path.rename(folder / "faces/contempt" / path.name.removeprefix("contempt "))
    spelled = {"positive": "positive: happy, surprise", "negative": "negative: sad, fear, angry, disgust, contempt"}
    for name, classes in OF.items():
        lines = folder / f"{name}.txt"
        lines.write_text("\n".join(spelled.get(one, one) for one in classes))
        labels = ["emotions"] if name == "emotions" else ["classes", "--classes", lines]
        words = ["--val", 0.34, "--group", r"actor\d+", "-r", "rgb", "cyclic_lbp", "--size", 64]
        run("prepare", folder / "faces", "-o", folder / name, "--labels", *labels, *words)
    for name in ("eight", "sides"):
        to = ["--set", folder / name, "-o", folder / f"runs-{name}"]
        for row in ROWS:
            run("finetune", row, *to, "--from", "scratch", "--iterations", 1)
        models = [folder / f"runs-{name}/{row}/finetune" for row in ROWS]
        run("evaluate", *models, "--set", folder / name)
        run("baseline", *to)
    return folder


def said(capsys, *words: object, status: int = 1) -> str:
    """The one line of a refusal."""
    capsys.readouterr()
    assert main([*map(str, words)]) == status
    line = capsys.readouterr().err.strip().split("\n")[-1]
    assert line.startswith("emotiw: ")
    return line


def model(made: Path, name: str, row: str = ROWS[0]) -> Path:
    return made / f"runs-{name}/{row}/finetune"


@pytest.mark.parametrize("name", ["eight", "sides"])
def test_a_run_has_the_classes_of_its_set(made, name):
    found, classes = Run(model(made, name)), OF[name]
    assert tuple(found.facts().classes) == classes
    assert read_weights(found.model)["fc8_cat"][0].shape[0] == len(classes)
    scores = read_scores(found.folder / "scores_val.csv")
    assert scores.classes == classes
    with (found.folder / "confusion_val.csv").open(newline="") as file:
        head, *rows = csv.reader(file)
    assert (head[1:], [row[0] for row in rows]) == ([*classes], [*classes])
    assert sum(int(count) for row in rows for count in row[1:]) == len(scores.labels) > 20


@pytest.mark.parametrize("name", ["eight", "sides"])
def test_a_table_has_ensemble_and_baseline_and_says_that_nothing_is_published(made, name, tmp_path, capsys):
    mine = tmp_path / "published.csv"
    head = "method,net,representation,dataset,split,n,accuracy,mean_class_accuracy,protocol,source,standing"
    mine.write_text(f"{head}\nother,ensemble,,faces,val,,51.75,,,paper,verified\n")
    run("table", made / f"runs-{name}", "-o", tmp_path / "table", "--published", mine)
    out, text = capsys.readouterr().out, (tmp_path / "table/table.md").read_text()
    classes = OF[name]
    assert f"Classes: {', '.join(classes)}; not the paper's seven emotions, so its published figures are not" in text
    assert "51.75" not in text
    assert "in the paper" not in text
    assert "ensemble of 2" in text
    assert "baseline: LBP histograms, SVM" in text
    assert "(not in EmotiW's submission format, which needs the seven emotions)" in out
    assert all(f"| {one} " in (tmp_path / "table/errors.md").read_text() for one in classes)
    report = (tmp_path / "table/report.html").read_text()
    assert "Representations and ensemble, compared" in report
    assert "The paper's claims" not in report
    predictions = (tmp_path / "table/predictions_val.txt").read_text().splitlines()
    assert {line.rpartition(" ")[2] for line in predictions} <= {*classes}


@pytest.mark.parametrize("name", ["eight", "sides"])
def test_predictions_are_of_these_classes(made, name, tmp_path, capsys):
    face, models = next((made / "faces/contempt").glob("*.png")), [model(made, name, row) for row in ROWS]
    both = ["--model", models[0], "--model", models[1]]
    run("table", made / f"runs-{name}", "-o", tmp_path / "table")
    capsys.readouterr()
    run("predict", face, *both, "--weights", tmp_path / "table/table.csv", "--format", "json")
    found = json.loads(capsys.readouterr().out)
    assert tuple(found["classes"]) == OF[name]
    run("predict", face, "--model", models[0], "--format", "csv", "--figure", "-o", tmp_path)
    head = next(csv.reader(capsys.readouterr().out.splitlines()))
    assert head[8 : 8 + len(OF[name])] == [*OF[name]]
    assert len([*tmp_path.glob("*.png")]) == 1


def test_a_prediction_of_two_classes_is_explained(made, tmp_path):
    face = next((made / "faces/contempt").glob("*.png"))
    run("explain", face, "--model", model(made, "sides"), "-o", tmp_path / "explained.png")
    assert (tmp_path / "explained.png").is_file()


@pytest.mark.parametrize("name", ["eight", "sides"])
def test_an_exported_model_names_these_classes(made, name, tmp_path, capsys):
    run("export", model(made, name), "-o", tmp_path / "net.onnx")
    assert capsys.readouterr().out.endswith(f": {', '.join(OF[name])}\n")
    facts = {one.key: one.value for one in onnx.load(tmp_path / "net.onnx").metadata_props}
    assert tuple(json.loads(facts["classes"])) == OF[name]


@pytest.mark.parametrize(
    ("net", "over", "words"),
    [
        (
            "eight",
            "emotions",
            "has the classes Angry, Disgust, Fear, Happy, Neutral, Sad, Surprise, and {} has Angry, Con",
        ),
        ("sides", "eight", "and {} has positive, negative"),
        ("sides", "swapped", "has the classes negative, positive, and {} has the same in another order: positive, neg"),
    ],
)
def test_a_set_of_other_classes_is_not_scored(made, net, over, words, capsys):
    line = said(capsys, "evaluate", model(made, net), "--set", made / over, "--as", "other")
    assert words.format(f"{ROWS[0]}/finetune") in line
    assert line.endswith(": give a set with its classes")


def test_models_of_other_classes_are_not_averaged(made, capsys):
    face, models = next((made / "faces/Happy").glob("*.png")), [model(made, "eight"), model(made, "sides", ROWS[1])]
    both = ["--model", models[0], "--model", models[1]]
    for words in (["predict", face, *both], ["serve", *both, "--port", 0]):
        line = said(capsys, *words)
        assert "have different classes: the first has the classes positive, negative, and the other has Angry" in line


def test_runs_of_other_classes_share_no_table(made, tmp_path, capsys):
    shutil.copytree(made / "runs-eight", tmp_path / "runs")
    shutil.rmtree(tmp_path / "runs" / ROWS[1])
    shutil.copytree(made / "runs-sides" / ROWS[1], tmp_path / "runs" / ROWS[1])
    line = said(capsys, "table", tmp_path / "runs", "-o", tmp_path / "table")
    assert "vgg_s_small-cyclic_lbp has the classes positive, negative, and vgg_s_small-rgb has Angry, Cont" in line
    assert line.endswith(": name nets of the same classes with --rows, or move the others elsewhere")


def test_tables_of_other_classes_are_not_compared(made, tmp_path, capsys):
    line = said(capsys, "table", made / "runs-eight", "-o", tmp_path, "--against", made / "runs-sides")
    assert "this table has the classes Angry, Contempt, " in line
    assert "and the other table has positive, negative, so their figures are not compared" in line


def test_weights_for_other_classes_do_not_fill_the_last_layer(made, tmp_path, capsys):
    """Both nets have two outputs, but the first of one is positive, of the other negative."""
    words = ["finetune", ROWS[0], "--set", made / "swapped", "-o", tmp_path, "--iterations", 1]
    run(*words, "--from", model(made, "sides"))
    out = capsys.readouterr().out
    assert "  fc8_cat_new: not in the weights, starts from its filler\n" in out
    assert "the last layer is new: " in out
    assert "has the same in another order: positive, negative\n" in out
    assert "fc8_cat_new" in read_weights(Run(tmp_path / ROWS[0] / "finetune").model)
    run(*words[:3], made / "sides", *words[4:], "--from", model(made, "sides"), "--force")
    assert "weights: 8 of the net's 8 layers copied\nmodel: " in capsys.readouterr().out


def test_another_list_of_classes_is_another_run(made, tmp_path, capsys):
    """Sets may differ in a class without pictures only; then their manifests are equal."""
    for number, classes in enumerate(("Angry,Happy,Sad", "Angry,Happy,Sad,Bored")):
        words = ["--labels", "classes", "--classes", classes, "-r", "rgb", "--size", 64]
        run("prepare", made / "faces", "-o", tmp_path / f"set{number}", *words)
    words = ["finetune", ROWS[0], "-o", tmp_path / "runs", "--from", "scratch", "--iterations", 1, "--set"]
    run(*words, tmp_path / "set0")
    assert "has another run (set_digest " in said(capsys, *words, tmp_path / "set1")


def test_numbers_as_names_are_those_of_one_set(made, tmp_path, capsys):
    files = sorted((made / "faces/Happy").glob("*.png"))
    for name, split in (("one", "train"), ("two", "val")):
        rows = [f"{path.name},{number % 2},{('train', split)[number > 5]}" for number, path in enumerate(files)]
        folder = tmp_path / name
        shutil.copytree(made / "faces/Happy", folder)
        (folder / "faces.csv").write_text("\n".join(["path,label,split", *rows]))
        run("prepare", folder, "-o", tmp_path / f"set-{name}", "--labels", "classes", "-r", "rgb", "--size", 64)
    words = ["--set", tmp_path / "set-one", "-o", tmp_path / "runs", "--from", "scratch", "--iterations", 1]
    run("finetune", ROWS[0], *words)
    line = said(capsys, "evaluate", tmp_path / "runs" / ROWS[0] / "finetune", "--set", tmp_path / "set-two")
    assert "equal numbers in another set may be other classes: give that set" in line


def test_the_page_speaks_of_emotions_only_for_emotions():
    assert "The emotion of a face" in render_title(EMOTIONS)
    assert "The class of a face" in render_title(EIGHT)


@pytest.mark.slow
def test_a_reproduction_on_two_classes(made, tmp_path, capsys):
    words = ["--finetune", made / "sides", "--rows", ROWS[0], "--iterations", 1, "-o", tmp_path / "r", "--dry-run"]
    run("reproduce", *words)
    assert "finetune on" in capsys.readouterr().out
