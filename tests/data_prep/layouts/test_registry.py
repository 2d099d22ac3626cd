"""The same drawn faces in every layout are recognised and give the same set."""

import csv
import logging
import shutil
import zipfile
from collections import Counter
from dataclasses import replace
from pathlib import Path

import cv2
import lmdb
import numpy as np
import pytest

from emotiw.data_prep.emotions import EMOTIONS
from emotiw.data_prep.image_list import Interpretation
from emotiw.data_prep.images import read_image
from emotiw.data_prep.layouts.lfw import IN_LFW
from emotiw.data_prep.layouts.registry import LAYOUTS, list_images
from emotiw.data_prep.prepare import prepare
from emotiw.data_prep.prepared_set import open_set
from emotiw.data_prep.synthetic import archives
from emotiw.data_prep.synthetic.faces import draw_expressions, draw_identities
from emotiw.data_prep.transform import Settings
from emotiw.errors import EmotiwError, UsageError
from emotiw.prototxt.formats.datum import decode
from emotiw.prototxt.formats.messages import Datum

OF_EMOTIONS = Interpretation("emotions")
OF_PEOPLE = Interpretation("identities")

PEOPLE = Settings("identities", ("rgb",), size=16, val=0.25, seed=2)


@pytest.fixture(scope="module")
def people(tmp_path_factory):
    """Draw three people, eight pictures each, in CASIA-WebFace's folders."""
    folder = tmp_path_factory.mktemp("people") / "CASIA-maxpy-clean"
    draw_identities(folder, 3, 8, seed=0)
    return folder


@pytest.fixture(scope="module")
def faces(tmp_path_factory):
    folder = tmp_path_factory.mktemp("faces") / "faces"
    draw_expressions(folder, 2, 1, seed=0)
    return folder


def zipped(folder: Path, archive: Path) -> Path:
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as file:
        for path in sorted(folder.rglob("*")):
            file.write(path, path.relative_to(folder.parent))
    return archive


def refusal(call, kind=EmotiwError) -> str:
    with pytest.raises(kind) as caught:
        call()
    assert "\n" not in str(caught.value)
    return str(caught.value)


def as_list(people, place):
    shutil.copytree(people, place / "images")
    paths = [str(path.relative_to(place)) for path in sorted(place.glob("images/*/*"))]
    (place / "list.txt").write_text("".join(f"{path} {path.split('/')[1]}\n" for path in paths))
    return place / "list.txt"


def as_csv(people, place):
    shutil.copytree(people, place / "images")
    with (place / "casia.csv").open("w", newline="", encoding="utf-8-sig") as file:
        table = csv.writer(file)
        table.writerow(["label", "path", "remark"])
        table.writerows(
            (path.parent.name, path.relative_to(place), "a, b") for path in sorted(place.glob("images/*/*"))
        )
    return place


def as_lmdb(people, place):
    prepare(people, place / "whole", replace(PEOPLE, size=112, val=None))
    return place / "whole/rgb"


def as_records(people, place):
    archives.as_recordio(people, place / "faces_webface_112x112")
    return place


PEOPLES = {
    "folders": lambda people, place: people,
    "folders in a zip": lambda people, place: zipped(people, place / "casia.zip"),
    "list": as_list,
    "list in a zip": lambda people, place: zip_of(as_list(people, place).parent, place / "list.zip"),
    "csv": as_csv,
    "csv wrapped in a zip": lambda people, place: zipped(as_csv(people, place / "any"), place / "csv.zip"),
    "list wrapped in a zip": lambda people, place: zipped(as_list(people, place / "any").parent, place / "list.zip"),
    "recordio": as_records,
    "lmdb": as_lmdb,
}


def held(place: Path) -> Path:
    (place / "held").mkdir()
    return place / "held"


def zip_of(folder: Path, archive: Path) -> Path:
    """Return an archive with its table at the top."""
    files = [path for path in sorted(folder.rglob("*")) if path.is_file()]
    with zipfile.ZipFile(archive, "w") as file:
        for path in files:
            file.write(path, path.relative_to(folder))
    return archive


