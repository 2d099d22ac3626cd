"""The same drawn faces in the layouts of public expression sets: images, labels, splits and groups."""

import json
import shutil
import struct
import zipfile
from collections import Counter
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest

from emotiw.data_prep.emotions import EMOTIONS
from emotiw.data_prep.image_list import Interpretation
from emotiw.data_prep.images import decode
from emotiw.data_prep.layouts.registry import LAYOUTS, list_images
from emotiw.data_prep.prepare import prepare
from emotiw.data_prep.prepared_set import open_set
from emotiw.data_prep.synthetic import expression_sets as sets
from emotiw.data_prep.synthetic.faces import draw_expressions
from emotiw.data_prep.transform import Settings
from emotiw.errors import EmotiwError, UsageError

OF_EMOTIONS = Interpretation("emotions")
OF_PEOPLE = Interpretation("identities")

Listed = dict[str, tuple[str, str, str]]


@pytest.fixture(scope="module")
def faces(tmp_path_factory):
    """Draw four people: two in train, one in val, one in test; one face of each expression."""
    folder = tmp_path_factory.mktemp("faces") / "faces"
    draw_expressions(folder, 4, 1, seed=0)
    return folder


@pytest.fixture(scope="module")
def twice(tmp_path_factory):
    """Draw three people, two faces of each expression."""
    folder = tmp_path_factory.mktemp("twice") / "faces"
    draw_expressions(folder, 3, 2, seed=0)
    return folder


def listed(source: Path, labels: str = "emotions") -> Listed:
    """Return class, split and group of every image by its path; the group is empty if it is the image itself."""
    listing = list_images(source, Interpretation(labels))
    assert all(listing.source.read(image.path) for image in listing.images)
    return {image.path: (image.name, image.split, image.group.replace(image.path, "")) for image in listing.images}


def refusal(call, kind=EmotiwError) -> str:
    with pytest.raises(kind) as caught:
        call()
    assert "\n" not in str(caught.value)
    return str(caught.value)


def empty(folder: Path, *paths: str) -> Path:
    for path in paths:
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_bytes(b"")
    return folder


def zipped(folder: Path, archive: Path) -> Path:
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as file:
        for path in sorted(folder.rglob("*")):
            file.write(path, path.relative_to(folder.parent))
    return archive


# The number of the 28 faces in each split, and the layout.
FORMS = {
    "fer2013": (sets.as_fer2013, "fer2013", (14, 7, 7)),
    "ferplus": (sets.as_ferplus, "ferplus", (14, 7, 7)),
    "ferplus files": (sets.as_ferplus_files, "ferplus", (14, 7, 7)),
    "raf-db": (sets.as_raf_db_kaggle, "raf-db-kaggle", (21, 0, 7)),
    "affectnet": (sets.as_affectnet, "affectnet", (21, 7, 0)),
    "affectnet npy": (sets.as_affectnet_npy, "affectnet-npy", (21, 7, 0)),
    "jaffe": (sets.as_jaffe, "jaffe", (28, 0, 0)),
    "kdef": (sets.as_kdef, "kdef", (28, 0, 0)),
    "ck+": (sets.as_ck_plus, "ck+", (24, 0, 0)),
}


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("packed", [False, True])
def test_every_form_is_recognised_and_holds_each_class_alike(faces, tmp_path, form, packed):
    write, layout, splits = FORMS[form]
    write(faces, tmp_path / "held")
    source = zipped(tmp_path / "held", tmp_path / "held.zip") if packed else tmp_path / "held"
    report = prepare(source, tmp_path / "set", Settings("emotions", ("rgb",), size=16))
    prepared = open_set(tmp_path / "set")
    assert json.loads((tmp_path / "set/set.json").read_text())["layout"] == layout
    assert tuple(prepared.count(split) for split in ("train", "val", "test")) == splits
    counts = Counter(row["name"] for row in prepared.manifest)
    assert counts == dict.fromkeys({*EMOTIONS} - ({"Neutral"} if form == "ck+" else set()), 4)
    assert "left out" not in report


