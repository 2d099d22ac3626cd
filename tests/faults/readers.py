"""The readers of foreign files: each as a function of a file's bytes, with valid files for it.

A reader gets its own folder, with the input under the expected name.
"""

import io
import struct
import tempfile
import zipfile
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import cv2
import numpy as np
import torch

from emotiw.data_prep.image_list import Interpretation
from emotiw.data_prep.images import UnreadableImageError
from emotiw.data_prep.images import decode as decode_file
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
"""The exceptions that a reader may raise."""

CORPUS = Path(__file__).with_name("corpus")
HISTORY = [torch.zeros(2, 3), torch.zeros(2)]


@dataclass(frozen=True)
class Reader:
    """A reader.

    Attributes
    ----------
    name
        The name of the file that it reads.
    read
        Reads it; the argument is the folder.
    drawn
        Makes, in a given folder, valid files of every kind, and files that are refused with a reason.
    modules
        Its path below the package; finding files and their layout is not part of the reader.
    """

    name: str
    read: Callable[[Path], object]
    drawn: Callable[[Path], list[bytes]]
    modules: tuple[str, ...]


def try_to_read(reader: Reader, folder: Path, data: bytes) -> None:
    """Read bytes; any exception other than our own errors is a fault."""
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
    listing = list_images(split_records(folder), Interpretation("identities", layout="recordio"))
    for image in listing.images:
        listing.source.read(image.path)


