"""What stands between the network and the page: only what the page needs, and nothing that leads outside."""

from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[MutableMapping[str, Any], Receive, Send], Awaitable[None]]

# Gradio answers many more paths than its page asks for, and some of them have the server itself ask others.
_EXACT = {
    "GET": {
        "/", "/config", "/theme.css", "/manifest.json", "/favicon.ico", "/robots.txt", "/gradio_api/startup-events",
        "/gradio_api/queue/data", "/gradio_api/upload_progress",
    },
    "POST": {"/gradio_api/upload", "/gradio_api/queue/join", "/gradio_api/cancel", "/gradio_api/reset"},
}  # fmt: skip
_BELOW = {"GET": ("/assets/", "/static/", "/gradio_api/heartbeat/", "/gradio_api/file=")}

# The page compiles its templates and has scripts and styles inline; whatever it names elsewhere a browser does not ask.
POLICY = (
    "default-src 'self'; script-src 'self' 'unsafe-inline' 'unsafe-eval'; style-src 'self' 'unsafe-inline'; "
    "img-src 'self' data: blob:; media-src 'self' blob:; font-src 'self' data:; worker-src 'self' blob:; "
    "object-src 'none'; base-uri 'self'; form-action 'self'; frame-ancestors 'none'"
)
_HEADERS = {
    "content-security-policy": POLICY,
    "referrer-policy": "no-referrer",
    "x-content-type-options": "nosniff",
    "x-dns-prefetch-control": "off",
    "cross-origin-resource-policy": "same-origin",
}
_ENVELOPE = 1 << 16  # bytes of a request besides the file in it


class Guard:
    """An ASGI application in front of another one.

    Parameters
    ----------
    app
        The one behind.
    hosts
        The names by which a browser may ask for it, without a port; empty: any. (A page of somebody else's, whose name
        came to mean this machine, gets nothing.)
    most
        Bytes of an upload at most.
    """

    def __init__(self, app: App, hosts: frozenset[str], most: int) -> None:
        self._app, self._hosts, self._most = app, hosts, most + _ENVELOPE

    async def __call__(self, scope: MutableMapping[str, Any], receive: Receive, send: Send) -> None:
        """Answer a request, or let the application do it."""
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
        elif scope["type"] == "http":  # there are no web sockets
            status = self._refusal(scope)
            if status:
                await _answer(status, _marked(send))
            else:
                await self._app(scope, receive, _marked(send))

    def _refusal(self, scope: MutableMapping[str, Any]) -> int:
        """Return the status of a refusal, or 0."""
        headers = dict(scope["headers"])
        if self._hosts and _name(headers.get(b"host", b"").decode("latin-1")) not in self._hosts:
            return 421  # Misdirected Request
        path, method = scope["path"], "GET" if scope["method"] == "HEAD" else scope["method"]
        if path not in _EXACT.get(method, ()) and not path.startswith(_BELOW.get(method, ("\0",))):
            return 404
        if method == "POST":
            origin = headers.get(b"origin", b"").decode("latin-1")
            if origin and origin.partition("://")[2] != headers.get(b"host", b"").decode("latin-1"):
                return 403  # a page of somebody else's
            length = headers.get(b"content-length", b"")
            return 411 if not length.isdigit() else 413 if int(length) > self._most else 0
        return 0


def _name(host: str) -> str:
    """Return a Host header without its port: "[::1]:7860" is "::1"."""
    if host.startswith("["):
        return host[1:].partition("]")[0]
    return host.rpartition(":")[0] if ":" in host else host


def _marked(send: Send) -> Send:
    """Return `send` with our headers on every answer."""

    async def marked(message: Message) -> None:
        if message["type"] == "http.response.start":
            kept = [pair for pair in message.get("headers", []) if pair[0].decode().lower() not in _HEADERS]
            ours = [(name.encode(), value.encode()) for name, value in _HEADERS.items()]
            message = {**message, "headers": [*kept, *ours]}
        await send(message)

    return marked


async def _answer(status: int, send: Send) -> None:
    await send({"type": "http.response.start", "status": status, "headers": [(b"content-length", b"0")]})
    await send({"type": "http.response.body", "body": b""})
