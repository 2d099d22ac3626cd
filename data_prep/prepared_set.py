"""A prepared set on disk: its manifest, and the LMDBs and means derived from it.

```
SET/manifest.csv                       its images: path, label, name, split, group, sha256, pixels, same_pixels
SET/set.json                           how it was made; the manifest's sha256, and the digests of what follows
SET/report.txt                         counts, what was left out and why
SET/<representation>/<split>_lmdb      Datums, key `<position>_<path>`
SET/<representation>/mean.binaryproto  over the training LMDB
```

`sha256` is the digest of an image's file, and `pixels` that of its decoded pixels (`same_pixels.pixel_digest`).
`same_pixels` lists the conflicts with images of equal pixels: `split` (one is in another split), `label` (one has
another label). Sets of older versions lack the last two columns, which are then `UNKNOWN`.

An image without a label, as in SFEW's test split, has the label -1 and no name. Its Datum has the label -1, too: it
is an int32, which Caffe's Data layer passes on unchanged (`convert_imageset` writes the same for a list's `path -1`).
"""

import json
import shlex
from collections import Counter
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Annotated, Literal

import numpy as np
from msgspec import Meta
from numpy.typing import NDArray

from emotiw.csv_cells import csv_lines
from emotiw.csv_table import rows_of
from emotiw.errors import EmotiwError
from emotiw.files import file_digest, finish_swap, read_text, sha256_of
from emotiw.inputs import MANIFEST, Input, Look, compare, digest_of, find, require_seal, taken
from emotiw.json_record import Count, Sha256, Share, read_json, record_of
from emotiw.lbp_mapping.representation import parse
from emotiw.prototxt.formats.datum import damage_placed, decode
from emotiw.prototxt.formats.lmdb import environment, keys_of, reading
from emotiw.prototxt.formats.lmdb_digest import content_digest, labels, labels_digest, pairs_digest

from .class_list import EMOTION_LIST, ClassList, exact_names, own_classes
from .datasets import recognised
from .image_list import Official
from .official_splits import MadeOf, made_of
from .same_pixels import conflicts
from .set_inputs import lmdb_role, mean_role, palette_role
from .transform import Outcome

FORMAT = 1
COLUMNS = ("path", "label", "name", "split", "group", "sha256", "pixels", "same_pixels")
_DIGESTS = ("sha256", "pixels")  # the columns whose cells differ in every row
UNKNOWN = "not known"
FACES = {"detected": "detected faces", "whole": "whole pictures"}
"""The parts of a picture that a net may get as a face, and how they are printed."""
_READ_AHEAD = 64
_MEND = "copy it again, or prepare the set again"


@dataclass(frozen=True)
class Record:
    """One image of an LMDB: its path in the source, its label, and (C, H, W) uint8 values in B, G, R order."""

    path: str
    label: int
    blob: NDArray[np.uint8]


@dataclass(frozen=True)
class SetFacts:
    """The fields of `set.json` that are read; those that are not listed are as in `transform.Settings`.

    Attributes
    ----------
    manifest_sha256
        In hexadecimal.
    layout, source
        What the set was made from; empty in older sets.
    dataset
        The name that the user gave; else empty.
    drawn
        Whether emotiw drew its images.
    inputs
        The files that training and scoring read of the set; empty in older sets.
    official
        What the set holds of each split of its source; empty in older sets.
    class_list
        The lines that defined the classes; empty if the source's own names did.
    """

    manifest_sha256: Sha256
    classes: list[str]
    labels: str
    representations: list[str]
    size: Count
    detect: bool
    layout: str = ""
    source: str = ""
    dataset: str = ""
    drawn: bool = False
    inputs: list[Input] = field(default_factory=list)
    val: Share | None = None
    official: list[Official] = field(default_factory=list)
    class_list: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        """Raise `ValueError` if a representation is not spelled as its folder is named."""
        if strangers := [name for name in self.representations if parse(name).name != name]:
            raise ValueError(f"no representation {strangers[0]!r}")


@dataclass(frozen=True)
class Row:
    """A row of a manifest; sets of older versions lack the last two columns."""

    path: str
    label: Annotated[int, Meta(ge=-1, le=2**31 - 1)]
    name: str
    split: Literal["train", "val", "test"]
    group: str
    sha256: Sha256
    pixels: str = UNKNOWN
    same_pixels: str = UNKNOWN


