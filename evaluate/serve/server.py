"""The page's server: one socket, and no requests to other machines."""

import logging
import os
import re
import signal
import socket
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING, Any

from emotiw.errors import EmotiwError, UsageError

from .guard import Guard
from .uploads import Uploads, upload_folder

if TYPE_CHECKING:
    import gradio as gr

_NAME = re.compile(r"[A-Za-z0-9_-]+(\.[A-Za-z0-9_-]+)*")
_SESSIONS = 16  # remembered browser pages, more than can wait; each may have 8 unread responses of 3 MB
_FONTS = ("system-ui", "-apple-system", "Segoe UI", "Roboto", "sans-serif")
_MONO = ("ui-monospace", "Consolas", "monospace")


@contextmanager
def quiet_gradio() -> Iterator[Uploads]:
    """Keep Gradio, not imported yet, from contacting other hosts; yield the folder of uploads, removed at the end."""
    with upload_folder() as uploads:
        ours = {"GRADIO_ANALYTICS_ENABLED": "False", "HF_HUB_OFFLINE": "1", "HF_HUB_DISABLE_TELEMETRY": "1"}
        ours["GRADIO_TEMP_DIR"] = str(uploads.folder)
        before = {name: os.environ.get(name) for name in ours}
        os.environ.update(ours)
        try:
            yield uploads
        finally:
            for name, value in before.items():
                if value is None:
                    del os.environ[name]
                else:
                    os.environ[name] = value


def listen(host: str, port: int) -> socket.socket:
    """Return a listening socket; port 0 is any free port.

    Raises
    ------
    EmotiwError
        If it cannot listen there.
    """
    if not 0 <= port <= 65535:
        raise UsageError(f"--port {port}: give 0 (any) to 65535")
    try:
        host.encode("idna")  # create_server would leave its socket open
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        return socket.create_server((host, port), family=family, backlog=128)
    except (OSError, UnicodeError) as error:  # CPython adds the address to the system's message
        number = getattr(error, "errno", None) or 0
        why = os.strerror(number) if number > 0 else "no host of that name"  # errors of name resolution are negative
    raise EmotiwError(f"cannot listen on {host}, port {port}: {why}: give another --port or --host")


def address(listening: socket.socket) -> str:
    """Return the URL for a browser."""
    host, port = listening.getsockname()[:2]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def host_names(given: Sequence[str]) -> frozenset[str]:
    """Return the names of --allow-host, in lower case.

    Raises
    ------
    UsageError
        If one is not the bare name of a host.
    """
    for name in given:
        if not _NAME.fullmatch(name):
            raise UsageError(f"--allow-host {name}: give only the name, without http://, port or path")
    return frozenset(name.lower() for name in given)


def application(
    page: "gr.Blocks", host: str, port: int, most: int, uploads: Uploads, hosts: frozenset[str] = frozenset()
) -> Guard:
    """Return the page as an ASGI application with its guard.

    Parameters
    ----------
    page
        From `page.build`.
    host, port
        The address and port that it listens on.
    most
        The largest upload in bytes.
    uploads
        From `quiet_gradio`.
    hosts
        The host names, besides localhost and any IP address, that a browser may use.
    """
    import gradio as gr
    from fastapi import FastAPI

    from .join_request import checked
    from .page import style
    from .sessions import Sessions, Streams
    from .upload_parser import install

    queue = page._queue
    page.state_session_capacity = _SESSIONS  # Gradio's own is 10,000, of 130 kB each
    sessions: Any = Sessions(_SESSIONS, queue.pending_event_ids_session)
    queue.pending_messages_per_session = sessions
    install()
    theme = gr.themes.Base(font=_FONTS, font_mono=_MONO, primary_hue="blue", neutral_hue="slate").set(
        body_text_color_subdued="*neutral_600", body_text_color_subdued_dark="*neutral_400"
    )
    mounted = gr.mount_gradio_app(
        FastAPI(openapi_url=None),
        page,
        path="/",
        server_name=host,
        server_port=port,
        footer_links=[],
        run_history=False,
        show_error=False,
        max_file_size=most,
        ssr_mode=False,
        mcp_server=False,
        enable_monitoring=False,
        pwa=False,
        theme=theme,
        css=style(),
    )
    # mount_gradio_app leaves it false, and until it is true Gradio accepts any path as an upload.
    page.has_launched = True
    streams = Streams(mounted, queue)
    return Guard(streams, hosts, most, uploads, partial(checked, uploads=uploads, unread=streams.unread))


def serve(
    app: Guard, listening: socket.socket, ready: Callable[[], None], silence: float = 10, longest: float = 600
) -> None:
    """Serve until Ctrl-C or SIGTERM, which raises KeyboardInterrupt.

    Parameters
    ----------
    app
        From `application`.
    listening
        From `listen`.
    ready
        Called before the first request.
    silence
        Seconds after which a silent connection is closed.
    longest
        Seconds that a request and its response may take.
    """
    import uvicorn

    from .connections import Connection

    class Server(uvicorn.Server):
        async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
            logging.getLogger("uvicorn.error").disabled = True  # cutting off waiting clients is not an error
            await super().shutdown(sockets)

    config = uvicorn.Config(
        app,
        http=type("Connection", (Connection,), {"silence": silence, "longest": longest}),
        loop="asyncio",  # uvloop would take the signals from `deadline`
        log_level="warning",
        access_log=False,
        ws="none",
        timeout_graceful_shutdown=1,
        server_header=False,
    )
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # so that workers and uploads are cleaned up, too
    ready()
    Server(config).run(sockets=[listening])
