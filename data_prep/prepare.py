"""Prepare a set from a source of images; each image is decoded once for all representations."""

import logging
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, closing, contextmanager
from dataclasses import asdict, dataclass, fields, replace
from functools import partial
from itertools import islice
from operator import attrgetter
from pathlib import Path
from tempfile import TemporaryDirectory

from emotiw.errors import EmotiwError, UsageError
from emotiw.files import refuse_foreign, write_lines, write_text
from emotiw.inputs import write_sealed
from emotiw.malloc import keep_freed_memory
from emotiw.progress_bar import bar
from emotiw.prototxt.formats.datum import Encoded
from emotiw.version import __version__

from .archives.extract import unpack
from .archives.tree import Source, Unpack
from .checkpoint import UNPACKED, add, finish, known_pixels, note_pixels, resume, unfinished
from .datasets import is_drawn, recognised
from .disk_space import check_space, estimate, lmdb_size
from .groups import are_known, similar_names
from .image_list import Basis, Image, Listing
from .layouts.registry import list_images
from .lmdb_writer import LmdbWriter, key
from .official_splits import held, left_out_of, parse
from .prepared_set import FORMAT, manifest_lines
from .same_pixels import drop, find_pixels
from .set_inputs import set_inputs
from .splits import SPLITS, assign_splits, shuffled
from .summary import FILE, report, understood
from .transform import Outcome, Settings, represent
from .workers import Background, in_order

_LOG = logging.getLogger(__name__)

_COMMIT_EVERY = 50  # images; they stay in memory, in every representation, until they are committed

# All fields of an image; copying them by `asdict` would take as long as a stat of its file.
_IMAGE_FIELDS = attrgetter(*(field.name for field in fields(Image)))

Order = list[tuple[int, Image]]
Batch = list[tuple[tuple[int, Image], tuple[Outcome, list[Encoded]]]]
Writers = dict[tuple[str, str], LmdbWriter]
Digests = dict[tuple[str, str], str]  # of the records of each LMDB


@dataclass(frozen=True)
class Plan:
    """A set to write.

    Attributes
    ----------
    place, source
        The source as the user named it, and the source of its images' bytes.
    folder
        The folder that holds it until it is complete.
    order
        The images in the order of writing, each with its position in its split.
    done
        The outcomes of the first of them, from before an interruption.
    """

    place: Path
    source: Source
    folder: Path
    settings: Settings
    order: Order
    done: list[Outcome]


def prepare(source: Path, output: Path, settings: Settings, jobs: int = 1, strict: bool = False) -> str:
    """Make the prepared set `output` from the images below `source`; return its report, shortened for the screen.

    The set is written to `.<output>.partial` beside `output` and renamed when it is complete; it then replaces an older
    set. The same call continues after an interruption. Before any image is read, it logs the files to unpack, the
    layout that it recognised, and the disk space that they and the set need.

    Raises
    ------
    EmotiwError
        If the source has no usable images, the disk is too small, another process prepares the same set, `output` is
        something other than a prepared set, or, with `strict`, a file was left out.
    UsageError
        If the split cannot be drawn, or `output` and the source contain one another.
    """
    shown, output = output, output.resolve()
    _check_output(source, output)
    with unfinished(output) as folder:
        listing = _list(source, settings, partial(unpack, folder / UNPACKED))
        entries = resume(folder, _asked(source, settings, listing))
        drawn = settings.val or settings.same_pixels == "drop"
        listing = _split(settings, listing, _pixels(folder, listing, jobs) if drawn else {})
        order = _order(listing.images, settings.seed)
        # The journal ends where the interrupted call did.
        done = [Outcome(image, *entry) for (_, image), entry in zip(order, entries, strict=False)]
        needs = estimate(folder, len(order), len(done), settings)
        _LOG.info(f"{source} -> {shown}: layout {listing.layout}, {needs}")
        if left_out := left_out_of(listing):
            _LOG.info(f"left out by --splits: {', '.join(one.words for one in left_out)}")
        check_space(folder, len(order) - len(done), settings)
        outcomes, digests = write(Plan(source, listing.source, folder, settings, order, done), jobs)
        write_text(folder / FILE, f"{understood(listing, outcomes)}\n\n{report(listing, outcomes)}\n")
        if strict:
            _check_complete(source, folder, listing, outcomes)
        _describe(folder, source, settings, listing, outcomes, digests)
        finish(folder, output)
    return report(listing, outcomes, shown / FILE)


