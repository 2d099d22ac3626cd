"""End-to-end test of the page: `emotiw serve` as a process, with the distribution's Chromium."""

import base64
import csv
import os
import re
import shutil
import signal
import subprocess
import sys
from contextlib import suppress
from pathlib import Path
from types import SimpleNamespace

import cv2
import numpy as np
import pytest

from emotiw.__main__ import main
from emotiw.data_prep.face_detection import find_faces
from emotiw.data_prep.images import decode
from emotiw.data_prep.synthetic.faces import draw_face
from emotiw.data_prep.synthetic.people import EXPRESSIONS, draw_identity
from emotiw.evaluate.released.catalog import WEIGHTS
from emotiw.lbp_mapping.mapping import map_image
from emotiw.lbp_mapping.representation import PAPER

ROWS = ("vgg_s_small-rgb", "vgg_s_small-cyclic_lbp_r3_t5")
STAND_IN = "VGG_S_lbp"
EMOTIW = Path(sys.executable).with_name("emotiw")

# Loaded by every Python that starts with it on its path, Caffe's too: what it asks of the network goes to a file.
AUDIT = """
import os, sys
log = os.open(os.environ["AUDIT_LOG"], os.O_WRONLY | os.O_APPEND | os.O_CREAT)
command = open("/proc/self/cmdline").read().replace("\\0", " ")
os.write(log, ("start %s\\n" % command).encode())
def hook(event, args):
    if event in ("socket.connect", "socket.sendto", "socket.sendmsg"):
        os.write(log, ("%s %r\\n" % (event, args[1])).encode())
    elif event in ("socket.getaddrinfo", "socket.gethostbyname", "socket.gethostbyaddr"):
        os.write(log, ("%s %r\\n" % (event, args[0])).encode())
if hasattr(sys, "addaudithook"):
    sys.addaudithook(hook)
"""


def drawn(seed: int, scale: int) -> np.ndarray:
    rng = np.random.default_rng(seed)
    face = draw_face(draw_identity(rng), EXPRESSIONS["Happy"], rng)
    return cv2.resize(face, None, fx=scale, fy=scale, interpolation=cv2.INTER_CUBIC)


