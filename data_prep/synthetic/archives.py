"""Write drawn faces in the layouts in which SFEW 2.0 and CASIA-WebFace are distributed, for rehearsals and tests."""

import csv
import io
import struct
import zipfile
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import groupby, pairwise
from pathlib import Path

import cv2
import numpy as np

from emotiw.data_prep.datasets import is_drawn, mark_as_drawn
from emotiw.data_prep.emotions import EMOTIONS
from emotiw.data_prep.images import decode
from emotiw.data_prep.layouts.recordio import FIRST, HEADER, LAST, LENGTH_BITS, MAGIC, MIDDLE, PART, WHOLE
from emotiw.data_prep.splits import SPLITS
from emotiw.files import whole_new

_MAGIC = struct.pack("<I", MAGIC)
_INSIGHTFACE = 112  # side in pixels

# The archive of each split, and the folder in which it is unpacked.
_SFEW = {
    "train": ("Train/Train_Aligned_Faces.zip", "Train_Aligned_Faces"),
    "val": ("Val/Val_Aligned_Faces_new.zip", "Val_Aligned_Faces_new/Val_Aligned_Faces"),
    "test": ("Test/Test_Aligned_Faces.zip", ""),
}

Face = tuple[str, str, str, Path]
"""A face's split, its class, its file name in SFEW's style, and its file."""

Counts = Mapping[str, Sequence[int]]


def as_sfew(faces: Path, folder: Path) -> None:
    """Write the faces of `draw_expressions` as SFEW 2.0's folders.

    A person becomes a movie. A quarter of the movies becomes Val and another quarter Test, which has no class folders.

    Raises
    ------
    EmotiwError
        If the folder exists and is not empty.
    """
    with whole_new(folder) as partial:
        for _, path, data in _members(faces_by_split(faces)):
            _write(partial / path, data)


def as_sfew_zips(faces: Path, folder: Path, counts: Counts | None = None) -> None:
    """Write the same faces as SFEW 2.0's zip archives, one per split.

    Parameters
    ----------
    counts
        The number of images of each split's classes, in label order, or of a split without labels; None: all faces.

    Raises
    ------
    EmotiwError
        If the folder exists and is not empty.
    ValueError
        If there are fewer faces of a split and class.
    """
    chosen = faces_by_split(faces) if counts is None else _as_many(faces_by_split(faces), counts)
    with whole_new(folder) as partial:
        for archive, members in groupby(_members(chosen), key=lambda member: member[0]):
            (partial / archive).parent.mkdir(parents=True)
            with zipfile.ZipFile(partial / archive, "w", zipfile.ZIP_DEFLATED) as file:
                for _, path, data in members:
                    file.writestr(path.split("/", 1)[1], data)


def as_sfew_csv(faces: Path, folder: Path) -> None:
    """Write the same faces as the repack of numbered images with a table."""
    text = io.StringIO()
    table = csv.writer(text, lineterminator="\n")
    table.writerow(("image_name", "label", "emotion", "original_split"))
    with whole_new(folder) as partial:
        for number, (split, emotion, _, path) in enumerate(faces_by_split(faces)):
            labels = ("-1", "") if split == "test" else (EMOTIONS.index(emotion), emotion)
            table.writerow((f"image_{number:06d}.png", *labels, split.capitalize()))
            _write(partial / f"sfew2.0_images/image_{number:06d}.png", path.read_bytes())
        _write(partial / "sfew_2.0_labels.csv", text.getvalue().encode())


def as_recordio(people: Path, folder: Path) -> None:
    """Write the faces of `draw_identities` as insightface's train.rec, train.idx and property."""
    folders = sorted(path for path in people.iterdir() if path.is_dir())
    files = [(label, path) for label, person in enumerate(folders) for path in sorted(person.iterdir())]
    samples = [(0, (float(label),), _crop(path)) for label, path in files]
    ends = np.searchsorted([label for label, _ in files], range(len(folders) + 1)) + 1
    ranges = [(2, (float(first), float(end)), b"") for first, end in pairwise(ends)]
    last = len(samples) + 1
    with whole_new(folder) as partial:
        partial.mkdir()
        write_records(partial / "train.rec", [(2, (last, last + len(folders)), b""), *samples, *ranges])
        (partial / "property").write_text(f"{len(folders)},{_INSIGHTFACE},{_INSIGHTFACE}\n")