@pytest.mark.parametrize("form", FORMS)
def test_every_face_has_the_class_that_was_drawn(faces, tmp_path, form):
    """The pictures are matched by content, although they are small, grey or compressed."""
    FORMS[form][0](faces, tmp_path / "held")
    small = lambda rgb: cv2.resize(cv2.cvtColor(rgb, cv2.COLOR_RGB2GRAY), (48, 48)).astype(int)  # noqa: E731
    drawn = {path: small(decode(path.read_bytes())) for path in faces.rglob("*.png")}
    listing = list_images(tmp_path / "held", OF_EMOTIONS)
    assert listing.images
    for image in listing.images:
        picture = small(decode(listing.source.read(image.path)))
        nearest = min(drawn, key=lambda path: np.abs(drawn[path] - picture).mean())
        assert nearest.parent.name == image.name


def test_every_layout_documents_how_it_is_recognised():
    assert len({row.name for row in LAYOUTS}) == len(LAYOUTS)
    for row in LAYOUTS:
        assert len(row.recognised) > 10, row.name
        assert len(row.needs) > 10, row.name


@pytest.mark.parametrize("form", FORMS)
def test_class_folders_take_precedence_over_other_names(faces, tmp_path, form):
    """Such a source is read as folders, unless its tables name other images than the folders hold."""
    if form in ("fer2013",):
        return
    FORMS[form][0](faces, tmp_path / "held")
    shutil.copytree(faces, tmp_path / "held/faces")
    if form in ("ferplus", "ferplus files", "raf-db"):
        assert "--table" in refusal(lambda: list_images(tmp_path / "held", OF_EMOTIONS))
    assert list_images(tmp_path / "held", Interpretation("emotions", layout="folders")).layout == "folders"
    if form not in ("ferplus", "ferplus files", "raf-db"):
        assert list_images(tmp_path / "held", OF_EMOTIONS).layout == "folders"


# FER2013 without Usage


def test_fer2013_without_usage_has_no_splits_and_a_note(faces, tmp_path):
    sets.as_fer2013(faces, tmp_path / "held", usage=False)
    for source in (tmp_path / "held", tmp_path / "held/fer2013.csv"):
        listing = list_images(source, OF_EMOTIONS)
        assert {image.split for image in listing.images} == {""}
        assert listing.notes == (f"{tmp_path / 'held/fer2013.csv'} has no column Usage: all its images train",) or (
            listing.notes == (f"{tmp_path / 'held'}: fer2013.csv has no column Usage: all its images train",)
        )
    prepare(tmp_path / "held", tmp_path / "set", Settings("emotions", ("rgb",), size=16))
    assert open_set(tmp_path / "set").count("train") == 28
    with (tmp_path / "held/fer2013.csv").open("a") as file:
        file.write("7,1 2 3 4\n")
    assert refusal(lambda: list_images(tmp_path / "held", OF_EMOTIONS)).endswith(
        "fer2013.csv, row 28: emotion '7' is not one of FER2013's 0 to 6"
    )


def test_blank_lines_of_fer2013_are_ignored(faces, tmp_path):
    sets.as_fer2013(faces, tmp_path / "held")
    before = listed(tmp_path / "held")
    for blank in ("   \n", ",,\n", "\n\n", '"","",""\n', " "):
        with (tmp_path / "held/fer2013.csv").open("a") as file:
            file.write(blank)
        assert listed(tmp_path / "held") == before


def test_a_row_of_fer2013_without_pixels_is_left_out(tmp_path):
    (tmp_path / "fer2013.csv").write_text(f"emotion,pixels\n3,1 2 3 4\n0\n1,{'9' * 30}\n")
    report = prepare(tmp_path, tmp_path.with_name("set"), Settings("emotions", ("rgb",), size=16))
    assert "  00001.pgm: its pixels are not a square of numbers from 0 to 255" in report.splitlines()
    assert "  00002.pgm: its pixels are not numbers" in report.splitlines()


# FERPlus

