"""Environments of shells, cron jobs and containers: each command has its usual results, or reports
the cause in one line."""

import http.client
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest
from victims import VICTIMS
from without_privileges import ordinary

from emotiw.commands import VERBS
from emotiw.engine.caffe.engine import CaffeEngine, train
from emotiw.engine.caffe.find import Caffe
from emotiw.errors import EmotiwError
from emotiw.train.progress import read_progress

pytestmark = pytest.mark.caffe

CLOSED = {"stdin": "<&-", "stdout": ">&-", "stderr": "2>&-", "all three": "<&- >&- 2>&-"}
ROW = "vgg_s_small-rgb"
FACE = "faces/Happy/actor0001_001.png"
MODELS = ("--model", f"runs/{ROW}/finetune")
# A command for each verb, and its output.
COMMANDS = {
    "map": (["map", FACE, "-r", "lbp", "-o", "made"], "made/*.png"),
    "caffe": (["caffe", "info"], None),
    "prepare": ([*VICTIMS["prepare"].arguments], "made/set.json"),
    "pretrain": (["pretrain", ROW, "--set", "sets/people", "-o", "out", "--iterations", "2"], f"out/{ROW}/*/model.*"),
    "finetune": (
        ["finetune", ROW, "--set", "sets/expressions", "-o", "out", "--iterations", "2", "--from", "scratch"],
        f"out/{ROW}/finetune/model.caffemodel",
    ),
    "evaluate": ([*VICTIMS["evaluate by caffe"].arguments], f"runs/{ROW}/finetune/scores_val.csv"),
    "baseline": (["baseline", "--set", "sets/expressions", "-o", "out"], "out/baseline/*/scores_val.csv"),
    "table": (["table", "scored", "-o", "out"], "out/table.csv"),
    "records": (["records", "scored", "-o", "out"], f"out/{ROW}/finetune/run.json"),
    "reproduce": (
        [*VICTIMS["reproduce"].arguments[:-1], "2", "--dry-run"],
        "reproduction/reproduction.json",
    ),
    "models": (["models", "list"], None),
    "predict": (["predict", FACE, "--aligned", *MODELS, "--figure", "-o", "out"], "out/*.png"),
    "explain": (["explain", FACE, "--aligned", *MODELS, "-o", "out.png"], "out.png"),
    "export": (["export", MODELS[1], "-o", "out.onnx"], "out.onnx"),
    "experiments": (["experiments"], None),
}
"""`serve` waits for pages, and has its own test; `demo` is the others, one after another, for minutes."""


def some(*quick: str) -> list[object]:
    """Every verb; `make test` runs only these."""
    return [pytest.param(verb, marks=() if verb in quick else pytest.mark.slow) for verb in COMMANDS]


def test_every_verb_is_tried():
    assert {*COMMANDS, "serve", "demo"} == set(VERBS)


@pytest.fixture
def folder(sets, runs, tmp_path) -> Path:
    """A folder with the files that the commands name."""
    (tmp_path / "sets").symlink_to(sets)
    (tmp_path / "faces").symlink_to(sets / "faces/expressions")
    (tmp_path / "scored").symlink_to(runs)
    shutil.copytree(runs, tmp_path / "runs", ignore=shutil.ignore_patterns("*s_val.*", "confusion_*"))
    return tmp_path


def emotiw(folder: Path, words: list[str], redirections: str = "", before: str = "", **more: str):
    """Run a command in a folder by a shell with redirections; return the finished process."""
    script = f'{before} exec "$@" {redirections}'
    command = ["sh", "-c", script, "sh", sys.executable, "-P", "-m", "emotiw", *words]
    environment = {**os.environ, "EMOTIW_MODELS": "models", **more}
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, timeout=300)


def complaint(done: subprocess.CompletedProcess[str]) -> str:
    """The one-line error of a command."""
    (line,) = [line for line in done.stderr.splitlines() if line.startswith("emotiw: ")]
    assert done.returncode == 1, done.stderr
    assert "internal error" not in done.stderr
    assert "Traceback" not in done.stderr
    return line


