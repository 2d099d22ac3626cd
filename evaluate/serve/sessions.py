"""Limits on the sessions of Gradio's queue: their number, and when one may open an event stream."""

import asyncio
from collections.abc import MutableMapping
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl

from .responses import App, Receive, RefusedError, Scope, Send

if TYPE_CHECKING:
    from gradio.queueing import Queue

Messages = asyncio.Queue[Any]

_STREAM = "/gradio_api/queue/data"


class Sessions(dict[str, Messages]):
    """Each session's unread messages; if there are too many sessions, the least recently used one is dropped.

    Unlike Gradio's own cache it can be asked for a dropped session, whose messages are discarded. Gradio's raises
    KeyError, which stops its queue.

    Parameters
    ----------
    most
        The largest number of sessions.
    events
        Gradio's ids of each session's pending requests. Those of dropped sessions are removed.
    """

    def __init__(self, most: int, events: MutableMapping[str, set[str]]) -> None:
        super().__init__()
        self._most, self._events = most, events

    def __getitem__(self, session: str) -> Messages:
        if session in self:
            super().__setitem__(session, self.pop(session))
        return super().__getitem__(session)

    def __missing__(self, session: str) -> Messages:
        return asyncio.Queue()

    def __setitem__(self, session: str, messages: Messages) -> None:
        super().__setitem__(session, messages)
        while len(self) > self._most:
            del self[next(iter(self))]
        for forgotten in self._events.keys() - self.keys():
            del self._events[forgotten]


class Streams:
    """An ASGI application in front of Gradio's that limits the event streams.

    A stream ends when its session has no pending request. So a session without one gets no stream, which would not end.

    Parameters
    ----------
    app
        Gradio's.
    queue
        Its queue.
    """

    def __init__(self, app: App, queue: "Queue") -> None:
        self._app, self._queue = app, queue
        self._open: set[str] = set()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass on a request, unless it is for a stream that is refused."""
        if scope["type"] != "http" or scope["path"] != _STREAM:
            await self._app(scope, receive, send)
            return
        session = dict(parse_qsl(scope["query_string"].decode())).get("session_hash", "")
        if not self._has_answers(session):
            raise RefusedError(404)
        if session in self._open:
            raise RefusedError(409)
        self._open.add(session)
        try:
            await self._app(scope, receive, send)
        finally:
            self._open.remove(session)
            self._forget_cancelled(session)

    def unread(self, session: str) -> int:
        """Return the number of a session's unread responses."""
        return len(self._queue.pending_event_ids_session.get(session, ()))

    def _has_answers(self, session: str) -> bool:
        """Return whether a session has unread or pending responses."""
        messages = self._queue.pending_messages_per_session.get(session)
        if messages is None or not self.unread(session):
            return False
        return not messages.empty() or bool(self._coming(session))

    def _coming(self, session: str) -> set[str]:
        """Return the pending requests of a session."""
        events = self._queue.event_ids_to_events  # an answered request stays there for a moment
        unread = self._queue.pending_event_ids_session.get(session, set())
        return {event for event in unread if event in events and events[event].alive}

    def _forget_cancelled(self, session: str) -> None:
        """Remove the requests that Gradio cancels when a stream breaks off; the next stream would wait for them."""
        if session in self._queue.pending_event_ids_session:
            self._queue.pending_event_ids_session[session] &= self._coming(session)
