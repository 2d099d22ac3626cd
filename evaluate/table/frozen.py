"""Whether the ensemble weights of a test table were fitted without any of its images."""

from pathlib import Path

from emotiw.evaluate.scoring import Protocol
from emotiw.evaluate.trained_on import NOT_KNOWN, common, pixels_at
from emotiw.text import counted

from .cells import Cell


def frozen(cells: tuple[Cell, ...], validated: tuple[Cell, ...]) -> str:
    """Return a sentence: how many of the scored images the weights were fitted on, or a net was trained on.

    Parameters
    ----------
    cells
        The cells of a split other than val.
    validated
        The cells of the same nets on val, where the weights were fitted.
    """
    here, there = cells[0].protocol, validated[0].protocol
    split, n, found_on = here.split, len(cells[0].scores.labels), len(validated[0].scores.labels)
    sets = " and ".join(f"{one.split}{one.beside} of {_named(one)}" for one in (there, here))
    fitted = f"weights are fitted on the {found_on} val images only, before {split} is read"
    in_val, trained = _common(here, there), _trained(cells)
    if in_val > 0 or trained > 0:
        return (
            f"NOT independent: {fitted}, but of the {counted(n, f'{split} image')} {_number(in_val)} (each picture "
            f"counted once) are among them, and {_number(trained)} among the training images of a net, by pixels "
            f"({sets}): figures on {split} are overestimated."
        )
    if NOT_KNOWN in (in_val, trained):
        return (
            f"Frozen: {fitted}; they use no {split} label. It is not known whether any of the "
            f"{counted(n, f'{split} image')} is {' or '.join(_unknown(in_val, trained))} ({sets})."
        )
    return (
        f"Frozen: {fitted}; of the {counted(n, f'{split} image')} 0 are among them, and 0 among the training images of "
        f"a net, by pixels ({sets}); they use no {split} label."
    )


def _named(protocol: Protocol) -> str:
    """Return a set's folder and the beginning of its digest."""
    return f"{Path(protocol.set_folder).name} ({protocol.set_digest[:8]})"


def _common(here: Protocol, there: Protocol) -> int:
    """Return how many different images of a split are also in val, by their pixels.

    If the sets are no longer there, return the number that was counted when the images were scored.
    """
    scored, known = (pixels_at(one.set_folder, one.set_digest, one.split_of_set) for one in (here, there))
    if scored is not None and known is not None:
        return common(sorted(scored), known)
    return here.in_val if here.val_digest == there.set_digest else NOT_KNOWN


def _trained(cells: tuple[Cell, ...]) -> int:
    """Return the largest number of the images that any one net was trained on."""
    counts = [one.images for cell in cells for one in cell.protocol.trained_on]
    known = max(counts, default=NOT_KNOWN)
    every = all(cell.protocol.trained_on for cell in cells) and NOT_KNOWN not in counts
    return known if known > 0 or every else NOT_KNOWN


def _number(count: int) -> str:
    return "an unknown number" if count == NOT_KNOWN else str(count)


def _unknown(in_val: int, trained: int) -> list[str]:
    found = ["among them"] if in_val == NOT_KNOWN else []
    return found + (["a training image of a net"] if trained == NOT_KNOWN else [])