HEAD = "Usage,Image name,neutral,happiness,surprise,sadness,anger,disgust,fear,contempt,unknown,NF\n"
VOTES = {
    "Training,fer0000000.png,4,0,0,1,3,2,0,0,0,0": "Neutral",
    "Training,fer0000001.png,0,0,0,0,10,0,0,0,0,0": "Angry",
    "PublicTest,fer0000002.png,0,0,4,0,0,0,3,0,3,0": "Surprise",
    "PrivateTest,fer0000003.png,1,2,0,0,0,0,7,0,0,0": "Fear",
    "Training,fer0000004.png,4,0,0,4,1,0,0,0,1,0": "a tie",
    "Training,fer0000005.png,1,0,0,0,0,0,0,9,0,0": "contempt",
    "Training,fer0000006.png,1,3,0,0,0,0,0,0,6,0": "unknown",
    "Training,fer0000007.png,4,0,0,0,0,0,0,0,0,6": "NF",
    "Training,,0,0,0,0,0,0,0,0,0,10": "without a name (no face)",
    "Training,fer0000009.png,5,0,0,0,0,0,0,5,0,0": "a tie",
    "Training,fer0000010.png,0,0,0,0,0,0,0,0,0,0": "no class has a vote",
    "Training,fer0000011.png,0,0,0,0,0,6,4,0,0,0": "Disgust",
    "Training,fer0000012.png,0,10,0,0,0,0,0,0,0,0": "Happy",
    "Training,fer0000013.png,0,0,0,9,0,0,0,0,0,0": "Sad",
}


def ferplus(folder: Path, pixels: bool) -> Path:
    """Write the table above, with FER2013's, where all labels are 3 (Happy), or with the PNGs that it names."""
    folder.mkdir()
    (folder / "fer2013new.csv").write_text(HEAD + "".join(f"{row}\n" for row in VOTES))
    if pixels:
        rows = "".join(f"3,{k} {k} {k} {k},{row.split(',')[0]}\n" for k, row in enumerate(VOTES))
        (folder / "fer2013.csv").write_text(f"emotion,pixels,Usage\n{rows}")
    else:
        for row in VOTES:
            if name := row.split(",")[1]:
                cv2.imwrite(str(folder / name), np.zeros((2, 2, 3), np.uint8))
    return folder


@pytest.mark.parametrize("pixels", [True, False])
def test_the_votes_decide_and_images_left_out_are_counted(tmp_path, pixels):
    source = ferplus(tmp_path / "held", pixels)
    listing = list_images(source, OF_EMOTIONS)
    number = (lambda path: int(path[:5])) if pixels else (lambda path: int(path[3:10]))
    words = [row.split(",")[0] for row in VOTES]
    splits = {"Training": "train", "PublicTest": "val", "PrivateTest": "test"}
    kinds = list(VOTES.values())
    used = {k: (kind, splits[words[k]]) for k, kind in enumerate(kinds) if kind in EMOTIONS}
    assert {number(image.path): (image.name, image.split) for image in listing.images} == used
    if pixels:
        assert {number(path): why for path, why in listing.left_out.items()} == {
            k: kind for k, kind in enumerate(kinds) if kind not in EMOTIONS
        }
        assert listing.source.read("00011.pgm") == b"P5 2 2 255\n" + bytes([11] * 4)
    else:
        assert listing.left_out["fer2013new.csv, row 9"] == "without a name (no face)"
        assert len(listing.left_out) == 7
    assert listing.notes == (
        "left out by FERPlus's votes: 1 NF, 2 a tie, 1 contempt, 1 no class has a vote, 1 unknown, "
        "1 without a name (no face)",
    )
    assert list_images(source / "fer2013new.csv", OF_EMOTIONS).images == listing.images


def test_ferplus_reports_missing_files(tmp_path):
    source = ferplus(tmp_path / "held", False)
    (source / "fer0000012.png").unlink()
    cv2.imwrite(str(source / "more.png"), np.zeros((2, 2, 3), np.uint8))
    listing = list_images(source, OF_EMOTIONS)
    assert listing.left_out["fer0000012.png"] == "is not there"
    assert listing.notes[1].startswith("1 image files are not used: FERPlus's table does not name them")
    empty(source, "again/fer0000000.png")
    assert "which have one name: keep one" in refusal(lambda: list_images(source, OF_EMOTIONS))


