"""What stands between the network and the page: only what the page needs, and nothing that leads outside."""

import asyncio
import json
import logging
import re
from collections.abc import Awaitable, Callable, MutableMapping
from ipaddress import ip_address
from typing import Any
from urllib.parse import parse_qsl, urlencode

from .uploads import FullError, Uploads

Message = MutableMapping[str, Any]
Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]
Check = Callable[[bytes, str], bytes]

# Gradio answers many more paths than its page asks for, and some of them have the server itself ask others. Of a query
# the named part is handed on, where it is an identifier.
_FILE = "/gradio_api/file="
_JOIN = "/gradio_api/queue/join"
_UPLOAD = "/gradio_api/upload"
_QUERIES = {
    "GET": {
        "/": "", "/config": "", "/theme.css": "", "/manifest.json": "", "/favicon.ico": "", "/robots.txt": "",
        "/gradio_api/queue/data": "session_hash", "/gradio_api/upload_progress": "upload_id",
    },
    "POST": {_UPLOAD: "upload_id", _JOIN: ""},
}  # fmt: skip
_BELOW = re.compile(r"/(assets|static)(/[\w@-][\w.@-]*)+", re.ASCII)
_IDENTIFIER = re.compile(r"[A-Za-z0-9]{1,64}")
_HOST = re.compile(r"(?:\[(?P<bracketed>[0-9A-Fa-f:.]+)\]|(?P<plain>[\w.-]+))(?::[0-9]{1,5})?", re.ASCII)
_HEADERS_IN = {
    b"host", b"accept", b"accept-encoding", b"content-type", b"content-length", b"if-none-match", b"if-modified-since",
    b"x-forwarded-proto",
}  # fmt: skip

# The page compiles its templates and has scripts and styles inline; whatever it names elsewhere a browser does not ask.
POLICY = (
    "default-src 'self'; script-src 'self' 'unsafe-inline' 'unsafe-eval'; style-src 'self' 'unsafe-inline'; "
    "img-src 'self' data: blob:; media-src 'self' blob:; font-src 'self' data:; worker-src 'self' blob:; "
    "object-src 'none'; base-uri 'self'; form-action 'self'; frame-ancestors 'none'"
)
_UPLOADED = "default-src 'none'; sandbox"  # an uploaded file that is opened by itself runs nothing
_HEADERS = {
    "content-security-policy": POLICY,
    "referrer-policy": "no-referrer",
    "x-content-type-options": "nosniff",
    "x-dns-prefetch-control": "off",
    "cross-origin-resource-policy": "same-origin",
}
_LOG = logging.getLogger("uvicorn.error")
_ENVELOPE = 1 << 16  # bytes of a request besides the file in it
_LONGEST = 600  # seconds that an upload may take


class _RefusedError(Exception):
    """A request that is not handed on: the status of the answer, and why."""

    def __init__(self, status: int, reason: str = "") -> None:
        self.status, self.reason = status, reason


