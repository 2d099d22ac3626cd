"""The correct preprocessing is that of `emotiw evaluate`, and each mistake changes what its name says."""

import importlib.util
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from emotiw.data_prep.prepared_set import open_set
from emotiw.engine.caffe.scorer import CaffeScorer
from emotiw.errors import EmotiwError
from emotiw.evaluate.model import open_model
from emotiw.evaluate.scores import Scores, read_scores
from emotiw.lbp_mapping.mapping import map_image
from emotiw.lbp_mapping.representation import parse
from emotiw.lbp_mapping.tables import palette
from emotiw.prototxt.formats.messages import NetParameter, format_text
from emotiw.prototxt.surgery import committed

SCRIPT = Path(__file__).parents[2] / "benchmarks/mistakes.py"
ROWS = ("vgg_s_small-rgb", "vgg_s_small-cyclic_lbp_r3_t5")


def load():
    spec = importlib.util.spec_from_file_location("mistakes", SCRIPT)
    module = importlib.util.module_from_spec(spec)
    sys.modules["mistakes"] = module  # for its dataclass
    spec.loader.exec_module(module)
    return module


mistakes = load()
WAYS = {**mistakes.MISTAKES, **mistakes.OF_MAPPED_MODELS}


@pytest.mark.caffe
@pytest.mark.parametrize("row", ROWS)
def test_the_right_way_is_that_of_evaluate_and_no_mistake_is(row, runs, sets):
    found = mistakes.measure(
        open_model(runs / row / "finetune"), open_set(sets / "expressions"), sets / "faces/expressions"
    )
    evaluated = read_scores(runs / row / "finetune/scores_val.csv")
    order = [evaluated.paths.index(path) for path in found["none"].paths]
    assert found["none"].accuracy == evaluated.accuracy
    np.testing.assert_array_equal(found["none"].labels, evaluated.labels[order])
    np.testing.assert_allclose(found["none"].posteriors, evaluated.posteriors[order], rtol=0, atol=1e-6)
    assert set(found) == set(mistakes.MISTAKES if row.endswith("rgb") else WAYS)
    for name, scores in found.items():
        assert name == "none" or np.abs(scores.posteriors - found["none"].posteriors).max() > 1e-6, name


@pytest.mark.caffe
def test_the_script_prints_its_table_and_refuses_other_pictures(runs, sets, tmp_path):
    def call(source):
        command = [sys.executable, "-P", SCRIPT, sets / "expressions", source, runs / "vgg_s_small-rgb/finetune"]
        return subprocess.run(command, capture_output=True, text=True, check=False)

    printed = call(sets / "faces/expressions").stdout.splitlines()
    assert printed[0] == "vgg_s_small-rgb/finetune, n = 28"
    assert [line.split("|")[1].strip() for line in printed[4:-1]] == list(mistakes.MISTAKES)
    for row in open_set(sets / "expressions").manifest:
        (tmp_path / row["path"]).parent.mkdir(exist_ok=True)
        (tmp_path / row["path"]).write_bytes(b"another picture")
    assert call(tmp_path).stderr.startswith(f"{tmp_path} does not hold the pictures that ")


def test_a_line_by_hand():
    def scores(*answers):
        return Scores(("a", "b", "c", "d"), np.array([0, 1, 1, 2]), ("Angry", "Happy", "Sad"), np.eye(3)[list(answers)])

    # One of two smiles is classified as Angry; Angry is predicted three times of four, once correctly; Sad is correct.
    assert mistakes.line("x", scores(0, 0, 0, 2), scores(0, 1, 1, 2)) == [
        "x",
        "50.00",
        "-50.00",
        "100.00",
        "Angry (75%)",
    ]
    assert mistakes.line("y", scores(0, 0, 1, 2), scores(0, 1, 1, 2))[3] == "50.00"


MEAN = np.arange(3 * 8 * 8, dtype=np.float32).reshape(3, 8, 8)
RGB_MODEL = SimpleNamespace(
    representation="rgb", size=8, crop=7, mean=MEAN, input_mean=lambda: MEAN[:, :7, :7]
)  # every image of 8 x 8 stays unchanged
PICTURE = np.random.default_rng(0).integers(0, 256, (8, 8, 3), np.uint8)
RIGHT = PICTURE[..., [2, 1, 0]].transpose(2, 0, 1)


def test_channels_range_and_means_by_hand():
    images = {name: way.image(PICTURE, False, RGB_MODEL) for name, way in mistakes.MISTAKES.items()}
    np.testing.assert_array_equal(images["none"], RIGHT)
    np.testing.assert_array_equal(images["RGB instead of BGR"], RIGHT[::-1])
    np.testing.assert_allclose(images["values in 0..1"] * 255, RIGHT, rtol=1e-6)
    for name in ("no mean subtracted", "ImageNet's mean", "one number per channel", "a 256-pixel input"):
        np.testing.assert_array_equal(images[name], RIGHT)
    means = {name: way.mean(RGB_MODEL) for name, way in mistakes.MISTAKES.items()}
    np.testing.assert_array_equal(means["none"], MEAN[:, :7, :7])
    assert not means["no mean subtracted"].any()
    assert means["no mean subtracted"].shape == means["ImageNet's mean"].shape == (3, 7, 7)
    assert means["one number per channel"].shape == (3, 7, 7)
    assert [np.unique(each).tolist() for each in means["one number per channel"]] == [[31.5], [95.5], [159.5]]
    assert means["ImageNet's mean"][:, 3, 4].tolist() == [104, 117, 123]  # blue, green, red
    np.testing.assert_array_equal(means["a 256-pixel input"], MEAN)