def test_tables_of_ferplus_and_fer2013_that_do_not_match(tmp_path):
    source = ferplus(tmp_path / "held", True)
    table, text = source / "fer2013.csv", (source / "fer2013.csv").read_text()
    table.write_text(text + "3,1 2 3 4,Training\n")
    said = refusal(lambda: list_images(source, OF_EMOTIONS))
    assert said.endswith("fer2013.csv has 15 rows and fer2013new.csv 14: they do not belong together")
    table.write_text(text.replace("Training", "PublicTest", 1))
    said = refusal(lambda: list_images(source, OF_EMOTIONS))
    assert said.endswith("fer2013.csv, row 1 is of the split PublicTest, and of Training in fer2013new.csv")
    table.write_text("a,b\n1,2\n")
    assert "does not have FER2013's columns" in refusal(lambda: list_images(source, OF_EMOTIONS))


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "is not a valid CSV"),
        ("a,b\n", "has the columns a, b, not Usage, Image name, neutral"),
        (HEAD + "Training,a.png,1\n", "row 1 is not a Usage, a name and ten votes: 'Training,a.png,1'"),
        (HEAD + f"Trian,a.png{',1' * 10}\n", "row 1 is not a Usage"),
        (HEAD + f"Training,a.png,x{',1' * 9}\n", "row 1: neutral has 'x', which is not a number of votes"),
        (HEAD + f"Training,a.png,-1{',1' * 9}\n", "row 1: neutral has '-1', which is not a number of votes"),
        (HEAD + f"Training,a.png,nan{',1' * 9}\n", "row 1: neutral has 'nan'"),
        (HEAD + f"Training,a.png,{'9' * 5000}{',1' * 9}\n", "row 1: neutral has '9999"),
        (HEAD + '"' + "x" * 200_000, "is not a valid CSV: field larger than field limit"),
    ],
)
def test_an_invalid_table_of_votes_is_a_one_line_error(tmp_path, text, said):
    (tmp_path / "fer2013new.csv").write_text(text)
    assert said in refusal(lambda: list_images(tmp_path, Interpretation("emotions", layout="ferplus")))


def test_ferplus_needs_its_table(faces):
    assert refusal(lambda: list_images(faces, Interpretation("emotions", layout="ferplus"))) == (
        f"{faces} does not hold one file named *fer2013new.csv: give the folder that does"
    )


# RAF-DB as Kaggle has it


def test_raf_dbs_folders_are_numbered_in_its_own_order(tmp_path):
    names = [
        f"DATASET/{split}/{k}/{split}_{k:05d}_aligned.jpg" for k, split in enumerate(["train"] * 5 + ["test"] * 2, 1)
    ]
    empty(tmp_path, *names)
    listing = list_images(tmp_path, OF_EMOTIONS)
    classes = ["Surprise", "Fear", "Disgust", "Happy", "Sad", "Angry", "Neutral"]
    found = {image.path: (image.name, image.split) for image in listing.images}
    assert found == {n: (c, "train" if k < 5 else "test") for k, (n, c) in enumerate(zip(names, classes, strict=True))}
    assert listing.notes == (
        "no test_labels.csv confirms the labels: taken from the folders",
        "no train_labels.csv confirms the labels: taken from the folders",
    )


def test_raf_dbs_tables_and_folders_must_agree(faces, tmp_path):
    sets.as_raf_db_kaggle(faces, tmp_path / "held")
    table = tmp_path / "held/train_labels.csv"
    text = table.read_text()
    first = text.splitlines()[1]
    number = first.split(",")[1]
    other = f"{first[:-1]}{1 + int(number) % 7}"
    for bad in (text.replace(first, other), text.replace(f"{first}\n", "")):
        table.write_text(bad)
        said = refusal(lambda: list_images(tmp_path / "held", OF_EMOTIONS))
        assert said.endswith(f"the table train_labels.csv does not give it its folder's label {number}")
    table.write_text(text + "train_99999_aligned.jpg,1\n  \n,\n")
    listing = list_images(tmp_path / "held", OF_EMOTIONS)
    assert len(listing.images) == 28
    assert listing.left_out == {"train_labels.csv: train_99999_aligned.jpg": "is not there"}
    for bad in ("a.jpg\n", "a.jpg,x\n", "a.jpg,1,2\n", f"{other}\n"):
        table.write_text(text + bad)
        assert "is not an image with one number" in refusal(lambda: list_images(tmp_path / "held", OF_EMOTIONS))
    table.write_text("name,emotion\n")
    assert refusal(lambda: list_images(tmp_path / "held", OF_EMOTIONS)).endswith(
        "does not have the columns image and label"
    )


