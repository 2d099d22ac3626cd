"""What reads other people's bytes: each reader as a function of a file's bytes, and valid files of it.

A reader takes a folder of its own, in which it finds the input under the name it expects.
"""

import io
import struct
import tempfile
import zipfile
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import torch

from emotiw.data_prep.images import UnreadableImageError
from emotiw.data_prep.layouts.registry import list_images
from emotiw.data_prep.synthetic.archives import write_records
from emotiw.engine.torch.solver.snapshots import read_state
from emotiw.errors import EmotiwError
from emotiw.evaluate.scores import read_scores
from emotiw.prototxt.formats.blobs import blob_of, old_blob_of, read_mean, read_weights
from emotiw.prototxt.formats.datum import Colour, decode, parse, pixels
from emotiw.prototxt.formats.image_codec import imdecode
from emotiw.prototxt.formats.messages import Datum, NetParameter, SolverState, format_text, read_text
from emotiw.prototxt.formats.upgrade import downgrade, upgrade
from emotiw.prototxt.surgery import committed

PICTURES = (".png", ".jpg", ".bmp", ".tiff", ".ppm", ".ras", ".jp2", ".pam", ".gif", ".webp")
REFUSED = (
    b"P5 20000 20000 255\n",  # more pixels than may be
    b"P5 2000000 1 255\n",  # wider than OpenCV allows
    b"\0\0\0\x1cftypavif",
    b"\xff\xd8" + 101 * b"\xff\xda" + b"\xff\xd9",  # more scans than may be
)
OURS = (EmotiwError, UnreadableImageError)
"""What may come out of a reader beside its answer."""

CORPUS = Path(__file__).with_name("corpus")
HISTORY = [torch.zeros(2, 3), torch.zeros(2)]


@dataclass(frozen=True)
class Reader:
    """A reader.

    Attributes
    ----------
    name
        Of the file that it reads.
    read
        Reads it; the argument is the folder.
    drawn
        Makes, with a folder to work in, valid files of every kind that it knows, and such as it refuses with a reason.
    modules
        Where it lies, below the package; what finds files and their layout is not the reader's.
    """

    name: str
    read: Callable[[Path], object]
    drawn: Callable[[Path], list[bytes]]
    modules: tuple[str, ...]


def try_to_read(reader: Reader, folder: Path, data: bytes) -> None:
    """Read bytes; what comes out beside our own errors is a fault."""
    (folder / reader.name).write_bytes(data)
    with suppress(*OURS):
        reader.read(folder)


def picture(kind: str = ".png", channels: int = 3) -> bytes:
    """Return a small picture."""
    values = np.random.default_rng(0).integers(0, 256, (4, 5, channels), np.uint8)
    return cv2.imencode(kind, values)[1].tobytes()


# RecordIO: the index and the records, which are two files, in one input


def split_records(folder: Path) -> Path:
    """Make the two files of an input: the length of the index, the index, the records."""
    data = (folder / "both").read_bytes()
    length = int.from_bytes(data[:2], "little")
    made = folder / "recordio"
    made.mkdir(exist_ok=True)
    (made / "train.idx").write_bytes(data[2 : 2 + length])
    (made / "train.rec").write_bytes(data[2 + length :])
    return made


def read_records(folder: Path) -> None:
    """List, and read every image."""
    listing = list_images(split_records(folder), "identities", layout="recordio")
    for image in listing.images:
        listing.source.read(image.path)


