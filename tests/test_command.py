"""The command line as a whole."""

import os
import subprocess
import sys
from importlib.metadata import version

import cv2
import numpy as np
import pytest

from emotiw.__main__ import main, parse
from emotiw.commands import VERBS
from emotiw.lbp_mapping.kernels import describe


def test_help_imports_nothing_heavy():
    code = (
        "import sys\n"
        "from emotiw.__main__ import VERBS, build_parser\n"
        "for verb in (None, *VERBS): build_parser(verb).format_help()\n"
        "print(*sorted({'cv2', 'matplotlib', 'sklearn', 'ot', 'scipy', 'numpy', 'google', 'lmdb'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-P", "-c", code], check=True, capture_output=True, text=True)
    assert done.stdout.split() == []


@pytest.mark.parametrize("verb", VERBS)
def test_every_verb_and_option_has_help(verb, capsys):
    with pytest.raises(SystemExit) as end:
        main([verb, "--help"])
    assert end.value.code == 0
    said = capsys.readouterr().out
    assert said.startswith(f"usage: emotiw {verb}")
    lines = said.split("options:")[1].strip("\n").split("\n")
    for line, following in zip(lines, [*lines[1:], ""], strict=True):
        if line.startswith("  -") and len(line.split("  ")) <= 2:  # an option too long for its help on the same line
            assert following.startswith("       "), line


@pytest.mark.parametrize(
    "argv",
    [
        [],
        ["nonsense"],
        ["map", "--nonsense"],
        ["prepare"],
        ["evaluate", "x", "--set", "y", "--crops", "3"],
        ["caffe"],
    ],
)
def test_a_usage_error_is_one_line_and_exits_with_2(argv, capsys):
    with pytest.raises(SystemExit) as end:
        main(argv)
    assert end.value.code == 2
    said = capsys.readouterr()
    assert said.out == ""
    assert said.err.startswith("emotiw")
    assert said.err.count("\n") == 1


def test_version(capsys):
    with pytest.raises(SystemExit) as end:
        parse(["--version"])
    assert end.value.code == 0
    assert capsys.readouterr().out == f"emotiw {version('emotiw')}\nmapping {describe()}\n"


def test_debug_shows_the_traceback(tmp_path):
    argv = ["table", str(tmp_path), "-o", str(tmp_path / "out")]
    assert main(argv) == 1
    with pytest.raises(Exception, match="has no finetune run"):
        main([*argv, "--debug"])


def test_an_internal_error_is_one_line(tmp_path, capsys, monkeypatch):
    def fault(*_args, **_kwargs):
        raise KeyError("a fault")

    monkeypatch.setattr("emotiw.evaluate.table.results.collect", fault)
    argv = ["table", str(tmp_path), "-o", str(tmp_path / "out")]
    assert main(argv) == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert "internal error" in line
    with pytest.raises(KeyError):
        main([*argv, "--debug"])


def test_too_little_memory_is_not_an_internal_error(tmp_path, capsys, monkeypatch):
    def fail(*_args, **_kwargs):
        raise MemoryError("Unable to allocate 3.00 MiB\nfor an array")

    monkeypatch.setattr("emotiw.evaluate.table.results.collect", fail)
    argv = ["table", str(tmp_path), "-o", str(tmp_path / "out")]
    assert main(argv) == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith(
        "emotiw: there is not enough memory, or the limit on address space (ulimit -v) is too small: "
    )
    with pytest.raises(MemoryError):
        main([*argv, "--debug"])


def test_a_file_where_a_folder_should_be(tmp_path, capsys):
    (tmp_path / "file").write_text("")
    picture = np.zeros((8, 8, 3), np.uint8)
    cv2.imwrite(str(tmp_path / "face.png"), picture)
    assert main(["map", str(tmp_path / "face.png"), "-r", "lbp", "-o", str(tmp_path / "file")]) == 1
    assert "a file is where a folder should be" in capsys.readouterr().err


def test_a_closed_pipe_is_not_an_error(tmp_path):
    """For example, `emotiw ... | head -1`."""
    code = "import sys; from emotiw.__main__ import main; status = main(['map', '--derive']); sys.exit(status)"
    read, write = os.pipe()
    os.close(read)
    done = subprocess.run([sys.executable, "-P", "-c", code], stdout=write, stderr=subprocess.PIPE, cwd=tmp_path)
    os.close(write)
    assert (done.returncode, done.stderr) == (141, b"")