@pytest.mark.parametrize("path", ["train/0/train_00001_aligned.jpg", "train/8/train_1.jpg", "test/1/train_00002.jpg"])
def test_files_outside_raf_dbs_folders_are_refused(tmp_path, path):
    empty(tmp_path, "train/1/train_00009_aligned.jpg", path)
    assert f"{path} is not in RAF-DB's folders" in refusal(lambda: list_images(tmp_path, OF_EMOTIONS))


# AffectNet

AFFECTNET = "Neutral,Happy,Sad,Surprise,Fear,Disgust,Angry,Contempt,None,Uncertain,No face".split(",")


def affectnet(folder: Path) -> Path:
    rows = "".join(f"{k % 2}/{k}.jpg,{k}\n" for k in range(11))
    empty(folder, *(f"Manually_Annotated_Images/{k % 2}/{k}.jpg" for k in range(11)))
    (folder / "training.csv").write_text(f"subDirectory_filePath,expression\n{rows}0/99.jpg,1\n  \n,\n")
    return folder


def test_affectnets_numbers_are_its_own(tmp_path):
    source = affectnet(tmp_path / "held")
    for place in (source, source / "training.csv"):
        listing = list_images(place, OF_EMOTIONS)
        assert listing.layout == "affectnet"
        assert {image.path[-5]: (image.name, image.split) for image in listing.images} == {
            str(k): (AFFECTNET[k], "train") for k in range(7)
        }
        assert listing.unknown_classes == Counter(dict.fromkeys(AFFECTNET[7:], 1))
        assert listing.left_out == {"0/99.jpg": "is not there"}
        assert listing.notes == ()
    empty(source, "Manually_Annotated_Images/0/more.jpg")
    assert list_images(source, OF_EMOTIONS).notes == ("1 image files are not used: no table names them",)


def test_an_image_in_two_places_is_refused(tmp_path):
    empty(affectnet(tmp_path / "held"), "Automatically_Annotated_Images/0/2.jpg")
    assert refusal(lambda: list_images(tmp_path / "held", OF_EMOTIONS)) == (
        f"{tmp_path / 'held'}: 0/2.jpg may be Automatically_Annotated_Images/0/2.jpg or "
        "Manually_Annotated_Images/0/2.jpg: give the folder of one alone"
    )


@pytest.mark.parametrize(
    ("row", "said"),
    [
        ("0/2.jpg,11", "training.csv: 0/2.jpg: expression '11' is not one of 0 Neutral, 1 Happy, 2 Sad, "),
        ("0/2.jpg,happy", "expression 'happy' is not one of 0 Neutral"),
        ("0/2.jpg,", "expression '' is not one of 0 Neutral"),
        ("0/2.jpg", "training.csv has a row of 1 columns, not 2: correct the table"),
        ('"' + "x" * 200_000, "is not a valid CSV: field larger than field limit"),
    ],
)
def test_an_invalid_table_of_affectnet_is_a_one_line_error(tmp_path, row, said):
    source = affectnet(tmp_path / "held")
    (source / "training.csv").write_text(f"subDirectory_filePath,expression\n{row}\n")
    assert said in refusal(lambda: list_images(source, OF_EMOTIONS))


def test_affectnet_needs_its_table(faces):
    assert refusal(lambda: list_images(faces, Interpretation("emotions", layout="affectnet"))) == (
        f"{faces} holds no table with the columns subDirectory_filePath and expression: give their folder"
    )
    with pytest.raises(EmotiwError, match="holds no image that can be used, as the layout affectnet-npy"):
        list_images(faces, Interpretation("emotions", layout="affectnet-npy"))


