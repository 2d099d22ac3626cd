import hashlib
from itertools import product
from pathlib import Path

import cv2
import numpy as np
import pytest
from sklearn.linear_model import RidgeClassifier

from emotiw.data_prep.emotions import EMOTIONS
from emotiw.data_prep.synthetic import faces
from emotiw.data_prep.synthetic.faces import draw_expressions, draw_face, draw_identities
from emotiw.data_prep.synthetic.people import EXPRESSIONS, Expression, draw_identity, vary


def digests(folder: Path) -> dict[str, str]:
    files = (path for path in folder.rglob("*") if path.is_file())
    return {str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def face(expression: Expression, person: int = 1, light: int = 2) -> np.ndarray:
    return draw_face(draw_identity(np.random.default_rng(person)), expression, np.random.default_rng(light))


def test_a_face_is_rgb_bytes_wide_enough_for_radius_10():
    picture = face(EXPRESSIONS["Happy"])
    assert (picture.shape, picture.dtype) == ((112, 96, 3), np.uint8)


def test_the_classes_are_in_the_authors_order():
    assert tuple(EXPRESSIONS) == EMOTIONS


def test_the_same_person_expression_and_seed_give_equal_bytes():
    np.testing.assert_array_equal(face(EXPRESSIONS["Sad"]), face(EXPRESSIONS["Sad"]))


def test_person_light_and_expression_each_change_the_picture():
    pictures = [
        face(expression, person, light) for expression, person, light in product(EXPRESSIONS.values(), (1, 2), (3, 4))
    ]
    assert len({picture.tobytes() for picture in pictures}) == 7 * 2 * 2


@pytest.mark.parametrize("name", [name for name in EXPRESSIONS if name != "Neutral"])
def test_an_expression_changes_the_face_and_not_the_background(name):
    changed = np.abs(face(EXPRESSIONS[name]).astype(int) - face(EXPRESSIONS["Neutral"])).max(axis=2)
    assert (changed[20:90, 15:80] > 30).sum() > 50
    assert (changed[:10] == 0).all()


def test_strength_scales_an_expression():
    rng = np.random.default_rng(0)
    drawn_many = np.mean([vary(EXPRESSIONS["Happy"], 0.5, rng) for _ in range(400)], axis=0)
    np.testing.assert_allclose(drawn_many, 0.5 * np.array(EXPRESSIONS["Happy"]), atol=0.03)


def test_light_changes_much_and_from_side_to_side():
    pictures = [face(EXPRESSIONS["Neutral"], light=light).astype(float) for light in range(40)]
    brightness = [picture[30:90, 20:76].mean() for picture in pictures]
    tilt = [picture[50:90, 20:40].mean() / picture[50:90, 56:76].mean() for picture in pictures]
    assert max(brightness) > 1.5 * min(brightness)
    assert min(tilt) < 0.85
    assert max(tilt) > 1.15


def test_identities_have_the_layout_of_casia_webface(tmp_path):
    draw_identities(tmp_path / "set", people=2, images=3, seed=1)
    assert sorted(digests(tmp_path / "set")) == [
        f"{person}/{image}.png" for person in ("0000001", "0000002") for image in ("001", "002", "003")
    ]


def test_expressions_have_one_folder_per_class(tmp_path):
    draw_expressions(tmp_path / "set", people=2, images=1, seed=1)
    assert sorted(digests(tmp_path / "set")) == [
        f"{name}/{person}_001.png" for name in EMOTIONS for person in ("actor0001", "actor0002")
    ]


def test_files_hold_what_was_drawn_in_rgb(tmp_path):
    draw_expressions(tmp_path / "set", people=1, images=1, seed=5)
    rng = np.random.default_rng((5, 1, 1))
    identity = draw_identity(rng)
    expected = draw_face(identity, vary(EXPRESSIONS["Angry"], rng.uniform(0.5, 1.1), rng), rng)
    stored = cv2.imread(str(tmp_path / "set/Angry/actor0001_001.png"))
    np.testing.assert_array_equal(stored[..., ::-1], expected)


@pytest.mark.parametrize("draw", [draw_identities, draw_expressions])
def test_a_seed_determines_every_file(draw, tmp_path):
    for name, seed in (("a", 1), ("again", 1), ("b", 2)):
        draw(tmp_path / name, people=2, images=1, seed=seed)
    assert digests(tmp_path / "a") == digests(tmp_path / "again")
    assert not set(digests(tmp_path / "a").values()) & set(digests(tmp_path / "b").values())


@pytest.mark.parametrize("draw", [draw_identities, draw_expressions])
def test_a_person_stays_when_more_people_are_drawn(draw, tmp_path):
    draw(tmp_path / "few", people=1, images=1, seed=1)
    draw(tmp_path / "more", people=2, images=1, seed=1)
    assert digests(tmp_path / "few").items() < digests(tmp_path / "more").items()


def test_no_person_is_in_both_sets(tmp_path, monkeypatch):
    met: list[tuple[float, ...]] = []

    def remember(identity, expression, rng):
        met.append(tuple(identity.skin))
        return np.zeros((2, 2, 3), np.uint8)

    monkeypatch.setattr(faces, "draw_face", remember)
    draw_identities(tmp_path / "a", people=5, images=1, seed=3)
    at_rest = set(met)
    met.clear()
    draw_expressions(tmp_path / "b", people=5, images=1, seed=3)
    assert len(at_rest) == len(set(met)) == 5
    assert not at_rest & set(met)


@pytest.mark.parametrize("draw", [draw_identities, draw_expressions])
def test_an_interrupted_set_leaves_nothing(draw, tmp_path, monkeypatch):
    def break_off(path, face):
        raise KeyboardInterrupt

    monkeypatch.setattr(faces, "_write", break_off)
    with pytest.raises(KeyboardInterrupt):
        draw(tmp_path / "set", people=1, images=1, seed=1)
    assert not list(tmp_path.iterdir())


def test_a_linear_classifier_learns_the_expressions_of_strangers():
    pictures, labels = [], []
    for person in range(30):
        rng = np.random.default_rng(person)
        identity = draw_identity(rng)
        for label, expression in enumerate(EXPRESSIONS.values()):
            grey = cv2.cvtColor(
                draw_face(identity, vary(expression, rng.uniform(0.5, 1.1), rng), rng), cv2.COLOR_RGB2GRAY
            )
            pictures.append(cv2.resize(grey, (32, 32), interpolation=cv2.INTER_AREA).ravel() / grey.std())
            labels.append(label)
    known = slice(0, 20 * 7), slice(20 * 7, None)
    classifier = RidgeClassifier(alpha=30).fit(pictures[known[0]], labels[known[0]])
    assert classifier.score(pictures[known[1]], labels[known[1]]) > 0.4  # chance is 1/7
