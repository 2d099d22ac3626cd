"""A file from the web, by gdown: under a temporary name, gone on with after an interruption, whole in the end."""

from collections.abc import Callable, Iterable
from contextlib import ExitStack
from pathlib import Path

from tqdm import tqdm

from emotiw.disk import require_space
from emotiw.errors import EmotiwError
from emotiw.progress_bar import bar

RETRIES = 3  # of a connection that breaks, before the command gives up; the same command goes on
_PATIENCE = 60  # seconds without a byte


class RefusedError(EmotiwError):
    """The other side answers, and does not give the file."""


def download(url: str, target: Path, title: str) -> None:
    """Download `url` to `target`; what an earlier call left of it is gone on with.

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
        Where there is an answer and no file in it.
    EmotiwError
        Where there is no answer, it breaks off, or the disk is too small.
    """
    left = _unfinished(target)
    with ExitStack() as stack:
        told = _Progress(target.parent, title, stack)
        try:
            _gdown(url, target, told)
        except _NotResumedError:
            if not left or told.begun:
                raise
            for file in left:  # a server that cannot begin in the middle
                file.unlink()
            _gdown(url, target, told)


class _NotResumedError(EmotiwError):
    """It broke off, or could not be gone on with."""


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
        raise _NotResumedError(f"{url} broke off ({_reason(error)}): the same command goes on") from None
    except OSError as error:  # requests' own errors are some
        if error.errno is not None:
            raise
        if getattr(error, "response", None) is not None:
            raise RefusedError(f"{url} is not given: {_reason(error).partition(' for url')[0]}") from None
        raise EmotiwError(f"{url} cannot be reached ({_reason(error)}): the same command tries again") from None


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
