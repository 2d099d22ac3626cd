"""A copied image's Caffe through its own loader. The images are the real, unpacked Caffe, laid out as others are."""

import re
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from emotiw.__main__ import main
from emotiw.engine.caffe.engine import CaffeEngine
from emotiw.engine.caffe.find import find_caffe
from emotiw.engine.caffe.info import about
from emotiw.evaluate.scores import read_scores

from .conftest import LAYOUTS, TRIPLET

pytestmark = pytest.mark.caffe

ROOT = Path(__file__).parents[2]


def wrap(folder):
    return subprocess.run([sys.executable, ROOT / "docker/wrap.py", folder], capture_output=True, text=True)


def patched(path, old, new):
    """Have a program need another library of an equally long name; its hard links keep what they had."""
    assert len(old) == len(new)
    compiled = path.read_bytes()
    assert old in compiled
    path.unlink()
    path.write_bytes(compiled.replace(old, new))
    path.chmod(0o755)


# The folders of the program and pycaffe in each layout.
FOUND = {
    "debian": ("usr/bin/caffe", "usr/lib/python3/dist-packages/caffe"),
    "bvlc": ("opt/caffe/build/tools/caffe", "opt/caffe/python/caffe"),
    "installed": ("usr/local/bin/caffe", "usr/local/python/caffe"),
}


@pytest.mark.parametrize("layout", LAYOUTS)
def test_the_caffe_of_an_image_is_found_and_runs(image, layout, runs, caffe, scores):
    program, pycaffe = FOUND[layout]
    folder = image(layout)
    done = wrap(folder)
    assert done.stderr == ""
    assert done.stdout == f"{program}, usr/bin/python3.9, {pycaffe}, lib64/ld-linux-x86-64.so.2; both start\n"
    folder = folder.rename(folder.with_name("moved"))  # a mount may lie elsewhere
    copied = find_caffe(folder)
    assert about(copied)["program"] == f"{folder}/bin/caffe"
    assert "libopenblas" in about(copied)["BLAS"]
    assert copied.tool("convert_imageset").is_file()
    run = runs / "vgg_s_small-rgb/finetune"
    images = np.random.default_rng(0).normal(size=(3, 3, 56, 56)).astype(np.float32)
    net, weights = run / "deploy.prototxt", run / "model.caffemodel"
    assert np.array_equal(*(scores(CaffeEngine(one), net, weights, images) for one in (copied, caffe)))


def test_it_trains_and_evaluates(image, sets, tmp_path):
    folder = image("bvlc")
    assert wrap(folder).returncode == 0
    faces, which = ["--set", str(sets / "expressions")], ["--caffe", str(folder)]
    row = ["finetune", "vgg_s_small-rgb", "--from", "scratch", "--iterations", "3", "-o", str(tmp_path / "runs")]
    assert main([*row, *faces, *which]) == 0
    run = tmp_path / "runs/vgg_s_small-rgb/finetune"
    assert main(["evaluate", str(run), *faces, *which]) == 0
    assert len(read_scores(run / "scores_val.csv").labels) == 28


def test_only_libraries_of_the_image_are_used(image):
    """No link leads out of the image, and of the library path only the driver's folders do."""
    folder = image("debian")
    wrap(folder)
    assert wrap(folder).returncode == 0, "its own bin/ is replaced"
    root = folder / "root"
    assert (root / TRIPLET / "libblas.so.3").resolve() == root.resolve() / TRIPLET / "openblas-pthread/libblas.so.3"
    assert not [path for path in root.rglob("*") if path.is_symlink() and path.readlink().is_absolute()]
    code = "import caffe; print(open('/proc/self/maps').read())"
    said = subprocess.run([folder / "bin/python", "-c", code], capture_output=True, text=True, check=True).stdout
    libraries = {line.split(None, 5)[-1] for line in said.splitlines() if ".so" in line}
    assert len(libraries) > 50
    assert not [path for path in libraries if not Path(path).is_relative_to(root.resolve())]


