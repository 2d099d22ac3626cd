"""Responses, including refusals, with the page's security headers."""

import json
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

Message = MutableMapping[str, Any]
Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]

# The page compiles its templates and has inline scripts and styles; a browser requests nothing from other hosts.
POLICY = (
    "default-src 'self'; script-src 'self' 'unsafe-inline' 'unsafe-eval'; style-src 'self' 'unsafe-inline'; "
    "img-src 'self' data: blob:; media-src 'self' blob:; font-src 'self' data:; worker-src 'self' blob:; "
    "object-src 'none'; base-uri 'self'; form-action 'self'; frame-ancestors 'none'"
)
UPLOADED = "default-src 'none'; sandbox"
"""The policy of an uploaded file: if opened by itself, it runs nothing."""
_HEADERS = {
    "content-security-policy": POLICY,
    "referrer-policy": "no-referrer",
    "x-content-type-options": "nosniff",
    "x-dns-prefetch-control": "off",
    "cross-origin-resource-policy": "same-origin",
}


class RefusedError(Exception):
    """A request that is refused: the response's status, and the reason."""

    def __init__(self, status: int, reason: str = "") -> None:
        self.status, self.reason = status, reason


class Answer:
    """The response to a request, with our headers.

    Parameters
    ----------
    send
        Sends a part of the response.
    policy
        Its content security policy.
    """

    def __init__(self, send: Send, policy: str) -> None:
        self._send, self._started, self._ended = send, False, False
        self._ours = {**_HEADERS, "content-security-policy": policy}

    async def send(self, message: Message) -> None:
        """Send a part of the response."""
        if message["type"] == "http.response.start":
            self._started = True
            kept = [pair for pair in message.get("headers", []) if pair[0].decode().lower() not in self._ours]
            ours = [(name.encode(), value.encode()) for name, value in self._ours.items()]
            message = {**message, "headers": [*kept, *ours]}
        self._ended = message["type"] == "http.response.body" and not message.get("more_body", False)
        await self._send(message)

    async def refuse(self, refused: RefusedError) -> None:
        """Respond with status and reason, in the format that Gradio's page shows; end a response that has begun."""
        if not self._started:
            body = json.dumps({"detail": refused.reason}).encode() if refused.reason else b""
            await send_whole(self.send, refused.status, "application/json", body)
        elif not self._ended:
            await self.send({"type": "http.response.body", "body": b""})


async def send_whole(send: Send, status: int, kind: str, body: bytes) -> None:
    """Send a complete response of a content type."""
    headers = [(b"content-length", b"%d" % len(body)), (b"content-type", kind.encode())]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
