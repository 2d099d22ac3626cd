"""Fetch released models: each file gets a temporary name, is checked, and only then moved to the models' folder."""

import logging
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from emotiw.data_prep.images import UnreadableImageError, read_image
from emotiw.disk import free_space, require_space
from emotiw.errors import EmotiwError, UsageError
from emotiw.files import alone, remove, sha256_of
from emotiw.text import counted

from .catalog import DEMO, File, is_stand_in, models_folder, released
from .sources import Source, UnfitError, open_source
from .stand_in import calls_itself, write_stand_in
from .verify import faults, least_bytes, state

_LOG = logging.getLogger(__name__)


def known(names: Sequence[str]) -> list[str]:
    """Return the requested released models, without duplicates; `all` is all of them."""
    if strangers := sorted({*names} - {*released(), "all"}):
        raise UsageError(f"no released model {strangers[0]!r}: there are {', '.join(released())}, or all")
    return [name for name in released() if name in names or "all" in names]


def fetch(names: Sequence[str], named: str | None, force: bool) -> None:
    """Fetch missing files of models, with the demo images that the source has, and log the plan and the results.

    Parameters
    ----------
    names
        The names of the models.
    named
        The source, as for `open_source`.
    force
        Whether existing files are replaced.

    Raises
    ------
    EmotiwError
        If a file cannot be fetched, or is wrong; the message says what was expected and found.
    """
    with _staging(named or "") as store:
        source = open_source(named, names, store)
        wanted = [
            (name, file)
            for name in names
            for file in released()[name].files.values()
            if file.name in source.offers() and not _is_here(name, file, force)
        ]
        if wanted:
            _announce(wanted, source)
        for name in names:
            for file in [file for model, file in wanted if model == name]:
                _fetch_file(name, file, source, store)
            demo = ", with its demo image" if _fetch_demo(name, source, store, force) else ""
            _LOG.info(f"{name}: {state(name)}{demo} -> {models_folder() / name}")


def make_stand_ins(names: Sequence[str], seed: int, force: bool) -> None:
    """Make stand-ins for models that are not here; existing stand-ins of the same seed stay."""
    with _staging("stand-in"):
        for name in names:
            folder = models_folder() / name
            if not all(calls_itself(folder / file, name, seed) for file in released()[name].files):
                there = [folder / file for file in released()[name].files if (folder / file).exists()]
                if there and not force:
                    raise EmotiwError(f"{there[0]} exists already ({state(name)}): give --force to replace it")
                write_stand_in(folder, name, seed)
            _LOG.info(f"{name}: {state(name)}, random weights of seed {seed} -> {folder}")


@contextmanager
def _staging(origin: str) -> Iterator[Path]:
    """Yield a folder next to the models for downloads from one origin; it is removed when empty.

    An interrupted download is resumed only from the same origin, because the bytes of two origins must not be mixed.
    """
    folder = models_folder() / ".fetching"
    store = folder / sha256_of(origin.encode())[:16]
    with alone(folder, f"another emotiw models fetch is running in {models_folder()}: wait for it"):
        store.mkdir(exist_ok=True)
        try:
            yield store
            remove(store)
        except UnfitError:
            remove(store)  # otherwise the next call would find the same wrong file
            raise
        except KeyboardInterrupt:
            raise KeyboardInterrupt("interrupted: run the same command again to continue") from None
        finally:
            for empty in (*store.glob("*/"), store, folder):
                with suppress(OSError):
                    empty.rmdir()


def _is_here(name: str, file: File, force: bool) -> bool:
    """Return whether a file is here and complete; raise if another file has its name."""
    path = models_folder() / name / file.name
    if force or not path.exists():
        return False
    wrong = ["a STAND-IN's"] if is_stand_in(path) else faults(path, file)
    if wrong:
        raise EmotiwError(f"{path} is here and is not the authors' ({wrong[0]}): give --force to replace it")
    return True


def _announce(wanted: Sequence[tuple[str, File]], source: Source) -> None:
    """Log what will be fetched and the free space; raise if that is too small."""
    need = sum(file.size or least_bytes(file.name) for _, file in wanted)
    free = free_space(models_folder())
    files, models = len(wanted), len({name for name, _ in wanted})
    _LOG.info(
        f"{counted(files, 'file')} of {counted(models, 'model')} from {source}: {need / 1e9:.2f} GB, "
        f"and {free / 1e9:.2f} GB are free in {models_folder()}"
    )
    require_space(models_folder(), "the download needs", need)


def _fetch_file(name: str, file: File, source: Source, store: Path) -> None:
    """Fetch a file, check it, and move it to its final place."""
    staged, target = store / name / file.name, models_folder() / name / file.name
    staged.parent.mkdir(exist_ok=True)
    source.give(name, file, staged)
    if wrong := faults(staged, file):
        raise UnfitError(f"{source} gives a {name}/{file.name} that is not the model's: {'; '.join(wrong)}")
    target.parent.mkdir(parents=True, exist_ok=True)
    staged.replace(target)


def _fetch_demo(name: str, source: Source, store: Path, force: bool) -> bool:
    """Fetch a model's demo image, if the source has one that is not here; return whether it was fetched."""
    staged, target = store / name / DEMO, models_folder() / name / DEMO
    if target.exists() and not force:
        return False
    staged.parent.mkdir(exist_ok=True)
    if not source.give_demo(name, staged):
        return False
    try:
        read_image(staged)
    except UnreadableImageError as error:
        raise UnfitError(
            f"{source} gives a {name}/{DEMO} that is not an image: {error}: copy the source again"
        ) from None
    staged.replace(target)
    return True
