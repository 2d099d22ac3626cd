"""Checkpoints of a set in preparation: a folder beside its final name, with a journal of the finished images."""

import hashlib
import json
import re
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from emotiw.files import alone, clear_swap, remove, replace_folder, temporary_name, write_text
from emotiw.json_record import json_of

_ASKED, _JOURNAL, _PIXELS = "asked.sha256", "journal.jsonl", "pixels.txt"
UNPACKED = "unpacked"

Entry = tuple[str, str, str]
"""The journal's entry of an image: sha256 of its file, digest of its pixels, and why it was left out, else empty."""


@contextmanager
def unfinished(output: Path) -> Iterator[Path]:
    """Yield `.<name>.partial` beside `output`, locked against other processes until the block ends.

    Raises
    ------
    EmotiwError
        If another process prepares the same set.
    """
    folder = temporary_name(output)
    with alone(folder, f"another emotiw prepare is writing {output}: wait for it, or name another -o"):
        clear_swap(output)
        try:
            yield folder
        finally:
            with suppress(OSError):
                folder.rmdir()  # empty if nothing was written


def resume(folder: Path, asked: Iterable[object]) -> list[Entry]:
    """Return the journal of an interrupted call with the same `asked`; if there is none, empty the folder.

    Unpacked files stay: they belong to the source, not to the set.
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
    write_text(folder / _JOURNAL, "".join(f"{line}\n" for line in lines))  # without a truncated last line
    return entries


def _entry(value: object) -> Entry:
    match value:
        case [str(sha256), str(pixels), str(reason)] if reason or _are_digests(sha256, pixels):
            return sha256, pixels, reason
    raise ValueError("not an entry of a journal")


def _are_digests(*words: str) -> bool:
    return all(re.fullmatch("[0-9a-f]{64}", word) for word in words)


def add(folder: Path, entries: Iterable[Entry]) -> None:
    """Append entries to the journal."""
    with (folder / _JOURNAL).open("a", encoding="utf-8") as journal:
        journal.writelines(json.dumps(entry) + "\n" for entry in entries)


def known_pixels(folder: Path) -> list[str]:
    """Return the pixel digests that were recorded before an interruption, in the order of the images."""
    try:
        return (folder / _PIXELS).read_text(encoding="ascii").split("\n")[:-1]
    except (FileNotFoundError, UnicodeDecodeError):
        return []


def note_pixels(folder: Path, digests: Iterable[str]) -> None:
    """Append pixel digests to those recorded."""
    with (folder / _PIXELS).open("a", encoding="ascii") as journal:
        journal.writelines(f"{digest}\n" for digest in digests)


def finish(folder: Path, output: Path) -> None:
    """Give the folder its final name, in place of an older set; then remove the journal."""
    remove(folder / UNPACKED)
    replace_folder(folder, output)
    for name in (_ASKED, _JOURNAL, _PIXELS):
        remove(output / name)
