"""Pictures to LMDBs: one representation, and all five at once; and their mean."""

import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from functools import partial
from pathlib import Path

import cv2
import lmdb
import numpy as np
from alternating import Row, Turns, alternate, on_cores, timed
from faces import draw
from mapping import by_skimage

from emotiw.data_prep.sets import keys_of, open_set
from emotiw.data_prep.writing import LmdbWriter
from emotiw.engine.caffe.locate import find_caffe
from emotiw.engine.caffe.process import start
from emotiw.engine.leash import running
from emotiw.lbp_mapping.representation import PAPER
from emotiw.prototxt.messages import Datum

COUNT, FIVE_COUNT, MEAN_COUNT = 10_000, 600, 2000
SIZE = 256
MOST_OTHER = 0.1  # of the bytes: where neighbours tie, scikit-image decides by its rounding; resizing spreads it


def emotiw(*arguments: str | Path) -> None:
    """Run a verb as a user does."""
    subprocess.run([sys.executable, "-P", "-m", "emotiw", *arguments], check=True, capture_output=True)


def tool(name: str, *arguments: str | Path) -> None:
    """Run one of Caffe's tools."""
    caffe = find_caffe()
    with running(start(caffe, arguments, stderr=subprocess.DEVNULL, program=caffe.tool(name))) as process:
        if process.wait():
            raise SystemExit(f"{name} failed")


def prepare(source: Path, output: Path, representations: Sequence[str], jobs: int) -> None:
    """Run `emotiw prepare`; whose images are all for training."""
    options = ["--labels", "identities", "--size", str(SIZE), "--jobs", str(jobs)]
    emotiw("prepare", source, "-o", output, "-r", *representations, *options)


def contents(path: Path) -> list[tuple[bytes, bytes]]:
    """Return what an LMDB holds, in the order of its keys."""
    with lmdb.open(str(path), readonly=True, lock=False) as opened, opened.begin() as transaction:
        return [(bytes(key), bytes(value)) for key, value in transaction.cursor()]


def write_list(made: Path, path: Path) -> None:
    """Write the images of a set as convert_imageset takes them, in the order of its LMDB."""
    opened = open_set(made)
    labels = {row["path"]: row["label"] for row in opened.manifest}
    names = [key.decode().partition("_")[2] for key in keys_of(opened.lmdb("rgb", "train"))]
    path.write_text("".join(f"{name} {labels[name]}\n" for name in names), encoding="utf-8")


def convert(source: Path, images: Path, output: Path) -> None:
    """Run Caffe's convert_imageset."""
    tool("convert_imageset", f"--resize_height={SIZE}", f"--resize_width={SIZE}", f"{source}/", images, output)


def measure_rgb(folder: Path, jobs: int) -> Turns:
    """Time `emotiw prepare` and convert_imageset, after a look at what they make."""
    source, images, ours, theirs = draw(folder / "faces", COUNT), *(folder / name for name in ("list", "ours", "their"))
    prepare(source, ours, ["rgb"], jobs)
    write_list(ours, images)
    convert(source, images, theirs)
    if contents(ours / "rgb" / "train_lmdb") != contents(theirs):
        raise SystemExit("convert_imageset writes another LMDB")
    with on_cores(jobs):
        turns = alternate(
            partial(prepare, source, ours, ["rgb"], jobs),
            partial(convert, source, images, theirs),
            clear=partial(remove, ours, theirs),
        )
    with on_cores(1):
        floor = timed(partial(decode_all, source)) / jobs
    return Turns(turns.ours, turns.theirs, {"decoding of the JPEGs": floor})


def five_passes(source: Path, images: Path, output: Path) -> None:
    """Write the five LMDBs as anybody would: a loop each, scikit-image, Datums, one transaction."""
    lines = images.read_text(encoding="utf-8").splitlines()
    for representation in PAPER:
        path = output / representation.name
        path.mkdir(parents=True)
        with lmdb.open(str(path), map_size=1 << 40) as opened, opened.begin(write=True) as transaction:
            for number, line in enumerate(lines):
                name, _, label = line.rpartition(" ")
                rgb = cv2.imread(str(source / name))[..., ::-1]
                if representation.mapping != "rgb":
                    rgb = by_skimage(rgb, representation)
                bgr = cv2.resize(rgb, (SIZE, SIZE))[..., ::-1].transpose(2, 0, 1)
                datum = Datum(channels=3, height=SIZE, width=SIZE, data=bgr.tobytes(), label=int(label), encoded=False)
                transaction.put(f"{number:08d}_{name}".encode(), datum.SerializeToString())


