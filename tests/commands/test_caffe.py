import os
import subprocess
import sys

import pytest

from emotiw.__main__ import main
from emotiw.engine.caffe.find import find_caffe
from emotiw.engine.caffe.install import debian


@pytest.mark.caffe
def test_info_describes_this_caffe(caffe, capsys):
    assert main(["caffe", "info", "--caffe", str(caffe.program)]) == 0
    rows = dict(line.split(maxsplit=1) for line in capsys.readouterr().out.splitlines())
    assert rows["program"] == str(caffe.program)
    assert rows["found"] == "by  --caffe" or rows["found"].endswith("--caffe")
    assert rows["version"].startswith("1.")
    assert rows["Python"].endswith(f"({caffe.python})")


@pytest.mark.caffe
def test_python_passes_arguments_streams_and_status_of_a_script(caffe, tmp_path):
    script = tmp_path / "a script.py"
    script.write_text("import sys, caffe\nprint(sys.argv[1:], sys.stdin.read(), caffe.TEST)\nsys.exit(7)\n")
    done = subprocess.run(
        [sys.executable, "-m", "emotiw", "caffe", "python", script, "--caffe", "x", "a b"],
        input="input",
        capture_output=True,
        text=True,
        cwd=tmp_path,
    )
    assert (done.stdout, done.returncode) == ("['--caffe', 'x', 'a b'] input 1\n", 7)


@pytest.mark.caffe
def test_the_installed_caffe_works_where_it_was_moved_to(tmp_path):
    program = debian.installed()
    assert program is not None, "run `emotiw caffe install`"
    moved = tmp_path / "moved to here"
    (moved / "bin").mkdir(parents=True)
    (moved / "root").symlink_to(program.parents[1] / "root")
    for name in ("run", "caffe", "python"):
        os.link(program.with_name(name), moved / "bin" / name, follow_symlinks=False)
    caffe = find_caffe(moved)
    assert caffe.program == moved / "bin/caffe"
    said = subprocess.run(
        [caffe.python, "-c", "import caffe, sys; print(caffe.__file__, sys.prefix)"], capture_output=True, text=True
    )
    assert said.stdout == f"{moved}/root/usr/lib/python3/dist-packages/caffe/__init__.py {moved}/root/usr\n"


def test_install_says_where_it_is_and_whether_it_was_there(monkeypatch, capsys):
    monkeypatch.setattr(debian, "installed", lambda: "/there")
    monkeypatch.setattr(debian, "install", lambda mirror, force: "/there/bin/caffe")
    monkeypatch.setattr(debian, "superseded", lambda program: [])
    assert main(["caffe", "install"]) == 0
    assert main(["caffe", "install", "--force"]) == 0
    assert capsys.readouterr().out == "already installed: /there/bin/caffe\ninstalled: /there/bin/caffe\n"
    assert main(["caffe", "install", "--mirror", "http://127.0.0.1:1/"]) == 0
    assert capsys.readouterr().out == (
        "already installed: /there/bin/caffe; --mirror was ignored: give --force to install again from it\n"
    )


def test_install_names_what_other_versions_left(monkeypatch, tmp_path, capsys):
    for name in ("debian11-1", "debian11-2", "debian11-3", ".debian11-4.partial", "packages"):
        (tmp_path / name / "bin").mkdir(parents=True)
    monkeypatch.setattr(debian, "install", lambda mirror, force: tmp_path / "debian11-2/bin/caffe")
    assert main(["caffe", "install"]) == 0
    assert capsys.readouterr().out.splitlines()[1:] == [
        f"{tmp_path}/{name}: installed by another version of emotiw; remove it if you no longer use that version"
        for name in ("debian11-1", "debian11-3")
    ]


@pytest.mark.parametrize("args", [["info"], ["python", "x.py"]])
def test_a_named_caffe_that_is_none_is_one_line(tmp_path, monkeypatch, capsys, args):
    monkeypatch.setenv("EMOTIW_CAFFE", str(tmp_path / "nowhere"))
    assert main(["caffe", *args]) == 1
    assert capsys.readouterr().err.count("\n") == 1


def test_an_action_is_required(capsys):
    with pytest.raises(SystemExit) as stop:
        main(["caffe"])
    assert stop.value.code == 2
    assert capsys.readouterr().err.count("\n") == 1
