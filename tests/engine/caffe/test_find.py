"""The search for a Caffe, with shell scripts as programs, and as Pythons that can or cannot import it."""

import os

import pytest

from emotiw.engine.caffe import find
from emotiw.engine.caffe.engine import CaffeEngine
from emotiw.engine.caffe.find import find_caffe
from emotiw.engine.caffe.install import openblas
from emotiw.errors import EmotiwError


def program(path, script="exit 0"):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)
    return path


@pytest.fixture(autouse=True)
def bare(monkeypatch, tmp_path):
    """No Caffe anywhere, and only this test's folder on the PATH."""
    for name in ("EMOTIW_CAFFE", "EMOTIW_CAFFE_PYTHON", "PYTHONPATH"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("PATH", str(tmp_path / "path"))
    monkeypatch.setattr(find, "installed", lambda: None)


@pytest.fixture
def build(tmp_path):
    """A user's own build, `tools/caffe` with its Python folder."""
    program(tmp_path / "own/build/tools/python")
    return program(tmp_path / "own/build/tools/caffe")


def test_none_anywhere_names_the_install():
    with pytest.raises(EmotiwError, match="run `emotiw caffe install`"):
        find_caffe()


def test_order(build, tmp_path, monkeypatch):
    installed = program(tmp_path / "cache/bin/run")
    (tmp_path / "cache/bin/caffe").symlink_to("run")
    monkeypatch.setattr(find, "installed", lambda: installed.with_name("caffe"))
    found = find_caffe()
    assert (found.source, found.python) == ("emotiw caffe install", installed.with_name("python"))
    program(tmp_path / "path/python3")
    on_path = program(tmp_path / "path/caffe")
    assert find_caffe().program == on_path
    monkeypatch.setenv("EMOTIW_CAFFE", str(build))
    assert (find_caffe().program, find_caffe().source) == (build, "$EMOTIW_CAFFE")
    assert (find_caffe(on_path).program, find_caffe(on_path).source) == (on_path, "--caffe")


def test_unusable_on_the_path_gives_way_to_the_installed(tmp_path, monkeypatch):
    program(tmp_path / "path/caffe")
    program(tmp_path / "path/python3", "exit 1")
    monkeypatch.setenv("EMOTIW_CAFFE_PYTHON", str(tmp_path / "path/python3"))
    with pytest.raises(EmotiwError, match=r"path/caffe \(the PATH\): no Python found .*\$EMOTIW_CAFFE_PYTHON"):
        find_caffe()
    installed = program(tmp_path / "cache/bin/run")
    monkeypatch.setattr(find, "installed", lambda: installed)
    assert find_caffe().program == installed


@pytest.mark.parametrize("folder", ["own", "own/build/tools"])
def test_a_folder_may_be_named(build, tmp_path, folder):
    assert find_caffe(tmp_path / folder).program == build


def test_named_but_not_there(tmp_path, monkeypatch):
    with pytest.raises(EmotiwError, match=r"nowhere \(--caffe\): neither"):
        find_caffe(tmp_path / "nowhere")
    (tmp_path / "plain").touch()
    monkeypatch.setenv("EMOTIW_CAFFE", str(tmp_path / "plain"))
    with pytest.raises(EmotiwError, match=r"plain \(\$EMOTIW_CAFFE\): neither"):
        find_caffe()


def test_the_first_python_that_imports_caffe_is_taken(build, tmp_path, monkeypatch):
    program(build.with_name("python"), "exit 1")
    last = program(tmp_path / "path/python2", '[ "$2" = "import caffe; caffe.Net" ]')
    program(tmp_path / "path/python3", "exit 1")
    assert find_caffe(build).python == last
    monkeypatch.setenv("EMOTIW_CAFFE_PYTHON", str(build))
    assert find_caffe(build).python == build


def test_a_build_tree_is_put_on_the_pythonpath(build, tmp_path, monkeypatch):
    module = tmp_path / "own/python/caffe/__init__.py"
    module.parent.mkdir(parents=True)
    module.touch()
    tree = str(tmp_path / "own/python")
    assert find_caffe(build).environment == {"PYTHONPATH": tree}
    monkeypatch.setenv("PYTHONPATH", "/mine")
    assert find_caffe(build).environment == {"PYTHONPATH": tree + os.pathsep + "/mine"}


def test_tools_are_in_caffes_folder(build):
    tool = program(build.with_name("convert_imageset"))
    assert find_caffe(build).tool("convert_imageset") == tool
    with pytest.raises(EmotiwError, match="this Caffe has no extract_features"):
        find_caffe(build).tool("extract_features")


def test_caffe_version_is_run_once_by_a_command(tmp_path, monkeypatch):
    """It tells the kernels that OpenBLAS takes by itself, and the version; the install has all others."""
    monkeypatch.delenv("OPENBLAS_CORETYPE", raising=False)
    (tmp_path / "cpuinfo").write_text("flags\t\t: fpu avx2 fma\n")
    monkeypatch.setattr(openblas, "CPUINFO", tmp_path / "cpuinfo")
    script = f"echo $* >> {tmp_path}/runs; echo caffe version 1.2.3; echo Core: Prescott >&2"
    installed = program(tmp_path / "cache/bin/run", script)
    monkeypatch.setattr(find, "installed", lambda: installed)
    for _ in range(2):
        engine = CaffeEngine(find_caffe())
        assert engine.caffe.environment == {"OPENBLAS_CORETYPE": "Haswell"}
        assert [engine.version, str(engine), engine.sharing(1).version] == ["1.2.3", "Caffe 1.2.3", "1.2.3"]
    assert (tmp_path / "runs").read_text() == "--version\n"