@dataclass(frozen=True)
class PreparedSet:
    """A prepared set, opened with `open_set`; `look` says which of the files that it reads are hashed."""

    folder: Path
    facts: SetFacts
    look: Look = Look.CHANGED

    @property
    def classes(self) -> list[str]:
        """The names of the classes in label order."""
        return self.facts.classes

    @cached_property
    def class_list(self) -> ClassList:
        """The classes, with the spellings that mean them."""
        if self.facts.class_list:
            return own_classes(self.facts.class_list)
        if tuple(self.classes) == EMOTION_LIST.names:
            return EMOTION_LIST
        return exact_names(self.classes)

    @property
    def size(self) -> int:
        """The side of its images in pixels."""
        return self.facts.size

    @cached_property
    def dataset(self) -> str:
        """The name of its data set, from the user, or from its layout and its numbers of images; else empty."""
        if self.facts.dataset or self.facts.drawn:
            return self.facts.dataset
        official = {one.name: one.images for one in self.facts.official}
        return recognised(self.facts.layout, official or Counter(row["split"] for row in self.manifest))

    def made_of(self, split: str) -> MadeOf:
        """Return which of its source's own splits a split is made from."""
        return made_of(self.facts.official, split, drawn=split == "val" and self.facts.val is not None)

    def beside(self, split: str) -> str:
        """Return what to print after a split's name beside a figure: see `MadeOf.beside`."""
        return self.made_of(split).beside(split, self.dataset)

    @cached_property
    def group_of(self) -> dict[str, str]:
        """The group (a person, a movie) of each image, by its path; empty if no two images share one."""
        groups = {row["path"]: row["group"] for row in self.manifest}
        return groups if len(set(groups.values())) < len(groups) else {}

    @property
    def faces(self) -> str:
        """The part of a picture that is the face: `detected`, by the face detector, or `whole`."""
        return "detected" if self.facts.detect else "whole"

    @property
    def digest(self) -> str:
        """A sha256 in hexadecimal: sets of equal digests hold the same pictures, cropped alike, in the same splits.

        Their classes are the same, too: the manifest does not name those without a picture.
        """
        facts: list[object] = [self.facts.manifest_sha256, self.facts.size, self.facts.detect]
        if self.facts.labels == "classes":
            facts.append(self.classes)
        return sha256_of(json.dumps(facts).encode())

    @cached_property
    def manifest(self) -> list[dict[str, str]]:
        """The manifest's rows.

        Raises
        ------
        EmotiwError
            If a row is not valid; the digest in set.json shows only that the file is unchanged.
        """
        path = self.folder / "manifest.csv"
        rows = rows_of(read_text(path), str(path), Row, "prepare the set again")
        unknown = dict.fromkeys(COLUMNS, UNKNOWN)
        cells: dict[str, str] = {}  # equal cells share their memory: classes, splits, and groups of one image
        return [
            {name: cell if name in _DIGESTS else cells.setdefault(cell, cell) for name, cell in (unknown | row).items()}
            for _, row in rows
        ]

    def count(self, split: str) -> int:
        """Return the number of images of a split."""
        return sum(row["split"] == split for row in self.manifest)

    def lmdb(self, representation: str, split: str) -> Path:
        """Return the folder of an LMDB.

        Raises
        ------
        EmotiwError
            If the set lacks the representation or the split, or the LMDB is not the one that the set recorded.
        """
        if representation not in self.facts.representations:
            known = ", ".join(self.facts.representations)
            words = ["emotiw", "prepare", self.facts.source or "SOURCE", "-o", str(self.folder)]
            command = shlex.join([*words, "-r", representation, "--extend"])
            raise EmotiwError(f"{self.folder} holds no {representation}, only {known}: add it by {command}")
        path = self.folder / representation / f"{split}_lmdb"
        if not path.is_dir():
            way = "--val FRACTION, " if split == "val" else ""
            raise EmotiwError(
                f"{self.folder} holds no {split} split: prepare it with {way}a folder named {split} or --splits"
            )
        with environment(path) as opened:
            held = opened.stat()["entries"]
        if held != self.count(split):
            raise EmotiwError(f"{path} holds {held} images, its manifest {self.count(split)}: prepare the set again")
        self._require_recorded(lmdb_role(representation, split), path, split)
        return path

    def mean_file(self, representation: str) -> Path:
        """Return the path of a representation's mean.

        Raises
        ------
        EmotiwError
            If the set lacks the representation or a training split, or the mean is missing or not the recorded one.
        """
        path = self.lmdb(representation, "train").with_name("mean.binaryproto")
        if not path.is_file():
            raise EmotiwError(f"{path} is missing: prepare the set again")
        self._require_recorded(mean_role(representation), path)
        return path

    def inputs(self, representation: str, splits: Collection[str], *, mean: bool = False) -> list[Input]:
        """Return the input records of the files that are read for these splits of a representation."""
        files = {lmdb_role(representation, split): self.lmdb(representation, split) for split in splits}
        if mean:
            files[mean_role(representation)] = self.mean_file(representation)
        found = [taken(MANIFEST, self.folder / "manifest.csv", self.facts.manifest_sha256)]
        for role, path in files.items():
            recorded = find(self.facts.inputs, role)  # `lmdb` and `mean_file` have compared it with the file
            found.append(taken(role, path, recorded.sha256 if recorded else digest_of(path, content_digest)))
        colours = find(self.facts.inputs, palette_role(representation))
        return [*found, colours] if colours else found

    def _require_recorded(self, role: str, path: Path, split: str = "") -> None:
        """Raise if a file of the set is not the recorded one, or an LMDB's images are not those of the manifest."""
        recorded = find(self.facts.inputs, role)
        difference = compare(recorded, path, self.look, content_digest) if recorded else None
        if split and (difference or not recorded):
            named = [(row["path"].encode(), int(row["label"])) for row in self.manifest if row["split"] == split]
            if digest_of(path, labels_digest) != pairs_digest(named):
                raise EmotiwError(f"{path} does not match its manifest: {_strangers(path, named)}: {_MEND}")
        if difference:
            raise EmotiwError(f"{difference.words}: {_MEND}")

    def records(
        self, representation: str, split: str, most: int | None = None, only: Collection[str] | None = None
    ) -> Iterator[Record]:
        """Yield the images of a split in the order of their keys.

        Parameters
        ----------
        most
            Maximum number of images, spread evenly over the split; None: all.
        only
            Only the images of these paths; the others are not decoded.

        Raises
        ------
        EmotiwError
            If the LMDB lacks one of these paths, or a record is damaged.
        """
        path = self.lmdb(representation, split)
        keys = keys_of(path)
        if only is not None:
            keys = [key for key in keys if path_in(key) in only]
            if strangers := set(only) - set(map(path_in, keys)):
                raise EmotiwError(f"{path} does not hold {min(strangers)}, which the manifest names: prepare it again")
        count = min(most or len(keys), len(keys))
        chosen = [keys[k * len(keys) // count] for k in range(count)]
        for start in range(0, count, _READ_AHEAD):
            with reading(path) as transaction:
                some = [(key, transaction.get(key, b"")) for key in chosen[start : start + _READ_AHEAD]]
            for key, datum in some:
                yield _record(path, key, datum)


def _strangers(path: Path, named: list[tuple[bytes, int]]) -> str:
    """Describe an image of an LMDB that its manifest does not name, or names with another label."""
    known = dict(named)
    for name, label in labels(path):
        if known.get(name) != label:
            other = f"label {known[name]}" if name in known else "no entry"
            return f"{name.decode(errors='backslashreplace')} has label {label} there and {other} in the manifest"
    return "images are missing"


def _record(path: Path, key: bytes, datum: bytes) -> Record:
    with damage_placed(path, key):
        blob, label = decode(datum)
    return Record(path_in(key), label, blob)


def path_in(key: bytes) -> str:
    """Return the path in a key of a prepared set's LMDB."""
    return key.decode().partition("_")[2]


def open_set(folder: str | Path, look: Look = Look.CHANGED) -> PreparedSet:
    """Open a prepared set; `look` says which of its files are hashed when they are read.

    Raises
    ------
    EmotiwError
        If `folder` is not a prepared set, was made by another version, or its manifest was changed since.
    """
    folder = Path(folder)
    try:
        finish_swap(folder)  # a prepare that was killed may have left the set aside
        values = read_json(folder / "set.json")
        manifest_sha256 = file_digest(folder / "manifest.csv")
        if not isinstance(values, dict) or values.get("format") != FORMAT:
            raise EmotiwError(f"{folder} was prepared by another version of emotiw: prepare it again")
        facts = record_of(values, SetFacts, others=True)
        require_seal(values)
    except (FileNotFoundError, NotADirectoryError):
        raise EmotiwError(f"{folder} is not a prepared set: make one with emotiw prepare SOURCE -o {folder}") from None
    except ValueError as error:
        raise EmotiwError(f"{folder / 'set.json'} is damaged ({error}): prepare the set again") from None
    if manifest_sha256 != facts.manifest_sha256:
        raise EmotiwError(f"{folder / 'manifest.csv'} was changed after the set was prepared: prepare the set again")
    return PreparedSet(folder, facts, look)


def manifest_lines(outcomes: Sequence[Outcome]) -> Iterator[str]:
    """Yield the manifest's lines of the used images, by path; half a million of them are never in memory at once."""
    used = sorted((outcome for outcome in outcomes if not outcome.reason), key=lambda outcome: outcome.image.path)
    against = conflicts([outcome.image for outcome in used], {o.image.path: o.pixels for o in used})
    yield from csv_lines([COLUMNS])
    for outcome in used:
        image = outcome.image
        equals = " ".join(against.get(image.path, ()))
        facts = (image.path, image.label, image.name, image.split, image.group)
        yield from csv_lines([(*facts, outcome.sha256, outcome.pixels, equals)])
