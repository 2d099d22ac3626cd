"""Attacks on the page of `emotiw serve`: a separate process, real sockets on loopback, fake models."""

import http.client
import json
import os
import signal
import socket
import subprocess
import sys
import time
from contextlib import ExitStack, contextmanager
from pathlib import Path
from types import SimpleNamespace
from urllib.parse import quote, urlsplit

import cv2
import numpy as np
import pytest

PAGE = Path(__file__).with_name("stand_in_page.py")
PNG = cv2.imencode(".png", np.full((64, 64, 3), 128, np.uint8))[1].tobytes()
PART = b'--x\r\nContent-Disposition: form-data; name="files"; filename="face.png"\r\n\r\n'
HEAD = (
    b"POST /gradio_api/upload HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: %d\r\n"
    b"Content-Type: multipart/form-data; boundary=x\r\n\r\n"
)
JSON = {"Content-Type": "application/json"}
DEADLINE = 60  # seconds: more than a busy machine needs


@contextmanager
def started(folder, seconds=0, silence=10, longest=600):
    """The page as a process, with its temporary files in `folder`."""
    args = (seconds, silence, longest)
    folder.mkdir(exist_ok=True)
    env = {**os.environ, "TMPDIR": str(folder)}
    with (folder.parent / f"{folder.name}.stderr").open("w+") as stderr:
        process = subprocess.Popen(
            [sys.executable, PAGE, *map(str, args)], env=env, stdout=subprocess.PIPE, stderr=stderr, text=True
        )
        with process:
            try:
                url = process.stdout.readline().strip()
                assert url, Path(stderr.name).read_text()
                (uploads,) = folder.glob("emotiw-serve-*")
                yield SimpleNamespace(
                    address=urlsplit(url).netloc,
                    where=(urlsplit(url).hostname, urlsplit(url).port),
                    process=process,
                    uploads=uploads,
                    stderr=Path(stderr.name),
                )
            finally:
                process.kill()


@pytest.fixture(scope="module")
def page(tmp_path_factory):
    with started(tmp_path_factory.mktemp("page") / "tmp") as page:
        yield page


def ask(page, method, path, body=None, headers=None):
    """Return status and body of one request; fail if the page does not answer."""
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
    return ask(page, "POST", "/gradio_api/queue/join", json.dumps(body), JSON)


def answer(page, data, session):
    """Return the page's answer in its event stream, or the status of a refusal."""
    status, _ = join(page, data, session)
    if status != 200:
        return status
    return answered(page, session)


def answered(page, session):
    """Return the page's answer in its event stream."""
    stream = ask(page, "GET", f"/gradio_api/queue/data?session_hash={session}")[1].decode()
    messages = [json.loads(line.removeprefix("data: ")) for line in stream.splitlines() if line.startswith("data: ")]
    return next(message for message in messages if message["msg"] == "process_completed")


@contextmanager
def event_stream(page, session):
    """The stream of answers, open."""
    connection = http.client.HTTPConnection(page.address, timeout=DEADLINE)
    try:
        connection.request("GET", f"/gradio_api/queue/data?session_hash={session}")
        yield connection.getresponse()
    finally:
        connection.close()


def closed(client):
    """Wait until the page closes a connection."""
    try:
        while client.recv(1024):
            pass
    except ConnectionResetError:
        pass
    return True


def broken(client):
    """Send a byte of a head; return whether the connection is closed."""
    try:
        client.sendall(b"G")
    except OSError:
        return True
    return False


def until(true):
    """Wait until `true()` is."""
    end = time.monotonic() + DEADLINE
    while not true():
        assert time.monotonic() < end
        time.sleep(0.02)


def test_an_uploaded_picture_is_answered(page):
    path = upload(page)
    done = answer(page, [picture(path), True, [0]], "honest")
    assert done["success"], done
    assert "Happy" in done["output"]["data"][0]
    assert ask(page, "GET", f"/gradio_api/file={path}") == (200, PNG)


@pytest.fixture(params=["secret", "/etc/shadow", "link", "above", "folder", "fifo", "/dev/zero"])
def outside(request, page, tmp_path):
    """Files that are not uploads, although the server's user could read them."""
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
    assert answer(page, [picture(outside), True, [0]], "thief") == 404
    assert sorted(page.uploads.rglob("*")) == before, "the page's folder has no copy"
    assert ask(page, "GET", f"/gradio_api/file={outside}")[0] == 403
    test_an_uploaded_picture_is_answered(page)