def test_a_larger_input():
    for crop, larger in ((224, 227), (56, 57)):
        model = SimpleNamespace(representation="rgb", crop=crop, mean=np.ones((3, crop * 8 // 7, crop * 8 // 7)))
        way = WAYS["a 227-pixel input"]
        assert way.image(PICTURE, False, model).shape == way.mean(model).shape == (3, larger, larger)


def test_the_whole_frame_by_hand(monkeypatch):
    frame = mistakes.framed(PICTURE)
    assert frame.shape == (16, 24, 3)
    np.testing.assert_array_equal(frame[4:12, 8:16], PICTURE)
    assert np.abs(frame[:4].astype(int) - PICTURE[0, 0]).mean() < 4
    way, right = WAYS["the whole frame"], WAYS["none"]
    np.testing.assert_array_equal(way.face(PICTURE, False), frame)
    np.testing.assert_array_equal(right.face(PICTURE, False), PICTURE)
    monkeypatch.setattr(mistakes, "crop_face", lambda rgb: rgb[2:4, 3:5])
    np.testing.assert_array_equal(way.face(PICTURE, True), PICTURE)
    np.testing.assert_array_equal(right.face(PICTURE, True), PICTURE[2:4, 3:5])


def test_what_is_mapped_by_hand():
    representation = parse("cyclic_lbp")
    colours = palette("cyclic_lbp")
    mapped = {name: way.mapped(PICTURE, representation) for name, way in WAYS.items()}
    np.testing.assert_array_equal(mapped["none"], map_image(PICTURE, representation))
    np.testing.assert_array_equal(mapped["RGB, not mapped"], PICTURE)
    codes = mapped["codes, not their colours"]
    np.testing.assert_array_equal(codes[..., 0], codes[..., 2])
    np.testing.assert_array_equal(colours[codes[..., 1]], mapped["none"])
    # All pixels are equal: no neighbour is darker, except outside scikit-image's border.
    alike = np.full((4, 5, 3), 128, np.uint8)
    padded = WAYS["scikit-image's LBP"].mapped(alike, representation)
    assert padded.shape == (4, 5, 3)
    assert (padded[1:3, 1:4] == colours[255]).all()
    assert padded[0, 0].tolist() == colours[1 + 64 + 128].tolist()  # E, S, SE are inside
    assert (WAYS["the same, its border cut off"].mapped(alike, representation) == colours[255]).all()
    # MATLAB's grey of both colours is 29. OpenCV's of the one in the north is 28, darker than the centre: NE, N and NW,
    # bits 1, 2 and 3, are not set.
    other = np.full((3, 3, 3), 29, np.uint8)
    other[0, 1] = 0, 0, 250
    assert map_image(other, representation)[0, 0].tolist() == colours[255].tolist()
    assert WAYS["OpenCV's grey"].mapped(other, representation)[0, 0].tolist() == colours[255 - 14].tolist()


def test_resizing_before_mapping_by_hand():
    model = SimpleNamespace(representation="lbp", size=8)
    large = PICTURE.repeat(2, axis=0).repeat(2, axis=1)  # made smaller, it is PICTURE again
    # The map of 8 x 8 is 6 x 6, and is enlarged once more: the corners stay.
    image = WAYS["resized before mapping"].image(large, False, model)
    assert image.shape == (3, 8, 8)
    assert image[::-1, 0, 0].tolist() == map_image(PICTURE, parse("lbp"))[0, 0].tolist()


@pytest.mark.caffe
def test_which_inputs_vgg_s_takes_and_says_nothing(describe, tmp_path):
    def pool5(side):
        net = NetParameter()
        net.CopyFrom(committed("vgg_s", "deploy.prototxt"))
        del net.layer[[layer.name for layer in net.layer].index("pool5") + 1 :]
        net.layer[0].input_param.shape[0].dim[2:] = [side, side]
        (tmp_path / "deploy.prototxt").write_text(format_text(net))
        return describe(tmp_path / "deploy.prototxt")["blobs"]["pool5"][2:]

    # Between 223 and 258, so at 224, 227 and 256, fc6 sees what it was trained to see: 7 x 7.
    assert [pool5(side) for side in (222, 223, 258, 259)] == [[6, 6], [7, 7], [7, 7], [8, 8]]


@pytest.mark.caffe
def test_which_inputs_the_small_net_takes_and_says_nothing(caffe, runs):
    folder = runs / "vgg_s_small-rgb/finetune"

    def scored(*sides):
        with CaffeScorer(caffe, folder / "deploy.prototxt", folder / "model.caffemodel") as scorer:
            return [scorer.scores(np.zeros((1, 3, side, side), np.float32)).shape for side in sides]

    assert scored(43, 57, 64, 78) == 4 * [(1, 7)]
    for side in (42, 79):
        with pytest.raises(EmotiwError, match="Input size incompatible with inner product parameters"):
            scored(side)