def test_a_missing_library_is_reported(image):
    folder = image("debian")
    for path in (folder / "root" / TRIPLET).glob("libglog.so*"):
        path.unlink()
    done = wrap(folder)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == f"wrap.py: {folder}/root: not in this image: libglog.so.0\n"
    assert not (folder / "bin").exists()


def test_the_driver_comes_from_outside(image, tmp_path):
    """libglog stands in for it, under the name of libcuda. Stubs and other drivers within the image do not count."""
    folder = image("debian")
    root = folder / "root"
    patched(root / "usr/bin/caffe", b"libglog.so.0\0", b"libcuda.so.1\0")
    glog = next(path for path in (root / TRIPLET).glob("libglog.so.*") if not path.is_symlink())
    for inside in ("usr/local/cuda/lib64/stubs", "usr/local/cuda/compat/lib.real"):
        (root / inside).mkdir(parents=True)
        (root / inside / "libcuda.so.1").write_bytes(b"not to be loaded")
    (root / "etc/ld.so.conf.d/cuda.conf").write_text("/usr/local/cuda/compat/lib.real\n")
    done = wrap(folder)
    assert done.stdout.endswith("; not started here, for libcuda.so.1 will come with the driver\n"), done.stderr
    without = subprocess.run([folder / "bin/caffe", "--version"], capture_output=True, text=True)
    assert "libcuda.so.1: cannot open shared object file" in without.stderr
    driver = tmp_path / "driver"
    driver.mkdir()
    shutil.copy(glog, driver / "libcuda.so.1")
    run = folder / "bin/run"
    last = re.search(r'--library-path "(.+?)"', run.read_text())[1].split(":")[-3:]
    assert last == ["/usr/lib/x86_64-linux-gnu", "/usr/lib64", "/usr/local/nvidia/lib64"]
    run.write_text(run.read_text().replace("/usr/local/nvidia/lib64", str(driver)))
    with_driver = subprocess.run([folder / "bin/caffe", "--version"], capture_output=True, text=True)
    assert with_driver.stdout == "caffe version 1.0.0\n"


def test_only_its_own_bin_is_replaced(tmp_path):
    (tmp_path / "root").mkdir()
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin/run").write_text("#!/bin/sh\necho mine\n")
    done = wrap(tmp_path)
    assert (done.returncode, done.stdout) == (1, "")
    words = (
        f"{tmp_path}/bin is not a folder that wrap.py wrote, so it is not replaced: remove it, or name another output"
    )
    assert done.stderr == f"wrap.py: {words}\n"
    assert (tmp_path / "bin/run").read_text() == "#!/bin/sh\necho mine\n"


def test_names_in_the_image_do_not_reach_the_shell(image, tmp_path):
    folder = image("debian")
    evil = f"$(touch {tmp_path}/touched)"
    (folder / "root/etc/ld.so.conf.d/evil.conf").write_text(f"/{evil}\n")
    (folder / "root" / evil).mkdir(parents=True)
    link = folder / "root" / evil / "caffe"
    link.symlink_to("/usr/bin/caffe")
    assert wrap(folder).returncode == 0
    assert "touch" not in (folder / "bin/run").read_text()


@pytest.mark.parametrize(
    ("without", "complaint"),
    [
        ("lib64 lib", "no loader for amd64 in this image"),
        ("usr/bin/caffe", "no caffe program in this image"),
        ("usr/lib/python3/dist-packages/caffe", "no pycaffe in this image"),
        ("usr/bin/python3.9", "no Python that pycaffe was built for in this image"),
    ],
)
def test_an_image_without_a_caffe_is_reported(image, without, complaint):
    folder = image("debian")
    for path in (folder / "root" / name for name in without.split()):
        shutil.rmtree(path) if path.is_dir() else path.unlink()
    done = wrap(folder)
    assert done.returncode == 1
    assert done.stderr == f"wrap.py: {folder}/root: {complaint}\n"
