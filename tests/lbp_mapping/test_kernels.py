"""The compiled module gives NumPy's bytes, with each instruction set that this processor has."""

import os
import shutil
import subprocess
import sys
import sysconfig
from importlib import import_module
from pathlib import Path

import numpy as np
import pytest

from emotiw.data_prep.prepare import prepare
from emotiw.data_prep.synthetic.faces import draw_expressions
from emotiw.data_prep.transform import Settings
from emotiw.errors import EmotiwError
from emotiw.lbp_mapping.codes import BINARY_WEIGHTS, _sample_arrays, grey, lbp_codes
from emotiw.lbp_mapping.kernels import NUMPY, VARIABLE, _chosen, implementation, implementations
from emotiw.lbp_mapping.mapping import coloured, map_images
from emotiw.lbp_mapping.representation import PAPER, parse

ROOT = Path(__file__).parents[2]
COMPILED = implementations()[:-1]
SIDE = 61
ROWS, COLUMNS = np.mgrid[:SIDE, : SIDE + 7]


def random(levels, seed=0, height=SIDE, width=SIDE + 7):
    return np.random.default_rng(seed).integers(0, levels, (height, width), dtype=np.uint8)


def plane(down, right):
    """Return a plane: a sample differs from the centre by a whole number, except for rounding errors."""
    return np.asarray((down * ROWS + right * COLUMNS) % 256, np.uint8)


