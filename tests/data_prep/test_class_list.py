"""Classes of one's own: names, order, spellings; every folder or every value of a column as a class; refusals."""

import csv
import json
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from emotiw.__main__ import main
from emotiw.data_prep.class_list import classes_of_names, difference, own_classes, read_classes
from emotiw.data_prep.image_list import Interpretation
from emotiw.data_prep.layouts.registry import list_images
from emotiw.data_prep.lmdb_writer import LmdbWriter, key
from emotiw.data_prep.prepared_set import open_set
from emotiw.data_prep.synthetic import expression_sets
from emotiw.data_prep.synthetic.faces import draw_expressions
from emotiw.errors import EmotiwError, UsageError
from emotiw.prototxt.formats.datum import encode

EIGHT = ("Angry", "Contempt", "Disgust", "Fear", "Happy", "Neutral", "Sad", "Surprise")
SIDES = ("positive: happy, surprise", "negative: sad, fear, angry, disgust")


@pytest.fixture(scope="module")
def faces(tmp_path_factory):
    """Drawn faces of two people, one of each expression."""
    folder = tmp_path_factory.mktemp("faces") / "faces"
    draw_expressions(folder, 2, 1, seed=0)
    return folder


def place(folder: Path, *paths: str) -> Path:
    """Write files that need no pixels: a listing decodes none."""
    for path in paths:
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_bytes(b"")
    return folder


def named(folder: Path, *lines: str, **how: object) -> dict[str, str]:
    """The class of each image."""
    listing = list_images(folder, Interpretation("classes", class_list=lines, **how))  # type: ignore[arg-type]
    assert all(listing.classes[image.label] == image.name for image in listing.images if image.name)
    return {image.path: image.name for image in listing.images}


def refusal(*arguments: object, **how: object) -> str:
    with pytest.raises(EmotiwError) as raised:
        named(*arguments, **how)  # type: ignore[arg-type]
    assert "\n" not in str(raised.value)
    return str(raised.value)


def test_spellings_mean_classes():
    classes = own_classes(SIDES)
    assert classes.names == ("positive", "negative")
    said = ["Positive", "POSITIVE ", "1_negative", "joy", "happiness", "Suprise", "anger", "neutral", "contempt", ""]
    assert [classes.named(text) for text in said] == [
        *("positive", "positive", "negative", "positive", "positive", "positive", "negative"),
        *(None, None, None),
    ]


def test_a_spelling_that_two_classes_may_mean_is_none():
    classes = own_classes(["Happy", "joy", "very sad"])
    assert [classes.named(text) for text in ("Happy", "joy", "happiness", "Very_Sad", "sad")] == [
        *("Happy", "joy", None, "very sad", None),
    ]


@pytest.mark.parametrize(
    ("lines", "said"),
    [
        (["a", "b: A"], "names 'a' twice"),
        (["a", "a"], "names 'a' twice"),
        (["a: c", "b: c"], "names 'c' twice"),
        (["a"], "names a: a net needs at least two classes"),
        ([], "names no class"),
        (["a", "b|c"], "'b|c' is not a usable name"),
        (["a", "b" * 41], "is not a usable name"),
        (["a", ": b"], "'' is not a usable name"),
    ],
)
def test_lines_that_define_no_classes(lines, said):
    with pytest.raises(UsageError, match="--classes") as raised:
        own_classes(lines)
    assert said in str(raised.value)


def test_classes_are_read_from_a_file_or_from_names(tmp_path):
    file = tmp_path / "classes.txt"
    file.write_text("# two sides\n\n  positive :happy,  surprise\nnegative\n")
    assert read_classes(str(file)) == ("positive: happy, surprise", "negative")
    assert read_classes("positive, negative") == ("positive", "negative")
    with pytest.raises(UsageError, match="not a text file"):
        read_classes("positive")


def test_names_of_a_source_are_ordered_by_alphabet_and_by_value(tmp_path):
    assert classes_of_names({"b", "A", "c10", "c9"}, tmp_path) == ("A", "b", "c9", "c10")
    for names, said in (
        ({"happy", "Happy"}, "'Happy' and 'happy', which may be the same"),
        ({"joy", "Happy", "sad"}, "'Happy' and 'joy', which may be the same"),
        ({"0_good", "good"}, "'0_good' and 'good', which may be the same"),
        ({"one"}, "names one class, one"),
        ({"a|b", "c"}, "the class 'a|b' is not a usable name"),
    ):
        with pytest.raises(EmotiwError) as raised:
            classes_of_names(names, tmp_path)
        assert said in str(raised.value)


