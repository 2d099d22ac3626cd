"""Attacks on the page of `emotiw serve`: a process of its own, real sockets on loopback, a stand-in for the models."""

import http.client
import json
import os
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from urllib.parse import urlsplit

import cv2
import numpy as np
import pytest

PAGE = Path(__file__).with_name("stand_in_page.py")
PNG = cv2.imencode(".png", np.full((64, 64, 3), 128, np.uint8))[1].tobytes()
DEADLINE = 60  # seconds: a machine that is busy, not one that hangs


@contextmanager
def started(folder, *args):
    """The page as a process, whose temporary files lie in `folder`."""
    folder.mkdir(exist_ok=True)
    env = {**os.environ, "TMPDIR": str(folder)}
    with (folder.parent / f"{folder.name}.stderr").open("w+") as stderr:
        process = subprocess.Popen(
            [sys.executable, PAGE, *map(str, args or (0,))], env=env, stdout=subprocess.PIPE, stderr=stderr, text=True
        )
        with process:
            try:
                url = process.stdout.readline().strip()
                assert url, Path(stderr.name).read_text()
                (uploads,) = folder.glob("emotiw-serve-*")
                yield SimpleNamespace(
                    address=urlsplit(url).netloc, process=process, uploads=uploads, stderr=Path(stderr.name)
                )
            finally:
                process.kill()


@pytest.fixture(scope="module")
def page(tmp_path_factory):
    with started(tmp_path_factory.mktemp("page") / "tmp") as page:
        yield page


def ask(page, method, path, body=None, headers=None):
    """Return status and body of one request; it fails when the page does not answer at all."""
    connection = http.client.HTTPConnection(page.address, timeout=DEADLINE)
    try:
        connection.request(method, path, body, headers or {})
        response = connection.getresponse()
        return response.status, response.read()
    finally:
        connection.close()


def upload(page, data=PNG, name="face.png"):
    """Return the path that the page gives an uploaded file."""
    form = f'--x\r\nContent-Disposition: form-data; name="files"; filename="{name}"\r\n\r\n'.encode()
    status, body = ask(
        page,
        "POST",
        "/gradio_api/upload",
        form + data + b"\r\n--x--\r\n",
        {"Content-Type": "multipart/form-data; boundary=x"},
    )
    assert status == 200, body
    return json.loads(body)[0]


def picture(path):
    """Return a file as the browser names it in a request."""
    return {"path": str(path), "meta": {"_type": "gradio.FileData"}}


def join(page, data, session="s1", fn=0, **more):
    """Return status and body of a request that asks for an answer."""
    body = {"data": data, "fn_index": fn, "session_hash": session, "event_data": None, "trigger_id": None, **more}
    return ask(page, "POST", "/gradio_api/queue/join", json.dumps(body), {"Content-Type": "application/json"})


def answer(page, data, session):
    """Return what the page answers in its event stream, or the status with which it refuses to."""
    status, _ = join(page, data, session)
    if status != 200:
        return status
    stream = ask(page, "GET", f"/gradio_api/queue/data?session_hash={session}")[1].decode()
    messages = [json.loads(line.removeprefix("data: ")) for line in stream.splitlines() if line.startswith("data: ")]
    return next(message for message in messages if message["msg"] == "process_completed")


def test_an_uploaded_picture_is_answered(page):
    path = upload(page)
    done = answer(page, [picture(path), True, [0]], "honest")
    assert done["success"], done
    assert "Happy" in done["output"]["data"][0]
    assert ask(page, "GET", f"/gradio_api/file={path}") == (200, PNG)


@pytest.fixture(params=["secret", "/etc/shadow", "link", "above", "folder", "fifo", "/dev/zero"])
def outside(request, page, tmp_path):
    """What is not an upload, though the server's user could read it."""
    secret = tmp_path / "secret"
    secret.write_bytes(PNG)
    if request.param == "link":
        (tmp_path / "link").symlink_to(secret)
    elif request.param == "above":
        return f"{page.uploads}/../../{tmp_path.name}/secret"
    elif request.param == "fifo":
        os.mkfifo(tmp_path / "fifo")
    elif request.param == "folder":
        (tmp_path / "folder").mkdir()
    return str(tmp_path / request.param)


def test_a_file_that_was_not_uploaded_is_neither_read_nor_given(page, outside):
    before = sorted(page.uploads.rglob("*"))
    done = answer(page, [picture(outside), True, [0]], "thief")
    assert isinstance(done, int) or not done["success"], done
    assert isinstance(done, int) or str(page.uploads) not in json.dumps(done)
    assert sorted(page.uploads.rglob("*")) == before, "no copy of it lies in the page's folder"
    assert ask(page, "GET", f"/gradio_api/file={outside}")[0] in (403, 404)
    test_an_uploaded_picture_is_answered(page)