@pytest.mark.parametrize("verb", some("map", "caffe", "finetune", "evaluate", "table", "predict"))
def test_closed_standard_streams(verb, folder):
    words, made = COMMANDS[verb]
    done = emotiw(folder, words, CLOSED["all three"])
    assert done.returncode == 0
    assert made is None or list(folder.glob(made))


@pytest.mark.parametrize("stream", ["stdin", "stdout", "stderr"])
def test_one_closed_stream(stream, folder):
    """No opened file gets a standard stream's number: no progress bar or message is written into a file of the run."""
    words, made = COMMANDS["finetune"]
    done = emotiw(folder, words, CLOSED[stream])
    assert done.returncode == 0, done.stderr
    assert done.stderr == "" or stream not in {"stderr", "all three"}
    (model,) = folder.glob(made)
    assert [point.iteration for point in read_progress(model.with_name("progress.csv"))]
    log = model.with_name("log.txt").read_text()
    assert "train:" not in log
    assert "it/s]" not in log.replace("iter/s", "")


def test_serve_with_closed_streams(folder):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [sys.executable, "-P", "-m", "emotiw", "serve", *MODELS, "--port", str(port)]
    with subprocess.Popen(["sh", "-c", 'exec "$@" <&- >&- 2>&-', "sh", *command], cwd=folder) as server:
        end = time.monotonic() + 120
        while not answers(port):
            assert server.poll() is None
            assert time.monotonic() < end
            time.sleep(0.2)
        server.send_signal(signal.SIGINT)
        assert server.wait(60) in (0, 130)


def answers(port):
    """Whether an HTTP server answers; a connection alone proves nothing, a socket can be connected to itself."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    try:
        connection.request("GET", "/")
        return connection.getresponse().status == 200
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()


@pytest.mark.parametrize("verb", some("caffe", "prepare", "finetune", "evaluate"))
def test_warnings_that_are_errors(verb, folder):
    words, made = COMMANDS[verb]
    done = emotiw(folder, words, PYTHONWARNINGS="error")
    assert done.returncode == 0, done.stderr
    assert made is None or list(folder.glob(made))


GLOG = {
    "GLOG_minloglevel": "2", "GLOG_log_prefix": "0", "GLOG_stderrthreshold": "3", "GLOG_logtostderr": "0",
    "GLOG_alsologtostderr": "0", "GLOG_colorlogtostderr": "1", "GLOG_v": "9", "TERM": "xterm-256color",
}  # fmt: skip


def test_glogs_variables_do_not_switch_off_the_curve(folder, tmp_path):
    words, made = COMMANDS["finetune"]
    assert emotiw(folder, words).returncode == 0
    (undisturbed,) = folder.glob(made)
    done = emotiw(folder, [*words[:4], *words[4:5], "again", *words[6:]], **GLOG)
    assert done.returncode == 0, done.stderr
    again = tmp_path / "again" / undisturbed.relative_to(folder / "out")
    losses = [
        [p for p in read_progress(m.with_name("progress.csv")) if p.loss is not None] for m in (undisturbed, again)
    ]
    assert losses[0]
    assert losses[1] == losses[0]


def test_glogs_variables_do_not_switch_off_the_guard(sets, folder):
    """The third iteration's loss is NaN; without the check the run would succeed."""
    script = (
        "import sys; from emotiw.__main__ import main; "
        "from emotiw.train.experiments import Experiment, experiments; "
        "row = Experiment('vgg_s_small', 'rgb', {'pretrain': '', 'finetune': 'base_lr: 1e6'}); "
        "experiments()[row.row] = row; sys.exit(main(sys.argv[1:]))"
    )
    words = [*COMMANDS["finetune"][0][:-3], "20", "--from", "scratch"]
    environment = {**os.environ, **GLOG}
    command = [sys.executable, "-P", "-c", script, *words]
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, timeout=300)
    assert re.search(r"the loss is (nan|inf) at iteration \d+", complaint(done))