@pytest.mark.parametrize(
    "label",
    [
        np.array("3"),
        np.array(["3"]),
        np.array(b"3"),
        np.array(3),
        np.array([3], np.uint8),
        np.array(3.0),
        np.array(3, ">i4"),
        np.array("3", ">U2"),
        np.array(3, np.float32),
    ],
)
def test_a_label_in_a_numpy_file_may_have_any_number_type(tmp_path, label):
    empty(tmp_path, "val_set/images/7.jpg", "val_set/annotations/7_val.npy")
    np.save(tmp_path / "val_set/annotations/7_exp.npy", label)
    listing = list_images(tmp_path, OF_EMOTIONS)
    assert listing.layout == "affectnet-npy"
    assert [(image.path, image.name, image.split) for image in listing.images] == [
        ("val_set/images/7.jpg", "Surprise", "val")
    ]
    assert listing.left_out == {}


def npy(header: bytes, data: bytes, length: int | None = None) -> bytes:
    return b"\x93NUMPY\1\0" + struct.pack("<H", len(header) if length is None else length) + header + data


class Hostile:
    def __reduce__(self):
        return (pytest.fail, ("unpickled",))


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"PK\3\4 an archive",
        b"3",
        npy(b"{'descr': '<i8', 'fortran_order': False, 'shape': (1000000000000,), }\n", bytes(8)),
        npy(b"{'descr': '<i8', 'fortran_order': False, 'shape': (), }\n", bytes(7)),
        npy(b"{'descr': '<i8', 'fortran_order': False, 'shape': (), }\n", bytes(16)),
        npy(b"{'descr': '<i3', 'fortran_order': False, 'shape': (), }\n", bytes(3)),
        npy(b"{'descr': '<U1', 'fortran_order': False, 'shape': (), }\n", b"\xff" * 4),
        npy(b"{'descr': '<U1', 'fortran_order': False, 'shape': (), }\n", b"\0\xd8\0\0"),
        npy(b"{'descr': '|S1', 'fortran_order': False, 'shape': (), }\n", b"\xff"),
        npy(b"{'descr': '<f8', 'fortran_order': False, 'shape': (), }\n", struct.pack("<d", float("nan"))),
        npy(b"{'descr': '<f8', 'fortran_order': False, 'shape': (), }\n", struct.pack("<d", 2.5)),
        npy(b"{'descr': '<f8', 'fortran_order': False, 'shape': (), }\n", struct.pack("<d", 1e300)),
        npy(b"{'descr': '<i8', 'fortran_order': False, 'shape': (), }\n", struct.pack("<q", -1)),
        npy(b"{'descr': '<i8', 'fortran_order': False, 'shape': (), }\n", struct.pack("<q", 11)),
        npy(b"{'descr': '|O', 'fortran_order': False, 'shape': (), }\n", b"cos\nsystem\n"),
        npy(b"{'descr': __import__('os'), 'fortran_order': False, 'shape': (), }\n", bytes(8)),
        npy(b"(" * 200, b""),
    ],
)
def test_an_invalid_numpy_label_is_left_out_with_one_line(tmp_path, data):
    empty(tmp_path, "images/7.jpg", "images/8.jpg", "images/9.jpg", "annotations/9_lnd.npy", "7.jpg")
    (tmp_path / "annotations/7_exp.npy").write_bytes(data)
    np.save(tmp_path / "annotations/8_exp.npy", np.array("1"))
    listing = list_images(tmp_path, OF_EMOTIONS)
    assert [(image.path, image.name) for image in listing.images] == [("images/8.jpg", "Happy")]
    assert listing.left_out.keys() == {"images/7.jpg", "images/9.jpg", "7.jpg"}
    assert listing.left_out["images/7.jpg"].startswith(
        "its label annotations/7_exp.npy is not one of 0 Neutral, 1 Happy"
    )
    assert listing.left_out["images/9.jpg"] == "has no label"