@pytest.fixture(scope="module")
def files(tmp_path_factory) -> SimpleNamespace:
    """Files that a user might drop on the page, and a camera's film of one face."""
    folder = tmp_path_factory.mktemp("pictures")
    picture = np.full((360, 560, 3), 220, np.uint8)
    for left, face in ((50, drawn(2, 2)), (360, drawn(8, 1))):
        picture[90 : 90 + face.shape[0], left : left + face.shape[1]] = face
    assert len(find_faces(picture)) == 2
    two, one = (cv2.imencode(".png", rgb[..., ::-1])[1].tobytes() for rgb in (picture, drawn(7, 1)))
    (folder / "two.png").write_bytes(two)
    (folder / "one.png").write_bytes(one)
    (folder / "text.png").write_text("no picture")
    (folder / "cut.png").write_bytes(two[: len(two) // 2])
    (folder / "moving.gif").write_bytes(b"GIF89a" + bytes(64))
    noise = np.random.default_rng(0).integers(0, 256, (700, 700, 3), np.uint8)
    (folder / "large.png").write_bytes(cv2.imencode(".png", noise)[1].tobytes())
    scene = np.full((480, 640, 3), 220, np.uint8)
    scene[70:406, 170:458] = drawn(2, 3)
    (folder / "camera.mjpeg").write_bytes(30 * cv2.imencode(".jpg", scene[..., ::-1])[1].tobytes())
    return SimpleNamespace(folder=folder, **{path.stem: path for path in folder.iterdir()})


@pytest.fixture(scope="module")
def server(runs, stand_ins, tmp_path_factory):
    """`emotiw serve` with two runs and a stand-in, its sockets watched; ended by Ctrl-C."""
    folder = tmp_path_factory.mktemp("server")
    (folder / "audit").mkdir()
    (folder / "audit/sitecustomize.py").write_text(AUDIT)
    (folder / "tmp").mkdir()
    log = folder / "audit.log"
    ours = {"AUDIT_LOG": log, "PYTHONPATH": folder / "audit", "EMOTIW_MODELS": stand_ins, "TMPDIR": folder / "tmp"}
    env = {**os.environ, **{name: str(value) for name, value in ours.items()}}
    models = [*(str(runs / row / "finetune") for row in ROWS), STAND_IN]
    command = [EMOTIW, "serve", "--port", "0", "--max-upload", "1", "--model", *models]
    with (
        (folder / "stderr.txt").open("wb") as stderr,
        subprocess.Popen(command, env=env, stdout=subprocess.PIPE, stderr=stderr, text=True) as process,
    ):
        assert process.stdout is not None
        said = []
        for line in process.stdout:
            said.append(line)
            if line.startswith("listening on "):
                break
        try:
            assert said, (folder / "stderr.txt").read_text()
            url = said[-1].split()[2]
            yield SimpleNamespace(url=url, process=process, log=log, env=env, folder=folder, models=models)
        finally:
            process.kill()


@pytest.fixture(scope="module")
def chromium() -> str:
    names = ("chromium", "chromium-browser", "google-chrome-stable", "google-chrome")
    found = next(filter(None, map(shutil.which, names)), None)
    if found is None:
        pytest.fail("no Chromium: apt-get install chromium")
    return found


@pytest.fixture(scope="module")
def browser(chromium, files):
    """A headless Chromium whose camera films a drawn face."""
    from playwright.sync_api import sync_playwright

    film = f"--use-file-for-fake-video-capture={files.camera}"
    args = ["--no-sandbox", "--use-fake-device-for-media-stream", "--use-fake-ui-for-media-stream", film]
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=args)
        yield browser
        browser.close()


@pytest.fixture
def complaints() -> list[str]:
    """The browser's errors on the page."""
    return []


@pytest.fixture
def page(server, browser, complaints):
    """The page, newly opened; a request to another host, or an error, fails the test."""
    with browser.new_context(viewport={"width": 1280, "height": 1000}) as context:
        context.set_default_timeout(120_000)  # ms
        page = context.new_page()
        asked = []
        context.on("request", lambda request: asked.append(request.url))
        page.on("console", lambda message: complaints.append(message.text) if message.type == "error" else None)
        page.on("pageerror", lambda error: complaints.append(str(error)))
        context.on(
            "requestfailed",
            lambda request: complaints.append(request.url) if not _ours(request.url, server.url) else None,
        )
        context.on("response", lambda response: complaints.append(response.url) if response.status >= 400 else None)
        page.goto(server.url)
        page.wait_for_selector("#picture input[type=file]", state="attached")
        page.wait_for_selector("#answer .hint")
        yield page
        assert len(asked) > 5
        assert [url for url in asked if not _ours(url, server.url)] == []
        assert complaints == []


def _ours(url: str, server: str) -> bool:
    return url.startswith((server + "/", "data:", f"blob:{server}/"))


def give(page, file: Path) -> None:
    """Give the page a file, as a click or drop would."""
    if page.query_selector("#picture button[aria-label='Clear']"):
        page.click("#picture button[aria-label='Clear']")
        page.wait_for_selector("#answer .hint")
    page.set_input_files("#picture input[type=file]", str(file))


def shown(page) -> list[list[str]]:
    """Return the posteriors that the page shows, as written in their cells' titles; a row a model."""
    page.wait_for_selector("#answer table.posteriors")
    rows = page.query_selector_all("#answer table.posteriors tbody tr")
    return [[cell.get_attribute("title") for cell in row.query_selector_all("td")] for row in rows]


def predicted(capsys, server, monkeypatch, *args: object) -> list[dict[str, str]]:
    """Return what `emotiw predict` says of the same picture by the same models."""
    monkeypatch.setenv("EMOTIW_MODELS", server.env["EMOTIW_MODELS"])
    capsys.readouterr()
    assert main(["predict", *map(str, args), "--format", "csv", "--model", *server.models]) == 0
    return list(csv.DictReader(capsys.readouterr().out.splitlines()))


def workers(server) -> list[str]:
    """Return the command lines of the Caffe workers that run the server's stand-in."""
    found = []
    for process in Path("/proc").glob("[0-9]*/cmdline"):
        with suppress(OSError):  # it may have gone
            words = process.read_text(errors="replace").split("\0")
            found += [words] if f"{server.env['EMOTIW_MODELS']}/{STAND_IN}/{WEIGHTS}" in words else []
    return [" ".join(words) for words in found]


def check_shown(page, rows: list[dict[str, str]]) -> None:
    """Check that the page shows what `predict` printed, except the last digit: the page scores each face separately."""
    expected = np.array([[row[name] for name in EXPRESSIONS] for row in rows], float)
    np.testing.assert_allclose(np.array(shown(page), float), expected, rtol=0, atol=2e-6)


@pytest.mark.slow
@pytest.mark.caffe
def test_a_dropped_picture_is_answered_as_predict_answers_it(page, server, files, capsys, monkeypatch):
    give(page, files.two)
    rows = predicted(capsys, server, monkeypatch, files.two)
    first = [row for row in rows if row["face"] == "1"]
    assert len(first) == 4, "three models and their average"
    check_shown(page, first)
    best = max(EXPRESSIONS, key=lambda name: float(first[-1][name]))
    assert page.inner_text("#answer .label") == best
    boxes = [
        tuple(int(rect.get_attribute(side)) for side in ("x", "y", "width", "height"))
        for rect in page.query_selector_all("#answer .box rect.line")
    ]
    assert boxes == [tuple(int(row[side]) for side in ("x", "y", "width", "height")) for row in (first[0], rows[-1])]
    assert page.is_visible("#answer .box.chosen rect.line")

    page.check("#face input[value='2']")
    page.wait_for_selector("#answer .where:has-text('Face 2 of 2')")
    check_shown(page, [row for row in rows if row["face"] == "2"])

    page.check("#aligned input")
    page.wait_for_selector("#answer .where:has-text('The whole picture is the face')")
    check_shown(page, predicted(capsys, server, monkeypatch, files.two, "--aligned"))
    assert not page.is_visible("#face")


@pytest.mark.slow
@pytest.mark.caffe
def test_the_five_representations_are_those_of_map(page, files):
    page.check("#aligned input")
    give(page, files.one)
    shown(page)
    rgb = decode(files.one.read_bytes())
    for representation in PAPER:
        tile = page.wait_for_selector(f"#answer figure[data-representation='{representation}'] img")
        assert tile.is_visible()
        assert tile.evaluate("img => img.naturalWidth") == 96 - 2 * representation.radius * (
            representation.name != "rgb"
        )
        data = tile.get_attribute("src").partition("base64,")[2]
        assert np.array_equal(decode(base64.b64decode(data)), map_image(rgb, representation))


@pytest.mark.slow
@pytest.mark.caffe
def test_models_are_chosen_and_a_stand_in_is_called_one(page, server, files):
    labels = page.query_selector_all("#models label:has(input[type=checkbox])")
    titles = [label.inner_text().strip() for label in labels][-3:]
    assert titles == [*(f"{row}/finetune" for row in ROWS), f"{STAND_IN} (STAND-IN: random weights)"]
    give(page, files.two)
    everything = shown(page)
    assert "Stand-ins with random weights" in page.inner_text("#answer .verdict")
    assert titles[2] in page.inner_text("#answer tbody")
    labels[-1].query_selector("input").uncheck()
    page.wait_for_selector("#answer .share:has-text('average of 2 models')")
    assert "Stand-in" not in page.inner_text("#answer")
    fewer = shown(page)
    assert fewer[:2] == everything[:2]
    assert np.allclose(np.array(fewer[2], float), np.array(fewer[:2], float).mean(axis=0), atol=2e-6)
    labels[-2].query_selector("input").uncheck()
    page.wait_for_selector(f"#answer .share:has-text('by {ROWS[0]}/finetune')")
    assert shown(page) == everything[:1]
    labels[-3].query_selector("input").uncheck()
    page.wait_for_selector("#answer .error:has-text('no model is chosen')")


@pytest.mark.slow
@pytest.mark.caffe
def test_unusable_files_are_reported_on_the_page(page, files, server):
    for file, words in (
        (files.text, "This file cannot be used: not an image that OpenCV reads."),
        (files.cut, "This file cannot be used: cut off before its end."),
        (files.moving, "This file cannot be used: a GIF"),
        (files.one, "No face found."),
    ):
        give(page, file)
        page.wait_for_selector(f"#answer .error:has-text('{words}')")
        assert not page.query_selector("#answer table.posteriors")
    assert "The picture is a face crop already" in page.inner_text("#answer .error")
    assert "Traceback" not in page.content()
    assert (server.folder / "stderr.txt").read_text() == ""


@pytest.mark.slow
@pytest.mark.caffe
def test_a_large_file_is_reported_on_the_page_and_not_sent(page, files, complaints):
    assert files.large.stat().st_size > 1 << 20
    sent = []
    page.on("request", lambda request: sent.append(request.url) if request.method == "POST" else None)
    give(page, files.large)
    page.wait_for_selector(r"text=/exceed the maximum allowed size of 1(\.0)? Mb/")
    assert sent == []
    page.wait_for_timeout(500)
    # Gradio may have asked how far an upload is that never began, and complains of the answer twice.
    expected = ("upload_progress", "Failed to load resource", "Response")
    assert [one for one in complaints if not any(words in one for words in expected)] == []
    complaints.clear()


@pytest.mark.slow
@pytest.mark.caffe
def test_a_face_is_shot_by_the_camera(page):
    page.click("#picture button[aria-label='Capture from camera']")
    page.click("#picture button:has-text('Access Webcam')")
    page.click("#picture button[aria-label='capture photo']")
    assert len(shown(page)) == 4
    x, y, width, height = map(int, re.findall(r"\d+", page.inner_text("#answer .where"))[2:])
    assert abs(x + width / 2 - (170 + 144)) < 40, "where the film has it, not mirrored"
    assert abs(y + height / 2 - (70 + 168)) < 60


@pytest.mark.slow
@pytest.mark.caffe
def test_it_asks_nothing_of_others_and_leaves_nothing(page, server, files, complaints):
    give(page, files.two)
    shown(page)
    assert any((server.folder / "tmp").glob("emotiw-serve-*/*/*.png")), "uploads lie there until it ends"
    probe = "import socket; s = socket.socket(); s.connect_ex(('127.0.0.1', 9)); socket.getaddrinfo('127.0.0.1', 9)"
    subprocess.run([sys.executable, "-c", probe], env=server.env, check=True)
    assert len(workers(server)) == 1
    assert complaints == []
    with page.expect_request("**/queue/join*"):
        page.check("#face input[value='2']")
    server.process.send_signal(signal.SIGINT)  # while a face is looked at
    assert server.process.wait(120) == 130
    page.close()
    complaints.clear()  # of the server, which is gone
    assert (server.folder / "stderr.txt").read_text() == "emotiw: interrupted\n"
    watched = server.log.read_text().splitlines()
    asked = [line for line in watched if not line.startswith("start ")]
    assert any("emotiw serve" in line for line in watched)
    assert any("worker.py" in line for line in watched)
    assert {"socket.connect ('127.0.0.1', 9)", "socket.getaddrinfo '127.0.0.1'"} <= set(asked), "the watch works"
    assert [line for line in asked if "'127.0.0.1'" not in line] == []
    assert list((server.folder / "tmp").iterdir()) == []
    assert workers(server) == []


def test_without_a_model_one_line_says_how_to_get_one(tmp_path, monkeypatch, capsys):
    from emotiw.commands.serve import released_here

    monkeypatch.setenv("EMOTIW_MODELS", str(tmp_path))
    assert main(["serve", "--port", "0"]) == 1
    said = capsys.readouterr()
    assert said.out == ""
    assert said.err.startswith(f"emotiw: no released model is in {tmp_path}: fetch them with emotiw models fetch all")
    assert said.err.count("\n") == 1
    for name in ("VGG_S_lbp", "VGG_S_rgb"):
        (tmp_path / name).mkdir()
        (tmp_path / name / WEIGHTS).touch()
    assert released_here() == ["VGG_S_rgb", "VGG_S_lbp"]


@pytest.mark.parametrize(
    "wrong", [["--max-upload", "0"], ["--port", "70000"], ["--allow-host", "http://faces"], ["--allow-host", "a:80"]]
)
def test_options_out_of_range_are_usage_errors(wrong, monkeypatch, tmp_path, capsys):
    assert main(["serve", *wrong]) == 2
    assert wrong[0] in capsys.readouterr().err
