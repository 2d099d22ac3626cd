"""Caffe's own convert_imageset and compute_image_mean as oracles of the LMDBs and means."""

import os
import subprocess
from pathlib import Path

import lmdb
import numpy as np
import pytest

from emotiw.data_prep.prepare import prepare
from emotiw.data_prep.prepared_set import open_set
from emotiw.data_prep.transform import Settings
from emotiw.prototxt.formats.blobs import read_mean
from emotiw.prototxt.formats.datum import decode
from emotiw.prototxt.formats.messages import Datum

pytestmark = pytest.mark.caffe


def tool(caffe, name, *args):
    env = {**os.environ, **caffe.environment}
    done = subprocess.run([caffe.tool(name), *args], env=env, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def datums(path: Path) -> dict[str, bytes]:
    with lmdb.open(str(path), readonly=True, lock=False) as environment, environment.begin() as transaction:
        return {key.decode()[9:]: bytes(value) for key, value in transaction.cursor()}


@pytest.fixture
def prepared(source, tmp_path):
    def make(store):
        settings = Settings("emotions", ("rgb", "cyclic_lbp_5"), size=40, seed=3, store=store)
        prepare(source, tmp_path / store, settings)
        return open_set(tmp_path / store)

    return make


@pytest.fixture
def converted(caffe, source, tmp_path, prepared):
    """Return our raw set, and the LMDB that convert_imageset makes from the list in its manifest."""
    ours = prepared("raw")
    lines = "".join(f"{row['path']} {row['label']}\n" for row in ours.manifest)
    (tmp_path / "list.txt").write_text(lines)
    sides = "--resize_height=40", "--resize_width=40"
    tool(caffe, "convert_imageset", *sides, f"{source}/", tmp_path / "list.txt", tmp_path / "caffes_lmdb")
    return ours, datums(tmp_path / "caffes_lmdb")


def test_our_lmdb_equals_convert_imagesets(converted):
    ours, caffes = converted
    assert len(caffes) == 24
    assert datums(ours.lmdb("rgb", "train")) == caffes


def test_a_set_stored_as_png_holds_the_same_pixels_and_labels(converted, prepared):
    _, caffes = converted
    stored = datums(prepared("png").lmdb("rgb", "train"))
    assert stored.keys() == caffes.keys()
    for path, datum in stored.items():
        assert Datum.FromString(datum).encoded
        for ours, theirs in zip(decode(datum), decode(caffes[path]), strict=True):
            np.testing.assert_array_equal(ours, theirs)


@pytest.mark.parametrize("store", ["raw", "png"])
def test_our_means_equal_compute_image_means_bit_for_bit(caffe, prepared, tmp_path, store):
    ours = prepared(store)
    for name in ("rgb", "cyclic_lbp_5"):
        theirs = tmp_path / f"{name}.binaryproto"
        tool(caffe, "compute_image_mean", ours.lmdb(name, "train"), theirs)
        assert theirs.read_bytes() == ours.mean_file(name).read_bytes()
        assert read_mean(theirs).shape == (3, 40, 40)


def test_files_of_every_pixel_format_are_read_as_by_caffe(caffe, tmp_path):
    """Grey, alpha, 16 bits, CMYK, EXIF: our pixels equal those of cv::imread in Caffe."""
    from PIL import Image

    folder = tmp_path / "odd/Angry"
    folder.mkdir(parents=True)
    rgb = Image.effect_mandelbrot((45, 33), (-2, -1, 1, 1), 30)
    colour = Image.merge("RGB", [rgb, rgb.transpose(Image.Transpose.FLIP_LEFT_RIGHT), rgb.rotate(180)])
    exif = Image.Exif()
    exif[0x0112] = 6  # turn a quarter clockwise to see it upright
    colour.save(folder / "exif.jpg", exif=exif)
    colour.convert("CMYK").save(folder / "cmyk.jpg")
    rgb.save(folder / "grey.png")
    colour.quantize(8).save(folder / "palette.png")
    Image.merge("RGBA", [*colour.split(), rgb]).save(folder / "alpha.png")
    Image.fromarray((np.asarray(rgb).astype(np.uint16) << 8) + 77).save(folder / "deep.png")
    names = sorted(path.name for path in folder.iterdir())
    prepare(tmp_path / "odd", tmp_path / "set", Settings("emotions", ("rgb",), size=24))
    (tmp_path / "list.txt").write_text("".join(f"Angry/{name} 0\n" for name in names))
    sides = "--resize_height=24", "--resize_width=24"
    tool(caffe, "convert_imageset", *sides, f"{tmp_path}/odd/", tmp_path / "list.txt", tmp_path / "theirs")
    assert len(names) == 6
    assert datums(open_set(tmp_path / "set").lmdb("rgb", "train")) == datums(tmp_path / "theirs")
