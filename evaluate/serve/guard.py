"""The guard between the network and the page: it passes on only what the page needs, and nothing that leads outside."""

import asyncio
import logging
import re
from collections.abc import Callable
from ipaddress import ip_address
from urllib.parse import parse_qsl, urlencode

from .responses import POLICY, UPLOADED, Answer, App, Message, Receive, RefusedError, Scope, Send, send_whole
from .uploads import FullError, Uploads

Check = Callable[[bytes, str], bytes]

# Gradio answers many more paths than its page requests, and some make the server itself send requests. Of a query, the
# named parameter is passed on if it is an identifier.
_FILE = "/gradio_api/file="
_JOIN = "/gradio_api/queue/join"
_UPLOAD = "/gradio_api/upload"
_PROGRESS = "/gradio_api/upload_progress"
_DONE = b'data: {"msg": "done"}\n\n'
_QUERIES = {
    "GET": {
        "/": "", "/config": "", "/theme.css": "", "/manifest.json": "", "/favicon.ico": "", "/robots.txt": "",
        "/gradio_api/queue/data": "session_hash", _PROGRESS: "",
    },
    "POST": {_UPLOAD: "", _JOIN: ""},
}  # fmt: skip
_BELOW = re.compile(r"/(assets|static)(/[\w@-][\w.@-]*)+", re.ASCII)
_IDENTIFIER = re.compile(r"[A-Za-z0-9]{1,64}")
_HOST = re.compile(r"(?:\[(?P<bracketed>[0-9A-Fa-f:.]+)\]|(?P<plain>[\w.-]+))(?::[0-9]{1,5})?", re.ASCII)
_FORM = re.compile(rb"multipart/form-data; ?boundary=(\"?)(?P<boundary>[\w'()+,./:=?-]{1,70})\1")
_HEADERS_IN = {
    b"host", b"accept", b"accept-encoding", b"content-type", b"content-length", b"if-none-match", b"if-modified-since",
    b"x-forwarded-proto",
}  # fmt: skip

_LOG = logging.getLogger("uvicorn.error")
_ENVELOPE = 1 << 16  # bytes of a request in addition to its file
_LONGEST = 600  # seconds that an upload may take
_JOINING = 30  # seconds within which a request for a prediction must arrive


