"""Damaged or hostile archives and RecordIO files give a one-line error."""

import pickle
import re
import struct
import zipfile
from pathlib import Path

import pytest

from emotiw.data_prep.archives import zip as zips
from emotiw.data_prep.archives.tree import Folder, FolderOfZips, look
from emotiw.data_prep.archives.zip import Zip
from emotiw.data_prep.image_list import Interpretation
from emotiw.data_prep.images import UnreadableImageError
from emotiw.data_prep.layouts.recordio import MAGIC, Records
from emotiw.data_prep.layouts.registry import list_images
from emotiw.data_prep.prepare import prepare
from emotiw.data_prep.synthetic.archives import packed, write_records
from emotiw.data_prep.transform import Settings
from emotiw.errors import EmotiwError

OF_EMOTIONS = Interpretation("emotions")
OF_PEOPLE = Interpretation("identities")


def archive(path: Path, members: dict[str, bytes], method: int = zipfile.ZIP_DEFLATED) -> Path:
    with zipfile.ZipFile(path, "w", method) as file:
        for name, data in members.items():
            file.writestr(zipfile.ZipInfo(name), data, method)
    return path


def refusal(call) -> str:
    with pytest.raises(EmotiwError) as caught:
        call()
    assert "\n" not in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize(
    "name",
    [
        "../1.png",
        "sad/../../1.png",
        "/sad/1.png",
        "C:/sad/1.png",
        "..\\1.png",
        "sad\\..\\..\\1.png",
        "\\sad\\1.png",
        "C:\\1.png",
    ],
)
def test_a_path_that_leads_out_of_an_archive(tmp_path, name):
    made = archive(tmp_path / "a.zip", {"sad/1.png": b"1", name: b"2"})
    said = refusal(lambda: list_images(made, OF_EMOTIONS))
    assert said == f"{made} holds {name!r}, a path that leads out of the archive: it is not read"


def test_backslashes_are_separators(tmp_path, draw):
    """Some programs on Windows write them."""
    draw(tmp_path / "1.png")
    picture = (tmp_path / "1.png").read_bytes()
    members = {"train\\": b"", "train\\sad\\1.png": picture, "val\\happy/2.png": picture, "val\\__MACOSX\\3.png": b""}
    made = archive(tmp_path / "a.zip", members)
    assert Zip(made).files() == ["train/sad/1.png", "val/happy/2.png"]
    listing = list_images(made, OF_EMOTIONS)
    found = [(image.path, image.name, image.split) for image in listing.images]
    assert found == [("train/sad/1.png", "Sad", "train"), ("val/happy/2.png", "Happy", "val")]
    assert [listing.source.read(image.path) for image in listing.images] == [picture] * 2
    assert Zip(made).head("train/sad/1.png", 4) == picture[:4]
    assert b"".join(Zip(made).chunks("train/sad/1.png")) == picture
    assert Zip(made).size("train/sad/1.png") == len(picture)


@pytest.mark.parametrize("names", [["sad/1.png", "sad\\1.png"], ["sad\\1.png", "sad/1.png"]])
def test_two_members_of_one_path_are_refused(tmp_path, names):
    made = archive(tmp_path / "a.zip", dict.fromkeys(names, b"1"))
    both = " and ".join(map(repr, names))
    assert refusal(lambda: list_images(made, OF_EMOTIONS)) == (
        f"{made} holds {both}, which are one path: pack it again with one of them"
    )


def stored(folder: Path, count: int = 14) -> Path:
    """Return an archive of this many faces in two classes, and the offset of each."""
    members = {f"{('happy', 'sad')[k % 2]}/{k:02d}.png": bytes([k]) * 1000 for k in range(count)}
    return archive(folder / "faces.zip", members, zipfile.ZIP_STORED)


def split_said(path: Path) -> str:
    return (
        f"{path} is the last part of a split zip archive: join the parts (zip -s 0 {path.name} --out whole.zip; those "
        "named .001, .002, ... by cat, in order) and give the whole"
    )


