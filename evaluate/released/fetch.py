"""Released models, fetched: each file under a temporary name, checked, and only then where models lie."""

import logging
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from emotiw.disk import free_space, require_space
from emotiw.errors import EmotiwError, UsageError
from emotiw.files import alone, remove, sha256_of
from emotiw.text import counted

from .catalog import File, is_stand_in, models_folder, released
from .sources import Source, UnfitError, open_source
from .stand_in import calls_itself, write_stand_in
from .verify import faults, least_bytes, state

_LOG = logging.getLogger(__name__)


def known(names: Sequence[str]) -> list[str]:
    """Return the released models that are asked for, each once; `all` is all of them."""
    if strangers := sorted({*names} - {*released(), "all"}):
        raise UsageError(f"no released model {strangers[0]!r}: there are {', '.join(released())}, or all")
    return [name for name in released() if name in names or "all" in names]


def fetch(names: Sequence[str], named: str | None, force: bool) -> None:
    """Fetch the files of models that are not here; log what will be done and what was.

    Parameters
    ----------
    names
        Of the models.
    named
        Where from, as for `open_source`.
    force
        Whether files that are here are replaced.

    Raises
    ------
    EmotiwError
        If a file is not to be had, or is not what it should be: expected and found.
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
            _LOG.info(f"{name}: {state(name)} -> {models_folder() / name}")


def make_stand_ins(names: Sequence[str], seed: int, force: bool) -> None:
    """Make stand-ins of models where nothing else is; what is there of the same seed stays."""
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
    """Yield a folder beside the models for what comes from one origin; it stays while anything lies in it.

    What an interrupted download left is gone on with from the same origin alone: bytes of two are not to be mixed.
    """
    folder = models_folder() / ".fetching"
    store = folder / sha256_of(origin.encode())[:16]
    with alone(folder, f"another emotiw models fetch is at work in {models_folder()}: wait for it"):
        store.mkdir(exist_ok=True)
        try:
            yield store
            remove(store)
        except UnfitError:
            remove(store)  # as it is, it would be met again
            raise
        except KeyboardInterrupt:
            raise KeyboardInterrupt("interrupted: run the same command again to continue") from None
        finally:
            for empty in (*store.glob("*/"), store, folder):
                with suppress(OSError):
                    empty.rmdir()


def _is_here(name: str, file: File, force: bool) -> bool:
    """Return whether a file is here and whole; raise where another one is in its place."""
    path = models_folder() / name / file.name
    if force or not path.exists():
        return False
    wrong = ["a STAND-IN's"] if is_stand_in(path) else faults(path, file)
    if wrong:
        raise EmotiwError(f"{path} is here and is not the authors' ({wrong[0]}): give --force to replace it")
    return True


def _announce(wanted: Sequence[tuple[str, File]], source: Source) -> None:
    """Log what is about to come and in what room; raise where it is too small."""
    need = sum(file.size or least_bytes(file.name) for _, file in wanted)
    free = free_space(models_folder())
    files, models = len(wanted), len({name for name, _ in wanted})
    _LOG.info(
        f"{counted(files, 'file')} of {counted(models, 'model')} from {source}: {need / 1e9:.2f} GB, "
        f"and {free / 1e9:.2f} GB are free in {models_folder()}"
    )
    require_space(models_folder(), "what is asked for needs", need)


def _fetch_file(name: str, file: File, source: Source, store: Path) -> None:
    """Fetch a file, check it, and put it in its place."""
    staged, target = store / name / file.name, models_folder() / name / file.name
    staged.parent.mkdir(exist_ok=True)
    source.give(name, file, staged)
    if wrong := faults(staged, file):
        raise UnfitError(f"{source} gives a {name}/{file.name} that is not the model's: {'; '.join(wrong)}")
    target.parent.mkdir(parents=True, exist_ok=True)
    staged.replace(target)