ELSEWHERE = "http://emotiw.example/face.png"
FILE = {"path": ELSEWHERE, "meta": {"_type": "gradio.FileData"}}
DEEP = b"[" * 30_000


@pytest.mark.parametrize(
    "data",
    [
        [FILE, True, [0]],
        [None, FILE, [0]],
        [None, True, FILE],
        [None, True, [FILE]],
        [None, True, [[FILE]]],
        [None, True, [0], FILE],
        [{"path": {"path": FILE, "meta": FILE["meta"]}, "meta": FILE["meta"]}, True, [0]],
        [FILE | {"url": ELSEWHERE}, True, [0]],
        [FILE | {"is_stream": True}, True, [0]],
        [ELSEWHERE, True, [0]],
        [None, ELSEWHERE, [0]],
        [None, True, [ELSEWHERE]],
        [None, True, [True]],
        [None, 1, [0]],
        [None, True, [-1]],
        [None, True, [0.5]],
        [None, True, [10**30]],
        [None, True, [0] * 1000],
        [None, True],
        [None, True, [0], None],
        [],
        {},
        None,
    ],
    ids=str,
)
def test_a_request_of_another_shape_is_refused(page, data):
    assert join(page, data)[0] in (400, 404)
    check_nothing_happened(page)


@pytest.mark.parametrize(
    "more",
    [
        {"url": ELSEWHERE}, {"url": "/etc/shadow"}, {"orig_name": ELSEWHERE}, {"mime_type": ELSEWHERE}, {"size": "1"},
        {"is_stream": True}, {"meta": {"_type": "gradio.FileData", "url": ELSEWHERE}}, {"meta": {}}, {"meta": None},
        {"other": FILE},
    ],
    ids=str,
)  # fmt: skip
def test_an_upload_with_another_description_is_refused(page, more):
    assert join(page, [picture(upload(page)) | more, True, [0]])[0] == 400
    check_nothing_happened(page)


@pytest.mark.parametrize(
    "more",
    [
        {"fn_index": 2}, {"fn_index": -1}, {"fn_index": None}, {"fn_index": "0"}, {"fn_index": 10**30},
        {"session_hash": None}, {"session_hash": ""}, {"session_hash": "../x"}, {"session_hash": "x" * 65},
        {"trigger_id": "4"}, {"event_data": FILE}, {"oauth_token": "x"}, {"simple_format": True}, {"batched": True},
        {"event_id": "x"}, {"request": FILE},
    ],
    ids=str,
)  # fmt: skip
def test_a_request_with_other_fields_is_refused(page, more):
    assert join(page, [None, True, [0]], **more)[0] == 400
    check_nothing_happened(page)


@pytest.mark.parametrize(
    "body",
    [b"", b"null", b"[]", b"{", b"\xff", b'"x"', DEEP, b'{"data":' + DEEP, b'{"data":[NaN,true,[0]],"fn_index":0}'],
    ids=lambda body: str(body[:40]),
)
def test_an_invalid_request_body_is_refused(page, body):
    assert ask(page, "POST", "/gradio_api/queue/join", body, JSON)[0] == 400
    check_nothing_happened(page)


@pytest.mark.parametrize(
    "path",
    [
        f"/gradio_api/file={ELSEWHERE}",
        f"/gradio_api/file={ELSEWHERE.replace(':', '%3A')}",
        "/gradio_api/file=//emotiw.example/x",
        "/gradio_api/file=file:///etc/passwd",
        "/gradio_api/file=%252Fetc%252Fpasswd",
        "/gradio_api/file=/etc/passwd%00.png",
        "/gradio_api/file=%ff",
        "/gradio_api/file=",
    ],
)
@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_no_file_is_fetched_from_elsewhere(page, path, method):
    assert ask(page, method, path)[0] == 403
    check_nothing_happened(page)


def check_nothing_happened(page):
    """Check that the page has sent no request and has had no fault since its start."""
    assert page.stderr.read_text() == ""