def test_a_difference_says_whether_only_the_order_differs():
    assert difference(["a", "b"], ["a", "c"], "x") == "has the classes a, b, and x has a, c"
    assert "the same in another order: b, a" in difference(["a", "b"], ["b", "a"], "x")


def test_every_folder_is_a_class(tmp_path):
    place(tmp_path, "faces/train/good/1.png", "faces/train/bad/2.png", "faces/val/good/3.png", "faces/notes.txt")
    assert named(tmp_path) == {
        "faces/train/bad/2.png": "bad",
        "faces/train/good/1.png": "good",
        "faces/val/good/3.png": "good",
    }


def test_images_beside_the_class_folders_are_left_out_and_counted(tmp_path):
    place(tmp_path, "good/1.png", "bad/2.png", "3.png")
    listing = list_images(tmp_path, Interpretation("classes"))
    assert listing.classes == ("bad", "good")
    assert listing.unknown_classes == Counter({"": 1})


def test_a_test_split_without_labels_stays_without(tmp_path):
    place(tmp_path, "train/good/1.png", "train/bad/2.png", "test/3.png", "test/4.png")
    assert named(tmp_path)["test/3.png"] == ""


def test_folders_inside_folders_need_names(tmp_path):
    place(tmp_path, "good/anna/1.png", "bad/ben/2.png", "bad/anna/3.png")
    said = refusal(tmp_path)
    assert "2 classes, bad, good (--classes bad,good)" in said
    assert "2 classes, anna, ben (--classes anna,ben)" in said
    listing = list_images(tmp_path, Interpretation("classes", class_list=("bad", "good")))
    assert {image.path: (image.name, image.group) for image in listing.images} == {
        "bad/anna/3.png": ("bad", "anna"),
        "bad/ben/2.png": ("bad", "ben"),
        "good/anna/1.png": ("good", "anna"),
    }


def test_one_folder_is_no_set_of_classes(tmp_path):
    assert "names one class, good" in refusal(place(tmp_path, "good/1.png", "good/2.png"))


def test_emotions_are_joined_in_two_classes_and_the_rest_is_left_out(tmp_path):
    place(tmp_path, "Happy/1.png", "Sadness/2.png", "anger/3.png", "Neutral/4.png")
    listing = list_images(tmp_path, Interpretation("classes", class_list=SIDES))
    assert listing.classes == ("positive", "negative")
    assert [image.name for image in listing.images] == ["positive", "negative", "negative"]
    assert listing.unknown_classes == Counter({"Neutral": 1})


@pytest.mark.parametrize("name", ["contempt", "Contempt", "7_contempt"])
def test_contempt_is_an_eighth_class(tmp_path, name):
    place(tmp_path, "Angry/1.png", "happiness/2.png", f"{name}/3.png")
    listing = list_images(tmp_path, Interpretation("classes", class_list=EIGHT))
    assert listing.classes == EIGHT
    assert [image.label for image in listing.images if name in image.path] == [1]
    # The seven emotions leave it out, as before.
    assert list_images(tmp_path, Interpretation("emotions")).unknown_classes == Counter({name: 1})


def table(folder: Path, head: str, *rows: str) -> Path:
    place(folder, *(row.partition(",")[0] for row in rows))
    (folder / "faces.csv").write_text("\n".join([head, *rows]) + "\n")
    return folder


def test_every_value_of_a_column_is_a_class(tmp_path):
    table(tmp_path, "path,class", "1.png,very good", "2.png,bad")
    assert named(tmp_path) == {"1.png": "very good", "2.png": "bad"}


def test_a_column_of_another_name(tmp_path):
    table(tmp_path, "path,label,mood", "1.png,x,calm", "2.png,x,tense")
    assert "faces.csv: which column is the class?" not in str(named(tmp_path, class_column="mood"))
    assert named(tmp_path, class_column="mood") == {"1.png": "calm", "2.png": "tense"}
    assert "--class-column feeling: the table has path, label, mood" in refusal(
        tmp_path, class_column="feeling", layout="csv"
    )


def test_a_column_without_a_known_name_needs_to_be_named(tmp_path):
    table(tmp_path, "path,mood", "1.png,calm", "2.png,tense")
    assert named(tmp_path, class_column="mood") == {"1.png": "calm", "2.png": "tense"}
    assert named(tmp_path, class_column="mood", table="faces.csv") == {"1.png": "calm", "2.png": "tense"}


