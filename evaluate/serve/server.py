"""A server for the page, on one socket of this machine, which asks nothing of others."""

import logging
import os
import re
import signal
import socket
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

from emotiw.errors import EmotiwError, UsageError

from .guard import Guard
from .uploads import Uploads, upload_folder

if TYPE_CHECKING:
    import gradio as gr

_NAME = re.compile(r"[A-Za-z0-9_-]+(\.[A-Za-z0-9_-]+)*")
_SESSIONS = 16  # pages in browsers that are remembered: more than can wait; each may have 8 answers of 3 MB unread
_FONTS = ("system-ui", "-apple-system", "Segoe UI", "Roboto", "sans-serif")
_MONO = ("ui-monospace", "Consolas", "monospace")


def require_gradio() -> None:
    """Raise where Gradio is not installed."""
    if find_spec("gradio") is None:
        raise EmotiwError("emotiw serve needs Gradio: pip install 'emotiw[serve]'")


@contextmanager
def quiet_gradio() -> Iterator[Uploads]:
    """Keep Gradio, not imported yet, from asking anything of others; yield the folder of uploads, which goes."""
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
    """Return a socket that listens; port 0 is any that is free.

    Raises
    ------
    EmotiwError
        If it cannot be had.
    """
    if not 0 <= port <= 65535:
        raise UsageError(f"--port {port}: give 0 (any) to 65535")
    try:
        host.encode("idna")  # create_server would leave its socket open
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        return socket.create_server((host, port), family=family, backlog=128)
    except (OSError, UnicodeError) as error:  # CPython adds the address to its own words
        number = getattr(error, "errno", None) or 0
        why = os.strerror(number) if number > 0 else "no host of that name"  # a name's errors are below 0
    raise EmotiwError(f"cannot listen on {host}, port {port}: {why}: give another --port or --host")


def address(listening: socket.socket) -> str:
    """Return where a browser finds it."""
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
            raise UsageError(f"--allow-host {name}: give the name alone, without http://, port or path")
    return frozenset(name.lower() for name in given)


def application(
    page: "gr.Blocks", host: str, port: int, most: int, uploads: Uploads, hosts: frozenset[str] = frozenset()
) -> Guard:
    """Return the page as an ASGI application behind its guard.

    Parameters
    ----------
    page
        Of `page.build`.
    host, port
        The address and port that it listens on.
    most
        Bytes of an upload at most.
    uploads
        Of `quiet_gradio`.
    hosts
        The names, besides localhost and any IP address, by which a browser may ask for it.
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
    """Answer until Ctrl-C or SIGTERM, which is a KeyboardInterrupt.

    Parameters
    ----------
    app
        Of `application`.
    listening
        Of `listen`.
    ready
        Called first.
    silence
        Seconds after which a silent connection is closed.
    longest
        Seconds that a request and its answer may take.
    """
    import uvicorn

    from .connections import Connection

    class Server(uvicorn.Server):
        async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
            logging.getLogger("uvicorn.error").disabled = True  # that it cuts off who still waits is no fault
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
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # the workers and the uploads go in order then, too
    ready()
    Server(config).run(sockets=[listening])