@pytest.mark.parametrize("kind", PEOPLES)
def test_casia_is_recognised_in_every_layout_with_equal_splits(people, tmp_path, kind, caplog):
    source = PEOPLES[kind](people, held(tmp_path))
    caplog.set_level(logging.INFO, "emotiw")
    report = prepare(source, tmp_path / "set", PEOPLE, 2)
    assert f": layout {kind.split()[0]}, 24 images; rgb at 16 x 16, raw: 0.00 GB" in caplog.messages[0]
    prepared = open_set(tmp_path / "set")
    assert prepared.facts.layout == kind.split()[0]
    counts = Counter((row["label"], row["split"]) for row in prepared.manifest)
    assert counts == {(label, split): n for label in "012" for split, n in (("train", 6), ("val", 2))}
    assert "left out" not in report
    again = tmp_path / "again"
    prepare(source, again, PEOPLE)
    assert (again / "manifest.csv").read_bytes() == (tmp_path / "set/manifest.csv").read_bytes()


@pytest.mark.parametrize("kind", ["folders in a zip", "list", "list in a zip", "csv", "csv wrapped in a zip"])
def test_the_pictures_are_the_folders_own(people, tmp_path, kind):
    for name, source in (("plain", people), ("packed", PEOPLES[kind](people, held(tmp_path)))):
        prepare(source, tmp_path / name, PEOPLE)
    plain, packed = (
        sorted((Path(row["path"]).name, row["name"], row["sha256"]) for row in open_set(tmp_path / name).manifest)
        for name in ("plain", "packed")
    )
    assert plain == packed


def test_a_recordio_holds_the_same_people(people, tmp_path):
    listing = list_images(as_records(people, tmp_path), OF_PEOPLE)
    assert [image.path for image in listing.images[:2]] == ["00000/00000001.jpg", "00000/00000002.jpg"]
    assert listing.classes == ("00000", "00001", "00002")
    assert len([note for note in listing.notes if note.startswith("warning: faces of 112 x 112 pixels")]) == 1
    for number, path in enumerate(sorted(people.glob("*/*"))):
        drawn = cv2.resize(read_image(path), (112, 112)).astype(int)
        data = np.frombuffer(listing.source.read(listing.images[number].path), np.uint8)
        found = cv2.imdecode(data, cv2.IMREAD_COLOR)[..., ::-1]
        assert np.abs(drawn - found).mean() < 5


def test_an_lmdb_of_pixels_gives_the_same_pixels(people, tmp_path):
    source = as_lmdb(people, tmp_path)
    listing = list_images(source, OF_PEOPLE)
    assert {image.split for image in listing.images} == {"train"}
    with lmdb.open(str(source / "train_lmdb"), readonly=True, lock=False) as env, env.begin() as transaction:
        values = {key.decode()[9:]: decode(value) for key, value in transaction.cursor()}
    for image in listing.images:
        blob, label = values[image.path.removeprefix("train_lmdb/")]
        found = cv2.imdecode(np.frombuffer(listing.source.read(image.path), np.uint8), cv2.IMREAD_COLOR)
        np.testing.assert_array_equal(found.transpose(2, 0, 1), blob)
        assert image.label == label


@pytest.mark.parametrize("kind", ["folders", "folders in a zip", "list", "csv"])
def test_lfws_people_are_dropped_on_request_only(people, tmp_path, kind):
    shutil.copytree(people, tmp_path / "casia")
    (tmp_path / "casia/0000002").rename(tmp_path / f"casia/{IN_LFW[1]}")
    (tmp_path / "made").mkdir()
    source = PEOPLES[kind](tmp_path / "casia", tmp_path / "made")
    assert len(list_images(source, OF_PEOPLE).images) == 24
    listing = list_images(source, Interpretation("identities", drop_lfw=True))
    assert listing.classes == ("0000001", "0000003")
    assert {image.label for image in listing.images} == {0, 1}
    assert listing.notes == ("dropped, in LFW too: 1056413 (8 images)",)
    assert list_images(people, Interpretation("identities", drop_lfw=True)).notes == (
        "dropped, in LFW too: none of the three people is here",
    )


def test_lfws_people_are_the_three():
    assert IN_LFW == ("0166921", "1056413", "1193098")


def test_one_representation_at_a_time_gives_the_same_set(faces, tmp_path):
    settings = Settings("emotions", ("rgb", "lbp", "cyclic_lbp_10"), size=16, val=0.5, seed=3)
    prepare(faces, tmp_path / "all", settings)
    for name in settings.representations:
        prepare(faces, tmp_path / name, replace(settings, representations=(name,)))
        assert (tmp_path / name / "manifest.csv").read_bytes() == (tmp_path / "all/manifest.csv").read_bytes()
        for file in ("train_lmdb/data.mdb", "val_lmdb/data.mdb", "mean.binaryproto"):
            one, all_ = (folder / name / file for folder in (tmp_path / name, tmp_path / "all"))
            assert contents(one) == contents(all_)