def test_nothing_is_unpickled(tmp_path):
    empty(tmp_path, "images/7.jpg", "annotations/7_exp.npy")
    np.save(tmp_path / "annotations/7_exp.npy", np.array(Hostile(), object), allow_pickle=True)
    said = refusal(lambda: list_images(tmp_path, OF_EMOTIONS))
    assert "images/7.jpg: its label annotations/7_exp.npy is not one of" in said


def test_classes_other_than_the_seven_are_counted(tmp_path):
    for number in range(11):
        empty(tmp_path, f"images/{number}.jpg", "annotations/x.txt")
        np.save(tmp_path / f"annotations/{number}_exp.npy", np.array(str(number)))
    listing = list_images(tmp_path, OF_EMOTIONS)
    assert [image.name for image in listing.images] == AFFECTNET[:7]
    assert listing.unknown_classes == Counter(dict.fromkeys(AFFECTNET[7:], 1))
    assert listing.left_out == {"annotations/x.txt": "not the name of an image"}


# JAFFE and KDEF


def test_jaffes_names_give_person_and_expression(tmp_path):
    codes = {name[:2].upper(): name for name in EMOTIONS}
    names = {
        f"jaffe/{who}.{code}{k}.{k}.tiff": (name, "", who)
        for k, (code, name) in enumerate(codes.items(), 1)
        for who in ("KA", "YM")
    }
    empty(tmp_path, *names, "jaffe/README", "jaffe/other.tiff", "jaffe/KA.XX1.2.tiff")
    listing = list_images(tmp_path, OF_EMOTIONS)
    assert listing.layout == "jaffe"
    assert {image.path: (image.name, image.split, image.group) for image in listing.images} == names
    assert listing.left_out == {
        "jaffe/README": "not the name of an image",
        "jaffe/other.tiff": "its name says no person and expression",
        "jaffe/KA.XX1.2.tiff": "its name says no person and expression",
    }
    people = list_images(tmp_path, OF_PEOPLE)
    assert people.classes == ("KA", "YM")
    assert {image.path: image.name for image in people.images} == {path: who for path, (_, _, who) in names.items()}


def test_kdefs_names_give_person_expression_and_view(tmp_path):
    codes = {"AF": "Fear"} | {name[:2].upper(): name for name in EMOTIONS if name != "Fear"}
    names = {
        f"KDEF/{session}{who}/{session}{who}{code}{view}.JPG": (name, "", who)
        for session in "AB"
        for who in ("F01", "F02", "M01")
        for code, name in codes.items()
        for view in ("FL", "HL", "S", "HR", "FR")
    }
    empty(tmp_path, *names, "KDEF/AF31/AF31V.JPG", "KDEF/AF01/CF01ANS.JPG")
    listing = list_images(tmp_path, OF_EMOTIONS)
    assert listing.layout == "kdef"
    assert {image.path: (image.name, image.split, image.group) for image in listing.images} == names
    assert set(listing.left_out.values()) == {"its name says no person and expression"}
    assert list_images(tmp_path, OF_PEOPLE).classes == ("F01", "F02", "M01")


@pytest.mark.parametrize(("write", "people"), [(sets.as_jaffe, 3), (sets.as_kdef, 3), (sets.as_ck_plus, 3)])
def test_a_person_is_on_one_side_of_a_drawn_split(twice, tmp_path, write, people):
    write(twice, tmp_path / "held")
    prepare(tmp_path / "held", tmp_path / "set", Settings("emotions", ("rgb",), size=16, val=0.34))
    sides = {}
    for row in open_set(tmp_path / "set").manifest:
        sides.setdefault(row["group"], set()).add(row["split"])
    assert len(sides) == people
    assert sorted(map(sorted, sides.values())) == [["train"], ["train"], ["val"]]


# CK+


def ck_plus(folder: Path) -> Path:
    """Write two subjects: a label of each number, and a sequence without a label."""
    for k in range(1, 8):
        subject = f"S{5 + k % 2:03d}"
        name = f"{subject}/{k:03d}/{subject}_{k:03d}"
        empty(folder, *(f"cohn-kanade-images/{name}_{frame:08d}.png" for frame in (1, 2, 11)))
        empty(folder, f"Emotion/{name}_00000011_emotion.txt")
        (folder / f"Emotion/{name}_00000011_emotion.txt").write_text(f"   {k:.7e}\n")
    return empty(folder, "cohn-kanade-images/S005/020/S005_020_00000001.png", "Emotion/S005/020/none.txt", "ReadMe.txt")


