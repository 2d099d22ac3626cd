"""Add representations to a finished set, from the same source."""

import logging
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, fields, replace
from functools import partial
from pathlib import Path

from emotiw.errors import EmotiwError, UsageError
from emotiw.files import remove, sha256_of
from emotiw.inputs import write_sealed
from emotiw.json_record import read_json, read_record
from emotiw.prototxt.formats.lmdb import keys_of

from .archives.extract import unpack
from .archives.tree import Source
from .checkpoint import UNPACKED, resume, unfinished
from .disk_space import check_space, estimate
from .image_list import Image, Listing
from .layouts.registry import list_images
from .prepare import Digests, Order, Plan, write
from .prepared_set import PreparedSet, open_set, path_in
from .set_inputs import set_inputs
from .splits import SPLITS
from .transform import Outcome, Settings, represent
from .workers import in_order

_LOG = logging.getLogger(__name__)


@dataclass(frozen=True)
class _SameBytes:
    """A source that refuses files other than those of a set: `digests` holds the sha256 of each by its path."""

    source: Source
    digests: Mapping[str, str]
    words: str

    def read(self, path: str) -> bytes:
        """Return the bytes of an image file.

        Raises
        ------
        EmotiwError
            If they differ from those that the set was made from.
        """
        data = self.source.read(path)
        if sha256_of(data) != self.digests[path]:
            raise EmotiwError(f"{self.words}: {path} has other bytes: prepare a new set from it")
        return data

    def stamp(self, path: str) -> tuple[int, int]:
        """Return the source's stamp of a file."""
        return self.source.stamp(path)


def extend(source: Path, output: Path, asked: Settings, jobs: int = 1) -> str:
    """Add the representations of `asked` to the prepared set `output`; return a line that says which.

    The settings of the set apply. Its manifest and its representations do not change, and the new LMDBs have its images
    in the same order. The same call continues after an interruption.

    Raises
    ------
    EmotiwError
        If `source` does not hold the images of the set, byte for byte, or holds others, or an image cannot be mapped.
    UsageError
        If `asked` has other settings than the set, or the set holds all of these representations.
    """
    shown, output = output, output.resolve()
    prepared = open_set(output)
    settings = _settings(prepared, shown, asked)
    with unfinished(output) as folder:
        listing = list_images(source, settings.interpretation, partial(unpack, folder / UNPACKED))
        words = f"{source} is not what {shown} was made of"
        order = _order(prepared)
        _require_same_images(listing, prepared, settings, words, jobs)
        digests = {row["path"]: row["sha256"] for row in prepared.manifest}
        _take_back(folder, output, settings.representations)
        stamps = (listing.source.stamp(image.path) for _, image in order)
        entries = resume(folder, (prepared.digest, settings.representations, settings.store, *stamps))
        done = [Outcome(image, *entry) for (_, image), entry in zip(order, entries, strict=False)]
        _LOG.info(f"{source} -> {shown}: {estimate(folder, len(order), len(done), settings)}")
        check_space(folder, len(order) - len(done), settings)
        plan = Plan(source, _SameBytes(listing.source, digests, words), folder, settings, order, done)
        outcomes, digests_of_lmdbs = write(plan, jobs)
        _require_all(shown, outcomes)
        _add(folder, output, settings.representations, digests_of_lmdbs)
    return f"added to {shown}: {', '.join(settings.representations)}"


def _settings(prepared: PreparedSet, shown: Path, asked: Settings) -> Settings:
    """Return the settings of a set, with the requested representations that it lacks."""
    try:
        made = read_record(prepared.folder / "set.json", Settings, others=True)
    except ValueError as error:
        raise EmotiwError(f"{shown / 'set.json'} is damaged: {error}: prepare the set again") from None
    plain = Settings(made.labels, ())
    for name in (field.name for field in fields(Settings) if field.name != "representations"):
        wanted, has = getattr(asked, name), getattr(made, name)
        if wanted not in (has, getattr(plain, name), ""):
            flag = "classes" if name == "class_list" else name.replace("_", "-")
            words = ["; ".join(value) if isinstance(value, tuple) else value for value in (wanted, has)]
            raise UsageError(
                f"--{flag} {words[0]}: {shown} was made with {words[1] or 'none'}, which --extend keeps: leave it out"
            )
    new = tuple(name for name in asked.representations if name not in made.representations)
    if not new:
        raise UsageError(f"{shown} holds {', '.join(asked.representations)} already: name another representation")
    return replace(made, representations=new)


def _order(prepared: PreparedSet) -> Order:
    """Return the images of a set in the order of its LMDBs, each with its position in its split."""
    images = {
        row["path"]: Image(row["path"], row["name"], int(row["label"]), row["split"], row["group"])
        for row in prepared.manifest
    }
    splits = {image.split for image in images.values()}
    return [
        (position, images[path_in(key)])
        for split in SPLITS
        if split in splits
        for position, key in _numbered(prepared.lmdb(prepared.facts.representations[0], split))
    ]


def _numbered(lmdb: Path) -> Iterator[tuple[int, bytes]]:
    for key in keys_of(lmdb):
        yield int(key.partition(b"_")[0]), key


def _require_same_images(listing: Listing, prepared: PreparedSet, settings: Settings, words: str, jobs: int) -> None:
    """Raise unless a source holds the images of a set and no other usable image."""
    known = {row["path"]: row for row in prepared.manifest}
    there = {image.path: image for image in listing.images}
    if missing := sorted(known.keys() - there.keys()):
        raise EmotiwError(f"{words}: it holds no {missing[0]} ({len(missing)} images are missing)")
    said = {path: (image.name, image.group) for path, image in there.items() if path in known}
    if other := next((path for path, facts in said.items() if facts[0] != known[path]["name"]), ""):
        raise EmotiwError(f"{words}: {other} is {said[other][0]} there and {known[other]['name']} in the set")
    pixels = {row["pixels"] for row in prepared.manifest} if settings.same_pixels == "drop" else set()
    others = [image for image in listing.images if image.path not in known]
    look = partial(represent, listing.source, replace(settings, representations=()))
    for outcome, _ in in_order(look, others, jobs):
        if not outcome.reason and outcome.pixels not in pixels:
            raise EmotiwError(
                f"{words}: it holds {outcome.image.path}, which the set does not: prepare a new set from it"
            )


def _require_all(shown: Path, outcomes: Sequence[Outcome]) -> None:
    if lost := [outcome for outcome in outcomes if outcome.reason]:
        raise EmotiwError(
            f"{lost[0].image.path}: {lost[0].reason}: {shown} holds {len(lost)} such images: prepare another set "
            "without them"
        )


def _take_back(folder: Path, output: Path, representations: Sequence[str]) -> None:
    """Undo the moves of a call that was interrupted before it updated the set's record."""
    for name in representations:
        if (output / name).is_dir() and not (folder / name).exists():
            (output / name).replace(folder / name)


def _add(folder: Path, output: Path, representations: Sequence[str], digests: Digests) -> None:
    """Move LMDBs and means into a set; its record names them last, so that a reader never finds a part of them."""
    for name in representations:
        remove(output / name)
        (folder / name).replace(output / name)
    record = output / "set.json"
    values = read_json(record)
    assert isinstance(values, dict)  # `open_set` has read it
    values["representations"] = [*values["representations"], *representations]
    values["inputs"] = [*values.get("inputs", []), *map(asdict, set_inputs(output, digests))]
    write_sealed(record, values)
    remove(folder)