def dry_run(source: Path, settings: Settings, jobs: int = 1) -> str:
    """Return how `prepare` would read a source, and its report; every image is decoded, and no set is written.

    Raises
    ------
    EmotiwError
        If `prepare` would raise it, except for errors about its output.
    """
    with TemporaryDirectory() as place:
        listing = _list(source, settings, partial(unpack, Path(place)))
        look = partial(represent, listing.source, replace(settings, representations=()))
        made = in_order(look, listing.images, jobs)
        with closing(made):
            looked = {outcome.image.path: outcome for outcome, _ in bar(made, "look", len(listing.images), "image")}
    listing = _split(settings, listing, {path: outcome.pixels for path, outcome in looked.items()})
    outcomes = [replace(looked[image.path], image=image) for image in listing.images]
    _check_splits(source, settings, outcomes)
    return f"{understood(listing, outcomes)}\n\n{report(listing, outcomes, Path('the report of the set'))}"


def _check_output(source: Path, output: Path) -> None:
    if source.resolve().is_relative_to(output):
        raise UsageError(f"-o {output} would replace the source {source}: name another output")
    if output.is_relative_to(source.resolve()):
        raise UsageError(f"-o {output} is in the source {source}, which would then include it: name another output")
    refuse_foreign(output, "a prepared set", (output / "set.json").is_file())


def _list(source: Path, settings: Settings, unpacker: Unpack) -> Listing:
    listing = list_images(source, settings.interpretation, unpacker)
    assign_splits(listing.images, settings.val, settings.seed)  # raises its errors before anything is written
    found = recognised(listing.layout, {one.name: one.images for one in listing.officials})
    if settings.dataset and found not in ("", settings.dataset):
        raise UsageError(f"--dataset {settings.dataset}: {source} is {found} by its layout and its numbers of images")
    return listing


def _split(settings: Settings, listing: Listing, pixels: Mapping[str, str]) -> Listing:
    """Return the listing with every image's split; if asked, without training images with conflicts of equal pixels."""
    images = assign_splits(listing.images, settings.val, settings.seed, pixels)
    images, dropped = drop(images, pixels) if settings.same_pixels == "drop" else (images, {})
    notes, basis = listing.notes, listing.basis or Basis()
    if settings.val:
        units = "whole groups" if are_known(listing.images) else "that share of each class"
        said = f"; {basis.splits}" if any(image.split for image in listing.images) else ""
        basis = replace(basis, splits=f"--val {settings.val}, which draws {units}, seed {settings.seed}{said}")
        if settings.labels != "identities":
            notes += tuple(_ungrouped(listing.images))
    return replace(listing, images=images, left_out=listing.left_out | dropped, notes=notes, basis=basis)


def _ungrouped(images: list[Image]) -> Iterator[str]:
    """Yield a warning if no group is known: a person, a movie or a video may then be in both splits."""
    if not are_known(images):
        names = similar_names(images)
        similar = f"; {len(names)} names look alike, such as {names[0]}" if names else ""
        yield (
            "warning: --val draws single images, because no group (a person, a movie, a video) is known"
            f"{similar}: give --group"
        )


def _pixels(folder: Path, listing: Listing, jobs: int) -> dict[str, str]:
    """Return the pixel digest of each image by its path; those recorded before an interruption are reused."""
    known = known_pixels(folder)
    found = find_pixels(listing.source, listing.images, jobs, len(known))
    with closing(found):
        while batch := list(islice(found, _COMMIT_EVERY)):
            note_pixels(folder, batch)
            known += batch
    return dict(zip((image.path for image in listing.images), known, strict=True))


def _order(images: list[Image], seed: int) -> Order:
    """Return the images in the order of writing, each with its position in its split; the training split shuffled."""
    sides = {split: [image for image in images if image.split == split] for split in SPLITS}
    sides["train"] = shuffled(sides["train"], seed)
    return [(position, image) for side in sides.values() for position, image in enumerate(side)]


def _asked(source: Path, settings: Settings, listing: Listing) -> Iterator[object]:
    """Yield everything that determines the output; a file that was replaced since has another size or time."""
    yield from (__version__, str(source.resolve()), asdict(settings))
    for image in bar(listing.images, "check", len(listing.images), "image", short=True):
        yield _IMAGE_FIELDS(image), *listing.source.stamp(image.path)