def records(folder: Path) -> list[bytes]:
    """Return RecordIOs with and without a first record that tells where samples end, one of them split at the magic."""
    image = picture()
    samples = [(0, (float(k // 2),), image) for k in range(4)]
    variants = [samples, [(2, (5.0, 7.0), b""), *samples, (2, (0.0, 1.0), b"")], [(0, (0.0,), magic_within())]]
    made = []
    for number, variant in enumerate(variants):
        (folder / f"{number}").mkdir()
        write_records(folder / f"{number}/train.rec", variant)
        index, data = ((folder / f"{number}/train{suffix}").read_bytes() for suffix in (".idx", ".rec"))
        made.append(len(index).to_bytes(2, "little") + index + data)
    return [*made, *parts()]


def magic_within() -> bytes:
    """Return bytes that hold RecordIO's magic."""
    return b"1234" + struct.pack("<I", 0xCED7230A) + b"5678"


def parts() -> list[bytes]:
    """Return a record in three parts, and one whose second part is a first one."""
    header = struct.pack("<IfQQ", 0, 0.0, 0, 0)

    def part(kind: int, data: bytes) -> bytes:
        return struct.pack("<II", 0xCED7230A, kind << 29 | len(data)) + data + bytes(-len(data) % 4)

    index = b"1\t0\n"
    whole = part(1, header) + part(2, b"abcd") + part(3, b"ef")
    wrong = part(1, header) + part(1, b"abcd")
    return [len(index).to_bytes(2, "little") + index + each for each in (whole, wrong)]


# Caffe's files


def read_prototxt(folder: Path) -> None:
    """Read a net, upgraded where it is of V1."""
    upgrade(read_text(folder / "net.prototxt", NetParameter))


def prototxts(folder: Path) -> list[bytes]:
    """Return a net of today and of V1, and a solver, which is none."""
    net = committed("vgg_s_small", "train_val_finetune.prototxt")
    solver = committed("vgg_s_small", "solver_finetune.prototxt")
    texts = [net, downgrade(committed("vgg_s_small", "deploy.prototxt")), solver]
    return [format_text(each).encode() for each in texts]


def weights(folder: Path) -> list[bytes]:
    """Return a caffemodel of today and of V1, and one whose blobs are of doubles."""
    blob = np.arange(6, dtype=np.float32).reshape(2, 3)
    new = NetParameter(name="new")
    new.layer.add(name="ip", type="InnerProduct").blobs.extend([blob_of(blob), blob_of(blob[0])])
    doubles = NetParameter(name="doubles")
    doubles.layer.add(name="ip").blobs.add(double_data=[1, 2], num=1, channels=1, height=1, width=2)
    old = NetParameter(name="old")
    old.layers.add(name="ip", type="INNER_PRODUCT").blobs.add().ParseFromString(old_blob_of(blob).SerializeToString())
    return [each.SerializeToString() for each in (new, doubles, old)]


def means(folder: Path) -> list[bytes]:
    """Return a mean in the old form and in today's, and blobs that are no images."""
    mean = np.arange(12, dtype=np.float32).reshape(3, 2, 2)
    return [blob.SerializeToString() for blob in (old_blob_of(mean), blob_of(mean), blob_of(mean[0, 0]))]


def read_datum(folder: Path) -> None:
    """Read a Datum as the engine does, in each of its ways, and as a set's reader does."""
    data = (folder / "datum").read_bytes()
    for colour in Colour:
        with suppress(*OURS):
            pixels(parse(data), colour)
    decode(data)


def datums(folder: Path) -> list[bytes]:
    """Return Datums of bytes, of floats and of pictures."""
    raw = Datum(channels=3, height=2, width=2, data=bytes(range(12)), label=1)
    floats = Datum(channels=1, height=2, width=2, float_data=[1, 2, 3, 4])
    coded = [Datum(data=picture(kind, channels), encoded=True) for kind, channels in ((".png", 3), (".jpg", 1))]
    deep = cv2.imencode(".png", np.full((2, 2), 300, np.uint16))[1].tobytes()
    refused = [Datum(data=each, encoded=True) for each in (b"no picture", *REFUSED)]
    return [each.SerializeToString() for each in (raw, floats, *coded, Datum(data=deep, encoded=True), *refused)]


def read_picture(folder: Path) -> None:
    """Decode it, held to the limit on pixels by its header."""
    imdecode((folder / "picture").read_bytes(), cv2.IMREAD_UNCHANGED)


def pictures(folder: Path) -> list[bytes]:
    """Return pictures of every format whose header is read, and such as are refused."""
    rgb = cv2.resize(np.random.default_rng(0).integers(0, 256, (9, 9, 3), np.uint8), (40, 32))
    made = [cv2.imencode(kind, rgb)[1] for kind in PICTURES]
    made += [cv2.imencode(".pgm", rgb[..., 0])[1], cv2.imencode(".hdr", rgb.astype(np.float32))[1]]
    lossy = cv2.imencode(".webp", rgb, [cv2.IMWRITE_WEBP_QUALITY, 50])[1]
    return [each.tobytes() for each in (*made, lossy)] + [b"BM" + bytes(30), b"P5", TILED, *REFUSED]


TILED = b"II*\0" + struct.pack("<IH", 8, 4)  # 1 x 1 in tiles of 8 x 8
TILED += b"".join(
    struct.pack("<HHII", *entry) for entry in ((256, 4, 1, 1), (257, 4, 1, 1), (322, 4, 1, 8), (323, 4, 1, 8))
)


def states(folder: Path) -> list[bytes]:
    """Return a solverstate, one without the name of its weights, and one of another net."""
    whole = SolverState(iter=7, current_step=1, learned_net="a.caffemodel")
    whole.history.extend(blob_of(tensor.numpy()) for tensor in HISTORY)
    nameless = SolverState(iter=7)
    nameless.history.extend(whole.history)
    other = SolverState(iter=7)
    other.history.extend([blob_of(np.zeros(3, np.float32))] * 2)
    return [each.SerializeToString() for each in (whole, nameless, other, SolverState(iter=1))]


def read_solverstate(folder: Path) -> None:
    """Read it as that of a net of two blobs."""
    read_state(folder / "a.solverstate", HISTORY)


# Tables and archives


def read_table(folder: Path) -> None:
    """List by a table of paths and labels, beside which a picture lies."""
    (folder / "a.png").write_bytes(PICTURE)
    for image in list_images(folder, "emotions", layout="csv").images:
        image.path.encode()


def tables(folder: Path) -> list[bytes]:
    """Return tables with their columns in several orders and spellings."""
    rows = ["path,label\na.png,Happy\n", "label,path\n3,a.png\n", "image;emotion;split\na.png;sad;val\n"]
    rows += ["path,label,Usage\na.png,nonsense,Training\n../x.png,Happy,\n", "\n", "path\n"]
    return [row.encode() for row in rows]


def scores(folder: Path) -> list[bytes]:
    """Return scores with and without labels."""
    head = "path,label,Angry,Happy\n"
    rows = ("a.png,0,0.25,0.75\nb.png,1,1,0\n", "a.png,-1,0.5,0.5\n", "a.png,7,2,3\n", "")
    return [(head + row).encode() for row in rows]


def read_zip(folder: Path) -> None:
    """List an archive, and read every image."""
    listing = list_images(folder / "faces.zip", "emotions", layout="folders")
    for image in listing.images:
        listing.source.read(image.path)


def zips(folder: Path) -> list[bytes]:
    """Return archives stored and packed, with paths that lead out, and without a picture."""
    made = []
    for method in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA):
        for names in (["happy/a.png", "sad/b.png"], ["../happy/a.png"], ["happy/"]):
            file = io.BytesIO()
            with zipfile.ZipFile(file, "w", method) as archive:
                for name in names:
                    archive.writestr(name, b"" if name.endswith("/") else PICTURE)
            made.append(file.getvalue())
    return made


PICTURE = picture()
BLOBS = ("prototxt/formats/blobs.py", "prototxt/formats/messages.py")
READERS = {
    "recordio": Reader("both", read_records, records, ("data_prep/layouts/recordio.py",)),
    "prototxt": Reader(
        "net.prototxt", read_prototxt, prototxts, ("prototxt/formats/messages.py", "prototxt/formats/upgrade.py")
    ),
    "caffemodel": Reader("net.caffemodel", lambda folder: read_weights(folder / "net.caffemodel"), weights, BLOBS),
    "binaryproto": Reader("mean.binaryproto", lambda folder: read_mean(folder / "mean.binaryproto"), means, BLOBS),
    "datum": Reader("datum", read_datum, datums, ("prototxt/formats/datum.py", "prototxt/formats/image_codec.py")),
    "picture": Reader(
        "picture", read_picture, pictures, ("prototxt/formats/image_codec.py", "prototxt/formats/image_headers.py")
    ),
    "solverstate": Reader("a.solverstate", read_solverstate, states, ("engine/torch/solver/snapshots.py", *BLOBS)),
    "table": Reader("table.csv", read_table, tables, ("data_prep/layouts/tables.py",)),
    "scores": Reader("scores.csv", lambda folder: read_scores(folder / "scores.csv"), scores, ("evaluate/scores.py",)),
    "zip": Reader("faces.zip", read_zip, zips, ("data_prep/archives/zip.py",)),
}


def corpus(name: str) -> list[bytes]:
    """Return the inputs of a reader: those that are drawn, and those that fuzzing has found, which are committed."""
    with tempfile.TemporaryDirectory() as folder:
        drawn = READERS[name].drawn(Path(folder))
    return [*drawn, *(path.read_bytes() for path in sorted(CORPUS.glob(f"{name}/*")))]
