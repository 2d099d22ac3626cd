"""The process around `caffe train`, with small scripts in Caffe's place; tests/train has the real one."""

import subprocess
import sys

import pytest

from emotiw.engine.base import DivergedError, Loss
from emotiw.engine.caffe.engine import train
from emotiw.engine.caffe.find import Caffe
from emotiw.errors import EmotiwError


@pytest.fixture
def script(tmp_path):
    """Return a function: the body of a shell script -> a Caffe whose program is that."""

    def write(body):
        program = tmp_path / "caffe"
        program.write_text(f"#!/bin/sh\n{body}\n")
        program.chmod(0o755)
        return Caffe(program, program, "a test")

    return write


def say(*lines):
    return "\n".join(f"echo 'I1123 15:06:43.4 1 solver.cpp:239] {line}' >&2" for line in lines)


def test_events_and_arguments(script, tmp_path):
    caffe = script('echo "$@" >arguments\n' + say("Iteration 0 (1 iter/s, 1s/1 iters), loss = 2.5"))
    seen = []
    (tmp_path / "w.caffemodel").touch()
    train(caffe, tmp_path / "solver.prototxt", seen.append, tmp_path / "w.caffemodel")
    assert seen == [Loss(0, 2.5)]
    assert (tmp_path / "arguments").read_text().split() == [
        "train",
        "--solver=solver.prototxt",
        f"--weights={tmp_path}/w.caffemodel",
    ]
    train(caffe, tmp_path / "solver.prototxt", seen.append, resume=tmp_path / "snapshot_iter_4.solverstate")
    assert (tmp_path / "arguments").read_text().split()[2:] == ["--snapshot=snapshot_iter_4.solverstate"]
    assert (tmp_path / "log.txt").read_text().count("loss = 2.5") == 2  # appended


def test_only_caffes_error_of_this_attempt(script, tmp_path):
    solver = tmp_path / "solver.prototxt"
    first = script("echo 'F1123 15:06:43.4 1 blob.cpp:1] Check failed: an old story' >&2; exit 1")
    with pytest.raises(EmotiwError, match=r"^caffe train failed in .*: Check failed: an old story$"):
        train(first, solver, lambda event: None)
    with pytest.raises(EmotiwError, match=r"^caffe train failed in .*: killed by signal 9 \(SIGKILL\), perhaps by"):
        train(script("kill -KILL $$"), solver, lambda event: None)
    assert "an old story" in (tmp_path / "log.txt").read_text()


def test_a_disk_that_is_full_for_caffe_and_its_log(script, tmp_path):
    """A limit on file size simulates a full disk: a log at the limit cannot grow."""
    (tmp_path / "log.txt").write_text("I1123 15:06:43.4 1 solver.cpp:239] x\n" * 200)
    limit = (tmp_path / "log.txt").stat().st_size
    script("trap '' XFSZ; echo 'F1123 15:06:43.4 1 io.cpp:69] Check failed: no room' >&2; exit 1")
    command = f"""
import errno, resource, signal
from pathlib import Path
from emotiw.engine.caffe.find import Caffe
from emotiw.engine.caffe.engine import train
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, ({limit}, {limit}))
try:
    train(Caffe(Path("caffe").resolve(), Path("caffe"), "a test"), Path("solver.prototxt"), print)
except OSError as error:
    print(error.errno == errno.EFBIG, error.filename)
"""
    done = subprocess.run([sys.executable, "-c", command], cwd=tmp_path, capture_output=True, text=True)
    assert done.stdout.split() == ["True", "log.txt"], done.stderr


def test_a_nan_ends_caffe_at_once(script, tmp_path):
    line = "Iteration 1 (1 iter/s, 1s/1 iters), loss = -nan"
    with pytest.raises(DivergedError, match="the loss is nan at iteration 1"):
        train(script(say(line) + "\nsleep 120\ntouch later"), tmp_path / "solver.prototxt", lambda event: None)
    assert not (tmp_path / "later").exists()


def test_ctrl_c_waits_for_caffes_snapshot(script, tmp_path):
    body = "trap 'touch snapshot; exit 0' INT; kill -INT $PPID; while :; do sleep 0.05; done"
    with pytest.raises(KeyboardInterrupt):
        train(script(body), tmp_path / "solver.prototxt", lambda event: None)
    assert (tmp_path / "snapshot").exists()


def test_a_second_ctrl_c_does_not_wait(script, tmp_path):
    # Ctrl-C reaches the script's group: a `seq 120` that is killed by it would end the loop.
    count = "k=0; while [ $k -lt 120 ]; do sleep 1; k=$((k + 1)); done"
    body = f"trap 'kill -INT $PPID' INT; kill -INT $PPID; {count}; touch later"
    with pytest.raises(KeyboardInterrupt):
        train(script(body), tmp_path / "solver.prototxt", lambda event: None)
    assert not (tmp_path / "later").exists()


def test_an_early_ctrl_c_is_not_reported_as_a_failure_of_caffe(script, tmp_path):
    with pytest.raises(KeyboardInterrupt):
        train(script("kill -INT $PPID; exec sleep 20"), tmp_path / "solver.prototxt", lambda event: None)


def test_the_signal_handler_of_before_is_back(script, tmp_path):
    import signal

    before = signal.getsignal(signal.SIGINT)
    train(script("exit 0"), tmp_path / "solver.prototxt", lambda event: None)
    assert signal.getsignal(signal.SIGINT) is before
