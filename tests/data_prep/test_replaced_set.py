"""After `prepare --force` is killed, the old or the new set has the name; the next command completes the swap."""

import json
import subprocess
import sys

import pytest

from emotiw import files
from emotiw.__main__ import main
from emotiw.data_prep.checkpoint import unfinished
from emotiw.data_prep.prepared_set import open_set
from emotiw.errors import EmotiwError
from emotiw.files import sha256_of

# In a separate process, which is small and so forks quickly: FOLDER WAY KIND. A child does the work; it is killed
# before its first call of a C function, then before its second one, and so on: every system call of Python is in one.
# After each, it prints whether the name existed, and what it named after a reader had opened it.
STEPS = """
import os, shutil, signal, sys
from pathlib import Path
from emotiw import files
from emotiw.data_prep.checkpoint import finish

folder, way, kind = Path(sys.argv[1]), *sys.argv[2:]
if way == "aside":
    files._exchange = lambda one, other: False
output, new = folder / "set", folder / ".set.partial"

def put(path, name):
    path.mkdir()
    for file in ("set.json", "manifest.csv"):
        (path / file).write_text(name)

def work():
    if kind == "prepare":
        finish(new, output)
    else:
        with files.whole(output) as made:
            put(made, "new")

def killed(left):
    child = os.fork()
    if not child:
        def count(frame, event, argument):
            nonlocal left
            left -= event == "c_call"
            if left < 0:
                os.kill(os.getpid(), signal.SIGKILL)
        try:
            sys.setprofile(count)
            work()
        finally:
            os._exit(0)
    return os.WIFSIGNALED(os.waitpid(child, 0)[1])

step, more = 0, True
while more:
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    put(output, "old")
    if kind == "prepare":
        put(new, "new")
        (new / "asked.sha256").touch()
    more = killed(step)
    there = output.exists()
    files.finish_swap(output)
    held = {(output / file).read_text() for file in ("set.json", "manifest.csv")}
    print(there, *held)
    step += 1
"""


@pytest.mark.parametrize("kind", ["prepare", "another folder"])
@pytest.mark.parametrize("way", ["renameat2", "aside"])
def test_after_a_kill_the_old_or_the_new_folder_has_the_name(tmp_path, way, kind):
    """With an exchange of names, and as on a file system without it."""
    command = [sys.executable, "-P", "-c", STEPS, tmp_path / "it", way, kind]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    there, held = zip(*(line.split(" ", 1) for line in done.stdout.splitlines()), strict=True)
    assert len(held) > 20
    assert list(held) == sorted(held, reverse=True), "first the old one, then the new one, never parts of both"
    assert {*held} == {"old", "new"}
    assert ("False" in there) is (way == "aside")
    assert [path.name for path in (tmp_path / "it").iterdir()] == ["set"]
    assert sorted(path.name for path in (tmp_path / "it/set").iterdir()) == ["manifest.csv", "set.json"]


def put(folder, name):
    """Write a minimal set that can be opened; each has a different class."""
    folder.mkdir()
    manifest = f"path,label,name,split,group,sha256\nx.png,0,{name},train,,{'f' * 64}\n"
    (folder / "manifest.csv").write_text(manifest)
    facts = {"format": 1, "manifest_sha256": sha256_of(manifest.encode()), "classes": [name, "z"]}
    facts |= {"labels": "identities", "representations": ["rgb"], "size": 64, "detect": False, "layout": "folders"}
    (folder / "set.json").write_text(json.dumps(facts))


def held(folder):
    """Return which set a folder holds."""
    (name, _), row = open_set(folder).classes, open_set(folder).manifest[0]
    assert name == row["name"]
    return name


@pytest.mark.parametrize("when", ["before", "between", "after"])
def test_the_next_prepare_completes_the_swap(sets, tmp_path, when, capsys):
    output, new = tmp_path / "set", tmp_path / ".set.partial"
    put(output, "old")
    put(new, "new")
    if when != "before":
        output.rename(tmp_path / ".set.old")
    if when == "after":
        new.rename(output)
    command = ["prepare", sets / "faces/people", "-o", output, "--labels", "identities", "--size", "16", "-r", "rgb"]
    assert main([*map(str, command)]) == 1
    assert "exists already: give --force" in capsys.readouterr().err, "a set is there"
    assert main([*map(str, command), "--force"]) == 0
    assert open_set(output).count("train") == 60
    assert [path.name for path in tmp_path.iterdir()] == ["set"]


def test_every_reader_restores_a_set_that_was_left_aside(tmp_path):
    put(tmp_path / ".set.old", "old")
    with pytest.raises(EmotiwError, match="exists already"):
        files.refuse_overwrite(tmp_path / "set", force=False, folder=True)
    (tmp_path / "set").rename(tmp_path / ".set.old")
    with unfinished(tmp_path / "set"):
        assert held(tmp_path / "set") == "old"
    (tmp_path / "set").rename(tmp_path / ".set.old")
    (tmp_path / "link").symlink_to(tmp_path / "set")
    assert held(tmp_path / "link") == "old"


def test_a_reader_may_undo_a_swap_which_is_then_repeated(tmp_path, monkeypatch):
    monkeypatch.setattr(files, "_exchange", lambda one, other: False)
    output, new = tmp_path / "set", tmp_path / ".set.partial"
    put(output, "old")
    put(new, "new")
    replace, met = type(output).replace, []

    def meeting(path, target):
        done = replace(path, target)
        if path == output and len(met) < 2:
            met.append(held(output))
        return done

    monkeypatch.setattr(type(output), "replace", meeting)
    files.replace_folder(new, output)
    assert met == ["old", "old"]
    assert held(output) == "new"
    assert [path.name for path in tmp_path.iterdir()] == ["set"]


def test_a_missing_set_is_not_restored(tmp_path):
    for folder in (tmp_path / "none", "a\0b"):
        with pytest.raises(EmotiwError):
            open_set(folder)
