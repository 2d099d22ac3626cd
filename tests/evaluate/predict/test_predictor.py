"""`emotiw predict` and `emotiw explain` with small trained nets, in the real Caffe."""

import csv
import io
import json
import resource
import shutil

import cv2
import numpy as np
import pytest

from emotiw.__main__ import main
from emotiw.engine.preprocessing import MEAN_RULES, resize
from emotiw.errors import EmotiwError
from emotiw.evaluate.model import open_model
from emotiw.evaluate.predict.explain import explain, tiles
from emotiw.evaluate.predict.faces import Face, Failure, find
from emotiw.evaluate.predict.predictor import Prediction, Predictor
from emotiw.evaluate.table.table_csv import ensemble_weights
from emotiw.lbp_mapping.mapping import map_image
from emotiw.lbp_mapping.representation import parse
from emotiw.prototxt.formats.blobs import read_mean, read_weights

pytestmark = pytest.mark.caffe

OWN = "cyclic_lbp_r3_t5"


@pytest.fixture(scope="module")
def models(runs):
    return [open_model(runs / f"vgg_s_small-{name}/finetune") for name in ("rgb", OWN)]


@pytest.fixture(scope="module")
def predictor(models, engine):
    with Predictor(models, engine) as predictor:
        yield predictor


@pytest.fixture
def files(sets):
    """A few of the drawn faces."""
    return [str(path) for path in sorted((sets / "faces/expressions").rglob("*.png"))[::17]][:5]


def faces(files):
    return [find(cv2.imread(file)[..., ::-1], file, detect=False)[0] for file in files]


def test_each_model_gets_the_input_that_it_was_made_for(predictor, models, files):
    """Mapped at native size, then resized by pycaffe's rule, cropped, B G R, minus the centre of the mean."""
    (face, *_) = faces(files)
    for blob, model, name in zip(predictor.inputs(face.rgb), models, ("rgb", OWN), strict=True):
        picture = resize(map_image(face.rgb, parse(name)), 64)[4:60, 4:60]
        mean = MEAN_RULES["crop"](read_mean(model.mean_file), 56)
        np.testing.assert_allclose(blob[0], picture[..., ::-1].transpose(2, 0, 1) - mean, rtol=0, atol=1e-4)


def test_batches_change_nothing_and_failures_keep_their_places(predictor, files):
    some = faces(files) * 5
    tiny = np.zeros((5, 5, 3), np.uint8)
    given = [*some[:3], Failure("x", "y"), Face("tiny", 1, None, tiny, tiny), *some[3:]]
    found = list(predictor.predict(given))
    assert [type(one) for one in found] == [Prediction] * 3 + [Failure] * 2 + [Prediction] * 22
    assert found[3] == given[3]
    assert found[4].reason.startswith("face 1: ")
    alone = predictor.scores(predictor.inputs(some[0].rgb))
    np.testing.assert_allclose(found[0].posteriors, alone, rtol=0, atol=1e-6)
    np.testing.assert_allclose(found[7].posteriors, alone, rtol=0, atol=1e-6)
    np.testing.assert_allclose(found[0].average, alone.mean(axis=0), rtol=0, atol=1e-6)
    assert len(list(predictor.predict([]))) == 0


def test_weights_of_a_table_weigh(models, engine, files, tmp_path):
    table = tmp_path / "table.csv"
    table.write_text(f"name,weight\nvgg_s_small-rgb,0.3\nvgg_s_small-{OWN},0.1\nother,0.6\nensemble,\n")
    weights = ensemble_weights(models, table)
    assert weights.tolist() == pytest.approx([0.75, 0.25])
    with Predictor(models, engine, weights=weights) as predictor:
        (found,) = predictor.predict(faces(files[:1]))
    np.testing.assert_allclose(found.average, 0.75 * found.posteriors[0] + 0.25 * found.posteriors[1], atol=1e-9)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("no table", "not a table of emotiw table"),
        ("name,weight\nvgg_s_small-rgb,heavy\n", "not a table of emotiw table"),
        ("name,weight\nvgg_s_small-rgb,1\n", f"has no weight for vgg_s_small-{OWN}"),
        (f"name,weight\nvgg_s_small-rgb,0\nvgg_s_small-{OWN},0\n", "the weight 0: name others"),
        (
            f"name,weight\nvgg_s_small-rgb,nan\nvgg_s_small-{OWN},1\n",
            "line 2: weight: .* not a table of emotiw table: give its table.csv",
        ),
    ],
)
def test_a_table_without_the_weights_is_one_line(models, tmp_path, text, words):
    (tmp_path / "table.csv").write_text(text)
    with pytest.raises(EmotiwError, match=words):
        ensemble_weights(models, tmp_path / "table.csv")


@pytest.fixture
def run_names(runs):
    return [str(runs / f"vgg_s_small-{name}/finetune") for name in ("rgb", OWN)]


