"""Grey, codes and colours in a graph, by ONNX Runtime: those of `lbp_mapping`, bit for bit."""

import numpy as np
import pytest

from emotiw.engine.onnx.mapping import CodeMapping
from emotiw.lbp_mapping.codes import GREY_WEIGHTS, NEIGHBOURS, grey, lbp_codes, sample_terms
from emotiw.lbp_mapping.mapping import map_image
from emotiw.lbp_mapping.representation import MAPPED, parse
from emotiw.lbp_mapping.tables import palette

NAMES = [*map(str, MAPPED), "lbp_r2", "cyclic_lbp_r3_t5", "lbp_t-2.5", "hamming_lbp"]
PICTURE = ("H", "W", 3)


def mapping_of(name):
    representation = parse(name)
    radius = representation.radius
    samples = [sample_terms(k, radius) for k in range(NEIGHBOURS)]
    return CodeMapping(GREY_WEIGHTS, samples, radius, representation.threshold, palette(representation.mapping))


def faces(radius):
    """Noise, and pictures of few grey values, in which most neighbours tie; the smallest possible picture, too."""
    rng = np.random.default_rng(radius)
    yield rng.integers(0, 256, (143, 181, 3), np.uint8)
    yield rng.integers(0, 256, (2 * radius + 1, 2 * radius + 1, 3), np.uint8)
    for values in (2, 3, 9):
        plane = rng.integers(100, 100 + values, (90, 70, 1), np.uint8)
        yield np.repeat(plane, 3, axis=2)
    ramp = np.arange(60, dtype=np.uint8)
    yield np.repeat((ramp[:, None] + 2 * ramp)[..., None], 3, axis=2)  # diagonals of equal values


@pytest.mark.parametrize("name", NAMES)
def test_codes_bit_for_bit(computed, name):
    mapping = mapping_of(name)
    for face in faces(mapping.radius):
        found = computed(lambda rgb: mapping.codes(mapping.greyed(rgb)), face, PICTURE, rank=2)
        np.testing.assert_array_equal(found, lbp_codes(grey(face), mapping.radius, mapping.threshold))


@pytest.mark.parametrize("name", NAMES)
def test_colours_bit_for_bit(computed, name):
    mapping = mapping_of(name)
    for face in faces(mapping.radius):
        found = computed(mapping.mapped, face, PICTURE)
        np.testing.assert_array_equal(found, map_image(face, parse(name)))


def test_every_grey_value(computed):
    """Of a quarter of a million colours: every value of each channel beside every fourth of the others."""
    r, g, b = np.meshgrid(np.arange(256), np.arange(0, 256, 4), np.arange(1, 256, 4), indexing="ij")
    colours = np.stack([r, g, b], axis=-1).astype(np.uint8).reshape(1024, -1, 3)
    for order in ([0, 1, 2], [1, 2, 0], [2, 0, 1]):
        turned = np.ascontiguousarray(colours[..., order])
        np.testing.assert_array_equal(computed(mapping_of("lbp").greyed, turned, PICTURE, rank=2), grey(turned))