def write(plan: Plan, jobs: int) -> tuple[list[Outcome], Digests]:
    """Fill the LMDBs and write the means; return the outcome of every image, in the order of writing, and digests."""
    settings, done = plan.settings, len(plan.done)
    outcomes, todo = list(plan.done), plan.order[done:]
    keep_freed_memory()
    made = in_order(partial(represent, plan.source, settings), [image for _, image in todo], jobs)
    with _writers(plan) as writers:
        with closing(made), bar(made, "prepare", len(plan.order), "image", done) as shown, Background() as background:
            pairs = zip(todo, shown, strict=True)
            while batch := list(islice(pairs, _COMMIT_EVERY)):
                background.do(partial(_store, plan.folder, settings, writers, batch))
                outcomes += [outcome for _, (outcome, _) in batch]
        _check_splits(plan.place, settings, outcomes)
        for name in settings.representations:
            if (name, "train") in writers:
                writers[name, "train"].write_mean(plan.folder / name / "mean.binaryproto")
        digests = {which: writer.sha256 for which, writer in writers.items()}
    return outcomes, digests


def _store(folder: Path, settings: Settings, writers: Writers, batch: Batch) -> None:
    """Write images to the LMDBs, then their outcomes to the journal."""
    images: dict[tuple[str, str], list[tuple[bytes, Encoded]]] = defaultdict(list)
    for (position, image), (outcome, encoded) in batch:
        if not outcome.reason:
            for name, one in zip(settings.representations, encoded, strict=True):
                images[name, image.split].append((key(position, image.path), one))
    for which, some in images.items():
        writers[which].store(some)
    # The journal lists only images that are in the LMDBs; images that it lacks are written again, with equal results.
    add(folder, [(outcome.sha256, outcome.pixels, outcome.reason) for _, (outcome, _) in batch])


@contextmanager
def _writers(plan: Plan) -> Iterator[Writers]:
    """Open an LMDB for each representation and split; the sums of the means include the images of `plan.done`."""
    writers: Writers = {}
    done = list(zip(plan.order[: len(plan.done)], plan.done, strict=True))
    with ExitStack() as stack:
        for split in sorted({image.split for _, image in plan.order}):
            kept = [
                key(position, image.path)
                for (position, image), outcome in done
                if image.split == split and not outcome.reason
            ]
            expected = lmdb_size(sum(image.split == split for _, image in plan.order), plan.settings)
            for name in plan.settings.representations:
                folder = plan.folder / name / f"{split}_lmdb"
                writers[name, split] = stack.enter_context(LmdbWriter(folder, expected))
                writers[name, split].recount(kept)
        yield writers


def _check_splits(source: Path, settings: Settings, outcomes: Sequence[Outcome]) -> None:
    """Raise if a split has no usable image; a training split is required unless `--splits` names none."""
    needed = {split for _, split in parse(settings.splits)} if settings.splits else {"train"}
    for split in sorted(needed | {outcome.image.split for outcome in outcomes}):
        here = [outcome for outcome in outcomes if outcome.image.split == split]
        if all(outcome.reason for outcome in here):
            first = next((f": {outcome.image.path}: {outcome.reason}" for outcome in here), "")
            raise EmotiwError(f"{source} gives no usable image for the {split} split{first}")


def _check_complete(source: Path, folder: Path, listing: Listing, outcomes: Sequence[Outcome]) -> None:
    count = len(listing.left_out) + listing.unknown_classes.total() + sum(bool(o.reason) for o in outcomes)
    if count:
        where = folder / FILE
        raise EmotiwError(f"--strict: {count} files of {source} cannot be used; {where} lists them with the reasons")


def _describe(
    folder: Path, source: Path, settings: Settings, listing: Listing, outcomes: Sequence[Outcome], digests: Digests
) -> None:
    """Write the manifest and set.json."""
    manifest_sha256 = write_lines(folder / "manifest.csv", manifest_lines(outcomes))
    facts = {
        "format": FORMAT,
        "emotiw": __version__,
        "manifest_sha256": manifest_sha256,
        "classes": listing.classes,
        **asdict(settings),
        "layout": listing.layout,
        "numbers": listing.order,
        "source": str(source.resolve()),
        "drawn": _drawn(listing, outcomes),
        "official": [asdict(one) for one in held(listing.officials, outcomes)],
        "inputs": [asdict(one) for one in set_inputs(folder, digests)],
    }
    write_sealed(folder / "set.json", facts)


def _drawn(listing: Listing, outcomes: Sequence[Outcome]) -> bool:
    """Return whether the first image of any split says that emotiw drew it."""
    first = {outcome.image.split: outcome.image.path for outcome in reversed(outcomes) if not outcome.reason}
    return any(is_drawn(listing.source.read(path)) for path in first.values())
