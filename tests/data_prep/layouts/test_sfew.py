import csv
import os
import shutil
import subprocess
import zipfile
from collections import Counter
from pathlib import Path

import cv2
import lmdb
import numpy as np
import pytest

from emotiw.data_prep.emotions import EMOTIONS
from emotiw.data_prep.image_list import Image, Interpretation
from emotiw.data_prep.layouts.registry import list_images
from emotiw.data_prep.layouts.sfew import ALIGNED, differences
from emotiw.data_prep.prepare import prepare
from emotiw.data_prep.prepared_set import open_set
from emotiw.data_prep.synthetic.archives import as_sfew, as_sfew_csv, as_sfew_zips
from emotiw.data_prep.synthetic.faces import draw_expressions
from emotiw.data_prep.transform import Settings
from emotiw.errors import EmotiwError, UsageError
from emotiw.prototxt.formats.blobs import read_mean
from emotiw.prototxt.formats.messages import Datum

OF_EMOTIONS = Interpretation("emotions")
OF_PEOPLE = Interpretation("identities")

SETTINGS = Settings("emotions", ("rgb", "lbp"), size=16)
FORMS = {"folders": as_sfew, "zips": as_sfew_zips, "csv": as_sfew_csv}


@pytest.fixture(scope="module")
def faces(tmp_path_factory):
    """Draw four people: two in train, one in val, one in test; 14 faces each."""
    folder = tmp_path_factory.mktemp("faces") / "faces"
    draw_expressions(folder, 4, 2, seed=0)
    return folder


def wrapped(folder: Path, archive: Path) -> Path:
    with zipfile.ZipFile(archive, "w") as file:
        for path in sorted(folder.rglob("*")):
            file.write(path, f"SFEW_2.0/{path.relative_to(folder)}")
    return archive


def touch(source, *paths):
    for path in paths:
        (source / path).parent.mkdir(parents=True, exist_ok=True)
        (source / path).write_bytes(b"")
    return source


def test_the_published_counts():
    assert [sum(ALIGNED[split]) for split in ("train", "val", "test")] == [891, 431, 372]
    assert len(ALIGNED["train"]) == len(ALIGNED["val"]) == len(EMOTIONS)


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("packed", [False, True])
def test_every_form_has_the_same_faces_and_an_unlabelled_test(faces, tmp_path, form, packed):
    FORMS[form](faces, tmp_path / "sfew")
    source = wrapped(tmp_path / "sfew", tmp_path / "sfew.zip") if packed and form != "zips" else tmp_path / "sfew"
    report = prepare(source, tmp_path / "set", SETTINGS, 2)
    prepared = open_set(tmp_path / "set")
    assert prepared.facts.layout == ("sfew-csv" if form == "csv" else "sfew")
    assert [prepared.count(split) for split in ("train", "val", "test")] == [28, 14, 14]
    counts = Counter((row["split"], row["name"], row["label"]) for row in prepared.manifest)
    expected = {(s, n, str(k)): c for s, c in (("train", 4), ("val", 2)) for k, n in enumerate(EMOTIONS)}
    assert counts == expected | {("test", "", "-1"): 14}
    assert ["(no", "label)", "0", "0", "14"] in [line.split() for line in report.splitlines()]
    assert ["all", "28", "14", "14"] in [line.split() for line in report.splitlines()]
    hashes = sorted(row["sha256"] for row in prepared.manifest)
    prepare(faces, tmp_path / "plain", SETTINGS)
    assert hashes == sorted(row["sha256"] for row in open_set(tmp_path / "plain").manifest)


def test_the_movie_is_the_group(faces, tmp_path):
    as_sfew(faces, tmp_path / "sfew")
    images = list_images(tmp_path / "sfew", OF_EMOTIONS).images
    assert {(image.split, image.group) for image in images} == {
        ("train", "Actor0001"),
        ("train", "Actor0002"),
        ("val", "Actor0003"),
        ("test", "Actor0004"),
    }
    own = list_images(tmp_path / "sfew", Interpretation("emotions", r"_(\d{9})_")).images
    assert len({image.group for image in own}) == 56


