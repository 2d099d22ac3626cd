"""A checkout works in place, whether the package is installed or not."""

import os
import subprocess
import sys
import sysconfig
from pathlib import Path

import cv2
import numpy as np
import pytest

import emotiw

ROOT = Path(__file__).parents[1]


@pytest.fixture(scope="module")
def checkout(tmp_path_factory):
    """A copy of the checkout, with a picture in it."""
    folder = tmp_path_factory.mktemp("checkout")
    subprocess.run(["git", "-C", str(ROOT), "checkout-index", "-a", f"--prefix={folder}/"], check=True)
    picture = np.random.default_rng(0).integers(0, 256, (40, 30, 3), np.uint8)
    cv2.imwrite(str(folder / "face.png"), picture)
    return folder


@pytest.fixture(scope="module")
def without_emotiw(tmp_path_factory):
    """A folder of all installed packages except emotiw."""
    folder = tmp_path_factory.mktemp("packages")
    for path in Path(sysconfig.get_path("purelib")).iterdir():
        if not path.name.lower().startswith("emotiw"):
            (folder / path.name).symlink_to(path)
    return folder


@pytest.fixture(params=["installed", "not installed"])
def python(request, checkout, without_emotiw):
    """Run Python in the checkout, as users do."""

    def run(*arguments):
        env = {name: value for name, value in os.environ.items() if name != "PYTHONSAFEPATH"}
        options = []
        if request.param == "not installed":
            env, options = {**env, "PYTHONPATH": str(without_emotiw)}, ["-S"]  # -S: without site-packages
        command = [sys.executable, *options, *arguments]
        return subprocess.run(command, check=True, capture_output=True, text=True, cwd=checkout, env=env).stdout

    return run


def test_its_folders_are_imported(python, checkout):
    code = "import emotiw.lbp_mapping.codes as codes, emotiw.prototxt.surgery as surgery\n"
    code += "print(codes.__file__, surgery.committed('vgg_s', 'deploy.prototxt').layer[0].name, sep='\\n')\n"
    code += "import emotiw.evaluate.table.published as published; print(len(published.publications()) > 0)"
    file, layer, published = python("-c", code).split()
    assert file == str(checkout / "lbp_mapping/codes.py")
    assert (layer, published) == ("data", "True")


def test_the_command_works(python, checkout, tmp_path):
    python("-m", "emotiw", "map", "face.png", "-r", "cyclic_lbp_5", "-o", str(tmp_path))
    written = cv2.imread(str(tmp_path / "face.cyclic_lbp_5.png"))[..., ::-1]
    rgb = cv2.imread(str(checkout / "face.png"))[..., ::-1]
    np.testing.assert_array_equal(written, emotiw.map_image(rgb, "cyclic_lbp_5"))


def test_the_version_is_the_installed_ones_or_none(python, request):
    said, mapping = python("-m", "emotiw", "--version").splitlines()
    installed = "not installed" not in request.node.name
    assert said == f"emotiw {emotiw.__version__ if installed else 'unknown (a checkout, not installed)'}"
    assert mapping == "mapping by NumPy (the compiled module is not installed)"  # it is not built in a checkout


def test_the_installed_package_stands_alone():
    """The package that all other tests use."""
    assert len(emotiw.__path__) == 1
    assert not Path(emotiw.__file__).is_relative_to(ROOT / "emotiw")
