"""Faults made on purpose: each is one line or nothing, and the same command then comes to what it always comes to."""

import os
import re
import resource
import shutil
import signal
import time
from contextlib import suppress

import pytest
from victims import VICTIMS

pytestmark = pytest.mark.caffe

ODD = "a b'c\"d\ne $HOME ü{x};&"  # a folder's name
QUICK = ("prepare", "evaluate by torch", "models fetch", "caffe install")  # the others in make test-all
EVERY = [pytest.param(name, marks=() if name in QUICK else pytest.mark.slow) for name in VICTIMS]
# Processes of their own, by what is in their command lines.
OTHERS = {
    "pretrain by caffe": "caffe train",
    "pretrain by torch": "torch.worker",
    "evaluate by caffe": "worker.py",
    "reproduce": "caffe train",
}


def no_room(name):
    """Return what keeps a victim's files from growing, as on a disk that is full."""
    room = VICTIMS[name].room

    def keep():
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)  # so that it is an error
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


@pytest.mark.parametrize("name", EVERY)
def test_two_at_once_on_the_same_output(name, scene, tmp_path):
    """Both come to the same, or one waits, or is refused."""
    first = scene.trial(name, tmp_path / "it").begin()
    second = type(first)(first.victim, first.folder, scene.site).begin()
    ended = [(trial.wait(), trial) for trial in (first, second)]
    assert 0 in [status for status, _ in ended], first.said[-3:] + second.said[-3:]
    for status, trial in ended:
        assert status == 0 or "another emotiw" in trial.complaint, trial.said[-5:]
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
    end = time.monotonic() + 60
    while not (found := [number for number, command in trial.living().items() if words in command]):
        assert time.monotonic() < end, trial.living()
        time.sleep(0.01)
    for number in found:
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
    end = time.monotonic() + 60
    while not (log.is_file() and re.search(r"Iteration \d+.*loss", log.read_text())):
        assert time.monotonic() < end, trial.said
        time.sleep(0.01)
    (trial.folder / "sets/people").rename(trial.folder / "sets/away")
    other = shutil.copytree(trial.folder / "sets/away", trial.folder / "sets/people")
    text = (other / "set.json").read_text()
    (other / "set.json").write_text(text.replace('"detect": false', '"detect": true'))
    assert trial.wait() == 0, trial.said[-5:]  # what it has open stays
    again = type(trial)(trial.victim, trial.folder, scene.site).begin()
    assert again.wait() == 1
    assert "holds another run (" in again.complaint


@pytest.mark.parametrize("name", ["prepare", "pretrain by torch"])
def test_a_place_where_nobody_may_write(name, scene, tmp_path):
    """Not even root makes a folder there."""
    trial = scene.trial(name, tmp_path / "it")
    made = {"prepare": "made", "pretrain by torch": "runs"}[name]
    (trial.folder / made).symlink_to("/proc/1/made")
    assert trial.begin().wait() == 1, trial.said[-5:]
    print(f"\n{name}: {trial.complaint}")
