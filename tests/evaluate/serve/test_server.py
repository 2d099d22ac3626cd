"""The page's server: requests, messages and leftovers, without a browser (see tests/commands/test_serve.py)."""

import asyncio
import json
import os
import re
import signal
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import uvicorn

from emotiw.data_prep.emotions import EMOTIONS
from emotiw.errors import EmotiwError, UsageError
from emotiw.evaluate.model import Model
from emotiw.evaluate.predict.predictor import Prediction
from emotiw.evaluate.serve.examine import Examiner
from emotiw.evaluate.serve.guard import POLICY, Guard
from emotiw.evaluate.serve.server import address, application, host_names, listen, quiet_gradio, serve
from emotiw.evaluate.serve.uploads import Uploads

MOST = 1_000_000


class Certain:
    """A predictor that always answers Happy."""

    models = (Model("VGG_S_rgb", "vgg_s", "rgb", Path(), Path(), Path(), EMOTIONS, "resize", stand_in=True),)

    def describe(self):
        return ["VGG_S_rgb: by hand"]

    def predict(self, faces):
        row = np.eye(7)[EMOTIONS.index("Happy")]
        return iter([Prediction(face, row[None], row) for face in faces])


@pytest.fixture(scope="module")
def app():
    """The page with its guard, as on 127.0.0.1."""
    with quiet_gradio() as uploads:
        from emotiw.evaluate.serve.page import build

        async def made():  # without a running loop Gradio makes loops, and leaves them open
            return application(build(Examiner([Certain()]), detect=True), "127.0.0.1", 7860, MOST, uploads)

        yield asyncio.run(made())


def ask(app, path, method="GET", host="127.0.0.1:7860", headers=(), body=b""):
    """Return status, headers and body of one request."""
    scope = {
        "type": "http", "asgi": {"version": "3.0"}, "http_version": "1.1", "method": method, "scheme": "http",
        "path": path, "raw_path": path.encode(), "query_string": b"", "root_path": "", "server": ("127.0.0.1", 7860),
        "client": ("127.0.0.1", 50000), "headers": [(b"host", host.encode()), *headers],
    }  # fmt: skip
    sent = []

    async def receive():
        return {"type": "http.request", "body": body, "more_body": False}

    async def send(message):
        sent.append(message)

    asyncio.run(app(scope, receive, send))
    got = {name.decode(): value.decode() for name, value in sent[0]["headers"]}
    return sent[0]["status"], got, b"".join(message.get("body", b"") for message in sent[1:])


def test_the_page_names_nothing_outside(app):
    status, headers, body = ask(app, "/")
    page = body.decode()
    assert status == 200
    assert headers["content-security-policy"] == POLICY
    assert "https:" not in POLICY
    loaded = re.findall(r"<(?:script|link|img|iframe)\b[^>]*?(?:src|href)=\"([^\"]*)\"", page)
    assert len(loaded) >= 3
    assert [one for one in loaded if re.match(r"[a-z]+:|//", one)] == []
    assert "The picture is a face crop already" in page
    assert "STAND-IN" in page, "in the choice of the models"
    style = ask(app, "/theme.css")[2].decode()
    assert "system-ui" in style
    assert not re.search(r"@import|url\(\s*['\"]?(https?:)?//", style)


def test_the_config_asks_for_nothing_and_keeps_no_history(app):
    config = json.loads(ask(app, "/config")[2])
    assert config["analytics_enabled"] is False
    assert config["stylesheets"] in ([], None)
    assert config["max_file_size"] == MOST
    assert config["footer_links"] == []
    assert not config.get("run_history")
    assert all(dependency["api_visibility"] == "private" for dependency in config["dependencies"])


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/gradio_api/proxy=https://example.org/"),
        ("GET", "/gradio_api/info"),
        ("GET", "/gradio_api/heartbeat/s1"),
        ("GET", "/gradio_api/startup-events"),
        ("POST", "/gradio_api/cancel"),
        ("POST", "/gradio_api/reset"),
        ("GET", "/assets/../../../__init__.py"),
        ("GET", "/static//etc/passwd"),
        ("GET", "/docs"),
        ("GET", "/openapi.json"),
        ("GET", "/monitoring"),
        ("GET", "/gradio_api/file/etc/passwd"),
        ("POST", "/gradio_api/vibe-starter-queries"),
        ("POST", "/gradio_api/run/look"),
        ("POST", "/"),
        ("OPTIONS", "/"),
        ("PUT", "/gradio_api/upload"),
    ],
)
def test_what_the_page_does_not_need_is_not_there(app, method, path):
    status, headers, body = ask(app, path, method, headers=[(b"content-length", b"0")])
    assert (status, body) == (404, b"")
    assert headers["content-security-policy"] == POLICY