class Guard:
    """An ASGI application that protects another one.

    Parameters
    ----------
    app
        The protected application.
    hosts
        The host names, besides localhost, that a browser may use, without a port. IP addresses are always allowed.
        (This stops DNS rebinding: a foreign page with a host name that now resolves to this machine gets nothing.)
    most
        The largest upload in bytes.
    uploads
        The folder of uploads.
    check
        Returns the part of a request for a prediction to pass on, given its body and host; raises ValueError if it is
        not such a request, LookupError if its picture does not exist, FullError if it has to wait.
    """

    def __init__(self, app: App, hosts: frozenset[str], most: int, uploads: Uploads, check: Check) -> None:
        self._app, self._hosts, self._most = app, hosts | {"localhost"}, most + _ENVELOPE
        self._uploads, self._check = uploads, check

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request, or pass it on to the application."""
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
        elif scope["type"] == "http":  # there are no web sockets
            answer = Answer(send, UPLOADED if scope["path"].startswith(_FILE) else POLICY)
            try:
                await self._answer(scope, receive, answer.send)
            except RefusedError as refused:
                await answer.refuse(refused)
            except TimeoutError:
                await answer.refuse(RefusedError(408))
            except Exception as error:  # an unexpected error of Gradio, for which uvicorn would print a traceback
                _LOG.warning("%s: %s", scope["path"], type(error).__name__)
                await answer.refuse(RefusedError(400))

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
            await self._upload(_with_plain_type(scope), receive, send)
        elif scope["path"] == _PROGRESS:  # Gradio would keep this stream open for as long as the client likes
            await send_whole(send, 200, "text/event-stream", _DONE)
        else:
            await self._app(scope, receive, send)

    def _accepted(self, scope: Scope, headers: dict[bytes, bytes]) -> bytes:
        """Return the part of the query to pass on; raise if the request is refused unread."""
        host, path = headers.get(b"host", b"").decode("latin-1"), scope["path"]
        if not self._known(_name(host)):
            raise RefusedError(421)  # Misdirected Request
        method = "GET" if scope["method"] == "HEAD" else scope["method"]
        queries = _QUERIES.get(method, {})
        given = method == "GET" and path.startswith(_FILE)
        if path not in queries and not given and not (method == "GET" and _BELOW.fullmatch(path)):
            raise RefusedError(404)
        origin = headers.get(b"origin", b"").decode("latin-1")
        if origin and origin.partition("://")[2] != host:
            raise RefusedError(403)  # from a page of another origin
        if given and not self._uploads.holds(path.removeprefix(_FILE)):
            raise RefusedError(403)
        if method == "POST":
            self._bound(headers, _ENVELOPE if path == _JOIN else self._most)
        name = queries.get(path, "")
        value = dict(parse_qsl(scope["query_string"].decode("latin-1"))).get(name, "")
        return urlencode({name: value}).encode() if name and _IDENTIFIER.fullmatch(value) else b""

    def _known(self, name: str) -> bool:
        """Return whether a browser may use this host name."""
        try:
            ip_address(name)
        except ValueError:
            return name.lower() in self._hosts
        return True

    @staticmethod
    def _bound(headers: dict[bytes, bytes], most: int) -> None:
        """Refuse a body of unknown length, or one that is too long."""
        length = headers.get(b"content-length", b"")
        if b"transfer-encoding" in headers or not length.isdigit():
            raise RefusedError(411)
        if len(length) > 15 or int(length) > most:
            raise RefusedError(413, "The file is too large.")

    async def _join(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass on a request for a prediction, with only what the page needs."""
        headers = dict(scope["headers"])
        async with asyncio.timeout(_JOINING):
            body = await _read(receive)
        try:
            body = self._check(body, headers[b"host"].decode("latin-1"))
        except FullError as error:
            raise RefusedError(503, str(error)) from None
        except LookupError as error:
            raise RefusedError(404, error.args[0]) from None
        except ValueError as error:
            raise RefusedError(400, str(error)) from None
        headers |= {b"content-length": b"%d" % len(body), b"content-type": b"application/json"}
        messages = iter([{"type": "http.request", "body": body, "more_body": False}])

        async def again() -> Message:
            return next(messages, None) or await receive()

        await self._app({**scope, "headers": list(headers.items())}, again, send)

    async def _upload(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass on an upload while there is room, within a time limit."""
        refused: RefusedError | None = None

        async def counted() -> Message:
            nonlocal refused
            message = await receive()
            try:
                arriving.add(len(message.get("body", b"")))
            except FullError:
                refused = RefusedError(507, "There is no room for more pictures: try again later.")
                raise
            return message

        async def heard(message: Message) -> None:
            if refused is None:  # otherwise this is Gradio's response to our error
                await send(message)

        try:
            with self._uploads.arriving() as arriving:
                await asyncio.to_thread(arriving.measure)
                async with asyncio.timeout(_LONGEST):
                    await self._app(scope, counted, heard)
        except Exception:
            if refused is None:
                raise
        if refused is not None:
            raise refused


def _with_plain_type(scope: Scope) -> Scope:
    """Reduce an upload's content type to the boundary; refuse other content types.

    Gradio would use any Python codec that it names, and some take hours.
    """
    headers = dict(scope["headers"])
    form = _FORM.fullmatch(headers.get(b"content-type", b""))
    if form is None:
        raise RefusedError(400)
    headers[b"content-type"] = b"multipart/form-data; boundary=" + form["boundary"]
    return {**scope, "headers": list(headers.items())}


async def _read(receive: Receive) -> bytes:
    """Return the body of a request."""
    body, more = b"", True
    while more:
        message = await receive()
        body, more = body + message.get("body", b""), message.get("more_body", False)
    return body


def _name(host: str) -> str:
    """Return a Host header without its port: "[::1]:7860" is "::1"."""
    found = _HOST.fullmatch(host)
    return "" if found is None else found["bracketed"] or found["plain"]
