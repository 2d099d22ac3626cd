"""Download a file by gdown, under a temporary name until it is complete; interrupted downloads can be resumed."""

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

RETRIES = 3  # of a broken connection, before the command gives up; running it again continues
_PATIENCE = 60  # seconds without a byte


class RefusedError(EmotiwError):
    """The server responds, but does not give the file."""


def download(url: str, target: Path, title: str) -> None:
    """Download `url` to `target`; resume an earlier call's download if the server still has the same file.

    Parameters
    ----------
    url
        http or https; Google Drive's confirmation pages before a file are handled.
    target
        In a folder used only for this URL, which also has the partial file.
    title
        Title of the progress bar.

    Raises
    ------
    RefusedError
        If the server responds without the file.
    EmotiwError
        If there is no response, the connection breaks, or the disk is too small.
    """
    left = _unfinished(target)
    with ExitStack() as stack:
        progress = _Progress(target.parent, title, stack)
        stack.enter_context(_responses(_Same(target, known=bool(left))))
        try:
            _gdown(url, target, progress)
        except (_NotResumedError, _ChangedError) as error:
            if isinstance(error, _NotResumedError) and (not left or progress.begun):
                raise
            for file in left:  # the server cannot resume, or has another file now
                file.unlink()
            _gdown(url, target, progress)
    remove(_validators(target))


class _NotResumedError(EmotiwError):
    """The download was interrupted, or cannot be resumed."""


class _ChangedError(EmotiwError):
    """The server's file differs from the partial file."""


@dataclass(frozen=True)
class _Validators:
    """The headers that identify a version of a file: ETag, Content-Length, Last-Modified."""

    etag: str
    length: str
    date: str


class _Same:
    """Checks that a resumed download is of the same file, by the headers of its first response.

    gdown requests the whole file before it requests the rest, but compares only the responses of a single call.
    """

    def __init__(self, target: Path, *, known: bool) -> None:
        self._path, self._known = _validators(target), known

    def __call__(self, response: "Response", **_: object) -> None:
        """Check a response; raise `_ChangedError` if it is of another file."""
        kind = response.headers.get("Content-Type", "")
        if response.status_code != HTTPStatus.OK or kind.startswith("text/html"):
            return  # Google Drive's pages before a file, refusals, partial content
        found = _Validators(*(response.headers.get(name, "") for name in ("ETag", "Content-Length", "Last-Modified")))
        known, self._known = self._known, False
        if known and self._noted() != found:
            response.close()
            _LOG.info(f"{response.url} is not the file of the partial download: fetching it from its beginning")
            raise _ChangedError(f"{response.url} has changed")
        write_json(self._path, asdict(found))

    def _noted(self) -> _Validators | None:
        try:
            return read_record(self._path, _Validators)
        except (OSError, ValueError):
            return None


@contextmanager
def _responses(see: Callable[..., None]) -> Iterator[None]:
    """Call `see` with every response that gdown gets; gdown has no parameter for that."""
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
        # No cookies: gdown would store them in the user's home.
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
    except OSError as error:  # includes the errors of requests
        if error.errno is not None:
            raise
        if getattr(error, "response", None) is not None:
            raise RefusedError(f"{url} is not given: {_reason(error).partition(' for url')[0]}") from None
        raise EmotiwError(f"{url} cannot be reached ({_reason(error)}): run the same command again to retry") from None


class _Progress:
    """A progress bar, shown once the size is known; first it checks that the size fits on the disk."""

    def __init__(self, folder: Path, title: str, stack: ExitStack) -> None:
        self._folder, self._title, self._stack = folder, title, stack
        self._bar: tqdm[int] | None = None

    @property
    def begun(self) -> bool:
        """Whether any data has arrived."""
        return self._bar is not None

    def __call__(self, done: int, total: int | None) -> None:
        if self._bar is None:
            require_space(self._folder, f"{self._title} needs", (total or done) - done)
            ones: Iterable[int] = ()
            self._bar = self._stack.enter_context(bar(ones, self._title, total or 0, "B"))
            self._bar.unit_scale = True
        self._bar.update(done - self._bar.n)


def _unfinished(target: Path) -> list[Path]:
    """Return gdown's partial files, named `<target>` + eight characters + `.part`."""
    return list(target.parent.glob(f"{target.name}????????.part"))


def _validators(target: Path) -> Path:
    """Return the path of the record of the server's headers."""
    return target.with_name(f"{target.name}.server.json")


def _first(error: BaseException) -> str:
    """Return an error's first sentence, on one line."""
    return " ".join(str(error).split()).partition(". ")[0]


def _reason(error: BaseException) -> str:
    """Return the root cause of an error, as the system's message if there is one."""
    bottom = error
    while inner := bottom.__cause__ or bottom.__context__:
        bottom = inner
    words = bottom.strerror if isinstance(bottom, OSError) and bottom.strerror else None
    return words or _first(error)
