"""Faults made on purpose: each gives one line or nothing, and then the same command has its usual results."""

import json
import os
import re
import resource
import shutil
import signal
import subprocess
import time
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path

import pytest
from victims import VICTIMS

pytestmark = pytest.mark.caffe

ODD = "a b'c\"d\ne $HOME ü{x};&"  # a folder's name
QUICK = ("prepare", "evaluate by torch", "models fetch", "caffe install")  # the others in make test-all
EVERY = [pytest.param(name, marks=() if name in QUICK else pytest.mark.slow) for name in VICTIMS]
WITHIN = ("sh", "-c", 'cd "$0" && exec "$@"')  # a folder
# Child processes, by words in their command lines.
OTHERS = {
    "pretrain by caffe": "caffe train",
    "pretrain by torch": "torch.worker",
    "evaluate by caffe": "worker.py",
    "reproduce": "caffe train",
}


def no_room(name):
    """Return a function that limits the size of a command's files, as a full disk does."""
    room = VICTIMS[name].room

    def keep():
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)  # so that writing is an error
        resource.setrlimit(resource.RLIMIT_FSIZE, (room, room))

    return keep


@pytest.mark.parametrize("name", EVERY)
def test_a_full_disk(name, scene, tmp_path):
    trial = scene.trial(name, tmp_path / "it", limit=no_room(name)).begin()
    assert trial.wait() == 1, trial.said[-5:]
    print(f"\n{name}: {trial.complaint}")
    trial.gone()
    trial.victim.whole(trial.folder)
    scene.again(trial, name)