def contents(path: Path) -> object:
    if path.name != "data.mdb":
        return path.read_bytes()
    with lmdb.open(str(path.parent), readonly=True, lock=False) as env, env.begin() as transaction:
        return [(bytes(key), bytes(value)) for key, value in transaction.cursor()]


def test_fer2013s_numbers_are_its_own(tmp_path):
    """An Di Fe Ha Sa Su Ne are 0 to 6; the grey pixels are in rows."""
    rng = np.random.default_rng(0)
    pictures = rng.integers(0, 256, (9, 48, 48), np.uint8)
    rows = [
        f'{k % 7},"{" ".join(map(str, picture.ravel()))}",{("Training", "PublicTest", "PrivateTest")[k // 7 % 3]}\n'
        for k, picture in enumerate(pictures)
    ]
    (tmp_path / "fer2013.csv").write_text("emotion,pixels,Usage\n" + "".join(rows))
    for source in (tmp_path, tmp_path / "fer2013.csv"):
        listing = list_images(source, OF_EMOTIONS)
        assert listing.layout == "fer2013"
        names = ["Angry", "Disgust", "Fear", "Happy", "Sad", "Surprise", "Neutral", "Angry", "Disgust"]
        assert [image.name for image in listing.images] == names
        assert [image.split for image in listing.images] == ["train"] * 7 + ["val"] * 2
        for image, picture in zip(listing.images, pictures, strict=True):
            data = np.frombuffer(listing.source.read(image.path), np.uint8)
            np.testing.assert_array_equal(cv2.imdecode(data, cv2.IMREAD_GRAYSCALE), picture)
    bad = rows[0].replace(" ", " 999 ", 1)
    (tmp_path / "fer2013.csv").write_text(f"emotion,pixels,Usage\n{rows[1]}{bad}")
    assert "1 files" in prepare(tmp_path / "fer2013.csv", tmp_path / "set", Settings("emotions", ("rgb",), 16))
    (tmp_path / "fer2013.csv").write_text("emotion,pixels,Usage\n7,1 2 3 4,Training\n")
    assert "row 0: emotion '7' and Usage 'Training' are not FER2013's" in refusal(
        lambda: list_images(tmp_path / "fer2013.csv", OF_EMOTIONS)
    )


def test_raf_dbs_numbers_are_its_own(tmp_path, draw):
    """1 Su 2 Fe 3 Di 4 Ha 5 Sa 6 An 7 Ne; the names give the split."""
    lines = [f"{'train' if k < 6 else 'test'}_{k:05d}.jpg {k}" for k in range(1, 8)]
    for line in lines:
        draw(tmp_path / f"basic/Image/aligned/{line[:-6]}_aligned.jpg")
    (tmp_path / "basic/EmoLabel").mkdir()
    (tmp_path / "basic/EmoLabel/list_patition_label.txt").write_text("\n".join(lines))
    listing = list_images(tmp_path, OF_EMOTIONS)
    assert listing.layout == "raf-db"
    found = {image.path[-17:-12]: (image.name, image.split) for image in listing.images}
    assert found == {
        "00001": ("Surprise", "train"),
        "00002": ("Fear", "train"),
        "00003": ("Disgust", "train"),
        "00004": ("Happy", "train"),
        "00005": ("Sad", "train"),
        "00006": ("Angry", "test"),
        "00007": ("Neutral", "test"),
    }
    assert all(listing.source.read(image.path) for image in listing.images)