def test_the_three_formats_say_the_same(files, run_names, models, capsys):
    said = {}
    for form in ("text", "json", "csv"):
        assert main(["predict", *files, "--aligned", "--model", *run_names, "--format", form, "--top", "7"]) == 0
        said[form] = capsys.readouterr()
    document = json.loads(said["json"].out)
    rows = list(csv.DictReader(io.StringIO(said["csv"].out)))
    lines = said["text"].out.splitlines()
    assert [record["image"] for record in document["pictures"]] == files
    assert len(rows) == 3 * len(files)
    assert len(lines) == 2 + 3 * len(files)
    for number, record in enumerate(document["pictures"]):
        for place, (name, posteriors) in enumerate(record["posteriors"].items()):
            row = rows[3 * number + place]
            assert (row["image"], row["model"]) == (record["image"], name)
            for kind, value in posteriors.items():
                assert float(row[kind]) == pytest.approx(value, abs=1e-6)
            assert sum(posteriors.values()) == pytest.approx(1, abs=1e-5)
            line = lines[2 + 3 * number + (place + 1) % 3]  # the average's comes first
            likeliest = max(posteriors, key=posteriors.get)
            assert f": {likeliest} {posteriors[likeliest]:.4f}, " in line
            assert len(line.split(", ")) == 7 + (name == "average")
    # The output describes the preprocessing: representation, size, crop, mean rule, engine.
    description = (
        f"vgg_s_small-{OWN}/finetune: {OWN}, resized to 64 x 64, the centre crop of 56 x 56, BGR, minus the mean "
    )
    description += "cropped to it, Caffe 1."
    assert lines[1].startswith(description)
    assert description in said["csv"].err
    assert document["models"][1]["run"].startswith(description)


def test_predictions_of_a_sets_pictures_equal_those_of_evaluate(runs, sets, tmp_path, capsys):
    """The pictures are 64 x 64, so nothing is resized."""
    from emotiw.data_prep.prepared_set import open_set
    from emotiw.evaluate.scores import read_scores

    folder = runs / "vgg_s_small-rgb/finetune"
    for number, record in enumerate(open_set(sets / "expressions").records("rgb", "val")):
        cv2.imwrite(str(tmp_path / f"{number:03d}.png"), record.blob.transpose(1, 2, 0))
    assert main(["predict", str(tmp_path), "--aligned", "--model", str(folder), "--format", "csv"]) == 0
    rows = list(csv.DictReader(io.StringIO(capsys.readouterr().out)))
    scores = read_scores(folder / "scores_val.csv")
    found = np.array([[float(row[kind]) for kind in scores.classes] for row in rows])
    np.testing.assert_allclose(found, scores.posteriors, rtol=0, atol=2e-6)


def test_failures_are_in_every_format_and_alone_an_error(files, run_names, tmp_path, capsys):
    grey = tmp_path / "grey.png"
    cv2.imwrite(str(grey), np.full((80, 80, 3), 99, np.uint8))
    for form in ("text", "json", "csv"):
        command = ["predict", "--detect", "--model", run_names[0], "--format", form]
        assert main([*command, str(grey)]) == 1
        said = capsys.readouterr()
        assert "no face found" in said.out
        assert said.err.splitlines()[-1] == "emotiw: no face was scored"
        if form == "json":
            assert json.loads(said.out)["pictures"][0]["image"] == str(grey)
    (tmp_path / "x.png").write_text("x")
    assert main(["predict", "--model", run_names[0], "--aligned", files[0], str(tmp_path / "x.png")]) == 0
    assert "1 faces scored; 1 pictures or faces were not" in capsys.readouterr().err


def test_figures_are_written_and_never_over_others(files, run_names, tmp_path, capsys):
    command = ["predict", *files[:2], "--aligned", "--model", *run_names, "--figure", "-o", str(tmp_path)]
    assert main(command) == 0
    written = sorted(tmp_path.iterdir())
    assert len(written) == 2
    for path in written:
        assert path.name.endswith(".prediction.png")
        assert min(cv2.imread(str(path)).shape[:2]) > 300
    capsys.readouterr()
    assert main(command) == 1
    assert "exists already: give --force" in capsys.readouterr().err
    assert main(["predict", files[0], files[0], "--figure", "-o", str(tmp_path / "x"), "--model", *run_names]) == 2
    assert "would both become" in capsys.readouterr().err


