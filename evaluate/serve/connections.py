"""The page's connections: uvicorn's, with limits on their number, idle time and duration."""

import asyncio
from typing import Any

from uvicorn.protocols.http.h11_impl import H11Protocol

MOST = 128


class Connection(H11Protocol):
    """A connection that is closed if it waits for its client for `silence` seconds.

    It waits for the client until the head of a request is complete, while the body is incomplete, and while a response
    is not read. The whole head must arrive within `silence` seconds, and a request with its response must end within
    `longest`. (uvicorn limits only the wait for a further request.)
    """

    silence = 10.0
    longest = 600.0

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Start the timer for a request."""
        super().connection_made(transport)
        self._unread = 0
        self._began = self.loop.time()
        self._heard()
        self._timer = self.loop.call_later(self.silence, self._look)
        if len(self.connections) > MOST:
            transport.abort()

    def connection_lost(self, exc: Exception | None) -> None:
        """Stop the timer."""
        self._timer.cancel()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Process data; a part of a head does not extend the wait."""
        super().data_received(data)
        if not self._between_requests():
            self._heard()

    def on_response_complete(self) -> None:
        """Start the timer for the next request."""
        self._began = self.loop.time()
        self._heard()
        super().on_response_complete()

    def _heard(self) -> None:
        self._last = self.loop.time()

    def _between_requests(self) -> bool:
        cycle: Any = self.cycle  # None before the first request
        return cycle is None or cycle.response_complete

    def _look(self) -> None:
        """Close the connection if it was silent or took too long, else check again when the limit may be reached."""
        left = self._last + self.silence - self.loop.time()
        unread = self.transport.get_write_buffer_size()
        if self.loop.time() - self._began > self.longest:
            self.transport.abort()
        elif left > 0:
            self._timer = self.loop.call_later(left, self._look)
        elif self._clients_turn() or (self.flow.write_paused and unread == self._unread):
            self.transport.abort()
        else:
            self._timer = self.loop.call_later(self.silence, self._look)
        self._unread = unread

    def _clients_turn(self) -> bool:
        return self._between_requests() or (self.cycle.more_body and not self.flow.read_paused)