CK = {1: "Angry", 3: "Disgust", 4: "Fear", 5: "Happy", 6: "Sad", 7: "Surprise"}


def test_the_last_frame_of_a_labelled_sequence_has_its_label(tmp_path):
    listing = list_images(ck_plus(tmp_path), OF_EMOTIONS)
    assert listing.layout == "ck+"
    subject = {k: f"S{5 + k % 2:03d}" for k in CK}
    last = {
        f"cohn-kanade-images/{subject[k]}/{k:03d}/{subject[k]}_{k:03d}_00000011.png": (name, "", subject[k])
        for k, name in CK.items()
    }
    assert {image.path: (image.name, image.split, image.group) for image in listing.images} == last
    assert listing.unknown_classes == Counter({"Contempt": 1})
    assert listing.notes == ("left out: 1 sequences without a label",)
    assert listing.left_out == {}
    both = list_images(tmp_path, replace(OF_EMOTIONS, first_neutral=True)).images
    first = {path.replace("00000011", "00000001"): ("Neutral", "", who) for path, (_, _, who) in last.items()}
    assert {image.path: (image.name, image.split, image.group) for image in both} == last | first


def test_a_sequence_without_the_labelled_frame_is_left_out(tmp_path):
    """The frame before the peak shows less of the expression than the label says."""
    ck_plus(tmp_path)
    (tmp_path / "cohn-kanade-images/S006/001/S006_001_00000011.png").unlink()
    empty(tmp_path, "cohn-kanade-images/S006/003/S006_003_00000012.png", "more.png")
    listing = list_images(tmp_path, OF_EMOTIONS)
    assert len(listing.images) == 4
    assert listing.left_out == {
        "S006/001": "its last frame is not 00000011, which its label names",
        "S006/003": "its last frame is not 00000011, which its label names",
        "more.png": "its name is not a frame's",
    }


@pytest.mark.parametrize("text", ["", "8.0000000e+00", "0.0000000e+00", "3.5", "happy", "3" * 100, "3.0e+01", "\xff3"])
def test_a_label_outside_ck_pluss_order_is_a_one_line_error(tmp_path, text):
    ck_plus(tmp_path)
    (tmp_path / "Emotion/S006/001/S006_001_00000011_emotion.txt").write_text(text)
    said = refusal(lambda: list_images(tmp_path, OF_EMOTIONS))
    assert "S006_001_00000011_emotion.txt says " in said
    assert said.endswith("which is not one of 1 Angry, 2 Contempt, 3 Disgust, 4 Fear, 5 Happy, 6 Sad, 7 Surprise")


def test_two_labels_or_two_files_of_one_frame_are_refused(tmp_path):
    ck_plus(tmp_path)
    shutil.copytree(tmp_path / "Emotion/S006/001", tmp_path / "again/S006/001")
    assert len(list_images(tmp_path, OF_EMOTIONS).images) == 6  # of one word
    (tmp_path / "again/S006/001/S006_001_00000011_emotion.txt").write_text("4.0")
    assert "contradicts another label of its sequence" in refusal(lambda: list_images(tmp_path, OF_EMOTIONS))
    shutil.rmtree(tmp_path / "again")
    empty(tmp_path, "again/S006/001/S006_001_00000011.png")
    assert "which are one frame" in refusal(lambda: list_images(tmp_path, OF_EMOTIONS))


@pytest.mark.parametrize(
    "layout", ["fer2013", "ferplus", "raf-db", "raf-db-kaggle", "affectnet", "affectnet-npy", "ck+"]
)
def test_these_sets_have_no_identities(faces, layout):
    assert refusal(lambda: list_images(faces, Interpretation("identities", layout=layout)), UsageError) == (
        f"{faces} is in the layout {layout}: give --labels emotions"
    )