def test_files_outside_the_uploads_are_not_given(app):
    assert ask(app, "/gradio_api/file=/etc/passwd")[0] == 403


@pytest.mark.parametrize(
    ("host", "status"),
    [
        ("127.0.0.1:7860", 200), ("localhost", 200), ("LOCALHOST:7860", 200), ("[::1]:80", 200), ("[fe80::1]", 200),
        ("192.168.1.5:7860", 200), ("Faces.example:7860", 200), ("example.org:7860", 421), ("faces.example.org", 421),
        ("localhost.example.org", 421), ("127.0.0.1.example.org", 421), ("127.0.0.1:7860:1", 421), ("[::1", 421),
        ("::1", 421), ("0x7f.1", 421), ("evil@127.0.0.1", 421), ("127.0.0.1/", 421), ("", 421),
    ],
)  # fmt: skip
def test_another_name_for_this_machine_gets_nothing(host, status):
    """At any listening address; otherwise a foreign page could use a host name that resolves to it (DNS rebinding)."""

    async def guarded(scope, receive, send):
        await send({"type": "http.response.start", "status": 200, "headers": [(b"Referrer-Policy", b"origin")]})
        await send({"type": "http.response.body"})

    guard = Guard(guarded, host_names(["faces.EXAMPLE"]), 5, Uploads(Path("none")), lambda *_: b"")
    got, headers, _ = ask(guard, "/", host=host)
    assert (got, headers["referrer-policy"]) == (status, "no-referrer")
    assert "Referrer-Policy" not in headers


@pytest.mark.parametrize("name", ["", "http://example.org", "example.org:80", "*.example.org", "a/b", "a..b"])
def test_a_name_to_allow_is_the_bare_name_of_a_host(name):
    with pytest.raises(UsageError, match=r"^--allow-host .*: give only the name"):
        host_names(["example.org", name])


@pytest.mark.parametrize(
    ("length", "status"),
    [(b"", 411), (b"-1", 411), (b"2000000", 413), (b"9" * 5000, 413), ("³".encode("latin-1"), 411)],
)
def test_large_bodies_are_refused_unread(app, length, status):
    headers = [(b"content-length", length)] if length else []
    assert ask(app, "/gradio_api/upload", "POST", headers=headers)[0] == status


@pytest.mark.parametrize("path", ["/gradio_api/upload", "/gradio_api/queue/join"])
def test_a_chunked_body_is_refused(app, path):
    headers = [(b"content-length", b"5"), (b"transfer-encoding", b"chunked")]
    assert ask(app, path, "POST", headers=headers)[0] == 411


@pytest.mark.parametrize(("path", "method"), [("/", "GET"), ("/config", "GET"), ("/gradio_api/queue/join", "POST")])
def test_a_foreign_page_reads_nothing(app, path, method):
    headers = [(b"origin", b"http://example.org"), (b"content-length", b"0")]
    status, headers, body = ask(app, path, method, headers=headers)
    assert (status, body) == (403, b"")
    assert not [name for name in headers if name.startswith("access-control")]


def form(size):
    """Return an upload of so many bytes, and its headers."""
    head = b'--x\r\nContent-Disposition: form-data; name="files"; filename="a.png"\r\nContent-Type: image/png\r\n\r\n'
    body = head + os.urandom(size) + b"\r\n--x--\r\n"
    return body, [(b"content-type", b"multipart/form-data; boundary=x"), (b"content-length", b"%d" % len(body))]


def test_all_uploads_have_a_bound_too_and_room_comes_back(app, monkeypatch):
    monkeypatch.setattr(app._uploads, "most", 500_000)
    monkeypatch.setattr(app._uploads, "interval", 0)
    statuses = []
    for _ in range(4):
        body, headers = form(200_000)
        statuses.append(ask(app, "/gradio_api/upload", "POST", headers=headers, body=body)[0])
    assert statuses == [200, 200, 507, 507]
    for file in app._uploads.folder.glob("*/a.png"):  # as Gradio deletes them
        file.unlink()
    body, headers = form(200_000)
    assert ask(app, "/gradio_api/upload", "POST", headers=headers, body=body)[0] == 200
    assert not [file for file in app._uploads.folder.iterdir() if file.is_file()], "nothing of what was refused"