def test_a_table_of_emotions_has_names_or_the_authors_numbers(tmp_path, draw):
    for number in range(4):
        draw(tmp_path / f"{number}.png", seed=number)
    (tmp_path / "a.csv").write_text(
        "path,label,emotion,split\n0.png,6,anger,train\n1.png,0,contempt,Val\n./2.png,1,,val\n"
    )
    listing = list_images(tmp_path / "a.csv", OF_EMOTIONS)
    assert [(image.path, image.name, image.split) for image in listing.images] == [("0.png", "Angry", "train")]
    assert listing.unknown_classes == Counter({"contempt": 1, "": 1})
    (tmp_path / "b.txt").write_text("0.png 0\n3.png 6\n\n0.png 0\n../x.png 3\n/etc/x.png 3\nnone.png 4\n")
    listing = list_images(tmp_path / "b.txt", Interpretation("emotions", order="emotiw"))
    assert [(image.path, image.name) for image in listing.images] == [
        ("0.png", EMOTIONS[0]),
        ("3.png", EMOTIONS[6]),
        ("none.png", EMOTIONS[4]),
    ]
    (note,) = listing.notes
    assert note.startswith("labels are numbers: 0 Angry, 1 Disgust, 2 Fear")
    assert listing.left_out == {
        "0.png (again)": "is listed twice",
        "../x.png": "is outside the source",
        "/etc/x.png": "is outside the source",
    }
    report = prepare(tmp_path / "b.txt", tmp_path / "set", Settings("emotions", ("rgb",), 16, order="emotiw"))
    assert "  none.png: No such file or directory" in report.splitlines()


@pytest.mark.parametrize(
    ("name", "text", "said"),
    [
        ("l.txt", "1.png 7\n", "l.txt: 1.png: label 7 is not in the order emotiw: 0 Angry, 1 Disgust"),
        ("l.txt", "1.png 1\n2.png\n", "l.txt, line 2 is not `path label`: '2.png'"),
        ("l.csv", "path,label,split\n1.png,sad,trian\n", "1.png: split 'trian' is not one of train, val, test"),
        ("l.csv", "path,label\n1.png,sad,3\n", "l.csv has a row of 3 columns, not 2: correct the table"),
        (
            "l.csv",
            "path,label\n1.txt,sad\n",
            "holds no image that can be used, as the layout csv: 1.txt: not the name of",
        ),
        ("l.csv", 'path,label\n"' + "x" * 200_000 + '",1\n', "l.csv is not a valid CSV: field larger than field limit"),
    ],
)
def test_an_invalid_table_is_a_one_line_error(tmp_path, name, text, said):
    (tmp_path / name).write_text(text)
    assert said in refusal(lambda: list_images(tmp_path / name, Interpretation("emotions", order="emotiw")))


def test_a_binary_table_is_a_one_line_error(tmp_path):
    (tmp_path / "l.csv").write_bytes(b"path,label\n\xff.png,sad\n")
    assert refusal(lambda: list_images(tmp_path, OF_EMOTIONS)).endswith("l.csv is not UTF-8 text: save it as UTF-8")


def test_a_layout_can_be_forced_and_must_exist(faces, people, tmp_path):
    assert list_images(faces, Interpretation("emotions", layout="folders")).layout == "folders"
    names = ", ".join(row.name for row in LAYOUTS)
    assert refusal(lambda: list_images(faces, Interpretation("emotions", layout="casia")), UsageError) == (
        f"--layout casia is not one of {names}"
    )
    for layout in ("recordio", "csv", "list", "fer2013", "sfew-csv", "raf-db"):
        labels = "identities" if layout == "recordio" else "emotions"
        said = refusal(lambda layout=layout, labels=labels: list_images(faces, Interpretation(labels, layout=layout)))
        assert said.startswith(f"{faces} does not hold one file named *")
    assert refusal(lambda: list_images(as_records(people, tmp_path), OF_EMOTIONS), UsageError) == (
        f"{tmp_path} is in the layout recordio: give --labels identities"
    )
    assert "give --labels identities" in refusal(
        lambda: list_images(faces, Interpretation("emotions", drop_lfw=True)), UsageError
    )


def test_refusals_of_known_sources_name_the_remedy(people, tmp_path):
    (tmp_path / "mirror/data").mkdir(parents=True)
    (tmp_path / "mirror/data/train-00000-of-00010.parquet").write_bytes(b"PAR1")
    (tmp_path / "mirror/README.md").write_text("words")
    for source in (tmp_path / "mirror", tmp_path / "mirror/data/train-00000-of-00010.parquet"):
        assert refusal(lambda source=source: list_images(source, OF_PEOPLE)) == (
            f"{source} holds parquet files, which are not read: write each row's image.bytes to a file "
            "<label>/<row>.jpg, and give the folder of these"
        )
    prepare(people, tmp_path / "set", PEOPLE)
    assert refusal(lambda: list_images(tmp_path / "set", OF_PEOPLE)) == (
        f"{tmp_path / 'set'} is a prepared set already: give the faces that it was made of, or the LMDBs of one of its "
        f"representations, such as {tmp_path / 'set/rgb'}"
    )
    assert len(list_images(tmp_path / "set/rgb", OF_PEOPLE).images) == 24