def test_what_the_browser_sends_is_answered(page):
    """As Chromium sent it."""
    path = upload(page, name="my 50%20 face.png")
    url = f"http://{page.address}/gradio_api/file="
    sent = {"orig_name": "my 50%20 face.png", "size": len(PNG), "mime_type": "image/png"}
    urls = [url + path, url + quote(path)]
    pictures = [[picture(path) | sent | {"url": url}, True, [0]] for url in urls]
    for number, data in enumerate((*pictures, [None, False, []])):
        body = {"data": data, "fn_index": 0, "trigger_id": 4, "session_hash": f"browser{number}"}
        assert ask(page, "POST", "/gradio_api/queue/join?", json.dumps(body), JSON)[0] == 200
        assert answered(page, f"browser{number}")["success"]
    assert join(page, [picture(path) | sent, False, [0], None], fn=1, session="browser3")[0] == 200
    assert answered(page, "browser3")["success"]


def test_an_upload_runs_nothing_in_the_page(page):
    path = upload(page, b'<svg xmlns="http://www.w3.org/2000/svg"><script>alert(1)</script></svg>', "face.svg")
    assert "cannot be used" in answer(page, [picture(path), True, [0]], "svg")["output"]["data"][0]
    connection = http.client.HTTPConnection(page.address, timeout=DEADLINE)
    connection.request("GET", f"/gradio_api/file={path}")
    headers = connection.getresponse().headers
    connection.close()
    assert headers["Content-Security-Policy"] == "default-src 'none'; sandbox"


def test_unread_responses_are_limited(page):
    for _ in range(8):
        until(lambda: join(page, [None, True, [0]], "unread")[0] == 200)
    assert join(page, [None, True, [0]], "unread")[0] == 503
    check_nothing_happened(page)
    until(lambda: join(page, [None, True, [0]], "other")[0] == 200)
    assert answered(page, "unread")["success"]
    assert join(page, [None, True, [0]], "unread")[0] == 200, "they were read"


ONE_FILE = PART + PNG + b"\r\n"
FIELD = b'--x\r\nContent-Disposition: form-data; name="files"\r\n\r\nabc\r\n'


@pytest.mark.parametrize("parts", [FIELD, 2 * ONE_FILE, 300 * ONE_FILE, ONE_FILE + FIELD], ids=len)
def test_an_upload_is_one_file(page, parts):
    """Gradio keeps a file open for each."""
    before = sorted(page.uploads.rglob("*"))
    headers = {"Content-Type": "multipart/form-data; boundary=x"}
    assert ask(page, "POST", "/gradio_api/upload", parts + b"--x--\r\n", headers)[0] == 400
    assert sorted(page.uploads.rglob("*")) == before
    check_nothing_happened(page)


def test_only_so_many_requests_wait_and_connections_are_open(tmp_path):
    with started(tmp_path / "tmp", seconds=3600, silence=3600) as page:
        path = upload(page)
        assert join(page, [picture(path), True, [0]], "running")[0] == 200
        with event_stream(page, "running") as stream:
            until(lambda: "process_starts" in stream.readline().decode())
            statuses = [join(page, [None, True, [0]], f"waiting{number}")[0] for number in range(10)]
            assert statuses == [200] * 8 + [503] * 2
            clients = [socket.create_connection(page.where, DEADLINE) for _ in range(130)]
            with clients[-1]:
                assert clients[-1].recv(1) == b"", "closed at once"
            for client in clients:
                client.close()
            until(lambda: ask(page, "GET", "/robots.txt")[0] == 200)
            page.process.send_signal(signal.SIGTERM)  # while a model answers and a client listens
            page.process.wait(DEADLINE)
        assert list((tmp_path / "tmp").iterdir()) == []