def records(folder: Path) -> list[bytes]:
    """Return RecordIOs with and without a first record that gives where samples end, one split at the magic, a crop."""
    image = picture()
    samples = [(0, (float(k // 2),), image) for k in range(4)]
    crop = cv2.imencode(".jpg", np.zeros((112, 112, 3), np.uint8))[1].tobytes()
    variants = [samples, [(2, (5.0, 7.0), b""), *samples, (2, (0.0, 1.0), b"")], [(0, (0.0,), magic_within())]]
    variants.append([(0, (0.0,), crop)])
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
    """Return a record in three parts, and one with a first part as its second part."""
    header = struct.pack("<IfQQ", 0, 0.0, 0, 0)

    def part(kind: int, data: bytes) -> bytes:
        return struct.pack("<II", 0xCED7230A, kind << 29 | len(data)) + data + bytes(-len(data) % 4)

    index = b"1\t0\n"
    whole = part(1, header) + part(2, b"abcd") + part(3, b"ef")
    wrong = part(1, header) + part(1, b"abcd")
    return [len(index).to_bytes(2, "little") + index + each for each in (whole, wrong)]


# Caffe's files


def read_prototxt(folder: Path) -> None:
    """Read a net, upgraded if it is of V1."""
    upgrade(read_text(folder / "net.prototxt", NetParameter))


def prototxts(folder: Path) -> list[bytes]:
    """Return a current net, a V1 net, a net in both formats, and what is not a net: a solver, a picture, a page."""
    net = committed("vgg_s_small", "train_val_finetune.prototxt")
    solver = committed("vgg_s_small", "solver_finetune.prototxt")
    texts = [net, downgrade(committed("vgg_s_small", "deploy.prototxt")), solver]
    others = [b'layer { name: "a" } layers { name: "b" }', b"\x89PNG\r\n\x1a\n\0\0", b"<!DOCTYPE html><html></html>"]
    return [*(format_text(each).encode() for each in texts), *others]


def weights(folder: Path) -> list[bytes]:
    """Return a current and a V1 caffemodel, and one with blobs of doubles."""
    blob = np.arange(6, dtype=np.float32).reshape(2, 3)
    new = NetParameter(name="new")
    new.layer.add(name="ip", type="InnerProduct").blobs.extend([blob_of(blob), blob_of(blob[0])])
    doubles = NetParameter(name="doubles")
    doubles.layer.add(name="ip").blobs.add(double_data=[1, 2], num=1, channels=1, height=1, width=2)
    old = NetParameter(name="old")
    old.layers.add(name="ip", type="INNER_PRODUCT").blobs.add().ParseFromString(old_blob_of(blob).SerializeToString())
    return [each.SerializeToString() for each in (new, doubles, old)]


def means(folder: Path) -> list[bytes]:
    """Return a mean in the old and in the current format, and blobs that are not images."""
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
    """Return pictures of every format with a supported header, and refused ones."""
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
    """List by a table of paths and labels, with a picture next to it, as emotions and as classes of one's own."""
    (folder / "a.png").write_bytes(PICTURE)
    found = partial(Interpretation, layout="csv")
    for how in (found("classes"), found("classes", class_column="class"), found("emotions", order="emotiw")):
        with suppress(*OURS):
            for image in list_images(folder, how).images:
                image.path.encode()


def tables(folder: Path) -> list[bytes]:
    """Return tables with their columns in several orders and spellings."""
    rows = ["path,label\na.png,Happy\n", "label,path\n3,a.png\n", "image;emotion;split\na.png;sad;val\n"]
    rows += ["path,label,class\na.png,0,Neutral\n", "path,label,class\na.png,Sad,Happy\n"]
    rows += ["path,label,Usage\na.png,nonsense,Training\n../x.png,Happy,\n", "\n", "path\n"]
    rows += ["path,label\na.png,Happy,0.5\n", "path,label,split\na.png,Happy,some\n", "path,label\r\na.png,Happy\rb"]
    rows += ["Image name\tsad\tjoy\tcontempt\na.png\t1\t0\t0\n", "img;sad;joy\na.png;1;1\nb.png;x;0\n"]
    return [row.encode() for row in rows]


def read_list(folder: Path) -> None:
    """List by a list of paths and labels, as people and as emotions."""
    for labels in ("identities", "emotions"):
        for image in list_images(folder, Interpretation(labels, layout="list", order="emotiw")).images:
            image.path.encode()


def lists(folder: Path) -> list[bytes]:
    """Return lists as Caffe, im2rec and insightface write them."""
    lines = ("a.png Happy\n\nb.png sad\n", "0\t3.000000\ta.png\n1\t0\tb.png\n", "1\ta.png\t3\n0\tb.png\t0\t1\t2\n")
    made = [line.encode() for line in (*lines, "a.png\n", "a.png 7\n", "../a.png 1\na.png 1\na.png 1\n")]
    made += [b"/etc/a.png 1\nb/../a.png 2\nb.png contempt\n"]
    return made


def read_votes(folder: Path) -> None:
    """List by FERPlus's votes, with a picture next to them."""
    (folder / "fer0000000.png").write_bytes(PICTURE)
    for image in list_images(folder, Interpretation("emotions", layout="ferplus")).images:
        image.path.encode()


def votes(folder: Path) -> list[bytes]:
    """Return tables of votes that name a class, none, and no picture."""
    head = "Usage,Image name,neutral,happiness,surprise,sadness,anger,disgust,fear,contempt,unknown,NF\n"
    rows = ("Training,fer0000000.png,4,0,0,1,3,2,0,0,0,0\n", "Training,fer0000000.png,4,4,0,0,0,0,0,0,0,0\n")
    rows += ("PublicTest,,0,0,0,0,0,0,0,0,0,10\n", "  \nTraining,a.png,0,0,0,0,0,0,0,9,0,0\n", "Training,a.png,x\n")
    bent = (head + f"Training,a.png,x{9 * ',1'}\n", "a,b\n")
    return [(head + row).encode() for row in rows] + [each.encode() for each in bent]


def read_annotation(folder: Path) -> None:
    """List by AffectNet's label next to an image."""
    for place in ("images", "annotations"):
        (folder / place).mkdir(exist_ok=True)
    (folder / "images/7.png").write_bytes(PICTURE)
    (folder / "annotations/7_exp.npy").write_bytes((folder / "7_exp.npy").read_bytes())
    list_images(folder, Interpretation("emotions", layout="affectnet-npy"))


def annotations(folder: Path) -> list[bytes]:
    """Return NumPy files of one number in each form, and others."""
    kinds = (np.array("3"), np.array(b"3"), np.array([3]), np.array(3.0), np.array(8), np.array(99), np.zeros((2, 2)))
    made = []
    for value in kinds:
        file = io.BytesIO()
        np.save(file, value)
        made.append(file.getvalue())
    return [*made, made[2].replace(b"<i8", b"<i3")]


def read_jpeg(folder: Path) -> None:
    """Decode an image file of a set, unless it was cut off."""
    decode_file((folder / "a.jpg").read_bytes())


def jpegs(folder: Path) -> list[bytes]:
    """Return JPEGs with restarts, scans, a thumbnail and a trailer."""
    rgb = np.random.default_rng(0).integers(0, 256, (20, 24, 3), np.uint8)
    kinds = ((), (cv2.IMWRITE_JPEG_PROGRESSIVE, 1), (cv2.IMWRITE_JPEG_RST_INTERVAL, 1))
    whole = [cv2.imencode(".jpg", rgb, kind)[1].tobytes() for kind in kinds]
    note = b"\xff\xe1" + (len(whole[0]) + 2).to_bytes(2, "big") + whole[0]
    bent = whole[0][:-9] + b"\xff\x37" + whole[0][-7:]
    return [
        *whole,
        whole[1][:2] + note + whole[1][2:] + whole[0],
        whole[0][:-20] + whole[1],
        whole[0][:30],
        bent,
        b"",
        b"no picture",
        *REFUSED,
    ]


def scores(folder: Path) -> list[bytes]:
    """Return scores with and without labels and groups; and such as are refused."""
    head, grouped, row = "path,label,Angry,Happy\n", "path,group,label,Angry,Happy\n", "a.png,0,0.25,0.75\n"
    rows = (f"{row}b.png,1,1,0\n", "a.png,-1,0.5,0.5\n", "a.png,7,2,3\n", "", row + row, "a.png,0,x,1\n", row[:-1], '"')
    made = [*(head + some for some in rows), f"{grouped}a.png,m,0,0.25,0.75\n", "x,y\n", f"{grouped}a.png\n"]
    return [text.encode() for text in made]


def read_zip(folder: Path) -> None:
    """List an archive, and read every image."""
    listing = list_images(folder / "faces.zip", Interpretation("emotions", layout="folders"))
    for image in listing.images:
        listing.source.read(image.path)


def zips(folder: Path) -> list[bytes]:
    """Return archives stored and packed, with paths that lead out, and without a picture; and such as are refused."""
    made = []
    for method in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA):
        for names in (["happy/a.png", "sad/b.png"], ["../happy/a.png"], ["happy/"]):
            file = io.BytesIO()
            with zipfile.ZipFile(file, "w", method) as archive:
                for name in names:
                    archive.writestr(name, b"" if name.endswith("/") else PICTURE)
            made.append(file.getvalue())
    return [*made, *refused_zips(made[0])]


def refused_zips(whole: bytes) -> list[bytes]:
    """Return an archive with a flipped bit, encrypted, or as the last part of a split one; bombs, and odd names."""
    rotten = whole.replace(PICTURE[-9:], bytes(9), 1)
    encrypted = whole.replace(b"PK\1\2\x14\x03\x14\0\0\0", b"PK\1\2\x14\x03\x14\0\1\0")
    split = whole[:-18] + b"\1\0\1\0" + whole[-14:]
    made = [rotten, encrypted, split, whole[len(whole) // 2 :]]
    for names, data in ((["", "a"], b"x"), (["sad\\a.png", "sad/a.png"], b"x"), (["sad/a.png"], bytes(1 << 21))):
        file = io.BytesIO()
        with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
            for name in names:
                archive.writestr(zipfile.ZipInfo(name), data, zipfile.ZIP_DEFLATED)
        made.append(file.getvalue())
    return made


PICTURE = picture()
COLUMNS = ("tables", "columns", "votes")
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
    "table": Reader("table.csv", read_table, tables, tuple(f"data_prep/layouts/{name}.py" for name in COLUMNS)),
    "list": Reader("list.lst", read_list, lists, ("data_prep/layouts/tables.py",)),
    "votes": Reader(
        "fer2013new.csv", read_votes, votes, ("data_prep/layouts/ferplus.py", "data_prep/layouts/votes.py")
    ),
    "annotation": Reader("7_exp.npy", read_annotation, annotations, ("data_prep/layouts/affectnet.py",)),
    "jpeg": Reader("a.jpg", read_jpeg, jpegs, ("data_prep/images.py", "data_prep/jpeg_markers.py")),
    "scores": Reader("scores.csv", lambda folder: read_scores(folder / "scores.csv"), scores, ("evaluate/scores.py",)),
    "zip": Reader("faces.zip", read_zip, zips, ("data_prep/archives/zip.py",)),
}


def corpus(name: str) -> list[bytes]:
    """Return the inputs of a reader: drawn ones, and committed ones that fuzzing has found."""
    with tempfile.TemporaryDirectory() as folder:
        drawn = READERS[name].drawn(Path(folder))
    return [*drawn, *(path.read_bytes() for path in sorted(CORPUS.glob(f"{name}/*")))]