@pytest.mark.parametrize(
    ("file", "said"),
    [
        (
            "CASIA-WebFace.zip",
            "; CASIA-WebFace.zip is an archive in SOURCE: give that file itself, or unpack",
        ),
        ("casia.tar.gz", "; casia.tar.gz is an archive that is not read in place: unpack it and give the folder"),
        ("a/casia.RAR", "; a/casia.RAR is an archive that is not read in place: unpack it and give the folder"),
        (
            "train.idx",
            "; train.idx is the index of a RecordIO file: give the .rec beside it, or their folder",
        ),
        ("thesis.doc", " holds no image in a folder named like a person"),
    ],
)
def test_hints_for_sources_without_images(tmp_path, file, said):
    (tmp_path / file).parent.mkdir(exist_ok=True)
    (tmp_path / file).write_bytes(b"x")
    assert said in refusal(lambda: list_images(tmp_path, OF_PEOPLE))


def test_an_invalid_lmdb_is_a_one_line_error(tmp_path):
    def fill(name, value):
        with lmdb.open(str(tmp_path / name), map_size=1 << 20) as env, env.begin(write=True) as transaction:
            transaction.put(b"any key", value)
        return tmp_path / name

    far = fill("far", Datum(channels=3, height=1, width=1, data=b"abc", label=7).SerializeToString())
    said = refusal(lambda: list_images(far, Interpretation("emotions", order="emotiw")))
    assert said == f"{far}: any key has the label 7, which is none of the classes"
    assert "labels are numbers" in refusal(lambda: list_images(far, OF_EMOTIONS))
    junk = fill("junk", b"\xff\xff\xff")
    assert "holds a value that is not a Datum" in refusal(lambda: list_images(junk, OF_EMOTIONS))
    bent = fill("bent", Datum(channels=3, height=9, width=9, data=b"abc", label=1).SerializeToString())
    said = refusal(lambda: prepare(bent, tmp_path / "set", Settings("emotions", ("rgb",), 16, order="emotiw")))
    assert said.endswith("any key: the size of its Datum does not fit the number of bytes")
    (tmp_path / "torn").mkdir()
    (tmp_path / "torn/data.mdb").write_bytes(b"x" * 9000)
    assert "torn is not a complete LMDB" in refusal(lambda: list_images(tmp_path / "torn", OF_EMOTIONS))
    (tmp_path / "torn/data.mdb").write_bytes((bent / "data.mdb").read_bytes()[:-4096])
    assert refusal(lambda: list_images(tmp_path / "torn", OF_EMOTIONS)) == (
        f"{tmp_path / 'torn'} is cut off: copy it again, or prepare it again"
    )


def test_the_lmdbs_of_a_set_carry_its_order(faces, tmp_path):
    prepare(faces, tmp_path / "set", Settings("emotions", ("rgb",), size=16))
    for source in (tmp_path / "set/rgb", tmp_path / "set/rgb/train_lmdb"):
        listing = list_images(source, OF_EMOTIONS)
        assert {image.name for image in listing.images} == {*EMOTIONS}
        assert listing.order.startswith("0 Angry, 1 Disgust")
    shutil.copytree(tmp_path / "set/rgb", tmp_path / "elsewhere/rgb")
    assert "--order emotiw" in refusal(lambda: list_images(tmp_path / "elsewhere/rgb", OF_EMOTIONS))
    listing = list_images(tmp_path / "elsewhere/rgb", Interpretation("emotions", order="emotiw"))
    assert len(listing.images) == 14


def test_an_unknown_table_is_named_with_the_columns_it_needs(tmp_path, draw):
    draw(tmp_path / "images/1.png")
    (tmp_path / "faces.csv").write_text("number,what\n1,Sad\n")
    said = refusal(lambda: list_images(tmp_path, OF_EMOTIONS))
    assert "faces.csv has the columns number, what: a table needs one of paths (path, image, " in said
    said = refusal(lambda: list_images(tmp_path, Interpretation("emotions", table="faces.csv")))
    assert said.startswith(f"{tmp_path}: faces.csv has the columns number, what: a table needs")
