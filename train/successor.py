"""A run that replaces an old one once it has its first snapshot."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from emotiw.errors import EmotiwError
from emotiw.files import alone, clear_swap, remove, swap_folder

from .run_folder import Run


@contextmanager
def successor(old: Run) -> Iterator[tuple[Run, Callable[[], None]]]:
    """Yield a run next to `old` to train in, and a function that puts it in the place of `old`, which is then removed.

    The run's folder stays valid in the block: after the replacement, its old name is a link to the new one.
    """
    place, settled = _place(old), False

    def settle() -> None:
        nonlocal settled
        if not settled:
            remove(swap_folder(place, old.folder))
            place.symlink_to(old.folder.name)
            settled = True

    with alone(place):  # the lock moves with the folder, so no other process trains in it under its final name
        try:
            yield Run(place), settle
        except EmotiwError as error:
            kept = f"{error}; {old.folder} still has its previous run"
            error.args = (str(error).replace(str(place), str(old.folder)) if settled else kept,)
            raise
        finally:
            if settled:
                remove(place)


def clear_successor(old: Run) -> None:
    """Remove what a failed or killed successor left, and finish an interrupted replacement."""
    clear_swap(old.folder)
    remove(_place(old))


def _place(old: Run) -> Path:
    return old.folder.with_name(f".{old.folder.name}.new")
