import json
import re
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import unquote, urlsplit

import numpy as np
import pytest
import requests

from emotiw.data_prep.emotions import EMOTIONS
from emotiw.evaluate import model
from emotiw.evaluate.released import download, stand_in, verify
from emotiw.evaluate.released.catalog import STAND_IN
from emotiw.evaluate.scores import Scores, write_scores

MakeRun = Callable[..., Path]


def write_split(  # type: ignore[no-untyped-def]
    folder: Path, posteriors, labels, classes=EMOTIONS, split="val", crops=1, digest="d" * 64,
    engine="caffe", groups=(), **more,
) -> Path:  # fmt: skip
    """Write scores of a split, and their protocol, by hand."""
    protocol = {
        "engine": engine, "engine_version": "1.0.0", "split": split, "crops": crops, "set_digest": digest,
        "set_folder": "gone", "model": "by hand", "weights_sha256": "a" * 64, "mean_rule": "crop", "stand_in": False,
    }  # fmt: skip
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"scores_{split}.json").write_text(json.dumps(protocol | more))
    paths = tuple(f"{classes[label]}/{number}.png" for number, label in enumerate(labels))
    scores = Scores(paths, np.array(labels), tuple(classes), np.array(posteriors, float), tuple(groups))
    write_scores(folder / f"scores_{split}.csv", scores)
    return folder


@pytest.fixture
def make_run(tmp_path: Path) -> MakeRun:
    """Return a function that writes a run folder with scores of a split into RUNS = tmp_path / "runs"."""

    def write(row, posteriors, labels, classes=EMOTIONS, digest="d" * 64, engine="caffe", run=None, **more):  # type: ignore[no-untyped-def]
        """`run` overrides values of `run.json`; a folder's name may have a suffix after a second hyphen."""
        net, representation = row.split("-")[:2]
        folder: Path = tmp_path / "runs" / row / "finetune"
        folder.mkdir(parents=True, exist_ok=True)
        facts = {
            "row": row, "stage": "finetune", "net": net, "representation": representation,
            "engine": engine, "engine_version": "1.0.0", "set_folder": "gone", "set_digest": digest,
            "classes": list(classes),
            "recipe": "e" * 64, "seed": 1, "iterations": 4, "weights": "", "weights_sha256": "", "emotiw": "0.1.0",
        }  # fmt: skip
        (folder / "run.json").write_text(json.dumps(facts | (run or {})))
        return write_split(folder, posteriors, labels, classes, digest=digest, engine=engine, **more)

    return write


@pytest.fixture
def make_released(tmp_path: Path) -> MakeRun:
    """Return a function that writes scores of a released model into the same RUNS."""

    def write(name, posteriors, labels, stand_in=False, mean_rule="resize", **more):  # type: ignore[no-untyped-def]
        folder = tmp_path / "runs/released" / name
        return write_split(folder, posteriors, labels, mean_rule=mean_rule, stand_in=stand_in, **more)

    return write


@pytest.fixture
def answers() -> Callable[..., list[list[float]]]:
    """Return a function that makes posteriors of 0.6 for the given classes."""

    def posteriors(*named: int, classes: int = 7) -> list[list[float]]:
        rest = 0.4 / (classes - 1)
        return [[0.6 if label == name else rest for label in range(classes)] for name in named]

    return posteriors


class FileServer(ThreadingHTTPServer):
    """Serves `folder` on the loopback, with selectable faults; `asked` is (path, Range) of every request."""

    daemon_threads = True

    def __init__(self, folder: Path) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.folder = folder
        self.asked: list[tuple[str, str | None]] = []
        self.pages: dict[str, tuple[int, str]] = {}  # path: status and HTML
        self.breaks: list[int] = []  # the number of bytes after which each next response breaks off
        self.ranges, self.lengths = True, True  # whether it supports ranges and sends lengths
        self.headers: dict[str, str] = {}  # further headers for each file
        self.stalled = threading.Event()
        self.stall = False  # whether it waits for the client to leave when a response breaks off

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"


class _Handler(BaseHTTPRequestHandler):
    server: FileServer

    def do_GET(self) -> None:
        server, begin = self.server, self.headers["Range"]
        server.asked.append((self.path, begin))
        file = server.folder / unquote(self.path.partition("?")[0]).lstrip("/")
        if self.path in server.pages or not file.is_file():
            status, page = server.pages.get(self.path, (404, "<html>gone</html>"))
            self._send(status, "text/html; charset=utf-8", page.encode(), {})
            return
        body, offset = memoryview(file.read_bytes()), 0
        headers = {"Content-Disposition": f'attachment; filename="{file.name}"'} if "?" in self.path else {}
        headers |= server.headers
        if begin and server.ranges:
            offset = int(re.fullmatch(r"bytes=(\d+)-", begin)[1])
            headers["Content-Range"] = f"bytes {offset}-{len(body) - 1}/{len(body)}"
        self._send(206 if offset else 200, "application/octet-stream", body[offset:], headers)

    def _send(self, status: int, kind: str, body: bytes | memoryview, headers: dict[str, str]) -> None:
        self.send_response(status)
        for name, value in {"Content-Type": kind, **headers}.items():
            self.send_header(name, value)
        if self.server.lengths:
            self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.close_connection = True
        try:
            self.wfile.write(body[: self.server.breaks.pop(0)] if self.server.breaks else body)
            self.wfile.flush()
            if self.server.stall:
                self.server.stall = False
                self.server.stalled.set()
                self.connection.recv(1)  # until the client has closed
        except OSError:
            pass  # the client needed only the beginning

    def log_message(self, *_args: object) -> None:
        pass


@pytest.fixture(autouse=True)
def _loopback_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """Allow connections to loopback only."""
    send = requests.adapters.HTTPAdapter.send

    def guarded(self, request, **how):  # type: ignore[no-untyped-def]
        assert urlsplit(request.url).hostname == "127.0.0.1", f"a test asks for {request.url}"
        return send(self, request, **how)

    monkeypatch.setattr(requests.adapters.HTTPAdapter, "send", guarded)


@pytest.fixture
def server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[FileServer]:
    """A file server for `tmp_path / "served"`; a broken connection is not retried."""
    monkeypatch.setattr(download, "RETRIES", 0)
    (tmp_path / "served").mkdir()
    with FileServer(tmp_path / "served") as served:
        threading.Thread(target=served.serve_forever, daemon=True).start()
        yield served
        served.shutdown()


@pytest.fixture
def small(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """`tmp_path / "models"` as the folder of models with the net vgg_s_small: 3 MB instead of the authors' 498."""
    for module in (verify, model, stand_in):
        monkeypatch.setattr(module, "NET", "vgg_s_small")
    monkeypatch.setenv("EMOTIW_MODELS", str(tmp_path / "models"))
    return tmp_path / "models"


@pytest.fixture
def authors() -> Callable[[Path, str], Path]:
    """Return a function that writes a model that is not marked as a stand-in into a folder."""

    def write(folder: Path, name: str) -> Path:
        stand_in.write_stand_in(folder, name)
        for file in folder.iterdir():
            file.write_bytes(file.read_bytes().replace(STAND_IN.encode(), b"x" * len(STAND_IN)))
        return folder

    return write
