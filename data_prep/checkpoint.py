"""A set while it is made: a folder beside its final name, and the journal of how far it has come."""

import hashlib
import json
import re
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from emotiw.files import alone, clear_swap, remove, replace_folder, write_text
from emotiw.json_record import json_of

_ASKED, _JOURNAL, _PIXELS = "asked.sha256", "journal.jsonl", "pixels.txt"
UNPACKED = "unpacked"

Entry = tuple[str, str, str]
"""What the journal says of an image: its sha256, its pixels', and why it was left out, empty where it was not."""


@contextmanager
def unfinished(output: Path) -> Iterator[Path]:
    """Yield `.<name>.partial` beside `output`; nobody else has it until the block ends.

    Raises
    ------
    EmotiwError
        Where another process makes the same set.
    """
    folder = output.with_name(f".{output.name}.partial")
    with alone(folder, f"another emotiw prepare makes {output} now: wait for it, or name another -o"):
        clear_swap(output)
        try:
            yield folder
        finally:
            with suppress(OSError):
                folder.rmdir()  # where nothing was begun


def resume(folder: Path, asked: Iterable[object]) -> list[Entry]:
    """Return what an interrupted call that was `asked` for the same had done; where there is none, empty the folder.

    What lies there unpacked stays: it is the source, not what is made of it.
    """
    hashed = hashlib.sha256()
    for part in asked:
        hashed.update(json.dumps(part).encode() + b"\n")
    digest = hashed.hexdigest()
    try:
        asked_before: str | None = (folder / _ASKED).read_text()
        lines = (folder / _JOURNAL).read_text(encoding="utf-8").split("\n")[:-1]
        entries = [_entry(json_of(line)) for line in lines]
    except (FileNotFoundError, ValueError):
        asked_before = None
    if asked_before != digest:
        for path in folder.iterdir():
            if path.name != UNPACKED:
                remove(path)
        write_text(folder / _ASKED, digest)
        lines, entries = [], []
    write_text(folder / _JOURNAL, "".join(f"{line}\n" for line in lines))  # without a last line that was cut off
    return entries


def _entry(value: object) -> Entry:
    match value:
        case [str(sha256), str(pixels), str(reason)] if reason or _are_digests(sha256, pixels):
            return sha256, pixels, reason
    raise ValueError("no entry of a journal")


def _are_digests(*words: str) -> bool:
    return all(re.fullmatch("[0-9a-f]{64}", word) for word in words)


def add(folder: Path, entries: Iterable[Entry]) -> None:
    """Add to the journal."""
    with (folder / _JOURNAL).open("a", encoding="utf-8") as journal:
        journal.writelines(json.dumps(entry) + "\n" for entry in entries)


def known_pixels(folder: Path) -> list[str]:
    """Return the pixel digests that were noted before an interruption, in the order of the images."""
    try:
        return (folder / _PIXELS).read_text(encoding="ascii").split("\n")[:-1]
    except (FileNotFoundError, UnicodeDecodeError):
        return []


def note_pixels(folder: Path, digests: Iterable[str]) -> None:
    """Note further pixel digests."""
    with (folder / _PIXELS).open("a", encoding="ascii") as journal:
        journal.writelines(f"{digest}\n" for digest in digests)


def finish(folder: Path, output: Path) -> None:
    """Give the folder its final name, instead of the set that had it; then nothing is left of its making."""
    remove(folder / UNPACKED)
    replace_folder(folder, output)
    for name in (_ASKED, _JOURNAL, _PIXELS):
        remove(output / name)