@contextmanager
def small_disk(folder):
    """Mount a small disk in a namespace; yield a function that sets its size, and a command prefix to enter it."""
    hold = ["unshare", "--map-root-user", "--mount", "sh", "-c", 'mount -t tmpfs none "$0" && echo && exec cat']
    folder.mkdir()
    if not (shutil.which("unshare") and shutil.which("nsenter")):
        pytest.skip("no unshare and nsenter here, of util-linux")
    with subprocess.Popen([*hold, folder], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as held:
        if not held.stdout.readline():
            pytest.skip("no file system can be mounted here")
        enter = ("nsenter", "--user", "--mount", "--preserve-credentials", f"--target={held.pid}")

        def resize(size):
            subprocess.run([*enter, "mount", "-o", f"remount,size={size}", folder], check=True)

        yield Path(f"/proc/{held.pid}/root{folder}"), resize, enter
        held.stdin.close()


def taken(folder):
    """The disk usage of a folder in bytes."""
    return sum(path.lstat().st_blocks for path in [folder, *folder.rglob("*")]) * 512


@pytest.mark.parametrize("name", EVERY)
def test_a_small_disk(name, scene, tmp_path):
    """It has half the space that the command needs, and then enough."""
    undisturbed, _ = scene.undisturbed(name)
    with small_disk(tmp_path / "disk") as (seen, resize, enter):
        trial = scene.trial(name, seen / "it", before=(*enter, *WITHIN, str(tmp_path / "disk/it")))
        given = taken(seen)
        resize(given + (taken(undisturbed.folder) - given) // 2)
        assert trial.begin().wait() == 1, trial.said[-5:]
        print(f"\n{name}: {trial.complaint}")
        trial.gone()
        trial.victim.whole(trial.folder)
        resize("1g")
        scene.again(trial, name)


def test_a_full_lmdb(scene, tmp_path):
    """The largest size of an LMDB is 1 TB, and here 0.3 MB."""
    trial = scene.trial("prepare", tmp_path / "it")
    script = "import sys; from emotiw.data_prep import lmdb_writer as writing; writing.MAP_SIZE = 300_000; "
    small = replace(trial.victim, script=script + "from emotiw.__main__ import main; sys.exit(main(sys.argv[1:]))")
    full = replace(trial, victim=small)
    assert full.begin().wait() == 1, full.said[-5:]
    assert "holds no more than 0.0003 GB: give --store png" in full.complaint
    scene.again(trial, "prepare")


@pytest.mark.parametrize("name", ["evaluate by caffe", pytest.param("pretrain by caffe", marks=pytest.mark.slow)])
def test_a_caffe_that_hangs(name, scene, tmp_path):
    """The command waits; Ctrl-C ends it, and a second Ctrl-C ends it at once."""
    trial = scene.trial(name, tmp_path / "it").begin()
    hanging = found_of(trial, OTHERS[name])
    for number in hanging:
        with suppress(ProcessLookupError):
            os.kill(number, signal.SIGSTOP)
    time.sleep(1)
    assert trial.process.poll() is None, trial.said[-5:]
    os.kill(trial.process.pid, signal.SIGINT)
    # A training passes the first one on, so that Caffe can end by itself.
    wait_for(lambda: trial.process.poll() is not None or any(waits_at(number, signal.SIGINT) for number in hanging))
    if trial.process.poll() is None:
        os.kill(trial.process.pid, signal.SIGINT)
    assert trial.wait(patience=60) == 130, trial.said[-5:]
    print(f"\n{name}: {trial.said[-1]}")
    trial.gone()
    scene.again(trial, name)


def found_of(trial, words):
    """Wait for processes of a trial with these words in their command lines; return them."""
    found = []
    wait_for(lambda: found.extend(number for number, command in trial.living().items() if words in command) or found)
    return found


def wait_for(condition):
    """Wait for a condition for at most two minutes."""
    end = time.monotonic() + 120
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.01)


def waits_at(number, sent):
    """Whether a signal is pending for a stopped process."""
    try:
        status = Path(f"/proc/{number}/status").read_text()
    except OSError:  # it has ended
        return False
    return bool(int(re.search(r"ShdPnd:\s*(\w+)", status)[1], 16) >> (sent - 1) & 1)


TOPS = {"faces", "made", "sets", "runs", "model.caffemodel", "reproduction"}  # of what is named in a command


@pytest.mark.parametrize("name", [each for each in EVERY if "caffe install" not in each.values])  # that names none
def test_relative_paths_from_another_folder(name, scene, tmp_path):
    trial = scene.trial(name, tmp_path / "it")
    (trial.folder / "elsewhere").mkdir()
    words = [f"../{word}" if word.partition("/")[0] in TOPS else word for word in trial.victim.arguments]
    more = {"EMOTIW_MODELS": "../models"}
    there = replace(
        trial, victim=replace(trial.victim, arguments=tuple(words)), before=(*WITHIN, "elsewhere"), more=more
    )
    there.run()
    shutil.rmtree(trial.folder / "elsewhere")
    assert trial.victim.answer(trial.folder) == scene.undisturbed(name)[1]


# The errors of the second of two: while the first is running, or after its end.
REFUSED = re.compile("another emotiw .*: wait|exists already")


@pytest.mark.parametrize("name", EVERY)
def test_two_at_once_on_the_same_output(name, scene, tmp_path):
    """Both have the same results, or one waits or is refused; the system decides which is first."""
    first = scene.trial(name, tmp_path / "it").begin()
    second = type(first)(first.victim, first.folder, scene.site).begin()
    ended = [(trial.wait(), trial) for trial in (first, second)]
    assert 0 in [status for status, _ in ended], first.said[-3:] + second.said[-3:]
    for status, trial in ended:
        assert status == 0 or REFUSED.search(trial.complaint), trial.said[-5:]
    print(f"\n{name}: {'both' if all(status == 0 for status, _ in ended) else 'one refused'}")
    scene.again(first, name)


@pytest.mark.parametrize("name", EVERY)
def test_an_odd_folder_and_the_locale_c(name, scene, tmp_path):
    trial = scene.trial(name, tmp_path / ODD, more={"LC_ALL": "C", "LANG": "C", "LANGUAGE": "C"}).run()
    assert trial.victim.answer(trial.folder) == scene.undisturbed(name)[1]


@pytest.mark.slow
@pytest.mark.parametrize(("name", "words"), OTHERS.items())
def test_a_process_of_ours_is_killed(name, words, scene, tmp_path):
    trial = scene.trial(name, tmp_path / "it").begin()
    for number in found_of(trial, words):
        with suppress(ProcessLookupError):
            os.kill(number, signal.SIGKILL)
    assert trial.wait() == 1, trial.said[-5:]
    print(f"\n{name}: {trial.complaint}")
    trial.gone()
    scene.again(trial, name)


@pytest.mark.parametrize("engine", ["caffe", "torch"])
def test_a_set_that_changes_under_a_running_training(engine, scene, tmp_path):
    name = f"pretrain by {engine}"
    trial = scene.trial(name, tmp_path / "it")
    (trial.folder / "sets").unlink()
    shutil.copytree(scene.given("sets") / "people", trial.folder / "sets/people")
    trial.begin()
    log = trial.folder / "runs/vgg_s_small-rgb/pretrain/log.txt"
    wait_for(lambda: log.is_file() and re.search(r"Iteration \d+.*loss", log.read_text()))
    (trial.folder / "sets/people").rename(trial.folder / "sets/away")
    other = shutil.copytree(trial.folder / "sets/away", trial.folder / "sets/people")
    facts = json.loads((other / "set.json").read_text())
    del facts["seal"]
    (other / "set.json").write_text(json.dumps(facts | {"detect": True}))
    assert trial.wait() == 0, trial.said[-5:]  # open files stay valid
    again = type(trial)(trial.victim, trial.folder, scene.site).begin()
    assert again.wait() == 1
    assert "has another run (" in again.complaint


@pytest.mark.parametrize("name", ["prepare", "pretrain by torch"])
def test_a_read_only_place(name, scene, tmp_path):
    """Not even root can make a folder there."""
    trial = scene.trial(name, tmp_path / "it")
    made = {"prepare": "made", "pretrain by torch": "runs"}[name]
    (trial.folder / made).symlink_to("/proc/1/made")
    assert trial.begin().wait() == 1, trial.said[-5:]
    print(f"\n{name}: {trial.complaint}")
