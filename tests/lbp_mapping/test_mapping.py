import numpy as np
import pytest

from emotiw.lbp_mapping import mapping
from emotiw.lbp_mapping.codes import grey, lbp_codes
from emotiw.lbp_mapping.figures import codes_figure, face_figure
from emotiw.lbp_mapping.mapping import map_image, map_images
from emotiw.lbp_mapping.representation import MAPPED, PAPER, Representation, parse
from emotiw.lbp_mapping.tables import shipped


def face(height=40, width=31):
    return np.random.default_rng(0).integers(0, 256, (height, width, 3), dtype=np.uint8)


def test_one_pixel_by_hand():
    image = np.zeros((3, 3, 3), np.uint8)
    image[1, 1] = 100
    image[0, 0] = 255  # brighter in the north-west: bit 3, code 8
    assert map_image(image, Representation("lbp")).tolist() == [[shipped("lbp")[8].tolist()]]
    assert map_image(image, Representation("cyclic_lbp")).tolist() == [[shipped("cyclic_lbp")[8].tolist()]]


@pytest.mark.parametrize(("name", "code"), [("lbp", 254), ("cyclic_lbp", 254), ("hamming_lbp", 255)])
def test_code_255_has_the_colour_of_254_in_the_authors_images(name, code):
    image = np.full((3, 3, 3), 200, np.uint8)
    image[1, 1] = 0
    assert map_image(image, parse(name)).tolist() == [[shipped(name)[code].tolist()]]


def test_rgb_is_the_image_itself():
    image = face()
    assert map_image(image, Representation("rgb")) is image


@pytest.mark.parametrize("name", ["lbp", "cyclic_lbp_5", "cyclic_lbp_10", "lbp:radius=2:threshold=4", "hamming_lbp"])
def test_a_picture_is_the_colours_of_its_codes(name):
    representation = parse(name)
    picture = map_image(face(), representation)
    codes = lbp_codes(grey(face()), representation.radius, representation.threshold)
    known = codes < 255
    assert picture.shape == (40 - 2 * representation.radius, 31 - 2 * representation.radius, 3)
    assert picture.dtype == np.uint8
    assert np.array_equal(picture[known], shipped(representation.mapping)[codes[known]])


def test_several_at_once_share_grey_and_codes(monkeypatch):
    made = []
    monkeypatch.setattr(mapping, "grey", lambda rgb: made.append("grey") or grey(rgb))
    monkeypatch.setattr(mapping, "lbp_codes", lambda *call: made.append(call[1:]) or lbp_codes(*call))
    pictures = map_images(face(), [*PAPER, parse("lbp:threshold=3")])
    assert made == ["grey", (1, 0), (5, 0), (10, 0), (1, 3)]
    monkeypatch.undo()
    for picture, representation in zip(pictures, PAPER, strict=False):
        assert np.array_equal(picture, map_image(face(), representation))


def test_an_array_that_is_not_rgb_or_too_small_is_refused():
    with pytest.raises(ValueError, match="H x W x 3"):
        map_image(face()[..., 0], MAPPED[0])
    with pytest.raises(ValueError, match="needs at least 21 x 21"):
        map_image(face(20, 40), MAPPED[-1])


def test_the_face_figure_shows_all_panels_in_one_frame():
    figure = face_figure(face(), [*PAPER, parse("lbp:threshold=3")])
    assert len(figure.axes) == 1 + 2 * 5
    assert all(axes.get_xlim() == (0, 31) and axes.get_ylim() == (40, 0) for axes in figure.axes)
    titles = {axes.get_title(loc="left") for axes in figure.axes}
    assert titles == {"face", "LBP codes", "lbp", "cyclic_lbp", "cyclic_lbp_5", "cyclic_lbp_10", "lbp_t3"}


def test_the_codes_figure_has_256_points_per_mapping():
    figure = codes_figure()
    figure.draw_without_rendering()
    assert [len(axes.collections[1].get_facecolor()) for axes in figure.axes] == [256, 256]
