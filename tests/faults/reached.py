"""Which lines a reader reaches: of every function of its modules that it enters, those it has been at.

python -P tests/faults/reached.py [READER ...]    prints how many, and those it never was at
"""

import sys
import tempfile
import threading
from collections.abc import Iterable
from pathlib import Path
from types import CodeType, FrameType
from typing import Any

from readers import READERS, Reader, corpus, try_to_read

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

    threading.settrace(note)
    sys.settrace(note)
    try:
        for data in inputs:
            try_to_read(reader, folder, data)
    finally:
        sys.settrace(None)
        threading.settrace(None)  # type: ignore[arg-type]
    lines = {(code.co_filename, line) for code in entered for line in _lines(code)}
    return seen & lines, lines


def _lines(code: CodeType) -> set[int]:
    """Return the lines of a function's body."""
    return {line for _, _, line in code.co_lines() if line} - {code.co_firstlineno}


def main() -> None:
    """Print."""
    for name in sys.argv[1:] or READERS:
        with tempfile.TemporaryDirectory() as folder:
            seen, lines = reached(READERS[name], Path(folder), corpus(name))
        print(f"{name}: {len(seen)} of {len(lines)} lines, {len(seen) / len(lines):.1%}")
        for file, line in sorted(lines - seen):
            print(
                f"  {Path(file).relative_to(PACKAGE)}:{line}: {Path(file).read_text().splitlines()[line - 1].strip()}"
            )


if __name__ == "__main__":
    main()
