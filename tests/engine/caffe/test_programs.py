import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from emotiw.engine.caffe.programs import start
from emotiw.engine.child_process import leashed, running
from emotiw.engine.training_log import last_words

FATAL = """\
I1123 14:43:19.358548  8394 net.cpp:51] Initializing net from parameters:
[libprotobuf ERROR google/protobuf/text_format.cc:317] Error parsing text-format caffe.NetParameter: 1:9: no field
F1123 14:43:19.358763  8394 upgrade_proto.cpp:90] Check failed: ReadProtoFromTextFile(file, param) Failed to parse
*** Check failure stack trace: ***
    @     0x7ffac687d50d  google::LogMessage::Fail()
    @              (nil)  (unknown)
"""

OUT_OF_MEMORY = "killed by signal 9 (SIGKILL), perhaps by the kernel because memory ran out"


@pytest.mark.parametrize(
    ("log", "status", "words"),
    [
        (
            FATAL,
            -6,
            "Error parsing text-format caffe.NetParameter: 1:9: no field; "
            "Check failed: ReadProtoFromTextFile(file, param) Failed to parse",
        ),
        (
            "F20251123 14:43:19.358763  8394 a.cpp:9] Check failed: x == y (1 vs. 2)",
            -6,
            "Check failed: x == y (1 vs. 2)",
        ),
        ("Traceback (most recent call last):\n  File 'x'\nImportError: no caffe\n\n", 1, "ImportError: no caffe"),
        ("I1123 14:43:19.358548  8394 net.cpp:51] fine\n", -9, OUT_OF_MEMORY),
        # A training killed before its first loss: the last line it printed was the end of its net.
        (
            'I1123 14:43:19.3  1 net.cpp:51] Initializing net from parameters:\nlayer {\n  name: "x"\n}\n',
            -9,
            OUT_OF_MEMORY,
        ),
        ('I1123 14:43:19.3  1 a.cpp:5] from parameters:\nbase_lr: 0.01\nname: "x"\n}\n', 137, OUT_OF_MEMORY),
        ("layer {\n}\n*** SIGSEGV (@0x0) received by PID 5 ***\n", -11, "killed by signal 11 (SIGSEGV)"),
        (
            "terminate called after throwing an instance of 'x'\n  what():  y\n",
            -6,
            "terminate called after throwing an instance of 'x'",
        ),
        ("WARNING: Logging before InitGoogleLogging() is written to STDERR\n", 3, "ended with 3"),
    ],
)
def test_last_words(log, status, words):
    assert last_words(log, status) == words


def test_leashed_is_the_program_itself_in_its_own_session(tmp_path):
    code = "import os; print(os.getpid(), os.getsid(0), os.getcwd(), os.environ['X'])"
    command = [sys.executable, "-c", code]
    with running(leashed(command, tmp_path, subprocess.PIPE, env={"X": "added"})) as child:
        said = child.communicate()[0].decode().split()
    assert said == [str(child.pid), str(child.pid), str(tmp_path), "added"]


def test_leashed_passes_the_status_and_reports_missing_programs():
    with running(leashed(["sh", "-c", "exit 7"])) as child:
        assert child.wait() == 7
    with running(leashed(["/nowhere/caffe"], stderr=subprocess.PIPE)) as child:
        assert child.communicate()[1] == b"/nowhere/caffe: No such file or directory\n"
    assert child.returncode == 1


def test_running_ends_the_whole_group():
    script = "sleep 600 & echo $!; wait"
    with running(leashed(["sh", "-c", script], stdout=subprocess.PIPE)) as child:
        grandchild = int(child.stdout.readline())
    assert child.returncode == -signal.SIGKILL
    wait_until_gone(grandchild)


def test_leashed_gets_a_forwarded_ctrl_c_if_we_ignore_sigint():
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        with running(leashed(["sh", "-c", "echo here; exec sleep 600"], stdout=subprocess.PIPE)) as child:
            child.stdout.readline()
            os.killpg(child.pid, signal.SIGINT)
            assert child.wait(timeout=60) == -signal.SIGINT
    finally:
        signal.signal(signal.SIGINT, before)


def test_a_leash_with_a_dead_parent_starts_nothing():
    leash = Path(sys.modules[leashed.__module__].__file__)
    said = subprocess.run([sys.executable, leash, "1", "echo", "started"], capture_output=True)
    assert (said.returncode, said.stdout) == (1, b"")


@pytest.mark.caffe
def test_caffe_dies_with_a_killed_parent(caffe, tmp_path):
    code = (
        "import sys, time; from pathlib import Path\n"
        "from emotiw.engine.caffe.find import find_caffe; from emotiw.engine.caffe.programs import start\n"
        "caffe = find_caffe()\n"
        "start(caffe, [caffe.python, '-c', sys.argv[1]], Path(sys.argv[2]))\n"
        "time.sleep(600)"
    )
    sleeper = "import os, time; open('pid', 'w').write('%d\\n' % os.getpid()); time.sleep(600)"
    with subprocess.Popen([sys.executable, "-c", code, sleeper, tmp_path]) as parent:
        note = tmp_path / "pid"
        while not (note.exists() and note.read_text().endswith("\n")):
            assert parent.poll() is None
            time.sleep(0.02)
        parent.send_signal(signal.SIGKILL)
    wait_until_gone(int(note.read_text()))


@pytest.mark.caffe
def test_start_runs_caffe_and_its_tools(caffe):
    with running(start(caffe, [caffe.program, "--version"], stdout=subprocess.PIPE)) as child:
        assert child.communicate()[0].startswith(b"caffe version 1.")
    tool = caffe.tool("compute_image_mean")
    with running(start(caffe, [tool, "--help"], stdout=subprocess.PIPE)) as child:
        assert b"Compute the mean_image of a set of images" in child.communicate()[0]


def wait_until_gone(pid):
    """Wait, a minute at most, until process `pid` has ended (a zombie has)."""
    stat = Path(f"/proc/{pid}/stat")
    for _ in range(3000):
        if not stat.exists() or stat.read_text().rpartition(")")[2].split()[0] == "Z":
            return
        time.sleep(0.02)
    os.kill(pid, signal.SIGKILL)
    pytest.fail(f"process {pid} outlived its parent")
