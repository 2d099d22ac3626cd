"""A file from the web, by gdown: under a temporary name, gone on with after an interruption, whole in the end."""

import logging
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass
from http import HTTPStatus
from pathlib import Path
from typing import TYPE_CHECKING

from tqdm import tqdm

from emotiw.disk import require_space
from emotiw.errors import EmotiwError
from emotiw.files import remove
from emotiw.json_record import read_record, write_json
from emotiw.progress_bar import bar

if TYPE_CHECKING:
    from requests import Response, Session

_LOG = logging.getLogger(__name__)

RETRIES = 3  # of a connection that breaks, before the command gives up; run again, it continues
_PATIENCE = 60  # seconds without a byte


class RefusedError(EmotiwError):
    """The other side answers, and does not give the file."""


def download(url: str, target: Path, title: str) -> None:
    """Download `url` to `target`; what an earlier call left of it is gone on with, where the file is still the same.

    Parameters
    ----------
    url
        http or https; Google Drive's pages before a file are passed through.
    target
        In a folder of this URL's own: beside it lies what has come so far.
    title
        Of the progress bar.

    Raises
    ------
    RefusedError
        If there is an answer and no file in it.
    EmotiwError
        If there is no answer, it breaks off, or the disk is too small.
    """
    left = _unfinished(target)
    with ExitStack() as stack:
        told = _Progress(target.parent, title, stack)
        stack.enter_context(_responses(_Same(target, known=bool(left))))
        try:
            _gdown(url, target, told)
        except (_NotResumedError, _ChangedError) as error:
            if isinstance(error, _NotResumedError) and (not left or told.begun):
                raise
            for file in left:  # a server that cannot begin in the middle, or has another file now
                file.unlink()
            _gdown(url, target, told)
    remove(_validators(target))


class _NotResumedError(EmotiwError):
    """It broke off, or could not be gone on with."""


class _ChangedError(EmotiwError):
    """The server has another file than the one whose beginning is here."""


@dataclass(frozen=True)
class _Validators:
    """What a server says of a file by which another one is known: the headers ETag, Content-Length, Last-Modified."""

    etag: str
    length: str
    date: str


class _Same:
    """Sees to it that what is gone on with is the same file, by what the server said of it when it began.

    gdown asks for the whole file before it asks for the rest, but compares the two answers of one call alone.
    """

    def __init__(self, target: Path, *, known: bool) -> None:
        self._path, self._known = _validators(target), known

    def __call__(self, response: "Response", **_: object) -> None:
        """Look at an answer; raise `_ChangedError` where it is of another file."""
        kind = response.headers.get("Content-Type", "")
        if response.status_code != HTTPStatus.OK or kind.startswith("text/html"):
            return  # Google Drive's pages before a file, refusals, the rest of a file
        told = _Validators(*(response.headers.get(name, "") for name in ("ETag", "Content-Length", "Last-Modified")))
        known, self._known = self._known, False
        if known and self._noted() != told:
            response.close()
            _LOG.info(f"{response.url} is not the file whose beginning is here: it is fetched from its beginning")
            raise _ChangedError(f"{response.url} has changed")
        write_json(self._path, asdict(told))

    def _noted(self) -> _Validators | None:
        try:
            return read_record(self._path, _Validators)
        except (OSError, ValueError):
            return None


@contextmanager
def _responses(see: Callable[..., None]) -> Iterator[None]:
    """Have `see` called with every answer that gdown gets, which has no parameter for that."""
    import requests

    make = requests.session

    def session() -> "Session":
        made = make()
        made.hooks["response"].append(see)
        return made

    requests.session = session
    try:
        yield
    finally:
        requests.session = make


def _gdown(url: str, target: Path, progress: Callable[[int, int | None], None]) -> None:
    import gdown
    from gdown.exceptions import DownloadError, FileURLRetrievalError

    try:
        # No cookies: gdown would keep them in the user's home.
        gdown.download(
            url,
            str(target),
            quiet=True,
            use_cookies=False,
            resume=True,
            retries=RETRIES,
            timeout=_PATIENCE,
            progress=progress,
        )
    except FileURLRetrievalError as error:
        raise RefusedError(f"{url}: {_first(error.__context__ or error)}") from None
    except DownloadError as error:
        raise _NotResumedError(f"{url} broke off ({_reason(error)}): run the same command again to continue") from None
    except OSError as error:  # requests' own errors are some
        if error.errno is not None:
            raise
        if getattr(error, "response", None) is not None:
            raise RefusedError(f"{url} is not given: {_reason(error).partition(' for url')[0]}") from None
        raise EmotiwError(f"{url} cannot be reached ({_reason(error)}): run the same command again to retry") from None


class _Progress:
    """A bar, once it is known of how much; it looks first whether that fits on the disk."""

    def __init__(self, folder: Path, title: str, stack: ExitStack) -> None:
        self._folder, self._title, self._stack = folder, title, stack
        self._bar: tqdm[int] | None = None

    @property
    def begun(self) -> bool:
        """Whether anything has come."""
        return self._bar is not None

    def __call__(self, done: int, total: int | None) -> None:
        if self._bar is None:
            require_space(self._folder, f"{self._title} needs", (total or done) - done)
            ones: Iterable[int] = ()
            self._bar = self._stack.enter_context(bar(ones, self._title, total or 0, "B"))
            self._bar.unit_scale = True
        self._bar.update(done - self._bar.n)


def _unfinished(target: Path) -> list[Path]:
    """Return what gdown left: its name, eight letters, `.part`."""
    return list(target.parent.glob(f"{target.name}????????.part"))


def _validators(target: Path) -> Path:
    """Return where it is noted what the server said of the file."""
    return target.with_name(f"{target.name}.server.json")


def _first(error: BaseException) -> str:
    """Return an error's first sentence, on one line."""
    return " ".join(str(error).split()).partition(". ")[0]


def _reason(error: BaseException) -> str:
    """Return what is at the bottom of an error, in the system's words where there are some."""
    bottom = error
    while inner := bottom.__cause__ or bottom.__context__:
        bottom = inner
    words = bottom.strerror if isinstance(bottom, OSError) and bottom.strerror else None
    return words or _first(error)
