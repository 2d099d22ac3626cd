"""A run that takes the place of another one once it has something to show for it: its first snapshot."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from emotiw.errors import EmotiwError
from emotiw.files import alone, clear_swap, remove, swap_folder

from .run_folder import Run


@contextmanager
def successor(old: Run) -> Iterator[tuple[Run, Callable[[], None]]]:
    """Yield a run beside `old` to train in, and what gives it the place of `old`, which is removed only then.

    The run's folder stays valid in the block: once its name is the other one, its own is a link to that.
    """
    place, settled = _place(old), False

    def settle() -> None:
        nonlocal settled
        if not settled:
            remove(swap_folder(place, old.folder))
            place.symlink_to(old.folder.name)
            settled = True

    with alone(place):  # the lock moves with the folder: nobody else trains in it under its final name
        try:
            yield Run(place), settle
        except EmotiwError as error:
            kept = f"{error}; {old.folder} still holds the run that was there"
            error.args = (str(error).replace(str(place), str(old.folder)) if settled else kept,)
            raise
        finally:
            if settled:
                remove(place)


def clear_successor(old: Run) -> None:
    """Remove what a successor left that failed or was killed, and finish the change of places."""
    clear_swap(old.folder)
    remove(_place(old))


def _place(old: Run) -> Path:
    return old.folder.with_name(f".{old.folder.name}.new")
