"""Fuzz a reader with atheris, guided by coverage; only our own errors may be raised.

python tests/faults/fuzz.py READER CORPUS [-runs=200000 ...]    CORPUS is filled if it is empty
"""

import sys
import tempfile
from pathlib import Path

import atheris

with atheris.instrument_imports(include=["emotiw", "zipfile", "google.protobuf.text_format"]):
    from readers import READERS, try_to_read


def main() -> None:
    """Fuzz."""
    reader, corpus = READERS[sys.argv[1]], Path(sys.argv[2])
    corpus.mkdir(parents=True, exist_ok=True)
    memory = Path("/dev/shm")
    with tempfile.TemporaryDirectory(dir=memory if memory.is_dir() else None) as folder:
        place, drawn = Path(folder) / "input", Path(folder) / "drawn"
        place.mkdir()
        drawn.mkdir()
        if not any(corpus.iterdir()):
            for number, data in enumerate(reader.drawn(drawn)):
                (corpus / f"{number:02d}").write_bytes(data)
        limits = ["-timeout=10", "-rss_limit_mb=2048"]
        atheris.Setup([sys.argv[0], str(corpus), *limits, *sys.argv[3:]], lambda data: try_to_read(reader, place, data))
        atheris.Fuzz()


if __name__ == "__main__":
    main()
