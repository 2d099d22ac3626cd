"""Whether the weights of a test table were found without any of the images that it is about."""

from pathlib import Path

from emotiw.evaluate.scoring import Protocol
from emotiw.evaluate.trained_on import NOT_KNOWN, common, pixels_at
from emotiw.text import counted

from .cells import Cell


def frozen(cells: tuple[Cell, ...], validated: tuple[Cell, ...]) -> str:
    """Return how many of the images scored are among those that weights were found on or nets trained on.

    Parameters
    ----------
    cells, validated
        The cells of a split other than val, and the same nets' on val.
    """
    here, there = cells[0].protocol, validated[0].protocol
    split, n, found_on = here.split, len(cells[0].scores.labels), len(validated[0].scores.labels)
    sets = " and ".join(f"{one.split}{one.beside} of {_named(one)}" for one in (there, here))
    said = f"weights are found on the {found_on} val images alone, before {split} is touched"
    in_val, trained = _common(here, there), _trained(cells)
    if in_val > 0 or trained > 0:
        return (
            f"NOT frozen: {said}, but of the {counted(n, f'{split} image')} {_number(in_val)} are among them, and "
            f"{_number(trained)} among those that a net was trained on, by pixels ({sets}): figures on {split} flatter."
        )
    if NOT_KNOWN in (in_val, trained):
        return (
            f"Frozen: {said}; no {split} label takes part in them. Of the {counted(n, f'{split} image')} it is not "
            f"known whether any is {' or '.join(_unknown(in_val, trained))} ({sets})."
        )
    return (
        f"Frozen: {said}; of the {counted(n, f'{split} image')} 0 are among them, and 0 among those that a net was "
        f"trained on, by pixels ({sets}); no {split} label takes part in them."
    )


def _named(protocol: Protocol) -> str:
    """Return a set's folder and the beginning of its digest."""
    return f"{Path(protocol.set_folder).name} ({protocol.set_digest[:8]})"


def _common(here: Protocol, there: Protocol) -> int:
    """Return how many different images of a split are among those of val, each of its own set.

    What was counted when they were scored holds where the sets are gone since.
    """
    scored, known = (pixels_at(one.set_folder, one.set_digest, one.split_of_set) for one in (here, there))
    if scored is not None and known is not None:
        return common(sorted(scored), known)
    return here.in_val if here.val_digest == there.set_digest else NOT_KNOWN


def _trained(cells: tuple[Cell, ...]) -> int:
    """Return on how many of the images that net was trained which was trained on most of them."""
    counts = [one.images for cell in cells for one in cell.protocol.trained_on]
    known = max(counts, default=NOT_KNOWN)
    every = all(cell.protocol.trained_on for cell in cells) and NOT_KNOWN not in counts
    return known if known > 0 or every else NOT_KNOWN


def _number(count: int) -> str:
    return "an unknown number" if count == NOT_KNOWN else str(count)


def _unknown(in_val: int, trained: int) -> list[str]:
    found = ["among them"] if in_val == NOT_KNOWN else []
    return found + (["among those that a net was trained on"] if trained == NOT_KNOWN else [])
