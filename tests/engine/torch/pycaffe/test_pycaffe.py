"""pycaffe's interface on torch compared with the real pycaffe: one script, with only its import of caffe changed."""

import json
import re
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from subprocess import PIPE

import cv2
import numpy as np
import pytest
from PIL import Image

from emotiw.data_prep.synthetic.faces import draw_expressions
from emotiw.engine.caffe.programs import start
from emotiw.engine.child_process import running
from emotiw.engine.torch import pycaffe

pytestmark = pytest.mark.caffe

SCRIPT = Path(__file__).with_name("pycaffe_script.py").read_text()
PAGE = (Path(__file__).parents[4] / "docs/released_models.md").read_text(encoding="utf-8")
IMPORT = "import caffe\n"
OURS = "from emotiw.engine.torch import pycaffe as caffe\n"
SECTIONS = (
    *("splits false", "splits true", "passes", "cleared", "no pass before", "written between", "inputs", "reshaped"),
    *("weights", "resized", "transformed", "messages", "classified"),
    *(f"solver {kind}{more}" for kind in pycaffe.solvers.SOLVERS for more in ("", " update")),
)


def in_caffe(caffe, script, folder, *arguments):
    """Run a script under Caffe's own Python in a folder; return what it printed."""
    command = [caffe.python, "-c", script, *arguments]
    quiet = replace(caffe, environment={**caffe.environment, "GLOG_minloglevel": "2"})
    with running(start(quiet, command, folder, stdout=PIPE, stderr=PIPE)) as child:
        said, complaint = child.communicate()
    assert child.returncode == 0, complaint.decode()[-2000:]
    return said.decode()


def in_torch(script, folder, *arguments):
    """Run it here, with only its import of caffe changed."""
    assert script.count(IMPORT) == 1
    command = [sys.executable, "-c", script.replace(IMPORT, OURS), *arguments]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-2000:]
    return done.stdout


@pytest.fixture(scope="module")
def recorded(caffe, tmp_path_factory):
    """Numbers and words of both, ours first."""
    folders = [tmp_path_factory.mktemp(name) for name in ("ours", "theirs")]
    in_torch(SCRIPT, folders[0], ".")
    in_caffe(caffe, SCRIPT, folders[1], ".")
    return [(dict(np.load(f / "answers.npz")), json.loads((f / "words.json").read_text())) for f in folders]


def rounding(section, name, arrays):
    """The update is computed from the change of the weights, so their rounding error remains."""
    if section.startswith("solver") and name.startswith("gradient"):
        return 4 * np.finfo(np.float32).eps * np.abs(arrays[f"{section}:{name.replace('gradient', 'param')}"]).max()
    return 0


@pytest.mark.parametrize("section", SECTIONS)
def test_numbers_are_those_of_pycaffe(recorded, section, relative_error):
    (ours, _), (theirs, _) = recorded
    names = [key.partition(":")[2] for key in theirs if key.partition(":")[0] == section]
    assert names
    for name in names:
        one, other = ours[f"{section}:{name}"], theirs[f"{section}:{name}"]
        assert one.shape == other.shape, name
        # Steps that divide by a gradient's own size make its rounding count.
        bound = 1e-4 if section.startswith("solver") else 1e-5
        if np.abs(one - other).max(initial=0) > rounding(section, name, theirs):
            assert relative_error(one, other) <= bound, name


def test_words_are_those_of_pycaffe(recorded):
    (ours, said), (theirs, expected) = recorded
    assert said == expected
    assert ours.keys() == theirs.keys()
    assert {key.partition(":")[0] for key in theirs} == set(SECTIONS)
    # They are not those of empty nets.
    assert "label_d_1_split_2" in [name for name, *_ in expected["names TEST"]["blobs"]]
    assert expected["solver SGD"][1] == ["start", "ready"] * 5


