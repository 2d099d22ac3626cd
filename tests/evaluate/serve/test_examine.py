"""The page's results for a picture, with fake models."""

import base64
import html
import re
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest

from emotiw.data_prep.emotions import EMOTIONS
from emotiw.data_prep.face_detection import find_faces
from emotiw.data_prep.images import UnreadableImageError
from emotiw.data_prep.synthetic.faces import draw_face
from emotiw.data_prep.synthetic.people import EXPRESSIONS, draw_identity
from emotiw.errors import EmotiwError
from emotiw.evaluate.model import Model
from emotiw.evaluate.predict.faces import Failure
from emotiw.evaluate.predict.predictor import Prediction
from emotiw.evaluate.serve.examine import Examiner
from emotiw.evaluate.serve.page import render, render_message
from emotiw.lbp_mapping.mapping import map_image
from emotiw.lbp_mapping.representation import PAPER, parse

NAMES = tuple(map(str, PAPER))


def model(name: str, representation: str = "rgb", classes=EMOTIONS, stand_in=False) -> Model:
    nowhere = Path("nowhere")
    return Model(name, "vgg_s", representation, nowhere, nowhere, nowhere, tuple(classes), "resize", stand_in)


class ByHand:
    """A predictor with the width of the face in its posteriors: class 0 has width / 1000, the last one the rest."""

    def __init__(self, answering: Model, share: float = 1.0) -> None:
        self.models, self.share, self.asked = [answering], share, 0

    def describe(self):
        return [f"{self.models[0].title}: by hand"]

    def predict(self, faces):
        for face in faces:
            self.asked += 1
            try:
                map_image(face.rgb, parse(self.models[0].representation))
            except ValueError as error:
                yield Failure(face.image, f"face {face.number}: {error}")
                continue
            row = np.zeros(len(self.models[0].classes))
            row[0] = self.share * face.rgb.shape[1] / 1000
            row[-1] = 1 - row[0]
            yield Prediction(face, row[None], row)


def drawn(seed: int, scale: int) -> np.ndarray:
    rng = np.random.default_rng(seed)
    face = draw_face(draw_identity(rng), EXPRESSIONS["Happy"], rng)
    return cv2.resize(face, None, fx=scale, fy=scale, interpolation=cv2.INTER_CUBIC)


@pytest.fixture(scope="session")
def two() -> np.ndarray:
    """A picture of two drawn faces, which OpenCV's cascade finds: the larger one on the right."""
    picture = np.full((360, 520, 3), 220, np.uint8)
    small, large = drawn(8, 1), drawn(2, 2)
    picture[120 : 120 + small.shape[0], 40 : 40 + small.shape[1]] = small
    picture[90 : 90 + large.shape[0], 250 : 250 + large.shape[1]] = large
    assert len(find_faces(picture)) == 2
    return picture


def png(rgb: np.ndarray) -> bytes:
    return cv2.imencode(".png", rgb[..., ::-1])[1].tobytes()


@pytest.fixture
def three() -> Callable[..., Examiner]:
    """An examiner of three models; the last is a stand-in."""
    models = [
        model("VGG_S_rgb"),
        model("VGG_S_lbp", "lbp"),
        model("VGG_S_cyclic_lbp_10", "cyclic_lbp_10", stand_in=True),
    ]
    return lambda: Examiner([ByHand(one, share) for one, share in zip(models, (1.0, 2.0, 3.0), strict=True)])


def test_the_largest_face_is_examined_first_then_a_chosen_one(two, three):
    examiner = three()
    boxes = find_faces(two)
    for number in (1, 2):
        found = examiner.examine(png(two), [0, 1, 2], detect=True, number=number)
        x, y, width, height = boxes[number - 1]
        face = two[y : y + height, x : x + width]
        assert [one.box for one in found.faces] == boxes
        assert found.number == number
        for representation in PAPER:
            assert np.array_equal(found.representations[str(representation)], map_image(face, representation))
        assert np.allclose(found.posteriors[:, 0], np.array([1, 2, 3]) * width / 1000)
        assert np.allclose(found.average, found.posteriors.sum(axis=0) / 3)
    assert boxes[0][2] > boxes[1][2]
    assert examiner.examine(png(two), [0], detect=True, number=9).number == 1


