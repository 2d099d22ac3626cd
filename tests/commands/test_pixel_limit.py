"""The limit on pixels in each verb that reads pictures, run as processes, because an import could undo it."""

import json
import os
import re
import resource
import struct
import subprocess
import sys
import zlib
from pathlib import Path

import pytest
import requests

from emotiw.__main__ import main
from emotiw.data_prep.prepared_set import open_set
from emotiw.data_prep.synthetic.faces import draw_expressions
from emotiw.errors import EmotiwError
from emotiw.pixel_limit import VARIABLE
from emotiw.prototxt.formats.datum import pixels
from emotiw.prototxt.formats.messages import Datum

EMOTIW = Path(sys.executable).with_name("emotiw")
SIDE = 20_000
REASON = f"more than 33554432 pixels: {SIDE} x {SIDE} (shrink it, or set ${VARIABLE})"
MOST = 500 << 20  # bytes; decoding alone would take 2.3 GB
ENVIRONMENT = {name: value for name, value in os.environ.items() if name != VARIABLE}  # this process has set it


@pytest.fixture(scope="module")
def bomb(tmp_path_factory) -> Path:
    """A PNG of 48 kB: 400 million black pixels."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header, packer, row = struct.pack(">IIBBBBB", SIDE, SIDE, 1, 0, 0, 0, 0), zlib.compressobj(9), bytes(1 + SIDE // 8)
    rows = b"".join([*(packer.compress(row) for _ in range(SIDE)), packer.flush()])
    path = tmp_path_factory.mktemp("bomb") / "bomb.png"
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", rows) + chunk(b"IEND", b""))
    assert path.stat().st_size < 50_000
    return path


@pytest.fixture
def model(runs) -> Path:
    return runs / "vgg_s_small-rgb/finetune"


def check(done: subprocess.CompletedProcess[str], peak: int, *said: str) -> None:
    assert done.returncode == 1, done.stderr
    assert done.stderr.splitlines() == list(said)
    assert peak < MOST


def test_map(bomb, tmp_path, measured):
    check(*measured([EMOTIW, "map", bomb, "-o", tmp_path], env=ENVIRONMENT), f"emotiw: {bomb}: {REASON}")
    assert not list(tmp_path.iterdir())


def test_prepare(bomb, tmp_path, measured):
    draw_expressions(tmp_path / "faces", 1, 1, seed=0)
    (tmp_path / "faces/Happy/bomb.png").write_bytes(bomb.read_bytes())
    command = [EMOTIW, "prepare", tmp_path / "faces", "-o", tmp_path / "set", "--labels", "emotions", "--size", "16"]
    done, peak = measured(command, env=ENVIRONMENT)
    assert done.returncode == 0, done.stderr
    assert peak < MOST
    assert f"  Happy/bomb.png: {REASON}" in (tmp_path / "set/report.txt").read_text().splitlines()
    assert len(open_set(tmp_path / "set").manifest) == 7


@pytest.mark.caffe
def test_predict(bomb, model, measured):
    done, peak = measured([EMOTIW, "predict", bomb, "--aligned", "--model", model], env=ENVIRONMENT)
    assert f"{bomb}: {REASON}" in " ".join(done.stdout.split())
    check(done, peak, "emotiw: 0 faces scored; 1 pictures or faces were not", "emotiw: no face was scored")


@pytest.mark.caffe
def test_explain(bomb, model, tmp_path, measured):
    command = [EMOTIW, "explain", bomb, "--aligned", "--model", model, "-o", tmp_path / "out.png"]
    check(*measured(command, env=ENVIRONMENT), f"emotiw: {bomb}: {REASON}")
    assert not list(tmp_path.iterdir())


@pytest.mark.caffe
def test_serve(bomb, model):
    """The picture is uploaded as by the page."""
    command = [EMOTIW, "serve", "--port", "0", "--model", model]
    with subprocess.Popen(command, env=ENVIRONMENT, stdout=subprocess.PIPE, text=True) as process:
        try:
            resource.prlimit(process.pid, resource.RLIMIT_DATA, (4 * MOST, 4 * MOST))  # so that a fault takes no more
            url = next(line.split()[2] for line in process.stdout if line.startswith("listening on "))
            api = f"{url}/gradio_api"
            (path,) = requests.post(
                f"{api}/upload", files={"files": ("bomb.png", bomb.read_bytes())}, timeout=60
            ).json()
            picture = {"path": path, "meta": {"_type": "gradio.FileData"}}
            asked = {"data": [picture, True, [0]], "fn_index": 0, "session_hash": "test"}
            requests.post(f"{api}/queue/join", json=asked, timeout=60).raise_for_status()
            with requests.get(f"{api}/queue/data?session_hash=test", stream=True, timeout=60) as events:
                replies = (json.loads(line[5:]) for line in events.iter_lines() if line.startswith(b"data:"))
                answer = next(event for event in replies if event["msg"] == "process_completed")["output"]["data"][0]
            peak = re.search(r"VmHWM:\s*(\d+) kB", Path(f"/proc/{process.pid}/status").read_text())
        finally:
            process.kill()
    assert f"This file cannot be used: {REASON}." in answer
    assert int(peak[1]) << 10 < MOST


def test_the_limit_holds_where_opencv_was_imported_first(bomb, measured):
    code = "import cv2, sys; from pathlib import Path; from emotiw.data_prep.images import read_image\n"
    code += "read_image(Path(sys.argv[1]))"
    done, peak = measured([sys.executable, "-c", code, bomb], env=ENVIRONMENT)
    assert done.stderr.splitlines()[-1].endswith(f": {REASON}")
    assert peak < MOST


def test_an_encoded_datum_and_load_image_are_held_to_it_too(bomb):
    """This concerns the torch engine and its pycaffe."""
    from emotiw.engine.torch.pycaffe.io import load_image

    with pytest.raises(EmotiwError, match=re.escape(f"its picture cannot be decoded: {REASON}")):
        pixels(Datum(encoded=True, data=bomb.read_bytes()))
    with pytest.raises(EmotiwError, match=re.escape(f"{bomb}: {REASON}")):
        load_image(bomb)


MODULES = ("lbp_mapping.codes", "evaluate.serve.page", "data_prep.synthetic.faces", "prototxt.formats.datum")


@pytest.mark.parametrize("module", MODULES)
def test_whatever_is_imported_first_opencv_has_the_limit(module, bomb, measured):
    code = f"import sys, emotiw.{module}, cv2, numpy; cv2.imdecode(numpy.fromfile(sys.argv[1], numpy.uint8), 1)"
    done, peak = measured([sys.executable, "-c", code, bomb], env=ENVIRONMENT)
    assert "CV_IO_MAX_IMAGE_PIXELS" in done.stderr
    assert peak < MOST


@pytest.mark.parametrize("value", ["", "lots", "0", "-1", "1e9", "64MB", "1_000", " 5", "5\n", "²", "9" * 20])
def test_a_value_that_is_not_a_number_is_one_line(value, tmp_path, monkeypatch, capsys):
    """OpenCV itself would abort the process at most of these."""
    monkeypatch.setenv(VARIABLE, value)
    assert main(["map", str(tmp_path / "face.png")]) == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith(f"emotiw: ${VARIABLE} is {value!r}: set it to ")
    assert line.endswith("a whole number such as 33554432, or unset it")


@pytest.mark.parametrize("verb", ["map", "prepare", "predict", "explain", "serve"])
def test_a_bad_value_is_reported_before_opencv_is_imported(verb, tmp_path):
    arguments = {"serve": [], "prepare": [tmp_path, "-o", tmp_path / "set", "--labels", "emotions"]}.get(
        verb, ["a.png"]
    )
    env = {**ENVIRONMENT, VARIABLE: "lots"}
    done = subprocess.run([EMOTIW, verb, *arguments], env=env, cwd=tmp_path, capture_output=True, text=True)
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (1, "", 1)
    assert done.stderr.startswith(f"emotiw: ${VARIABLE} is 'lots': ")
    done = subprocess.run([EMOTIW, verb, "--help"], env=env, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")