@pytest.mark.parametrize("verb", ["finetune", "evaluate", "prepare"])
def test_nothing_is_left_in_the_temporary_folder(verb, folder):
    (folder / "tmp").mkdir()
    done = emotiw(folder, COMMANDS[verb][0], TMPDIR=str(folder / "tmp"))
    assert done.returncode == 0, done.stderr
    assert list((folder / "tmp").iterdir()) == []


@pytest.mark.parametrize("size", [5, 1_000_000], ids=["a line", "more than a pipe holds"])
def test_a_caffe_whose_python_prints_on_start(size, folder):
    (folder / "site").mkdir()
    (folder / "site/sitecustomize.py").write_text(
        f"import sys\nif sys.version_info < (3, 11):\n    print('x' * {size})\n    sys.stdout.flush()\n"
    )
    more = {"PYTHONPATH": str(folder / "site")}
    done = emotiw(folder, COMMANDS["evaluate"][0], **more)
    assert done.returncode == 0, done.stderr
    found = (folder / f"runs/{ROW}/finetune/scores_val.csv").read_bytes()
    assert found == (folder / f"scored/{ROW}/finetune/scores_val.csv").read_bytes()
    info = emotiw(folder, ["caffe", "info"], **more)
    assert (info.returncode, "layer types" in info.stdout) == (0, True), info.stderr


def test_a_caffe_whose_program_prints_a_line_first(caffe, tmp_path):
    program = tmp_path / "caffe"
    program.write_text(f'#!/bin/sh\necho Welcome to the cluster\nexec "{caffe.program}" "$@"\n')
    program.chmod(0o755)
    wrapped = Caffe(program, caffe.python, "a test", caffe.environment)
    assert CaffeEngine(wrapped).version == CaffeEngine(caffe).version


def test_a_caffe_that_is_killed(tmp_path):
    """It printed its net last, as it does before the first iteration."""
    program = tmp_path / "caffe"
    program.write_text("#!/bin/sh\necho 'layer {' >&2\necho '}' >&2\nkill -9 $$\n")
    program.chmod(0o755)
    (tmp_path / "solver.prototxt").write_text("")
    with pytest.raises(EmotiwError) as caught:
        train(Caffe(program, program, "a test"), tmp_path / "solver.prototxt", lambda event: None)
    assert str(caught.value) == (
        f"caffe train failed in {tmp_path}: killed by signal 9 (SIGKILL), perhaps by the kernel because memory ran out"
    )


@pytest.mark.parametrize("lock", [True, False], ids=["with a lock", "without one"])
def test_a_set_that_caffe_may_not_write_to(lock, sets, folder):
    shutil.copytree(sets / "expressions", folder / "set")
    lmdb = folder / "set/rgb/train_lmdb"
    for inside in (folder / "set/rgb").glob("*_lmdb"):
        (inside / "lock.mdb").unlink(missing_ok=True)
        if lock:
            (inside / "lock.mdb").touch()
            (inside / "lock.mdb").chmod(0o444)
        inside.chmod(0o555)
    words = [sys.executable, "-P", "-m", "emotiw", *COMMANDS["finetune"][0]]
    words[words.index("sets/expressions")] = "set"
    done = subprocess.run(ordinary(words), cwd=folder, capture_output=True, text=True, timeout=300)
    assert complaint(done) == (
        f"emotiw: {lmdb}: Caffe has to write lock.mdb there, and may not: allow it (chmod), copy the set, or train "
        "with --engine torch"
    )


@pytest.mark.parametrize("files", [10, *(pytest.param(few, marks=pytest.mark.slow) for few in (5, 20, 64))])
@pytest.mark.parametrize("verb", ["prepare", "finetune", "evaluate"])
def test_few_open_files(verb, files, folder):
    """It is enough, or there is a one-line error."""
    words, made = COMMANDS[verb]
    done = emotiw(folder, words, before=f"ulimit -n {files};")
    if done.returncode:
        assert "ulimit -n" in complaint(done), done.stderr
    else:
        assert list(folder.glob(made))