def test_the_last_part_of_an_archive_split_by_zip(tmp_path):
    """Its directory is complete, and gives for each file the part that holds it and the offset there."""
    whole = stored(tmp_path)
    with zipfile.ZipFile(whole) as file:
        starts, directory = [member.header_offset for member in file.infolist()], file.start_dir
    data, cut = bytearray(whole.read_bytes()), starts[12]
    place = directory
    for start in starts:
        data[place + 34 : place + 36] = int(start >= cut).to_bytes(2, "little")
        data[place + 42 : place + 46] = (start - cut if start >= cut else start).to_bytes(4, "little")
        place += 46 + int.from_bytes(data[place + 28 : place + 30], "little")
    data[place + 4 : place + 8] = b"\1\0\1\0"
    data[place + 16 : place + 20] = (directory - cut).to_bytes(4, "little")
    last = tmp_path / "last/faces.zip"
    last.parent.mkdir()
    last.write_bytes(data[cut:])
    (tmp_path / "last/faces.z01").write_bytes(data[:cut])
    assert zipfile.is_zipfile(last)
    with zipfile.ZipFile(last) as file:
        assert file.read("sad/13.png") == bytes([13]) * 1000  # one of the seventh that can be read
    assert refusal(lambda: list_images(last, OF_EMOTIONS)) == split_said(last)
    assert "; faces.z01 is a part of a split zip archive" in refusal(lambda: list_images(last.parent, OF_EMOTIONS))
    end = place - cut
    last.write_bytes(data[cut : cut + end + 4] + bytes(4) + data[cut + end + 8 :])  # only the files name the parts
    assert refusal(lambda: list_images(last, OF_EMOTIONS)) == split_said(last)


