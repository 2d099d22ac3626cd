"""Measure the line coverage of a reader, in every function of its modules that it enters.

python tests/faults/reached.py [READER [FOUND]]    prints how many, and those it never was at; keeps in corpus/ what
                                                   fuzzing has left in FOUND and reaches more
"""

import hashlib
import sys
import tempfile
import threading
from collections.abc import Iterable
from pathlib import Path
from types import CodeType, FrameType
from typing import Any

from readers import CORPUS, READERS, Reader, corpus, try_to_read

import emotiw

Line = tuple[str, int]  # a file below the package, and a line's number

PACKAGE = Path(emotiw.__file__).parent


def reached(reader: Reader, folder: Path, inputs: Iterable[bytes]) -> tuple[set[Line], set[Line]]:
    """Return the lines that were reached while the inputs were read, and all lines of the functions entered."""
    seen: set[Line] = set()
    entered: set[CodeType] = set()
    files = {str(PACKAGE / module) for module in reader.modules}

    def note(frame: FrameType, event: str, argument: object) -> Any:
        code = frame.f_code
        if code.co_filename not in files:
            return None
        if event == "call":
            entered.add(code)
        elif event == "line":
            seen.add((code.co_filename, frame.f_lineno))
        return note

    before = sys.gettrace()
    threading.settrace(note)
    sys.settrace(note)
    try:
        for data in inputs:
            try_to_read(reader, folder, data)
    finally:
        sys.settrace(before)
        threading.settrace(None)  # type: ignore[arg-type]
    lines = {(code.co_filename, line) for code in entered for line in _lines(code)}
    return seen & lines, lines


def _lines(code: CodeType) -> set[int]:
    """Return the lines of a function's body."""
    return {line for _, _, line in code.co_lines() if line} - {code.co_firstlineno}


def keep(name: str, found: Path) -> None:
    """Copy into the corpus those inputs that reach what the corpus does not, small ones first."""
    with tempfile.TemporaryDirectory() as folder:
        known, _ = reached(READERS[name], Path(folder), corpus(name))
        for data in sorted((path.read_bytes() for path in found.iterdir()), key=lambda data: (len(data), data)):
            seen, _ = reached(READERS[name], Path(folder), [data])
            if not seen <= known:
                known |= seen
                place = CORPUS / name / hashlib.sha256(data).hexdigest()[:12]
                place.parent.mkdir(parents=True, exist_ok=True)
                place.write_bytes(data)


def main() -> None:
    """Print."""
    if len(sys.argv) == 3:
        keep(sys.argv[1], Path(sys.argv[2]))
    for name in sys.argv[1:2] or READERS:
        with tempfile.TemporaryDirectory() as folder:
            seen, lines = reached(READERS[name], Path(folder), corpus(name))
        print(f"{name}: {len(seen)} of {len(lines)} lines, {len(seen) / len(lines):.1%}")
        for file, line in sorted(lines - seen):
            words = Path(file).read_text().splitlines()[line - 1].strip()
            print(f"  {Path(file).relative_to(PACKAGE)}:{line}: {words}")


if __name__ == "__main__":
    main()
