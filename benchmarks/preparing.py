"""The time from pictures to LMDBs with means, of one representation and of all five, and from an LMDB to its mean."""

import os
import shutil
import sys
from collections.abc import Sequence
from functools import partial
from pathlib import Path

import cv2
import lmdb
import numpy as np
from alternating import Row, Turns, alternate, on_cores, timed
from faces import draw
from programs import Program, tool

from emotiw.data_prep.prepared_set import open_set
from emotiw.engine.caffe.find import find_caffe
from emotiw.lbp_mapping.kernels import describe
from emotiw.lbp_mapping.representation import PAPER
from emotiw.prototxt.formats.blobs import read_mean
from emotiw.prototxt.formats.lmdb import keys_of

COUNT, FIVE_COUNT, MEAN_COUNT = 10_000, 600, 2000
SIZE = 256
EMOTIW = (sys.executable, "-P", "-m", "emotiw")
BY_SKIMAGE, MEAN_OF_LMDB = (Path(__file__).with_name(name) for name in ("by_skimage.py", "mean_of_lmdb.py"))
# If neighbours tie, scikit-image's code depends on its rounding, and resizing spreads the difference.
MOST_OTHER = 0.1  # of an image's bytes
MOST_MEAN = 1  # mean difference of a mean image's pixels, in grey values


def prepare(source: Path, output: Path, representations: Sequence[str], jobs: int) -> None:
    """Run `emotiw prepare` with all images for training."""
    options = ["--labels", "identities", "--size", str(SIZE), "--jobs", str(jobs)]
    Program([*EMOTIW, "prepare", source, "-o", output, "-r", *representations, *options]).run()


def contents(path: Path) -> list[tuple[bytes, bytes]]:
    """Return the records of an LMDB, in the order of their keys."""
    with lmdb.open(str(path), readonly=True, lock=False) as opened, opened.begin() as transaction:
        return [(bytes(key), bytes(value)) for key, value in transaction.cursor()]


def write_list(made: Path, path: Path) -> None:
    """Write a set's list of images for convert_imageset, in the order of its LMDB."""
    opened = open_set(made)
    labels = {row["path"]: row["label"] for row in opened.manifest}
    names = [key.decode().partition("_")[2] for key in keys_of(opened.lmdb("rgb", "train"))]
    path.write_text("".join(f"{name} {labels[name]}\n" for name in names), encoding="utf-8")


def measure_rgb(folder: Path, jobs: int) -> Turns:
    """Time `emotiw prepare` and Caffe's two tools, after checking that their results agree."""
    source, images, ours, theirs = draw(folder / "faces", COUNT), *(folder / name for name in ("list", "ours", "their"))
    caffe = find_caffe()
    made, mean = theirs / "lmdb", theirs / "mean.binaryproto"
    sides = [f"--resize_height={SIZE}", f"--resize_width={SIZE}"]
    convert = Program([*tool(caffe, "convert_imageset"), *sides, f"{source}/", images, made], env=caffe.environment)
    average = Program([*tool(caffe, "compute_image_mean"), made, mean], env=caffe.environment)

    def both_tools() -> None:
        """Make the LMDB and its mean with Caffe's tools."""
        theirs.mkdir()
        convert.run()
        average.run()

    prepare(source, ours, ["rgb"], jobs)
    write_list(ours, images)
    both_tools()
    if contents(ours / "rgb" / "train_lmdb") != contents(made):
        raise SystemExit("convert_imageset writes a different LMDB")
    if (ours / "rgb" / "mean.binaryproto").read_bytes() != mean.read_bytes():
        raise SystemExit("compute_image_mean gives a different mean")
    with on_cores(jobs):
        turns = alternate(
            partial(prepare, source, ours, ["rgb"], jobs), both_tools, clear=partial(remove, ours, theirs)
        )
    with on_cores(1):
        floor = timed(partial(decode_all, source)) / jobs
    return Turns(turns.ours, turns.theirs, {"decoding of the JPEGs": floor})


