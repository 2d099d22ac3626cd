"""Write the LMDBs of a set, and their means."""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Self

import numpy as np
from numpy.typing import NDArray

from emotiw.errors import EmotiwError
from emotiw.prototxt.formats.blobs import write_mean
from emotiw.prototxt.formats.datum import Encoded, decode
from emotiw.prototxt.formats.lmdb import ADDRESS_SPACE
from emotiw.prototxt.formats.lmdb_digest import RecordsDigest

MAP_SIZE = 1 << 40
"""The maximum size of an LMDB in bytes."""

# Initial address space of an LMDB in bytes, and the factor by which it grows. The file itself grows only as it is
# filled.
_FIRST_MAP, _GROWTH = 1 << 24, 1.25


def key(position: int, path: str) -> bytes:
    """Return the key that `convert_imageset` would give the image."""
    return f"{position:08d}_{path}".encode()


@contextmanager
def _one_line(path: Path) -> Iterator[None]:
    """Convert LMDB's errors to `EmotiwError`."""
    import lmdb

    try:
        yield
    except lmdb.MapFullError:
        most = f"{MAP_SIZE / 1e9:g} GB"
        raise EmotiwError(f"{path} holds no more than {most}: give --store png, or fewer images") from None
    except (lmdb.InvalidError, lmdb.CorruptedError):  # for example, the disk was full when the file was created
        begun = path.parent.parent
        raise EmotiwError(f"{path} is damaged: remove {begun}, then run the same command again") from None
    except lmdb.MemoryError:
        mends = "or prepare one representation at a time; then run the same command again to continue"
        raise EmotiwError(f"{path}: {ADDRESS_SPACE}, {mends}") from None
    except lmdb.Error as error:
        raise EmotiwError(f"{error} (disk full?): make room, then run the same command again to continue") from None


class LmdbWriter:
    """One LMDB, and the running sum of its images, as `compute_image_mean` forms it (float32, in key order).

    Parameters
    ----------
    path
        Its folder; records that it holds already stay.
    expected
        Its expected size in bytes; 0 if it is not known. Its map grows if it is larger.
    """

    def __init__(self, path: Path, expected: int = 0) -> None:
        import lmdb

        path.mkdir(parents=True, exist_ok=True)
        self._path = path
        with _one_line(path):
            size = min(max(expected, _FIRST_MAP), MAP_SIZE)
            self._environment = lmdb.open(str(path), map_size=size)
        self._map_size = max(size, self._environment.info()["map_size"])  # an existing file may be larger
        self._sum: NDArray[np.float32] | None = None
        self._count = 0
        self._digest = RecordsDigest()

    def store(self, images: Iterable[tuple[bytes, Encoded]]) -> None:
        """Store images by their keys, in one transaction: all are on the disk when it returns, or none."""
        together = list(images)
        with _one_line(self._path):
            while not self._put(together):
                self._grow(sum(len(image.datum) for _, image in together))
        for name, image in together:
            self._digest.add(name, image.datum)
            self._add(image.blob)

    def _put(self, images: Sequence[tuple[bytes, Encoded]]) -> bool:
        """Store the images; return False if the map is too small for them."""
        import lmdb

        try:
            with self._environment.begin(write=True) as transaction:
                for name, image in images:
                    transaction.put(name, image.datum)
        except lmdb.MapFullError:
            if self._map_size >= MAP_SIZE:
                raise
            return False
        return True

    def _grow(self, room: int) -> None:
        """Enlarge the map by at least `room` bytes."""
        self._map_size = min(int(self._map_size * _GROWTH) + 2 * room, MAP_SIZE)
        self._environment.set_mapsize(self._map_size)

    def recount(self, names: Sequence[bytes]) -> None:
        """Add the images already stored under `names` to the sum and the digest, in their order."""
        with self._environment.begin(buffers=True) as transaction:
            for name in names:
                stored = transaction.get(name)
                assert stored is not None
                self._digest.add(name, stored)
                self._add(decode(stored)[0])

    def _add(self, blob: NDArray[np.uint8]) -> None:
        import cv2

        if self._sum is None:
            self._sum = np.zeros(blob.shape, np.float32)
        channels = len(blob)  # OpenCV adds planes as NumPy does, but without a float32 copy
        cv2.accumulate(blob.reshape(channels, -1), self._sum.reshape(channels, -1))
        self._count += 1

    @property
    def sha256(self) -> str:
        """The digest of the records, which were stored in the order of their keys; see `lmdb_digest.content_digest`."""
        return self._digest.sha256

    def write_mean(self, path: Path) -> None:
        """Write the mean of the images as a binaryproto."""
        assert self._sum is not None
        write_mean(path, self._sum / np.float32(self._count))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        """Close the LMDB."""
        self._environment.close()