def test_unlabelled_images_have_label_minus_one(faces, tmp_path):
    as_sfew(faces, tmp_path / "sfew")
    prepare(tmp_path / "sfew", tmp_path / "set", SETTINGS)
    prepared = open_set(tmp_path / "set")
    assert {record.label for record in prepared.records("lbp", "test")} == {-1}
    train = [record.blob for record in prepared.records("lbp", "train")]
    np.testing.assert_allclose(read_mean(prepared.mean_file("lbp")), np.mean(train, axis=0), rtol=1e-6)


@pytest.mark.caffe
def test_convert_imageset_writes_the_same_unlabelled_datums(caffe, faces, tmp_path):
    """convert_imageset with `path -1` is the oracle; compute_image_mean reads what we wrote."""
    as_sfew(faces, tmp_path / "sfew")
    prepare(tmp_path / "sfew", tmp_path / "set", SETTINGS)
    ours = open_set(tmp_path / "set").lmdb("rgb", "test")
    rows = [row["path"] for row in open_set(tmp_path / "set").manifest if row["split"] == "test"]
    (tmp_path / "list.txt").write_text("".join(f"{path} -1\n" for path in rows))
    sides = ("--resize_height=16", "--resize_width=16")
    for command in (
        [caffe.tool("convert_imageset"), *sides, f"{tmp_path}/sfew/", tmp_path / "list.txt", tmp_path / "theirs"],
        [caffe.tool("compute_image_mean"), ours],
    ):
        done = subprocess.run(command, env={**os.environ, **caffe.environment}, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
    assert dump(ours) == dump(tmp_path / "theirs")
    assert {Datum.FromString(value).label for _, value in dump(ours)} == {-1}


def dump(path):
    with lmdb.open(str(path), readonly=True, lock=False) as env, env.begin() as transaction:
        return [(bytes(key), bytes(value)) for key, value in transaction.cursor()]


@pytest.mark.parametrize(
    ("train", "val", "test"),
    [
        ("Train/Train_Aligned_Faces", "Val/Val_Aligned_Faces_new/Val_Aligned_Faces", "Test/Test_Aligned_Faces"),
        ("images/Train_Aligned_Faces", "images/Val_Aligned_Faces", "images/Test_Aligned_Faces"),
        ("Train", "Val/Val", "Test"),
        ("SFEW/2.0/Train", "SFEW/2.0/Val", "SFEW/2.0/Test/Test"),
    ],
)
def test_known_downloads_are_recognised(tmp_path, train, val, test):
    name = "Airheads_000519240_00000005.png"
    touch(tmp_path, f"{train}/Angry/{name}", f"{val}/Happy/{name}", f"{test}/{name}")
    listing = list_images(tmp_path, OF_EMOTIONS)
    assert listing.layout == "sfew"
    assert sorted((image.split, image.name, image.group) for image in listing.images) == [
        ("test", "", "Airheads"),
        ("train", "Angry", "Airheads"),
        ("val", "Happy", "Airheads"),
    ]


def full(tmp_path, aligned=True):
    """Write as many empty files as SFEW 2.0 has faces."""
    for split in ("Train", "Val", "Test"):
        classes = zip(EMOTIONS, ALIGNED[split.lower()], strict=False) if split != "Test" else [("", 372)]
        for name, count in classes:
            folder = tmp_path / split / (f"{split}_Aligned_Faces" if aligned else "") / name
            folder.mkdir(parents=True)
            for k in range(count):
                (folder / f"Movie{k % 9}_{len(name):09d}_{k:08d}.png").touch()
    return tmp_path


def test_only_counts_other_than_the_papers_cause_a_warning(tmp_path):
    full(tmp_path)
    listing = list_images(tmp_path, OF_EMOTIONS)
    assert len(listing.images) == 891 + 431 + 372
    assert listing.notes == ()
    (tmp_path / "Val/Val_Aligned_Faces/Fear/Movie1_000000004_00000001.png").unlink()
    touch(tmp_path, "Test/Test_Aligned_Faces/X_000000001_00000001.png")
    assert list_images(tmp_path, OF_EMOTIONS).notes == (
        "warning: val has 430 images where SFEW 2.0 has 431: Fear 45 (published: 46)",
        "warning: test has 373 images where SFEW 2.0 has 372",
    )


def test_equal_totals_with_other_class_counts_cause_a_warning():
    counts = dict(zip(EMOTIONS, ALIGNED["val"], strict=True)) | {"Sad": 72, "Angry": 78}
    images = [Image(f"{name}{k}", name, split="val") for name, count in counts.items() for k in range(count)]
    warnings = [line for line in differences(images) if " val " in line]
    assert warnings == [
        "warning: val has 431 images where SFEW 2.0 has 431: Angry 78 (published: 77), Sad 72 (published: 73)"
    ]


def test_whole_frames_are_known_by_their_size(tmp_path, draw):
    draw(tmp_path / "Train/Happy/Airheads_000519240_00000005.png", 576, 720)
    notes = list_images(tmp_path, OF_EMOTIONS).notes
    assert "give --detect" in notes[0]
    assert notes[1] == "warning: train has 1 images where SFEW 2.0 has 958"


def test_aligned_faces_come_first_and_duplicates_count_once(faces, tmp_path):
    as_sfew(faces, tmp_path / "sfew")
    as_sfew_zips(faces, tmp_path / "zips")
    shutil.copy(tmp_path / "zips/Val/Val_Aligned_Faces_new.zip", tmp_path / "sfew/Val")
    touch(tmp_path / "sfew", "Train/Sad/Frame_000000001_00000001.png", "Sad/Lost_000000001_00000001.png")
    listing = list_images(tmp_path / "sfew", OF_EMOTIONS)
    assert Counter(image.split for image in listing.images) == {"train": 28, "val": 14, "test": 14}
    assert "train: 1 whole frames beside the aligned faces not used" in listing.notes
    assert Counter(reason.split(":")[0] for reason in listing.left_out.values()) == {
        "here twice": 14,
        "in no folder or archive named train, val or test": 1,
    }


def test_an_archive_inside_an_archive_is_left_out(faces, tmp_path):
    as_sfew_zips(faces, tmp_path / "zips")
    as_sfew(faces, tmp_path / "sfew")
    shutil.copytree(tmp_path / "zips/Val", tmp_path / "sfew/More")
    listing = list_images(wrapped(tmp_path / "sfew", tmp_path / "all.zip"), OF_EMOTIONS)
    assert list(listing.left_out.values()) == ["an archive inside an archive: unpack it"]
    assert len(listing.images) == 56


@pytest.mark.parametrize("table", ["SFEW.xlsx", "labels/SFEW_features.mat", "LPQ.csv"])
def test_sfew_1_is_refused_by_name(tmp_path, table):
    touch(tmp_path, "Angry/Airheads_000519240_00000005.png", table)
    with pytest.raises(EmotiwError, match=r"is SFEW 1\.0 \(700 images, a table with labels 1-7 .*--layout folders"):
        list_images(tmp_path, OF_EMOTIONS)
    assert len(list_images(tmp_path, Interpretation("emotions", layout="folders")).images) == 1


def test_sfew_1_is_known_by_its_700_images(tmp_path):
    touch(tmp_path, *(f"Sad/M_000000001_{k:08d}.png" for k in range(699)))
    assert list_images(tmp_path, OF_EMOTIONS).layout == "folders"
    touch(tmp_path, "Sad/M_000000001_00000699.png")
    with pytest.raises(EmotiwError, match=r"is SFEW 1\.0"):
        list_images(tmp_path, OF_EMOTIONS)


def test_sfew_has_no_identities(faces, tmp_path):
    as_sfew(faces, tmp_path / "sfew")
    with pytest.raises(UsageError, match=r"is in the layout sfew: give --labels emotions"):
        list_images(tmp_path / "sfew", OF_PEOPLE)
    with pytest.raises(UsageError, match=r"--val: the source already has a validation split"):
        prepare(tmp_path / "sfew", tmp_path / "set", Settings("emotions", ("rgb",), 16, val=0.2))


def test_the_repacks_names_take_precedence_over_its_numbers(faces, tmp_path):
    as_sfew_csv(faces, tmp_path / "sfew")
    table = tmp_path / "sfew/sfew_2.0_labels.csv"
    rows = list(csv.DictReader(table.read_text().splitlines()))
    turned = [row | {"label": str(9 - int(row["label"]))} for row in rows]
    with table.open("w", newline="") as file:
        writer = csv.DictWriter(file, rows[0].keys())
        writer.writeheader()
        writer.writerows(turned)
    images = list_images(tmp_path / "sfew", OF_EMOTIONS).images
    assert Counter(image.name for image in images if image.split == "train") == dict.fromkeys(EMOTIONS, 4)


def test_the_zips_hold_the_drawn_faces_unchanged(faces, tmp_path):
    as_sfew_zips(faces, tmp_path / "zips")
    listing = list_images(tmp_path / "zips", OF_EMOTIONS)
    assert listing.images[0].path == ("Test/Test_Aligned_Faces.zip/Test_Aligned_Faces/Actor0004_000000006_00000001.png")
    drawn = sorted(path.read_bytes() for path in faces.rglob("*.png"))
    assert sorted(listing.source.read(image.path) for image in listing.images) == drawn
    assert cv2.imdecode(np.frombuffer(drawn[0], np.uint8), cv2.IMREAD_COLOR).shape == (112, 96, 3)


@pytest.mark.parametrize(("split", "name"), [("Train", "Sad"), ("Val", "Fear"), ("Test", "")])
def test_whole_frames_of_one_class_among_crops_are_found(tmp_path, draw, split, name):
    for k, (folder, kind) in enumerate((s, n) for s in ("Train", "Val", "Test") for n in EMOTIONS):
        draw(tmp_path / folder / (kind if folder != "Test" else "") / f"Airheads_000519240_{k:08d}.png", 18, 14, k)
    assert not any("frames" in note for note in list_images(tmp_path, OF_EMOTIONS).notes)
    frame = f"{split}/{name}/Airheads_000519240_00000000.png".replace("//", "/")
    draw(tmp_path / frame, 576, 720)
    notes = [note for note in list_images(tmp_path, OF_EMOTIONS).notes if "frames" in note]
    where = f"1 of 15 splits and classes, such as {split.lower()} {name or '(no label)'} ({frame})"
    assert notes == [f"warning: whole frames among aligned faces, in {where}: give --detect, or leave one kind out"]


def test_whole_frames_are_found_in_a_repack(faces, tmp_path, draw):
    as_sfew_csv(faces, tmp_path / "sfew")
    for path in (tmp_path / "sfew/sfew2.0_images").iterdir():
        draw(path, 576, 720)
    notes = list_images(tmp_path / "sfew", OF_EMOTIONS).notes
    assert "warning: these are whole frames, and the paper's faces were aligned: give --detect" in notes


def test_files_of_one_name_are_duplicates_if_pixels_are_equal(tmp_path, draw):
    name = "Movie_000000001_00000001.png"
    for wrap, seed in (("Train_Aligned_Faces", 0), ("again", 0), ("other", 1)):
        draw(tmp_path / f"Train/{wrap}/Aligned/Sad/{name}", seed=seed)
    draw(tmp_path / "Val/Val_Aligned_Faces/Happy/Film_000000001_00000001.png", seed=2)
    listing = list_images(tmp_path, OF_EMOTIONS)
    first, other = (f"Train/{wrap}/Aligned/Sad/{name}" for wrap in ("Train_Aligned_Faces", "other"))
    assert [image.path for image in listing.images if image.split == "train"] == [first, other]
    assert listing.left_out == {f"Train/again/Aligned/Sad/{name}": f"here twice: {first}"}
    assert listing.notes[0] == (
        f"warning: 1 names are of several pictures, all of which are kept, such as {first} and {other}"
    )


def test_the_zips_can_have_chosen_counts(faces, tmp_path):
    few = {"train": (2, 1, 3, 4, 0, 1, 2), "val": (1, 0, 1, 2, 1, 1, 1), "test": (5,)}
    as_sfew_zips(faces, tmp_path / "SFEW_2.0", few)
    images = list_images(tmp_path / "SFEW_2.0", OF_EMOTIONS).images
    for split in ("train", "val"):
        found = Counter(image.name for image in images if image.split == split)
        assert tuple(found[name] for name in EMOTIONS) == few[split]
    assert sum(image.split == "test" for image in images) == 5
    with pytest.raises(ValueError, match="'test': Counter"):
        as_sfew_zips(faces, tmp_path / "more", {**few, "test": (15,)})
    assert not (tmp_path / "more").exists()
