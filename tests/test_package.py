"""The installed package."""

import ast
import os
import re
import shutil
import subprocess
import sys
import sysconfig
import zipfile
from pathlib import Path

import pytest

from emotiw.lbp_mapping.kernels import implementations

ROOT = Path(__file__).parents[1]
FOLDERS = ("lbp_mapping", "prototxt", "data_prep", "engine", "train", "evaluate")


def test_every_part_has_a_docstring():
    for folder in FOLDERS:
        assert ast.get_docstring(ast.parse((ROOT / folder / "__init__.py").read_text(encoding="utf-8")))


def build(kind, source, output, **variables):
    """Build a wheel or a source archive, as pip does; return it."""
    code = f"import sys, setuptools.build_meta as backend; backend.build_{kind}(sys.argv[1])"
    environment = {**os.environ, **variables}
    output.mkdir()
    subprocess.run([sys.executable, "-c", code, str(output)], check=True, cwd=source, env=environment)
    (built,) = output.iterdir()
    return built


@pytest.fixture
def source(tmp_path):
    """A copy of what git has of the working tree."""
    folder = tmp_path / "source"
    subprocess.run(["git", "-C", str(ROOT), "checkout-index", "-a", f"--prefix={folder}/"], check=True)
    return folder


def test_the_wheel_of_the_source_archive_installs_emotiw_alone(source, tmp_path):
    archive = build("sdist", source, tmp_path / "archive")
    shutil.unpack_archive(archive, tmp_path / "unpacked", filter="data")
    (unpacked,) = (tmp_path / "unpacked").iterdir()
    wheel = build("wheel", unpacked, tmp_path / "wheel")
    names = zipfile.ZipFile(wheel).namelist()
    assert {name.split("/")[0] for name in names if ".dist-info/" not in name} == {"emotiw"}
    for file in (
        "emotiw/py.typed",
        "emotiw/lbp_mapping/cyclic_lbp.csv",
        "emotiw/prototxt/formats/messages.csv",
        "emotiw/prototxt/vgg_s/deploy.prototxt",
        "emotiw/prototxt/googlenet/README.md",
        "emotiw/engine/caffe/install/debian11.lock",
        "emotiw/engine/caffe/install/run",
        "emotiw/engine/caffe/worker.py",
        "emotiw/train/experiments.csv",
        "emotiw/evaluate/table/report.html",
        "emotiw/evaluate/table/published.csv",
    ):
        assert file in names
    # One build for all Pythons, with the compiled module where the installed package has it.
    free_threaded = sysconfig.get_config_var("Py_GIL_DISABLED")
    assert free_threaded or re.fullmatch(r"emotiw-.+-cp311-abi3-\w+\.whl", wheel.name)
    assert ("emotiw/lbp_mapping/_kernels.abi3.so" in names) == (len(implementations()) > 1)


def test_without_a_compiler_numpy_maps(source, tmp_path):
    wheel = build("wheel", source, tmp_path / "wheel", CC="/nonexistent/cc")
    assert not [name for name in zipfile.ZipFile(wheel).namelist() if name.endswith(".so")]
    shutil.unpack_archive(wheel, tmp_path / "site", "zip")
    code = "import emotiw, emotiw.lbp_mapping.kernels as kernels; print(emotiw.__file__, kernels.describe())"
    path = os.pathsep.join([str(tmp_path / "site"), sysconfig.get_path("purelib")])
    command = [sys.executable, "-P", "-S", "-c", code]
    done = subprocess.run(command, check=True, capture_output=True, text=True, env={**os.environ, "PYTHONPATH": path})
    file, said = done.stdout.strip().split(" ", 1)
    assert file == str(tmp_path / "site/emotiw/__init__.py")
    assert said == "by NumPy (the compiled module is not installed)"


def test_no_host_and_no_path_of_a_machine_is_written_down():
    listed = subprocess.run(["git", "-C", str(ROOT), "ls-files"], check=True, capture_output=True, text=True).stdout
    hosts = [name + ".org" for name in ("pypi", "pythonhosted", "debian", "npmjs")]
    for name in listed.split("\n"):
        path = ROOT / name
        if path.is_file() and path.suffix not in {".png"}:
            text = path.read_text(encoding="utf-8", errors="replace")
            assert not [host for host in hosts if host in text], name


def test_torch_is_imported_by_its_engine_alone():
    """It is an extra; everything else works without it."""
    for folder in (*FOLDERS, "emotiw"):
        for module in (ROOT / folder).rglob("*.py"):
            text = module.read_text(encoding="utf-8")
            imports = re.search(r"^\s*(?:import|from) torch\b", text, re.MULTILINE)
            assert not imports or module.is_relative_to(ROOT / "engine/torch"), module