def test_the_last_part_of_an_archive_split_into_bytes(tmp_path):
    whole = stored(tmp_path)
    data = whole.read_bytes()
    (tmp_path / "part.zip").write_bytes(data[len(data) // 2 :])
    assert refusal(lambda: list_images(tmp_path / "part.zip", OF_EMOTIONS)) == split_said(tmp_path / "part.zip")


def test_the_last_part_of_a_split_archive_of_64_bits(tmp_path):
    """The end record does not mention parts, but the zip64 locator before it does."""
    data = stored(tmp_path).read_bytes()
    locator = struct.pack("<4sIQI", b"PK\6\7", 1, 0, 2)
    (tmp_path / "part.zip").write_bytes(data[:-22] + locator + data[-22:])
    assert refusal(lambda: list_images(tmp_path / "part.zip", OF_EMOTIONS)) == split_said(tmp_path / "part.zip")


def test_an_archive_may_have_a_comment_and_data_before_it(tmp_path):
    with zipfile.ZipFile(stored(tmp_path), "a") as file:
        file.comment = b"x" * 65535
    assert len(list_images(tmp_path / "faces.zip", OF_EMOTIONS).images) == 14
    (tmp_path / "program.zip").write_bytes(b"a program that unpacks" * 50 + stored(tmp_path / "").read_bytes())
    assert len(list_images(tmp_path / "program.zip", OF_EMOTIONS).images) == 14


def test_a_file_without_a_name(tmp_path):
    made = archive(tmp_path / "a.zip", {"sad/1.png": b"1", "": b"2"})
    assert refusal(lambda: list_images(made, OF_EMOTIONS)) == f"{made} holds '', a file without a name: it is not read"


def test_a_bomb(tmp_path, monkeypatch):
    made = archive(tmp_path / "a.zip", {"sad/1.png": bytes(1 << 24)})
    assert re.search(
        r"holds 'sad/1\.png', 16777216 bytes packed into \d+: no image shrinks so much, it is not read$",
        refusal(lambda: list_images(made, OF_EMOTIONS)),
    )
    monkeypatch.setattr(zips, "_MOST_OF_ALL", 1 << 30)
    many = archive(tmp_path / "b.zip", {f"sad/{k}.png": bytes(1 << 20) for k in range(8)})
    assert len(list_images(many, OF_EMOTIONS).images) == 8
    monkeypatch.setattr(zips, "_MOST_OF_ALL", (8 << 20) - 1)
    assert "would unpack to more than" in refusal(lambda: list_images(many, OF_EMOTIONS))


def test_one_file_too_large_for_an_image_is_left_out(tmp_path, monkeypatch):
    made = archive(tmp_path / "a.zip", {"sad/1.png": bytes(100)}, zipfile.ZIP_STORED)
    monkeypatch.setattr(zips, "_MOST_OF_A_FILE", 99)
    with pytest.raises(UnreadableImageError, match="larger than 0 MiB"):
        Zip(made).read("sad/1.png")


def test_an_encrypted_archive(tmp_path):
    made = archive(tmp_path / "a.zip", {"sad/1.png": b"1"})
    data = bytearray(made.read_bytes())
    data[data.index(b"PK\x03\x04") + 6] |= 1
    data[data.index(b"PK\x01\x02") + 8] |= 1
    made.write_bytes(data)
    assert "which is encrypted: unpack the archive with its password" in refusal(lambda: list_images(made, OF_EMOTIONS))


def test_a_truncated_archive_or_another_file_is_refused(tmp_path, draw):
    draw(tmp_path / "1.png")
    whole = archive(tmp_path / "a.zip", {f"sad/{k}.png": (tmp_path / "1.png").read_bytes() for k in range(3)})
    for size in (0, 10, whole.stat().st_size // 2, whole.stat().st_size - 10):
        (tmp_path / "torn.zip").write_bytes(whole.read_bytes()[:size])
        said = refusal(lambda: list_images(tmp_path / "torn.zip", OF_EMOTIONS))
        assert said == f"{tmp_path / 'torn.zip'} is not a complete zip archive: copy it again"


def test_a_damaged_member_is_left_out_with_the_reason(tmp_path, draw):
    good, bad = draw(tmp_path / "1.png").read_bytes(), draw(tmp_path / "2.png", seed=1).read_bytes()
    made = archive(tmp_path / "a.zip", {"sad/1.png": good, "sad/2.png": bad}, zipfile.ZIP_STORED)
    data = bytearray(made.read_bytes())
    data[data.index(bad) + 50] ^= 0xFF
    made.write_bytes(data)
    report = prepare(made, tmp_path / "set", Settings("emotions", ("rgb",), 16))
    assert "  sad/2.png: damaged in its archive (Bad CRC-32 for file 'sad/2.png')" in report.splitlines()


def test_hidden_files_of_an_archive_are_not_seen(tmp_path):
    made = archive(tmp_path / "a.zip", {"sad/1.png": b"", "__MACOSX/sad/._1.png": b"", "sad/.2.png": b"", "sad/": b""})
    assert Zip(made).files() == ["sad/1.png"]


def test_a_file_that_is_neither_archive_nor_table(tmp_path):
    (tmp_path / "thesis.doc").write_text("words")
    said = refusal(lambda: list_images(tmp_path / "thesis.doc", OF_EMOTIONS))
    assert said.startswith(f"{tmp_path / 'thesis.doc'} holds no image in a folder named like an emotion")


def test_an_archive_that_must_be_unpacked_needs_a_place(tmp_path):
    made = archive(tmp_path / "a.zip", {"faces/train.rec": b"x", "faces/train.idx": b"0\t0\n"})
    assert refusal(lambda: list_images(made, OF_PEOPLE)) == (
        f"{made} holds faces/train.rec, which needs random access: unpack the archive and give the folder"
    )
    made = archive(tmp_path / "b.zip", {"train_lmdb/data.mdb": b"x", "val_lmdb/data.mdb": b"x"})
    assert refusal(lambda: list_images(made, OF_PEOPLE)) == (
        f"{made} holds train_lmdb/data.mdb, which needs random access: unpack the archive and give the folder"
    )


def test_a_source_is_small_whatever_its_size(tmp_path):
    """It must not hold the list of its files."""
    members = {f"sad/{k}.png": b"x" for k in range(2000)}
    made = archive(tmp_path / "train.zip", members)
    write_records(tmp_path / "train.rec", [(0, (float(k % 7),), b"x") for k in range(2000)])
    for source in (Zip(made), Folder(tmp_path), FolderOfZips(tmp_path), Records(tmp_path / "train.rec")):
        held = getattr(source, "files", lambda source=source: list(source.samples()))()
        assert held
        assert len(pickle.dumps(source)) < 1000
    assert len(look(made).files) == 2000


# RecordIO


def records(folder: Path, images: list[bytes], labels: list[float] | None = None) -> Path:
    labels = labels or [float(k % 2) for k in range(len(images))]
    samples = [(0, (label,), data) for label, data in zip(labels, images, strict=True)]
    last = len(samples) + 1
    write_records(folder / "train.rec", [(2, (last, last + 1), b""), *samples, (2, (1.0, float(last)), b"")])
    return folder / "train.rec"


def test_the_bytes_of_a_record(tmp_path):
    """By hand: magic, length, flag 0, label 5, id 1, id2 0, three bytes, padded to a multiple of 4."""
    by_hand = struct.pack("<II", 0xCED7230A, 27) + struct.pack("<IfQQ", 0, 5.0, 1, 0) + b"abc" + b"\0"
    (tmp_path / "a.rec").write_bytes(by_hand)
    (tmp_path / "a.idx").write_text("1\t0\n")
    source = Records(tmp_path / "a.rec")
    assert list(source.samples()) == [(1, 5)]
    assert source.read("00005/00000001.jpg") == b"abc"
    assert packed(by_hand[8:-1]) == by_hand


def test_a_split_record_by_hand(tmp_path):
    """Parts 1, 2 and 3, joined by the magic at which they were split."""
    header = struct.pack("<IfQQ", 2, 0.0, 1, 0) + struct.pack("<2f", 8.0, 9.0)
    parts = [(1, header + b"abcd"), (2, b""), (2, b"efgh"), (3, b"ij")]
    data = b"".join(
        struct.pack("<II", MAGIC, part << 29 | len(text)) + text + bytes(-len(text) % 4) for part, text in parts
    )
    (tmp_path / "a.rec").write_bytes(data)
    (tmp_path / "a.idx").write_text("7\t0\n")
    magic = struct.pack("<I", MAGIC)
    assert Records(tmp_path / "a.rec").read("00008/00000007.jpg") == b"abcd" + magic + magic + b"efgh" + magic + b"ij"
    assert packed(header + b"abcd" + magic + magic + b"efgh" + magic + b"ij") == data
    assert list(Records(tmp_path / "a.rec").samples()) == [(7, 8)]


def test_record_0_gives_the_keys_of_the_samples(tmp_path):
    source = Records(records(tmp_path, [b"a", b"b", b"c"]))
    assert list(source.samples()) == [
        (1, 0),
        (2, 1),
        (3, 0),
    ]  # neither record 0 nor record 4, which is about the people
    assert [source.read(f"{k:08d}.jpg") for k in (1, 2, 3)] == [b"a", b"b", b"c"]


def test_a_truncated_recordio(tmp_path):
    made = records(tmp_path, [bytes(100)] * 5)
    data = made.read_bytes()
    for size in (len(data) - 45, len(data) - 60, len(data) // 2):
        made.write_bytes(data[:size])
        said = refusal(lambda: list_images(tmp_path, OF_PEOPLE))
        assert re.search(r"train\.rec: record \d at byte \d+ is cut off: |points outside its \.rec", said)
    made.write_bytes(b"")
    assert "points outside its .rec" in refusal(lambda: list_images(tmp_path, OF_PEOPLE))


@pytest.mark.parametrize(
    ("index", "said"),
    [
        ("", "is not an index of lines `key offset`: copy it again"),
        ("one two\n", "is not an index of lines"),
        ("1\t2\t3\n", "is not an index of lines"),
        ("1\t0\n2\n", "is not an index of lines"),
        ("0\t99999999999999999999\n", "is not an index of lines"),
        ("0\t999999\n", "points outside its .rec (cut off?), or twice to one record"),
        ("0\t-4\n", "points outside its .rec"),
        ("0\t2\n", "points outside its .rec"),
        ("0\t0\n0\t48\n", "points outside its .rec (cut off?), or twice"),
        ("0\t4\n", "record 0 at byte 4 is not a record: copy the file and its .idx again"),
    ],
)
def test_an_invalid_index(tmp_path, index, said):
    records(tmp_path, [bytes(100)] * 2).with_suffix(".idx").write_text(index)
    assert said in refusal(lambda: list_images(tmp_path, OF_PEOPLE))


def test_an_index_that_is_missing(tmp_path):
    records(tmp_path, [b"a"]).with_suffix(".idx").unlink()
    assert "train.idx, the index of the .rec, is missing: copy it" in refusal(lambda: list_images(tmp_path, OF_PEOPLE))


@pytest.mark.parametrize(
    ("word", "said"),
    [
        (struct.pack("<II", MAGIC, 2 << 29 | 20), "is not a record"),  # a middle without a first part
        (struct.pack("<II", MAGIC, (1 << 29) - 1), "is not a record"),  # half a GB
        (struct.pack("<II", MAGIC ^ 1, 20), "is not a record"),
        (struct.pack("<II", MAGIC, 5), "has no header"),
        (struct.pack("<III", MAGIC, 24, 4_000_000_000), "has no header"),  # so many labels
        (struct.pack("<IIIf", MAGIC, 24, 0, float("nan")), "has a label that is not a number"),
        (struct.pack("<IIIf", MAGIC, 24, 0, 1.5), "has the label 1.5, which is not a person"),
        (struct.pack("<IIIf", MAGIC, 24, 0, -1.0), "has the label -1.0, which is not a person"),
        (struct.pack("<IIIf", MAGIC, 24, 0, 1e30), "which is not a person"),
    ],
)
def test_an_invalid_record(tmp_path, word, said):
    made = records(tmp_path, [bytes(100)] * 2)
    offset = int(made.with_suffix(".idx").read_text().splitlines()[1].split()[1])
    data = bytearray(made.read_bytes())
    data[offset : offset + len(word)] = word
    made.write_bytes(data)
    assert said in refusal(lambda: list_images(tmp_path, OF_PEOPLE))


def test_labels_beyond_the_number_of_people(tmp_path):
    records(tmp_path, [b"a", b"b"], [0.0, 3.0])
    (tmp_path / "property").write_text("3,112,112")
    assert refusal(lambda: list_images(tmp_path, OF_PEOPLE)) == (
        f"{tmp_path / 'train.rec'} has labels beyond the 3 people in its property file: copy both files again"
    )
    (tmp_path / "property").write_text("4,112,112")
    assert len(list_images(tmp_path, OF_PEOPLE).images) == 2