def test_an_upload_above_the_bound_is_refused(app):
    sent, headers = form(MOST + 1)
    status, _, body = ask(app, "/gradio_api/upload", "POST", headers=headers, body=sent)
    assert status == 413, body


def test_a_taken_port_is_reported_in_one_line():
    with listen("127.0.0.1", 0) as taken:
        port = taken.getsockname()[1]
        assert address(taken) == f"http://127.0.0.1:{port}"
        with pytest.raises(
            EmotiwError, match=rf"^cannot listen on 127.0.0.1, port {port}: Address already in use: give [^:]+$"
        ):
            listen("127.0.0.1", port)
    with pytest.raises(EmotiwError, match=r"^cannot listen on 192\.0\.2\.1, port 0: Cannot assign [^:]+: give "):
        listen("192.0.2.1", 0)  # TEST-NET-1 of RFC 5737, which is unassigned
    with pytest.raises(EmotiwError, match=r"^cannot listen on a\.\.ä, port 0: no host of that name: give "):
        listen("a..ä", 0)
    for port in (-1, 65536):
        with pytest.raises(UsageError, match="65535"):
            listen("127.0.0.1", port)


def test_uploads_are_removed(monkeypatch):
    monkeypatch.setenv("HF_HUB_OFFLINE", "0")
    with quiet_gradio():
        folder = Path(os.environ["GRADIO_TEMP_DIR"])
        assert os.environ["GRADIO_ANALYTICS_ENABLED"] == "False"
        assert os.environ["HF_HUB_OFFLINE"] == "1"
        assert folder.stat().st_mode & 0o777 == 0o700
        (folder / "face.png").write_bytes(b"mine")
    assert not folder.exists()
    assert os.environ["HF_HUB_OFFLINE"] == "0"


@pytest.mark.parametrize(
    ("origin", "status"), [("http://127.0.0.1:7860", 413), ("http://example.org", 403), ("null", 403)]
)
def test_a_foreign_page_uploads_nothing(app, origin, status):
    """A request of the right origin reaches the limit on uploads."""
    headers = ((b"content-length", b"%d" % (1 << 30)), (b"origin", origin.encode()))
    assert ask(app, "/gradio_api/upload", "POST", headers=headers)[0] == status


def test_a_request_for_an_answer_arrives_in_time(app, monkeypatch):
    monkeypatch.setattr("emotiw.evaluate.serve.guard._JOINING", 0.1)
    sent = []

    async def trickle():
        await asyncio.sleep(0.01)
        return {"type": "http.request", "body": b" ", "more_body": True}

    async def send(message):
        sent.append(message)

    headers = [(b"host", b"localhost"), (b"content-length", b"60000")]
    path = "/gradio_api/queue/join"
    scope = {"type": "http", "method": "POST", "path": path, "query_string": b"", "headers": headers}
    asyncio.run(asyncio.wait_for(app(scope, trickle, send), 60))
    assert sent[0]["status"] == 408


def test_gradios_own_errors_are_a_line(monkeypatch):
    said = []
    monkeypatch.setattr(
        "emotiw.evaluate.serve.guard._LOG", SimpleNamespace(warning=lambda line, *words: said.append(line % words))
    )

    async def guarded(scope, receive, send):
        if scope["path"] == "/config":
            await send({"type": "http.response.start", "status": 200, "headers": []})
        raise KeyError("x")

    guard = Guard(guarded, frozenset(), 5, Uploads(Path("none")), lambda *_: b"")
    assert [ask(guard, path)[0] for path in ("/", "/config")] == [400, 200]
    assert said == ["/: KeyError", "/config: KeyError"]


def test_signals_stay_with_pythons_own_loop(monkeypatch):
    """Another one, uvloop, would take the wakeup file descriptor from `deadline`."""
    given = {}
    monkeypatch.setattr(uvicorn, "Config", lambda app, **settings: given.update(settings))
    monkeypatch.setattr(uvicorn.Server, "__init__", lambda self, config: None)
    monkeypatch.setattr(uvicorn.Server, "run", lambda self, sockets: None)
    before = signal.getsignal(signal.SIGTERM)
    try:
        serve(None, None, lambda: None)
    finally:
        signal.signal(signal.SIGTERM, before)
    assert given["loop"] == "asyncio"