def test_columns_that_divide_the_images_differently_are_ambiguous(tmp_path):
    table(tmp_path, "path,class,emotion", "1.png,a,Happy", "2.png,a,Sad", "3.png,b,Sad")
    said = refusal(tmp_path)
    assert "which column is the class?" in said
    assert "--class-column class" in said
    assert "--class-column emotion" in said
    assert set(named(tmp_path, class_column="emotion").values()) == {"Happy", "Sad"}


def test_of_columns_that_divide_the_images_alike_the_names_are_taken(tmp_path):
    table(tmp_path, "path,label,emotion", "1.png,0,calm", "2.png,1,tense", "3.png,0,calm")
    assert set(named(tmp_path).values()) == {"calm", "tense"}


def test_numbers_are_names_unless_names_are_given(tmp_path):
    table(tmp_path, "path,label", *(f"{number}.png,{number}" for number in (10, 2, 0)))
    listing = list_images(tmp_path, Interpretation("classes"))
    assert listing.classes == ("0", "2", "10")
    assert set(named(tmp_path, "calm: 0, 2", "tense: 10").values()) == {"calm", "tense"}
    assert "every data set numbers its classes differently" in refusal(tmp_path, "calm: 0", "tense: 10")


def test_numbers_in_a_known_order_are_named_by_it(tmp_path):
    table(tmp_path, "path,label", "1.png,7", "2.png,1")
    assert named(tmp_path, *EIGHT, order="affectnet") == {"1.png": "Contempt", "2.png": "Happy"}
    assert named(tmp_path, order="a,b,c,d,e,f,g,h") == {"1.png": "h", "2.png": "b"}
    place(tmp_path / "folders", "0/1.png", "7/2.png")
    assert set(named(tmp_path / "folders", *EIGHT, order="affectnet").values()) == {"Neutral", "Contempt"}
    assert set(named(tmp_path / "folders", order="affectnet").values()) == {"Neutral", "Contempt"}
    assert set(named(tmp_path / "folders").values()) == {"0", "7"}


def test_votes_for_the_columns_of_given_classes(tmp_path):
    table(tmp_path, "path,calm,tense,unsure", "1.png,3,1,0", "2.png,0,2,1", "3.png,0,0,4", "4.png,2,2,0")
    listing = list_images(tmp_path, Interpretation("classes", class_list=("calm", "tense")))
    assert [image.name for image in listing.images] == ["calm", "tense"]
    assert (listing.unknown_classes, listing.left_out) == (Counter({"unsure": 1}), {"4.png": "a tie"})


@pytest.mark.parametrize("lines", [(), ("tense", "calm")], ids=["discovered", "given"])
def test_a_table_that_contradicts_its_folders_is_ambiguous(tmp_path, lines):
    table(tmp_path, "path,class", "calm/1.png,calm", "tense/2.png,calm", "tense/3.png,tense")
    assert "contradicts the folders: tense/2.png is calm" in refusal(tmp_path, *lines)


def lmdb(folder: Path) -> Path:
    with LmdbWriter(folder, 1 << 20) as writer:
        pictures = [np.full((8, 8, 3), shade, np.uint8) for shade in range(3)]
        writer.store([(key(at, f"{at}.png"), encode(one, at, "raw")) for at, one in enumerate(pictures)])
    return folder


def test_numbers_in_an_lmdb(tmp_path):
    lmdb(tmp_path / "faces/train_lmdb")
    assert set(named(tmp_path / "faces").values()) == {"0", "1", "2"}
    assert set(named(tmp_path / "faces", order="calm,tense,sad").values()) == {"calm", "tense", "sad"}
    assert "labels are numbers" in refusal(tmp_path / "faces", "calm", "tense")


def test_the_lmdbs_of_a_prepared_set_have_its_classes(tmp_path):
    lmdb(tmp_path / "set/rgb/train_lmdb")
    (tmp_path / "set/set.json").write_text(json.dumps({"classes": ["calm", "tense", "happy"], "labels": "classes"}))
    assert list(named(tmp_path / "set/rgb").values()) == ["calm", "tense", "happy"]
    emotions = list_images(tmp_path / "set/rgb", Interpretation("emotions"))
    assert [image.name for image in emotions.images] == ["Happy"]
    assert emotions.unknown_classes == Counter({"calm": 1, "tense": 1})


