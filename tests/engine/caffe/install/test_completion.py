"""What usual pycaffe scripts use beside Caffe, in the Python of `emotiw caffe install`, which no test changes."""

import subprocess

import cv2
import lmdb
import numpy as np
import pytest

from emotiw.prototxt.formats.messages import Datum

pytestmark = pytest.mark.caffe


@pytest.fixture
def python(caffe, tmp_path, monkeypatch):
    """A function that runs code in Caffe's own Python, without a display, in this test's folder."""
    monkeypatch.delenv("DISPLAY", raising=False)

    def run(code, *options, **environment):
        for name, value in environment.items():
            monkeypatch.setenv(name, str(value))
        command = [caffe.python, *options, "-c", code]
        done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr[-2000:]
        return done

    return run


FIGURE = """
import matplotlib.pyplot as plt
plt.rcParams["figure.figsize"] = (4, 3)
plt.title("Title", size=30)
plt.axis("off")
plt.savefig("figure.png")
"""


def test_a_figure_is_saved_with_its_letters(python, tmp_path):
    done = python(FIGURE, "-W", "error", HOME=tmp_path)
    assert "Traceback" not in done.stderr
    figure = cv2.imread(str(tmp_path / "figure.png"), cv2.IMREAD_GRAYSCALE)
    assert figure.shape == (300, 400)
    assert 200 < (figure < 128).sum() < 5000


def test_a_figure_needs_no_folder_that_can_be_written(python, tmp_path):
    python(FIGURE, HOME="/proc", MPLCONFIGDIR="/proc/none")
    assert (tmp_path / "figure.png").is_file()


def test_settings_of_the_users_own_matplotlib_do_not_count(python, tmp_path):
    """A kernel of Jupyter names a backend that Caffe's Python does not have."""
    (tmp_path / ".config/matplotlib").mkdir(parents=True)
    for file in (tmp_path / "rc", tmp_path / ".config/matplotlib/matplotlibrc"):
        file.write_text("backend: none_such\nfigure.dpi: no number\n")
    backend = "module://matplotlib_inline.backend_inline"
    done = python(FIGURE, HOME=tmp_path, MATPLOTLIBRC=tmp_path / "rc", MPLBACKEND=backend)
    assert done.stderr == ""
    assert (tmp_path / "figure.png").is_file()


def test_an_lmdb_is_read_and_written(python, tmp_path):
    pixels = np.arange(24, dtype=np.uint8).reshape(3, 2, 4)
    with lmdb.open(str(tmp_path / "theirs"), map_size=1 << 20) as environment, environment.begin(write=True) as writing:
        writing.put(b"0", Datum(channels=3, height=2, width=4, data=pixels.tobytes(), label=5).SerializeToString())
    python("""
import caffe, lmdb
with lmdb.open("theirs", readonly=True) as environment, environment.begin() as reading:
    datum = caffe.proto.caffe_pb2.Datum.FromString(reading.get(b"0"))
assert datum.label == 5
with lmdb.open("ours", map_size=1 << 20) as environment, environment.begin(write=True) as writing:
    writing.put(b"0", caffe.io.array_to_datum(caffe.io.datum_to_array(datum) * 2, 6).SerializeToString())
""")
    with lmdb.open(str(tmp_path / "ours"), readonly=True) as environment, environment.begin() as reading:
        datum = Datum.FromString(reading.get(b"0"))
    assert (datum.label, datum.data) == (6, (pixels * 2).tobytes())


def test_modules_of_usual_scripts_are_there(python):
    python(
        "import IPython, PIL, caffe, google.protobuf, h5py, lmdb, matplotlib.pyplot, networkx, pandas, scipy.io, yaml\n"
        "import skimage.io, skimage.transform"
    )


def test_python_starts_without_importing_any_of_them(python):
    heavy = "matplotlib numpy skimage".split()
    assert python(f"import sys; print([name for name in {heavy} if name in sys.modules])").stdout == "[]\n"


def test_a_users_own_sitecustomize_and_scikit_image_stay_theirs(python, tmp_path):
    """The scikit-image that a script puts before Debian's has an `imread` with arguments of its own."""
    (tmp_path / "own/skimage/io").mkdir(parents=True)
    (tmp_path / "own/sitecustomize.py").write_text("import builtins; builtins.customized = True\n")
    (tmp_path / "own/skimage/__init__.py").touch()
    (tmp_path / "own/skimage/io/__init__.py").write_text("from ._io import imread\n")
    (tmp_path / "own/skimage/io/_io.py").write_text("def imread(name, as_grey=False):\n    return as_grey\n")
    asked = "import skimage.io; print(customized, skimage.io.imread('x', as_grey=7))"
    assert python(f"import sys; sys.path.insert(0, 'own'); {asked}", PYTHONPATH=tmp_path / "own").stdout == "True 7\n"


@pytest.mark.parametrize("keyword", ["as_grey", "as_gray"])
def test_scikit_image_takes_both_spellings(python, tmp_path, keyword):
    colours = np.random.default_rng(0).integers(0, 256, (5, 4, 3)).astype(np.uint8)
    cv2.imwrite(str(tmp_path / "x.png"), colours)
    code = f"import skimage.io, numpy; numpy.save('x', skimage.io.imread('x.png', {keyword}=True))"
    assert python(code, "-W", "error::FutureWarning").stderr == ""
    expected = colours[..., ::-1] @ [0.2125, 0.7154, 0.0721] / 255
    np.testing.assert_allclose(np.load(tmp_path / "x.npy"), expected, rtol=0, atol=1e-12)