def measure_five(folder: Path, *how: str) -> Turns:
    """Time both, a process each, on one core, after checking that their results agree; `how` goes to by_skimage.py."""
    source, images, ours, theirs = (folder / name for name in ("faces", "list", "ours", "theirs"))
    names = [representation.name for representation in PAPER]
    draw(source, FIVE_COUNT)
    prepare(source, ours, names, 1)
    write_list(ours, images)
    peer = Program([sys.executable, BY_SKIMAGE, source, images, theirs, *how])
    peer.run()
    for name in names:
        pairs = zip(contents(ours / name / "train_lmdb"), contents(theirs / name), strict=True)
        other = [np.not_equal(*(np.frombuffer(each[1], np.uint8) for each in pair)).mean() for pair in pairs]
        if max(other) > MOST_OTHER:
            raise SystemExit(f"{name}: the peer's pictures differ")
        means = [read_mean(made / name / "mean.binaryproto") for made in (ours, theirs)]
        if abs(np.subtract(*means)).mean() > MOST_MEAN:
            raise SystemExit(f"{name}: the peer's mean differs")
    with on_cores(1):
        turns = alternate(
            partial(prepare, source, ours, names, 1),
            peer.run,
            clear=partial(remove, ours, theirs),
        )
        written = partial(write, folder / "bytes", FIVE_COUNT * len(names))
        floors = {"decoding of the JPEGs": timed(partial(decode_all, source)), "writing of the bytes": timed(written)}
    return Turns(turns.ours, turns.theirs, floors, f"mapping {describe()}")


def measure_separately(folder: Path) -> Turns:
    """Time our one pass beside the peer's five."""
    return measure_five(folder, "--separately")


def measure_mean(folder: Path) -> Turns:
    """Time the mean of an LMDB by ours and by compute_image_mean, a process each, after checking that they agree."""
    source = draw(folder / "faces", MEAN_COUNT)
    prepare(source, folder / "set", ["rgb"], len(os.sched_getaffinity(0)))
    made, ours, theirs = (folder / name for name in ("set/rgb/train_lmdb", "ours.binaryproto", "theirs.binaryproto"))
    caffe = find_caffe()
    mean = Program([sys.executable, MEAN_OF_LMDB, made, ours])
    peer = Program([*tool(caffe, "compute_image_mean"), made, theirs], env=caffe.environment)
    for program in (mean, peer):
        program.run()
    if ours.read_bytes() != theirs.read_bytes():
        raise SystemExit("compute_image_mean gives a different mean")
    with on_cores(1):
        turns = alternate(mean.run, peer.run)
        floor = timed(partial(read_all, made))
    return Turns(turns.ours, turns.theirs, {"reading of the LMDB": floor})


def read_all(path: Path) -> None:
    """Read every record of an LMDB, and do nothing with it."""
    with lmdb.open(str(path), readonly=True, lock=False) as opened, opened.begin() as transaction:
        for _ in transaction.cursor():
            pass


def decode_all(source: Path) -> None:
    """Decode every JPEG below a folder, by one thread: the part of the work that no program can leave out."""
    cv2.setNumThreads(1)
    for path in sorted(source.rglob("*.jpg")):
        cv2.imread(str(path))


def write(path: Path, images: int) -> None:
    """Write as many bytes as `images` images have, and sync them to the disk."""
    with path.open("wb") as file:
        for _ in range(images):
            file.write(bytes(SIZE * SIZE * 3))
        file.flush()
        os.fsync(file.fileno())


def remove(*folders: Path) -> None:
    """Remove results, so that they are made again."""
    for made in folders:
        shutil.rmtree(made, ignore_errors=True)


CONVERT = "Caffe: convert_imageset, which has one thread, to 256 x 256; compute_image_mean"
ROWS = {
    "prepare-rgb": Row(
        f"{COUNT} JPEGs to an LMDB and its mean, rgb, one core", CONVERT, partial(measure_rgb, jobs=1), least=1
    ),
    "prepare-rgb-2": Row(
        f"{COUNT} JPEGs to an LMDB and its mean, rgb, two cores", CONVERT, partial(measure_rgb, jobs=2), least=1.8
    ),
    "prepare-five": Row(
        f"{FIVE_COUNT} JPEGs to the five LMDBs and means, raw, one process, one core",
        "one process: scikit-image (R 1, 5, 10), a plain lmdb loop",
        measure_five,
        # Restated, 6 before: then the peer read each JPEG five times, made it grey four times, and computed the codes
        # of R = 1 twice; it made no means, and its start was not in its time.
        least=3.5,
    ),
    "prepare-five-passes": Row(
        f"{FIVE_COUNT} JPEGs to the five LMDBs and means, raw, in one pass, one process, one core",
        "one process: scikit-image, a plain lmdb loop, in five passes, a representation each",
        measure_separately,
        least=7,
    ),
    "mean": Row(
        f"an LMDB of {MEAN_COUNT} images to its mean.binaryproto, one process, one core (a script: no verb does that)",
        "one process: Caffe's compute_image_mean",
        measure_mean,
        # Restated, 2 before: then the peer's time had our search for a Caffe in it and our start was not in ours.
        least=0.7,
    ),
}