@pytest.mark.parametrize("layout", ["affectnet", "affectnet_npy", "ferplus", "ck_plus"])
def test_layouts_with_more_than_seven_labels_need_names(faces, tmp_path, layout):
    source = tmp_path / "source"
    getattr(expression_sets, f"as_{layout}")(faces, source)
    assert "not all labels of which are expressions: name the classes with --classes" in refusal(source)
    emotions = list_images(source, Interpretation("emotions"))
    own = list_images(source, Interpretation("classes", class_list=EIGHT))
    assert {image.path: image.name for image in own.images}.items() >= {i.path: i.name for i in emotions.images}.items()
    assert set(named(source, *SIDES).values()) == {"positive", "negative"}


def test_contempt_of_affectnet_is_a_class_if_it_is_named(tmp_path):
    place(tmp_path, "a/1.jpg", "a/2.jpg", "a/3.jpg")
    rows = [["subDirectory_filePath", "expression"], ["a/1.jpg", 7], ["a/2.jpg", 1], ["a/3.jpg", 8]]
    with (tmp_path / "training.csv").open("w", newline="") as file:
        csv.writer(file).writerows(rows)
    assert named(tmp_path, *EIGHT) == {"a/1.jpg": "Contempt", "a/2.jpg": "Happy"}
    assert list_images(tmp_path, Interpretation("classes", class_list=EIGHT)).unknown_classes == Counter({"None": 1})


def test_layouts_of_the_seven_emotions_refuse_other_classes(tmp_path):
    place(tmp_path, "faces/KA.AN1.39.tiff", "faces/KA.HA1.40.tiff")
    said = refusal(tmp_path / "faces", *EIGHT)
    assert "is in the layout jaffe, whose classes are the seven emotions: give --labels emotions" in said
    assert "give --labels identities" in refusal(tmp_path / "faces", layout="recordio")


def prepare(*words: object) -> int:
    return main(["prepare", *map(str, words)])


def test_a_set_has_its_classes_in_order(faces, tmp_path, capsys):
    lines = tmp_path / "classes.txt"
    lines.write_text("\n".join(["positive: happy, surprise", "other: contempt, neutral", "negative: sad, fear, anger"]))
    words = (faces, "-o", tmp_path / "set", "--layout", "folders", "-r", "rgb", "--size", 32)
    assert prepare(*words, "--labels", "classes", "--classes", lines) == 0
    assert "3 classes" in capsys.readouterr().out
    prepared = open_set(tmp_path / "set")
    assert prepared.classes == ["positive", "other", "negative"]
    assert {row["label"]: row["name"] for row in prepared.manifest} == dict(zip("012", prepared.classes, strict=True))
    assert not any("Disgust" in row["path"] for row in prepared.manifest)
    assert [prepared.class_list.named(text) for text in ("joy", "disgust")] == ["positive", None]
    assert prepare(faces, "-o", tmp_path / "set", "-r", "lbp", "--extend", "--size", 32) == 0
    assert open_set(tmp_path / "set").digest == prepared.digest


def test_sets_that_differ_only_in_a_class_without_pictures_are_different_sets(faces, tmp_path):
    words = ("--layout", "folders", "-r", "rgb", "--size", 32)
    emotions = "Angry,Disgust,Fear,Happy,Neutral,Sad,Surprise"
    found = []
    for name, labels in (
        ("emotions", ["emotions"]),
        ("seven", ["classes", "--classes", emotions]),
        ("eight", ["classes", "--classes", f"{emotions},Contempt"]),
    ):
        assert prepare(faces, "-o", tmp_path / name, *words, "--labels", *labels) == 0
        found.append(open_set(tmp_path / name))
    assert len({one.facts.manifest_sha256 for one in found}) == 1
    assert len({one.digest for one in found}) == 3


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--labels", "emotions", "--classes", "a,b"], "--classes is for --labels classes"),
        (["--labels", "identities", "--class-column", "a"], "--class-column is for --labels classes"),
        (["--labels", "classes", "--classes", "a:0,b:1", "--order", "emotiw"], "the number 0 in --classes both say"),
        (["--labels", "classes", "--classes", "a"], "--classes a: not a text file"),
        (["--labels", "classes", "--class-column", "a"], "--class-column is for tables"),
    ],
)
def test_options_that_do_not_fit_are_refused(tmp_path, capsys, words, said):
    place(tmp_path / "faces", "x/1.png", "y/2.png")
    assert prepare(tmp_path / "faces", "-o", tmp_path / "set", *words) == 2
    assert said in capsys.readouterr().err
