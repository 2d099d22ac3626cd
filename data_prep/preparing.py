"""A source of images -> a prepared set, each image decoded once for all representations."""

import hashlib
import json
import shutil
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, replace
from functools import partial
from pathlib import Path

from tqdm import tqdm

from emotiw import __version__
from emotiw.errors import EmotiwError
from emotiw.files import remove, write_text

from .folders import Image, Listing, list_images
from .parallel import in_order
from .report import report
from .representing import Outcome, Settings, represent
from .sets import FORMAT, SPLITS, manifest_text
from .splits import assign_splits, shuffled
from .writing import LmdbWriter, key

_COMMIT_EVERY = 1000

Order = list[tuple[int, Image]]
Writers = dict[tuple[str, str], LmdbWriter]


def prepare(source: Path, output: Path, settings: Settings, jobs: int = 1, strict: bool = False) -> str:
    """Make the prepared set `output` from the images below `source`; return its report.

    What is being made lies in `.<output>.partial` beside it. The same call goes on with it after an interruption, and
    the name `output` appears only when everything is there.

    Raises
    ------
    EmotiwError
        Where nothing can be made of the source, the disk is too small, or, with `strict`, an image was left out.
    """
    listing = list_images(source, settings.labels, settings.group)
    listing = replace(listing, images=assign_splits(listing.images, settings.val, settings.seed))
    order = _order(listing.images, settings.seed)
    _check_space(output, len(order), settings)
    partial_set = output.with_name(f".{output.name}.partial")
    done = _resume(partial_set, source, settings, order)
    outcomes = _write(source, partial_set, settings, order, done, jobs)
    text = report(listing, outcomes)
    if strict and (listing.left_out or listing.unknown_classes or any(outcome.reason for outcome in outcomes)):
        raise EmotiwError(f"--strict, and not every image of {source} could be used: {text}")
    _finish(partial_set, settings, listing, outcomes, text)
    remove(output)
    partial_set.replace(output)
    return text


def _order(images: list[Image], seed: int) -> Order:
    """Return the images in the order of writing, each with its position in its split; the training split shuffled."""
    sides = {split: [image for image in images if image.split == split] for split in SPLITS}
    sides["train"] = shuffled(sides["train"], seed)
    return [(position, image) for side in sides.values() for position, image in enumerate(side)]


def _check_space(output: Path, images: int, settings: Settings) -> None:
    """Raise where raw Datums would not fit; PNGs are of no size that could be foretold."""
    folder = next(folder for folder in output.absolute().parents if folder.exists())
    need = images * settings.size**2 * 3 * len(settings.representations)
    free = shutil.disk_usage(folder).free
    if settings.store == "raw" and need > free:
        raise EmotiwError(
            f"the set needs {need / 1e9:.1f} GB and {folder} has {free / 1e9:.1f} GB free: free some, "
            "or use --store png, or prepare one representation at a time"
        )


def _resume(partial_set: Path, source: Path, settings: Settings, order: Order) -> list[Outcome]:
    """Return what an interrupted call with the same arguments had done; start anew where they differ."""
    asked = json.dumps([str(source.resolve()), asdict(settings), [asdict(image) for _, image in order]])
    digest = hashlib.sha256(asked.encode()).hexdigest()
    asked_file, journal = partial_set / "asked.sha256", partial_set / "journal.jsonl"
    if not (asked_file.is_file() and asked_file.read_text() == digest):
        remove(partial_set)
        partial_set.mkdir(parents=True)
        write_text(asked_file, digest)
    lines = journal.read_text(encoding="utf-8").split("\n")[:-1] if journal.is_file() else []
    write_text(journal, "".join(f"{line}\n" for line in lines))  # without a last line that was cut off
    return [Outcome(image, *json.loads(line)) for (_, image), line in zip(order, lines, strict=False)]


def _write(
    source: Path, folder: Path, settings: Settings, order: Order, done: list[Outcome], jobs: int
) -> list[Outcome]:
    """Fill the LMDBs and write the means; return the outcome of every image, in the order of writing."""
    outcomes = list(done)
    todo = order[len(done) :]
    with _writers(folder, settings, order, done) as writers, (folder / "journal.jsonl").open("a") as journal:

        def commit(upto: int) -> None:
            for writer in writers.values():
                writer.commit()
            # The journal speaks only of what is in the LMDBs; what it misses is written again, to the same end.
            journal.writelines(json.dumps([o.sha256, o.reason]) + "\n" for o in outcomes[committed:upto])
            journal.flush()

        committed = len(done)
        made = in_order(partial(represent, source, settings), [image for _, image in todo], jobs)
        bar = tqdm(made, "prepare", len(order), initial=len(done), unit="image", mininterval=0.5)
        for (position, image), (outcome, datums) in zip(todo, bar, strict=True):
            for name, datum in zip(settings.representations, datums, strict=False):
                writers[name, image.split].put(key(position, image.path), datum)
            outcomes.append(outcome)
            if len(outcomes) - committed == _COMMIT_EVERY:
                commit(len(outcomes))
                committed = len(outcomes)
        commit(len(outcomes))
        _check_trainable(source, outcomes)
        for name in settings.representations:
            writers[name, "train"].write_mean(folder / name / "mean.binaryproto")
    return outcomes


@contextmanager
def _writers(folder: Path, settings: Settings, order: Order, done: list[Outcome]) -> Iterator[Writers]:
    """Open an LMDB a representation and split, the mean's sum standing where `done` ends."""
    with ExitStack() as stack:
        writers: Writers = {}
        for split in sorted({image.split for _, image in order}):
            kept = [
                key(position, image.path)
                for (position, image), outcome in zip(order, done, strict=False)
                if image.split == split and not outcome.reason
            ]
            for name in settings.representations:
                writers[name, split] = LmdbWriter(folder / name / f"{split}_lmdb")
                stack.callback(writers[name, split].close)
                writers[name, split].recount(kept)
        yield writers


def _check_trainable(source: Path, outcomes: Sequence[Outcome]) -> None:
    if not any(outcome.image.split == "train" and not outcome.reason for outcome in outcomes):
        first = next((f", such as {o.image.path}: {o.reason}" for o in outcomes if o.reason), "")
        raise EmotiwError(f"{source} gives no image to train on{first}")


def _finish(folder: Path, settings: Settings, listing: Listing, outcomes: Sequence[Outcome], text: str) -> None:
    """Write what says what the set is, and remove what only the making needed."""
    manifest = manifest_text([(outcome.image, outcome.sha256) for outcome in outcomes if not outcome.reason])
    write_text(folder / "manifest.csv", manifest)
    write_text(folder / "report.txt", text + "\n")
    facts = {
        "format": FORMAT,
        "emotiw": __version__,
        "manifest_sha256": hashlib.sha256(manifest.encode()).hexdigest(),
        "classes": listing.classes,
        **asdict(settings),
    }
    write_text(folder / "set.json", json.dumps(facts, indent=1) + "\n")
    for name in ("asked.sha256", "journal.jsonl"):
        remove(folder / name)