def test_a_crop_is_taken_as_it_is(two, three):
    found = three().examine(png(two), [0], detect=False)
    assert [face.box for face in found.faces] == [None]
    assert np.array_equal(found.representations["rgb"], two)
    assert found.posteriors[:, 0] == pytest.approx(0.52)


def test_only_the_chosen_models_are_asked(two):
    predictors = [ByHand(model(name)) for name in "abc"]
    found = Examiner(predictors).examine(png(two), [1], detect=False)
    assert [predictor.asked for predictor in predictors] == [0, 1, 0]
    assert [one.name for one in found.models] == ["b"]


def test_why_there_are_no_posteriors(three):
    examiner = three()
    blank = np.full((90, 80, 3), 77, np.uint8)
    assert examiner.examine(png(blank), [0], detect=True).reason == "no face found"
    assert examiner.examine(png(blank), [], detect=False).reason == "no model is chosen"
    tiny = examiner.examine(png(blank[:15, :15]), [0, 2], detect=False)
    assert "face 1" in tiny.reason
    assert [name for name, picture in tiny.representations.items() if picture is None] == ["cyclic_lbp_10"]
    assert len(tiny.posteriors) == 0


def test_own_representations_are_shown_too(two):
    examiner = Examiner([ByHand(model("own", "cyclic_lbp_r3_t5"))])
    assert tuple(examiner.examine(png(two), [0], detect=False).representations) == (*NAMES, "cyclic_lbp_r3_t5")


def test_models_of_other_classes_are_not_averaged():
    with pytest.raises(EmotiwError, match="b and a have different classes"):
        Examiner([ByHand(model("a")), ByHand(model("b", classes=("x", "y")))])


@pytest.mark.parametrize("data", [b"", b"no picture", b"GIF89a" + bytes(100), png(np.zeros((9, 9, 3), np.uint8))[:40]])
def test_a_file_that_is_not_a_picture_is_refused_before_scoring(data, three):
    with pytest.raises(UnreadableImageError):
        three().examine(data, [0], detect=False)


def test_what_is_shown_is_what_was_found(two, three):
    found = three().examine(png(two), [0, 1, 2], detect=True)
    shown = render(found)
    rects = re.findall(r'<rect class="line" x="(\d+)" y="(\d+)" width="(\d+)" height="(\d+)"', shown)
    assert [tuple(map(int, rect)) for rect in rects] == find_faces(two)
    for name, picture in found.representations.items():
        (data,) = re.findall(rf'data-representation="{name}">\s*<img src="data:image/png;base64,([^"]+)"', shown)
        read = cv2.imdecode(np.frombuffer(base64.b64decode(data), np.uint8), cv2.IMREAD_COLOR)
        assert np.array_equal(read[..., ::-1], picture), f"{name}: at its native size, every value as it is"
    expected = [f"{p:.6f}" for row in (*found.posteriors, found.average) for p in row]
    assert re.findall(r'<td[^>]* title="([\d.]+)"', shown) == expected
    widths = [float(width) / 100 for width in re.findall(r"<span style=\"width: ([\d.]+)%", shown)]
    assert widths == pytest.approx([float(p) for p in expected], abs=1e-4)
    assert "by the average of 3 models" in shown
    assert not re.search(r'(?:src|href)="(?!data:)', shown), "it refers to nothing outside itself"


def test_a_stand_in_is_marked_at_every_answer(two, three):
    examiner = three()
    title = examiner.models[2].title
    assert "STAND-IN" in title
    for chosen in ([2], [0, 2]):
        shown = render(examiner.examine(png(two), chosen, detect=True))
        assert title in shown
        assert "Stand-ins with random weights" in shown
    assert "Stand-in" not in render(examiner.examine(png(two), [0, 1], detect=True))


def test_a_large_picture_is_shown_smaller():
    examiner = Examiner([ByHand(model("a"))])
    noise = np.random.default_rng(0).integers(0, 256, (2000, 1500, 3), np.uint8)
    shown = render(examiner.examine(png(noise), [0], detect=False))
    assert len(shown) < 3_000_000
    assert "1500 × 2000" in shown


def test_characters_mean_themselves(two):
    examiner = Examiner([ByHand(model("<script>alert(1)</script>"))])
    shown = render(examiner.examine(png(two), [0], detect=True)) + render_message("<b>&")
    assert "<script" not in shown
    assert "<b>&" not in shown
    assert "&lt;b&gt;&amp;" in shown
    assert "<script>alert(1)</script>" in html.unescape(shown)