IMAGES = {
    **{f"random, {levels} levels": random(levels) for levels in (2, 3, 8, 256)},
    **{f"constant {value}": np.full((SIDE, SIDE + 7), value, np.uint8) for value in (0, 1, 77, 200, 255)},
    "gradient to the right": plane(0, 1),
    "gradient downwards": plane(2, 0),
    **{f"plane {down}, {right}": plane(down, right) for down, right in ((1, 1), (1, 2), (3, -1), (-5, 4))},
    "checkerboard": np.asarray((ROWS + COLUMNS) % 2 * 255, np.uint8),
    "checkerboard of 3 x 3": np.asarray((ROWS // 3 + COLUMNS // 3) % 2 * 100 + 50, np.uint8),
    "a chunk and some": random(4, 1, 23, 1100),
}
THRESHOLDS = (0.0, 1.0, 5.0, 0.1, -2.5, -1e-13, 254.5, 255.0, -255.0)


def compiler():
    """Return the C compiler that would build the module, or None."""
    command = (os.environ.get("CC") or sysconfig.get_config_var("CC") or "cc").split()
    return shutil.which(command[0])


def test_the_module_is_installed_if_it_can_be_built():
    header = Path(sysconfig.get_path("include"), "Python.h")
    if compiler() and header.is_file() and not sysconfig.get_config_var("Py_GIL_DISABLED"):
        assert COMPILED, "`pip install -v .` says why it was not built"
        assert import_module("emotiw.lbp_mapping._kernels").LEVELS == COMPILED
    assert implementations()[-1] == NUMPY


@pytest.mark.parametrize("radius", range(1, 11))
@pytest.mark.parametrize("name", IMAGES)
def test_codes_are_numpys(map_by, name, radius):
    found = {}
    for each in implementations():
        map_by(each)
        assert implementation() == each
        found[each] = [lbp_codes(IMAGES[name], radius, threshold) for threshold in THRESHOLDS]
    for each in COMPILED:
        for threshold, ours, reference in zip(THRESHOLDS, found[each], found[NUMPY], strict=True):
            assert np.array_equal(ours, reference), (each, threshold)


def test_codes_of_images_of_every_small_size(map_by):
    found = {}
    for each in implementations():
        map_by(each)
        found[each] = [
            lbp_codes(random(3, height * width, height, width), radius)
            for radius in (1, 2, 5)
            for height in (2 * radius + 1, 2 * radius + 2, 19)
            for width in range(2 * radius + 1, 2 * radius + 40)
        ]
    for each in COMPILED:
        assert all(map(np.array_equal, found[each], found[NUMPY]))


def test_every_grey_is_numpys(map_by):
    green, blue = np.mgrid[:256, :256].astype(np.uint8)
    for red in range(256):
        rgb = np.stack([np.full_like(green, red), green, blue], axis=-1)
        found = []
        for each in implementations():
            map_by(each)
            found.append(grey(rgb))
        assert all(np.array_equal(ours, found[-1]) for ours in found), red


@pytest.mark.parametrize("count", [1, 2, 255, 256])
def test_every_colour_is_numpys(map_by, count):
    codes = np.arange(count, dtype=np.uint8)[None]
    for each in COMPILED:
        for mapping in ("lbp", "cyclic_lbp", "hamming_lbp"):
            map_by(NUMPY)
            reference = coloured(codes, mapping)
            map_by(each)
            assert np.array_equal(coloured(codes, mapping), reference)


def test_images_need_not_be_contiguous_nor_writable(map_by):
    rgb = np.random.default_rng(0).integers(0, 256, (90, 70, 3), np.uint8)
    views = [rgb[::2, ::-1], rgb.transpose(1, 0, 2), rgb[..., ::-1], rgb[5:60, 3:50], rgb.copy()]
    views[-1].flags.writeable = False
    representations = [*PAPER, parse("hamming_lbp"), parse("cyclic_lbp:radius=3:threshold=4.5")]
    for view in views:
        found = []
        for each in implementations():
            map_by(each)
            found.append(map_images(view, representations))
        for ours in found:
            assert all(map(np.array_equal, ours, found[-1]))


def test_every_implementation_makes_the_same_set(map_by, tmp_path):
    draw_expressions(tmp_path / "faces", 2, 1, seed=0)
    names = (*(each.name for each in PAPER), "cyclic_lbp_r3_t5")
    written = []
    for each in implementations():
        map_by(each)
        prepare(tmp_path / "faces", tmp_path / each, Settings("emotions", names, 64), jobs=2)
        files = sorted(path for path in (tmp_path / each).rglob("*") if path.name in ("data.mdb", "mean.binaryproto"))
        assert len(files) == 2 * len(names)
        written.append([path.read_bytes() for path in files])
    assert all(each == written[-1] for each in written)


@pytest.mark.parametrize("each", implementations())
def test_every_implementation_refuses_the_same(map_by, each):
    map_by(each)
    with pytest.raises(ValueError, match="needs at least 7 x 7"):
        lbp_codes(np.zeros((6, 9), np.uint8), 3)
    with pytest.raises(ValueError, match="uint8"):
        lbp_codes(np.zeros((9, 9)), 1)
    with pytest.raises(ValueError, match="H x W x 3"):
        grey(np.zeros((4, 4), np.uint8))
    with pytest.raises(ValueError, match="NaN"):
        lbp_codes(np.zeros((9, 9), np.uint8), 1, float("nan"))


def test_the_module_refuses_arrays_that_do_not_fit():
    """Refuse arrays of sizes that do not fit; our own calls never pass such."""
    image, weights, places = np.zeros(20 * 30, np.uint8), *_sample_arrays(2)
    far = places.copy()
    far[3, 2, 1] = 5
    wrong = [
        ("grey", (np.zeros(7, np.uint8), BINARY_WEIGHTS, np.zeros(2, np.uint8))),
        ("grey", (np.zeros(6, np.uint8), BINARY_WEIGHTS, np.zeros(3, np.uint8))),
        ("colours", (image, np.zeros(767, np.uint8), np.zeros(3 * image.size, np.uint8))),
        ("colours", (image, np.zeros(768, np.uint8), np.zeros(3 * image.size - 1, np.uint8))),
        *(
            ("codes", (image, width, radius, (weights, where), (0.0, 0), np.zeros(size, np.uint8)))
            for width, radius, where, size in (
                (30, 2, places, 16 * 26 - 1),
                (30, 2, far, 16 * 26),
                (30, 2, places[:7], 16 * 26),
                (30, 1, places, 18 * 28),
                (31, 2, places, 16 * 26),
                (0, 2, places, 0),
                (-30, 2, places, 0),
                (30, 0, places, 600),
                (30, -2, places, 24 * 34),
                (30, 10, places, 0),
                (30, 1 << 62, places, 0),
                (1 << 62, 2, places, 0),
            )
        ),
    ]
    for _ in COMPILED[:1]:
        module = import_module("emotiw.lbp_mapping._kernels")
        for name, arguments in wrong:
            with pytest.raises(ValueError, match=r"do not fit|samples|three"):
                getattr(module, name)(*arguments)
        with pytest.raises(ValueError, match="contiguous"):
            module.grey(image[::3], BINARY_WEIGHTS, np.zeros(1, np.uint8))
        with pytest.raises(ValueError, match="mmx: not on this processor"):
            module.use("mmx")


def said(*arguments, **variables):
    """Run the command; return its exit status, stdout and stderr."""
    command = [sys.executable, "-P", "-m", "emotiw", *arguments]
    done = subprocess.run(command, capture_output=True, text=True, env={**os.environ, **variables})
    return done.returncode, done.stdout, done.stderr


def test_the_version_names_the_implementation():
    for each in COMPILED:
        assert said("--version", **{VARIABLE: each})[1].endswith(f"\nmapping by the compiled module ({each})\n")
    why = f"as ${VARIABLE} says" if COMPILED else "the compiled module is not installed"
    assert said("--version", **{VARIABLE: NUMPY})[1].endswith(f"\nmapping by NumPy ({why})\n")
    assert said("--version", **{VARIABLE: ""})[1] == said("--version")[1]


def test_an_unknown_implementation_is_refused_in_one_line(map_by, tmp_path):
    line = f"emotiw: ${VARIABLE} is 'mmx': set it to one of {', '.join(implementations())}, or unset it\n"
    face = draw_expressions(tmp_path / "faces", 1, 1, seed=0) or next((tmp_path / "faces").rglob("*.png"))
    for arguments in (["--version"], ["map", str(face), "-o", str(tmp_path / "mapped")]):
        assert said(*arguments, **{VARIABLE: "mmx"}) == (1, "", line)
    map_by("mmx")
    with pytest.raises(EmotiwError, match="mmx"):
        lbp_codes(np.zeros((9, 9), np.uint8))


def test_numpy_maps_without_the_module(map_by, monkeypatch):
    from emotiw.lbp_mapping import kernels

    rgb = np.random.default_rng(0).integers(0, 256, (40, 30, 3), np.uint8)
    expected = map_images(rgb, PAPER)
    monkeypatch.setattr(kernels, "_module", lambda: None)
    monkeypatch.delenv(VARIABLE, raising=False)
    _chosen.cache_clear()
    assert implementations() == (NUMPY,)
    assert kernels.describe() == "by NumPy (the compiled module is not installed)"
    assert all(map(np.array_equal, map_images(rgb, PAPER), expected))


def test_products_are_rounded_before_they_are_added():
    """On a processor without fused instructions the tests above would not notice."""
    text = (ROOT / "setup.py").read_text(encoding="utf-8")
    assert 'ROUNDED = ["-fno-fast-math", "-ffp-contract=off"]' in text
    assert ", *ROUNDED]," in text