def write_pictures(folder):
    """Write a noisy picture in every kind of file that both read, and in every EXIF orientation."""
    rng = np.random.default_rng(2)
    noise = rng.integers(0, 256, (21, 34, 4)).astype(np.uint8)
    rgb = Image.fromarray(cv2.GaussianBlur(noise[..., :3], (5, 5), 0))
    rgba, grey, few, few_greys = rgb.copy(), rgb.convert("L"), rgb.quantize(5), rgb.convert("L").quantize(8)
    rgba.putalpha(Image.fromarray(noise[..., 3]))
    for name, picture in {
        "rgb": rgb, "rgba": rgba, "grey": grey, "grey_alpha": rgba.convert("LA"), "bilevel": grey.convert("1"),
        "palette": few, "palette_of_greys": few_greys,
    }.items():  # fmt: skip
        picture.save(folder / f"{name}.png")
    for name, picture in {"rgb": rgb, "grey": grey, "palette": few, "palette_of_greys": few_greys}.items():
        clear = tuple(map(int, noise[0, 0, :3])) if name == "rgb" else 2
        picture.save(folder / f"{name}_transparency.png", transparency=clear)
    for name, shape in {"grey": (21, 34), "rgb": (21, 34, 3), "rgba": (21, 34, 4)}.items():
        cv2.imwrite(str(folder / f"{name}_16_bit.png"), rng.integers(0, 1 << 16, shape).astype(np.uint16))
    for subsampling in range(3):
        rgb.save(folder / f"subsampling_{subsampling}.jpg", quality=80, subsampling=subsampling)
    rgb.save(folder / "progressive.jpg", progressive=True)
    for mode in ("L", "CMYK"):
        rgb.convert(mode).save(folder / f"{mode}.jpg", exif=oriented(6))
    for orientation in range(10):
        rgb.save(folder / f"orientation_{orientation}.jpg", exif=oriented(orientation))
    rgb.save(folder / "orientation_6.png", exif=oriented(6))
    rgb.save(folder / "two.mpo", save_all=True, append_images=[rgb])
    few.save(folder / "two.gif", save_all=True, append_images=[few.rotate(90)])
    few.save(folder / "transparency.gif", transparency=2)
    for suffix in ("bmp", "ppm", "tif"):
        rgb.save(folder / f"rgb.{suffix}")
    rgba.save(folder / "rgba.tif")
    cv2.imwrite(str(folder / "float.tif"), rng.random((21, 34)).astype(np.float32))
    cv2.imwrite(str(folder / "16_bit.pgm"), rng.integers(0, 1 << 16, (21, 34)).astype(np.uint16))


def oriented(orientation):
    exif = Image.Exif()
    exif[0x0112] = orientation
    return exif


LOAD = """import glob
import sys
import caffe
import numpy as np

asked = [(name, color) for name in sorted(glob.glob("*.*")) for color in (0, 1)]
np.savez(sys.argv[1], **{"%s %s" % each: caffe.io.load_image(*each) for each in asked})
"""


def test_pictures_are_loaded_as_pycaffe_loads_them(caffe, tmp_path):
    pictures = tmp_path / "pictures"
    pictures.mkdir()
    write_pictures(pictures)
    in_caffe(caffe, LOAD, pictures, str(tmp_path / "theirs.npz"))
    in_torch(LOAD, pictures, str(tmp_path / "ours.npz"))
    ours, theirs = (dict(np.load(tmp_path / f"{whose}.npz")) for whose in ("ours", "theirs"))
    assert ours.keys() == theirs.keys()
    assert len(theirs) == 2 * len(list(pictures.iterdir())) > 70
    for name, expected in theirs.items():
        np.testing.assert_array_equal(ours[name], expected, err_msg=name)
        assert ours[name].dtype == expected.dtype == np.float32
    # The oracle does turn JPEGs, and only those; it blends alpha with white for grey alone.
    shape = (21, 34, 3)
    turned = [theirs[f"orientation_{orientation}.jpg 1"].shape == shape for orientation in range(10)]
    assert turned == [True] * 5 + [False] * 4 + [True]
    assert theirs["orientation_6.png 1"].shape == shape
    assert np.array_equal(theirs["rgba.png 1"], theirs["rgb.png 1"])
    assert (theirs["rgba.png 0"] - theirs["rgb.png 0"]).max() > 0.3


@pytest.mark.slow
def test_the_pages_script_runs_with_only_its_import_changed(stand_ins, caffe, tmp_path):
    script = re.search(r"\$ cat > classify.py <<END\n(.*?)\nEND\n", PAGE, re.S)[1]
    line = "    print(name, EMOTIONS[prediction[0].argmax()])"
    assert line in script
    script = script.replace(line, line.replace(")])", ")], *prediction[0].tolist())"))
    draw_expressions(tmp_path / "drawn", 1, 1, seed=4)
    (tmp_path / "emotion").mkdir()
    for face in sorted((tmp_path / "drawn").rglob("*.png"))[:2]:
        face.rename(tmp_path / "emotion" / f"{face.parent.name}.png")
    said = in_torch(script, tmp_path, str(stand_ins / "VGG_S_rgb"))
    expected = in_caffe(caffe, script, tmp_path, str(stand_ins / "VGG_S_rgb"))
    ours, theirs = ([line.split() for line in lines.splitlines()] for lines in (said, expected))
    assert [words[:2] for words in ours] == [words[:2] for words in theirs]
    posteriors = np.array([[float(word) for word in words[2:]] for words in theirs])
    assert posteriors.shape == (2, 7)
    np.testing.assert_allclose([[float(word) for word in words[2:]] for words in ours], posteriors, rtol=0, atol=1e-5)