class Guard:
    """An ASGI application in front of another one.

    Parameters
    ----------
    app
        The one behind.
    hosts
        The names, besides localhost, by which a browser may ask for it, without a port. An IP address always may. (A
        page of somebody else's, whose name came to mean this machine, gets nothing.)
    most
        Bytes of an upload at most.
    uploads
        Where uploads lie.
    check
        Returns what a request for an answer may hand on, given its body and host; raises ValueError if it is none,
        LookupError if it asks for what is not there, FullError if it has to wait.
    """

    def __init__(self, app: App, hosts: frozenset[str], most: int, uploads: Uploads, check: Check) -> None:
        self._app, self._hosts, self._most = app, hosts | {"localhost"}, most + _ENVELOPE
        self._uploads, self._check = uploads, check

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request, or let the application do it."""
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
        elif scope["type"] == "http":  # there are no web sockets
            answer = _Answer(send, _UPLOADED if scope["path"].startswith(_FILE) else POLICY)
            try:
                await self._answer(scope, receive, answer.send)
            except _RefusedError as refused:
                await answer.refuse(refused)
            except Exception as error:  # Gradio's, of what it did not expect; uvicorn would print its traceback
                _LOG.warning("%s: %s", scope["path"], type(error).__name__)
                await answer.refuse(_RefusedError(400))

    async def _answer(self, scope: Scope, receive: Receive, send: Send) -> None:
        headers = dict(scope["headers"])
        query = self._accepted(scope, headers)
        scope = {
            **scope,
            "query_string": query,
            "headers": [(name, headers[name]) for name in _HEADERS_IN & headers.keys()],
        }
        if scope["path"] == _JOIN:
            await self._join(scope, receive, send)
        elif scope["path"] == _UPLOAD:
            await self._upload(scope, receive, send)
        else:
            await self._app(scope, receive, send)

    def _accepted(self, scope: Scope, headers: dict[bytes, bytes]) -> bytes:
        """Return the part of the query that is handed on; raise if the request is refused unread."""
        host, path = headers.get(b"host", b"").decode("latin-1"), scope["path"]
        if not self._known(_name(host)):
            raise _RefusedError(421)  # Misdirected Request
        method = "GET" if scope["method"] == "HEAD" else scope["method"]
        queries = _QUERIES.get(method, {})
        given = method == "GET" and path.startswith(_FILE)
        if path not in queries and not given and not (method == "GET" and _BELOW.fullmatch(path)):
            raise _RefusedError(404)
        origin = headers.get(b"origin", b"").decode("latin-1")
        if origin and origin.partition("://")[2] != host:
            raise _RefusedError(403)  # a page of somebody else's
        if given and not self._uploads.holds(path.removeprefix(_FILE)):
            raise _RefusedError(403)
        if method == "POST":
            self._bound(headers, _ENVELOPE if path == _JOIN else self._most)
        asked = parse_qsl(scope["query_string"].decode("latin-1"))
        return urlencode([(n, v) for n, v in asked if n == queries.get(path) and _IDENTIFIER.fullmatch(v)]).encode()

    def _known(self, name: str) -> bool:
        """Return whether a browser may ask by this name."""
        try:
            ip_address(name)
        except ValueError:
            return name.lower() in self._hosts
        return True

    @staticmethod
    def _bound(headers: dict[bytes, bytes], most: int) -> None:
        """Refuse a body that does not say how long it is, or that is too long."""
        length = headers.get(b"content-length", b"")
        if b"transfer-encoding" in headers or not length.isdigit():
            raise _RefusedError(411)
        if len(length) > 15 or int(length) > most:
            raise _RefusedError(413, "The file is too large.")

    async def _join(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Hand a request for an answer on, with nothing in it but what the page needs."""
        headers, body, more = dict(scope["headers"]), b"", True
        while more:
            message = await receive()
            body, more = body + message.get("body", b""), message.get("more_body", False)
        try:
            body = self._check(body, headers[b"host"].decode("latin-1"))
        except FullError as error:
            raise _RefusedError(503, str(error)) from None
        except LookupError as error:
            raise _RefusedError(404, error.args[0]) from None
        except ValueError as error:
            raise _RefusedError(400, str(error)) from None
        headers[b"content-length"] = b"%d" % len(body)
        messages = iter([{"type": "http.request", "body": body, "more_body": False}])

        async def again() -> Message:
            return next(messages, None) or await receive()

        await self._app({**scope, "headers": list(headers.items())}, again, send)

    async def _upload(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Hand an upload on while there is room, and for a while."""
        refused: _RefusedError | None = None

        async def counted() -> Message:
            nonlocal refused
            message = await receive()
            try:
                arriving.add(len(message.get("body", b"")))
            except FullError:
                refused = _RefusedError(507, "There is no room for more pictures: try again later.")
                raise
            return message

        async def heard(message: Message) -> None:
            if refused is None:  # else it is Gradio's own word on our error
                await send(message)

        try:
            with self._uploads.arriving() as arriving:
                await asyncio.to_thread(arriving.measure)
                async with asyncio.timeout(_LONGEST):
                    await self._app(scope, counted, heard)
        except TimeoutError:
            raise _RefusedError(408) from None
        except Exception:
            if refused is None:
                raise
        if refused is not None:
            raise refused


def _name(host: str) -> str:
    """Return a Host header without its port: "[::1]:7860" is "::1"."""
    found = _HOST.fullmatch(host)
    return "" if found is None else found["bracketed"] or found["plain"]


class _Answer:
    """The answer to a request, with our headers on it."""

    def __init__(self, send: Send, policy: str) -> None:
        self._send, self._started, self._ended = send, False, False
        self._ours = {**_HEADERS, "content-security-policy": policy}

    async def send(self, message: Message) -> None:
        """Send a part of it."""
        if message["type"] == "http.response.start":
            self._started = True
            kept = [pair for pair in message.get("headers", []) if pair[0].decode().lower() not in self._ours]
            ours = [(name.encode(), value.encode()) for name, value in self._ours.items()]
            message = {**message, "headers": [*kept, *ours]}
        self._ended = message["type"] == "http.response.body" and not message.get("more_body", False)
        await self._send(message)

    async def refuse(self, refused: _RefusedError) -> None:
        """Answer with a status, and with why, in the shape that Gradio's page shows; end an answer that has begun."""
        if not self._started:
            body = json.dumps({"detail": refused.reason}).encode() if refused.reason else b""
            headers = [(b"content-length", b"%d" % len(body)), (b"content-type", b"application/json")]
            await self.send({"type": "http.response.start", "status": refused.status, "headers": headers})
            await self.send({"type": "http.response.body", "body": body})
        elif not self._ended:
            await self.send({"type": "http.response.body", "body": b""})