@pytest.mark.parametrize("stderr", ["read", "full", "broken"])
def test_a_page_that_hangs_ends_in_time(tmp_path, stderr):
    program = """
import os, signal, sys, time
from contextlib import suppress
from pathlib import Path
from emotiw.evaluate.serve.deadline import deadline
signal.signal(signal.SIGTERM, lambda *_: None)
if sys.argv[1] == "full":
    os.set_blocking(2, False)
    with suppress(BlockingIOError):
        while True:
            os.write(2, bytes(1 << 16))
    with suppress(BlockingIOError):
        while True:
            os.write(2, b"x")
    os.set_blocking(2, True)
with deadline(0.1, Path("ended").touch):
    print(flush=True)
    while True:
        time.sleep(3600)
"""
    command = [sys.executable, "-c", program, stderr]
    with subprocess.Popen(command, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        process.stdout.readline()
        if stderr == "broken":
            process.stderr.close()
        process.send_signal(signal.SIGTERM)
        try:
            assert process.wait(DEADLINE) == 130
        finally:
            process.kill()
        if stderr == "read":
            assert process.stderr.read() == b"emotiw: interrupted\n"
    assert (tmp_path / "ended").exists()


def test_a_silent_connection_is_closed_but_not_a_waiting_one(tmp_path):
    with started(tmp_path / "tmp", seconds=5, silence=2) as page:
        assert join(page, [picture(upload(page)), True, [0]], "slow")[0] == 200
        sent = [b"", b"G", b"GET / HTTP/1.1\r\nHost: ", HEAD % 1000, HEAD % 1000 + PART]
        with ExitStack() as stack, event_stream(page, "slow") as stream:
            silent = [stack.enter_context(socket.create_connection(page.where, DEADLINE)) for _ in sent]
            trickling = stack.enter_context(socket.create_connection(page.where, DEADLINE))
            for client, data in zip(silent, sent, strict=True):
                client.sendall(data)
            until(lambda: broken(trickling))
            assert [closed(client) for client in silent] == [True] * len(sent)
            assert b'"process_completed"' in stream.read(), "the connection may be silent while an answer is computed"


@pytest.mark.parametrize(
    "kind",
    [
        "multipart/form-data; boundary=x; charset=punycode",
        "multipart/form-data; charset=punycode; boundary=x",
        'multipart/form-data; boundary="x; charset=punycode"',
        "multipart/form-data; boundary=" + "x" * 71,
        "multipart/form-data",
        "text/plain",
    ],
)
def test_an_upload_names_its_boundary_and_nothing_else(page, kind):
    """Python has codecs that take hours for a text of this length, and would block all requests."""
    body = FIELD.replace(b"abc", b"-" + b"9" * 900_000) + b"--x--\r\n"
    assert ask(page, "POST", "/gradio_api/upload", body, {"Content-Type": kind})[0] == 400
    assert ask(page, "GET", "/robots.txt")[0] == 200
    check_nothing_happened(page)


def test_a_boundary_may_be_quoted(page):
    headers = {"Content-Type": 'multipart/form-data; boundary="x"'}
    assert ask(page, "POST", "/gradio_api/upload", ONE_FILE + b"--x--\r\n", headers)[0] == 200


def test_a_session_without_requests_has_no_event_stream(page):
    assert ask(page, "GET", "/gradio_api/queue/data?session_hash=unknown")[0] == 404
    assert ask(page, "GET", "/gradio_api/queue/data")[0] == 404
    assert answer(page, [None, True, [0]], "read")["success"]
    until(lambda: ask(page, "GET", "/gradio_api/queue/data?session_hash=read")[0] == 404)
    check_nothing_happened(page)


def test_upload_progress_is_answered_at_once(page):
    assert ask(page, "GET", "/gradio_api/upload_progress?upload_id=x") == (200, b'data: {"msg": "done"}\n\n')


def test_a_session_has_one_event_stream(tmp_path):
    with started(tmp_path / "tmp", seconds=3600) as page:
        assert join(page, [picture(upload(page)), True, [0]], "running")[0] == 200
        with event_stream(page, "running") as stream:
            assert stream.status == 200
            for _ in range(130):
                with event_stream(page, "running") as another:
                    assert another.status == 409
        until(lambda: ask(page, "GET", "/gradio_api/queue/data?session_hash=running")[0] == 404)


def test_a_waiting_session_survives_many_others(tmp_path):
    """Gradio's own cache drops it, and then the queue stops."""
    with started(tmp_path / "tmp", seconds=3) as page:
        path, nothing = upload(page), [None, True, [0]]
        for session in ("first", *(f"s{number}" for number in range(99))):
            until(lambda session=session: join(page, nothing, session)[0] == 200)
        until(lambda: join(page, [picture(path), True, [0]], "s98")[0] == 200)
        for session in ("s97", "first", *(f"new{number}" for number in range(6))):  # they wait for s98
            until(lambda session=session: join(page, nothing, session)[0] == 200)
        until(lambda: join(page, nothing, "last")[0] == 200)
        assert answered(page, "first")["success"]
        assert answered(page, "last")["success"]
        check_nothing_happened(page)


def test_a_request_and_its_answer_have_an_end(tmp_path):
    with started(tmp_path / "tmp", seconds=3600, silence=2, longest=10) as page:
        assert join(page, [picture(upload(page)), True, [0]], "running")[0] == 200
        with event_stream(page, "running") as stream, pytest.raises((http.client.IncompleteRead, ConnectionError)):
            stream.read()