def write_records(path: Path, records: list[tuple[int, tuple[float, ...], bytes]]) -> None:
    """Write records (flag, labels, image file) with the keys 0, 1, ... and the index beside them."""
    index = []
    with path.open("wb") as file:
        for key, (flag, labels, data) in enumerate(records):
            index.append(f"{key}\t{file.tell()}\n")
            header = HEADER.pack(flag, 0.0 if flag else labels[0], key, 0)
            file.write(packed(header + struct.pack(f"<{flag}f", *labels[:flag]) + data))
    path.with_suffix(".idx").write_text("".join(index))


def packed(record: bytes) -> bytes:
    """Return a record with RecordIO's framing; it is split wherever it holds the magic at a multiple of 4."""
    words = range(0, len(record) - 3, 4)
    cuts = [0, *(place + 4 for place in words if record[place : place + 4] == _MAGIC)]
    parts = [record[a:b] for a, b in zip(cuts, [cut - 4 for cut in cuts[1:]] + [len(record)], strict=True)]
    kinds = [FIRST, *[MIDDLE] * (len(parts) - 2), LAST] if len(parts) > 1 else [WHOLE]
    return b"".join(
        PART.pack(MAGIC, kind << LENGTH_BITS | len(part)) + part + bytes(-len(part) % 4)
        for kind, part in zip(kinds, parts, strict=True)
    )


def faces_by_split(faces: Path) -> Iterator[Face]:
    """Yield every face of `draw_expressions`, by split and name; all faces of a person are in one split."""
    files = sorted(faces.glob("*/*.png"))
    movies = sorted({path.name.split("_")[0] for path in files})
    quarter = max(1, len(movies) // 4)
    splits = ["train"] * (len(movies) - 2 * quarter) + ["val"] * quarter + ["test"] * quarter
    side = dict(zip(movies, splits, strict=True))
    for split in SPLITS:
        for number, path in enumerate(files):
            movie = path.name.split("_")[0]
            if side[movie] == split:
                yield split, path.parent.name, f"{movie.capitalize()}_{number:09d}_00000001.png", path


def _as_many(faces: Iterable[Face], counts: Counts) -> Iterator[Face]:
    """Yield the first faces of each split and class."""
    left = {
        split: Counter(dict(zip(EMOTIONS, numbers, strict=True)) if len(numbers) > 1 else {"": numbers[0]})
        for split, numbers in counts.items()
    }
    for face in faces:
        split, emotion = face[0], face[1] if len(left[face[0]]) > 1 else ""
        if left[split][emotion]:
            left[split][emotion] -= 1
            yield face
    if lacking := {split: +numbers for split, numbers in left.items() if numbers.total()}:
        raise ValueError(f"too few faces are drawn: {lacking} more are needed")


def _members(faces: Iterable[Face]) -> Iterator[tuple[str, str, bytes]]:
    """Yield archive, path and bytes of the faces in SFEW's folders."""
    for split, emotion, name, path in faces:
        archive, inside = _SFEW[split]
        inside = f"{archive.split('/')[0]}/{inside}/{emotion}" if inside else archive.removesuffix(".zip")
        yield archive, f"{inside}/{name}", path.read_bytes()


def _crop(path: Path) -> bytes:
    data = path.read_bytes()
    picture = cv2.resize(decode(data)[..., ::-1], (_INSIGHTFACE, _INSIGHTFACE))
    jpeg = cv2.imencode(".jpg", picture, [cv2.IMWRITE_JPEG_QUALITY, 95])[1].tobytes()
    return mark_as_drawn(jpeg) if is_drawn(data) else jpeg


def _write(path: Path, data: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