def test_what_explain_shows_is_what_caffe_has(predictor, models, files):
    (face, *_) = faces(files)
    for one, model in zip(explain(face, predictor), models, strict=True):
        filters, bias = read_weights(model.weights)["conv1"]
        np.testing.assert_array_equal(one.filters, filters)
        assert one.response.shape == (24, 25, 25)
        # The first filter at the top left corner, by hand: a product and a sum, the bias, nothing below 0.
        patch = one.blob[:, :7, :7].astype(np.float64)
        assert one.response[0, 0, 0] == pytest.approx(max(0, (patch * filters[0]).sum() + bias[0]), abs=1e-3)
        assert one.response.min() == 0
        assert one.response.max() > 0
        picture = resize(map_image(face.rgb, parse(model.representation)), 64)[4:60, 4:60]
        np.testing.assert_allclose(one.seen, picture, rtol=0, atol=1e-3)


def test_explain_writes_one_picture(files, run_names, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    command = ["explain", files[0], "--aligned", "--model", *run_names]
    assert main(command) == 0
    (written,) = tmp_path.iterdir()
    assert capsys.readouterr().out.splitlines()[-1] == f"{files[0]}: whole picture -> {written.name}"
    assert min(cv2.imread(str(written)).shape[:2]) > 600
    assert main(command) == 1
    assert "exists already: give --force" in capsys.readouterr().err
    folder = str(tmp_path / "faces")
    (tmp_path / "faces").mkdir()
    for name in ("a.png", "b.png"):
        shutil.copy(files[0], tmp_path / "faces" / name)
    assert main(["explain", folder, "--model", *run_names]) == 1
    assert "is a folder of 2 pictures: name one of them" in capsys.readouterr().err


def test_tiles_by_hand():
    images = np.array([[[0, 2]], [[4, 2]], [[1, 3]]], np.float32)
    rows = [[0, 0.5, 1, 1, 0.5], [1, 1, 1, 1, 1], [0.25, 0.75, 1, 1, 1]]
    assert tiles(images).tolist() == rows
    assert tiles(np.zeros((1, 2, 2, 3), np.float32)).shape == (2, 2, 3)


def test_nets_of_other_classes_do_not_predict_together(models, runs, engine):
    people = open_model(runs / "vgg_s_small-rgb/pretrain")
    with pytest.raises(EmotiwError, match="have different classes"):
        Predictor([models[0], people], engine)


@pytest.mark.slow
def test_memory_does_not_grow_with_the_number_of_pictures(files, run_names, tmp_path, capsys):
    shutil.copy(files[0], tmp_path / "00000.png")
    for number in range(1, 10_000):
        (tmp_path / f"{number:05d}.png").hardlink_to(tmp_path / "00000.png")
    command = ["predict", "--aligned", "--model", run_names[0], "--format", "csv"]
    assert main([*command, *(str(tmp_path / f"{number:05d}.png") for number in range(100))]) == 0
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    assert main([*command, str(tmp_path)]) == 0
    grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    assert len(capsys.readouterr().out.splitlines()) > 10_000
    assert grown < 30 * 1024  # KiB: the list of names, and the answers that pytest keeps


def test_two_models_of_one_name_are_refused(run_names, files, tmp_path, capsys):
    other = shutil.copytree(run_names[0], tmp_path / "vgg_s_small-rgb/finetune")
    assert main(["predict", files[0], "--aligned", "--model", run_names[0], str(other)]) == 2
    assert "two models are named vgg_s_small-rgb/finetune: give one of them" in capsys.readouterr().err


def test_weights_of_another_kind_of_nets_are_refused(models, tmp_path):
    """For example, weights fitted for stand-ins, which have the released models' names."""
    table = tmp_path / "table.csv"
    kind = "STAND-INS (random weights), our code"
    table.write_text(f'name,weight,kind\nvgg_s_small-rgb,0.3,"{kind}"\nvgg_s_small-{OWN},0.1,"{kind}"\n')
    with pytest.raises(EmotiwError, match=r"has the weights of an ensemble of STAND-INS .* is trained here"):
        ensemble_weights(models, table)
    table.write_text("name,weight\n" + "x" * 200_000 + ",1\n")
    with pytest.raises(EmotiwError, match="not a table of emotiw table"):
        ensemble_weights(models, table)


def test_one_number_for_each_channel_is_said_and_shown(files, run_names, engine, tmp_path, capsys):
    """Also `explain` adds it back, so its picture is the face."""
    model = open_model(run_names[0])
    assert main(["predict", files[0], "--aligned", "--model", run_names[0], "--mean", "channel"]) == 0
    assert ", BGR, minus the mean's average of each channel, Caffe" in capsys.readouterr().out
    (face,) = faces(files[:1])
    seen = []
    for rule in ("crop", "channel"):
        with Predictor([model], engine, mean_rule=rule) as predictor:
            seen.append(explain(face, predictor)[0])
    np.testing.assert_allclose(seen[0].seen, seen[1].seen, rtol=0, atol=1e-4)
    assert seen[1].seen.dtype == seen[1].blob.dtype == np.float32
    assert abs(seen[0].posteriors - seen[1].posteriors).max() > 1e-4