def measure_five(folder: Path) -> Turns:
    """Time one pass of ours and five of the peer's, on one core, after a look at what they make."""
    source, images, ours, theirs = (folder / name for name in ("faces", "list", "ours", "theirs"))
    names = [representation.name for representation in PAPER]
    draw(source, FIVE_COUNT)
    prepare(source, ours, names, 1)
    write_list(ours, images)
    five_passes(source, images, theirs)
    for name in names:
        pairs = zip(contents(ours / name / "train_lmdb"), contents(theirs / name), strict=True)
        other = [np.not_equal(*(np.frombuffer(each[1], np.uint8) for each in pair)).mean() for pair in pairs]
        if max(other) > MOST_OTHER:
            raise SystemExit(f"{name}: the peer's pictures are others")
    with on_cores(1):
        turns = alternate(
            partial(prepare, source, ours, names, 1),
            partial(five_passes, source, images, theirs),
            clear=partial(remove, ours, theirs),
        )
        written = partial(write, folder / "bytes", FIVE_COUNT * len(names))
        floors = {"decoding of the JPEGs": timed(partial(decode_all, source)), "writing of the bytes": timed(written)}
    return Turns(turns.ours, turns.theirs, floors)


def measure_mean(folder: Path) -> Turns:
    """Time the mean of an LMDB, by what sums it up while a set is written, and by compute_image_mean."""
    source = draw(folder / "faces", MEAN_COUNT)
    prepare(source, folder / "set", ["rgb"], len(os.sched_getaffinity(0)))
    made, ours, theirs = (folder / name for name in ("set/rgb/train_lmdb", "ours.binaryproto", "theirs.binaryproto"))
    keys = keys_of(made)

    def mean() -> None:
        with LmdbWriter(made) as writer:
            writer.recount(keys)
            writer.write_mean(ours)

    with on_cores(1):
        turns = alternate(mean, partial(tool, "compute_image_mean", made, theirs))
        floor = timed(partial(read_all, made))
    if ours.read_bytes() != theirs.read_bytes():
        raise SystemExit("compute_image_mean gives another mean")
    return Turns(turns.ours, turns.theirs, {"reading of the LMDB": floor})


def read_all(path: Path) -> None:
    """Read every record of an LMDB, and do nothing with it."""
    with lmdb.open(str(path), readonly=True, lock=False) as opened, opened.begin() as transaction:
        for _ in transaction.cursor():
            pass


def decode_all(source: Path) -> None:
    """Decode every picture, and do nothing with it."""
    cv2.setNumThreads(1)
    for path in sorted(source.rglob("*.jpg")):
        cv2.imread(str(path))


def write(path: Path, images: int) -> None:
    """Write as many bytes as so many images have, to the disk itself."""
    with path.open("wb") as file:
        for _ in range(images):
            file.write(bytes(SIZE * SIZE * 3))
        file.flush()
        os.fsync(file.fileno())


def remove(*folders: Path) -> None:
    """Remove what was made, so that it is made again."""
    for made in folders:
        shutil.rmtree(made, ignore_errors=True)


CONVERT = "Caffe: convert_imageset --resize_height 256 --resize_width 256"
ROWS = {
    "prepare-rgb": Row(
        f"{COUNT} JPEGs to an LMDB and its mean, rgb, one core", CONVERT, partial(measure_rgb, jobs=1), least=1
    ),
    "prepare-rgb-2": Row(
        f"{COUNT} JPEGs to an LMDB and its mean, rgb, two cores", CONVERT, partial(measure_rgb, jobs=2), least=1.8
    ),
    "prepare-five": Row(
        f"{FIVE_COUNT} JPEGs to the five LMDBs in one pass, raw, one core",
        "five passes of scikit-image and a plain lmdb loop",
        measure_five,
        least=6,
    ),
    "mean": Row(
        f"the mean of {MEAN_COUNT} images of an LMDB, one core", "Caffe: compute_image_mean", measure_mean, least=2
    ),
}
