"""Tables of images: their columns, separators and lines; and when a table beside class folders decides."""

from collections import Counter
from pathlib import Path

import pytest

from emotiw.data_prep.emotions import EMOTIONS
from emotiw.data_prep.image_list import Interpretation
from emotiw.data_prep.layouts.columns import columns_of
from emotiw.data_prep.layouts.registry import list_images
from emotiw.data_prep.layouts.votes import NoClassError, majority
from emotiw.errors import EmotiwError

OF_EMOTIONS = Interpretation("emotions")
OF_PEOPLE = Interpretation("identities")


def refusal(call) -> str:
    with pytest.raises(EmotiwError) as caught:
        call()
    assert "\n" not in str(caught.value)
    return str(caught.value)


def empty(folder: Path, *paths: str) -> Path:
    for path in paths:
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_bytes(b"")
    return folder


def listed(source: Path, labels: str = "emotions", layout: str | None = None) -> dict[str, tuple[str, str]]:
    listing = list_images(source, Interpretation(labels, layout=layout))
    return {image.path: (image.name, image.split) for image in listing.images}


@pytest.mark.parametrize(
    "path",
    [
        *("path", "image", "image_path", "img_path", "filepath", "file_path", "file_name", "filename", "image_name"),
        *("image_id", "img", "ImageName", "Image name", "pth", "PATH", "Image Path", "file-name"),
    ],
)
@pytest.mark.parametrize("separator", [",", ";", "\t"])
def test_every_name_of_a_column_of_paths(tmp_path, path, separator):
    empty(tmp_path, "a/1.png", "a/2.png")
    rows = (
        (path, "label", "more"),
        ("a/1.png", "suprise", "x, y; z" if separator == "\t" else "x"),
        ("a/2.png", "3-happy", ""),
    )
    (tmp_path / "faces.csv").write_text("".join(f"{separator.join(row)}\n" for row in rows))
    expected = {"a/1.png": ("Surprise", ""), "a/2.png": ("Happy", "")}
    assert listed(tmp_path) == listed(tmp_path / "faces.csv") == expected


@pytest.mark.parametrize("label", ["label", "labels", "emotion", "expression", "class", "ClassName", "class_name"])
@pytest.mark.parametrize("labels", ["emotions", "identities"])
def test_every_name_of_a_column_of_labels(tmp_path, label, labels):
    if labels == "identities" and label in ("emotion", "expression"):
        return
    names = ("Fear", "Fear", "Sad") if labels == "emotions" else ("anna", "anna", "bert")
    said = {f"{number}.png": (name, "") for number, name in enumerate(names)}
    empty(tmp_path, *said)
    (tmp_path / "faces.csv").write_text(
        f"img,{label}\n" + "".join(f"{path},{name}\n" for path, (name, _) in said.items())
    )
    assert listed(tmp_path, labels) == said


def test_a_tsv_is_a_table(tmp_path):
    empty(tmp_path, "1.png")
    (tmp_path / "faces.tsv").write_text("img\tlabel\n1.png\tdisguist\n")
    assert listed(tmp_path) == {"1.png": ("Disgust", "")}


@pytest.mark.parametrize("blank", [" ", "   \n", ",\n", ",,\n", "\t\n", " , , \n", '"",""\n', "\n\n\n", "\r\n"])
@pytest.mark.parametrize("place", ["end", "middle"])
def test_a_line_of_blanks_or_separators_is_ignored(tmp_path, blank, place):
    first, last = "1.png,sad\n", "2.png,happy\n"
    blank = blank if place == "end" or blank.endswith("\n") else f"{blank}\n"
    rows = first + (last + blank if place == "end" else blank + last)
    (tmp_path / "faces.csv").write_text(f"path,label\n{rows}")
    assert listed(tmp_path) == {"1.png": ("Sad", ""), "2.png": ("Happy", "")}
    assert list_images(tmp_path, OF_EMOTIONS).left_out == {}
    (tmp_path / "faces.csv").unlink()
    (tmp_path / "faces.txt").write_text(rows.replace("png,", "png "))
    assert listed(tmp_path) == {"1.png": ("Sad", ""), "2.png": ("Happy", "")}


# One column per class

ONE_HOT = "filename,anger,contempt,disgust,fear,happy,neutral,sad,surprise\n"


def test_one_column_per_class(tmp_path):
    empty(tmp_path, *(f"{k}.png" for k in range(10)))
    rows = ["".join(f",{int(k == column)}" for column in range(8)) for k in range(8)]
    text = ONE_HOT + "".join(f"{k}.png{row}\n" for k, row in enumerate(rows))
    (tmp_path / "_classes.csv").write_text(text + f"8.png{',0' * 8}\n9.png,0,0,1,0,1,0,0,0\n")
    listing = list_images(tmp_path, OF_EMOTIONS)
    order = ["Angry", None, "Disgust", "Fear", "Happy", "Neutral", "Sad", "Surprise"]
    assert {image.path: image.name for image in listing.images} == {f"{k}.png": n for k, n in enumerate(order) if n}
    assert listing.unknown_classes == Counter({"contempt": 1})
    assert listing.left_out == {"8.png": "no class has a vote", "9.png": "a tie"}


def test_the_class_with_most_votes_may_not_be_one_of_the_seven(tmp_path):
    empty(tmp_path, "1.png", "2.png", "3.png")
    rows = "1.png;val;3;5;2;0\n2.png;;2;3;5;0\n3.png;;;0.5;.25;\n"
    (tmp_path / "v.csv").write_text(f"Image name;Split;sad;joy;unknown;NF\n{rows}")
    assert listed(tmp_path) == {"1.png": ("Happy", "val"), "3.png": ("Happy", "")}
    assert list_images(tmp_path, OF_EMOTIONS).unknown_classes == Counter({"unknown": 1})


def test_a_vote_that_is_not_a_number_is_a_one_line_error(tmp_path):
    (tmp_path / "v.csv").write_text("path,sad,joy\n1.png,1,yes\n")
    assert refusal(lambda: list_images(tmp_path, OF_EMOTIONS)).endswith(
        "v.csv: 1.png: joy has 'yes', which is not a number of votes"
    )


def test_the_majority_by_hand():
    assert majority({"a": "1", "b": "", "c": " 2 "}) == "c"
    assert majority({"a": "0", "b": "0.5"}) == "b"
    for votes, said in (
        ({"a": "2", "b": "2.0", "c": "1"}, "a tie"),
        ({"a": "0"}, "no class has a vote"),
        ({}, "no class"),
    ):
        with pytest.raises(NoClassError, match=said):
            majority(votes)
    for bad in ("-1", "nan", "inf", "x", "9" * 5000):
        with pytest.raises(EmotiwError, match=r"^a has '.{1,40}', which is not a number of votes$"):
            majority({"a": bad})


def test_a_column_of_labels_takes_precedence_over_class_columns():
    assert columns_of("path,label,sad,joy", OF_EMOTIONS).classes == {}
    assert columns_of("path,sad,joy,nf", OF_EMOTIONS).classes == {1: "sad", 2: "joy", 3: "nf"}
    assert columns_of("path,sad,sadness", OF_EMOTIONS).classes == {}
    assert not columns_of("path,sad,joy", OF_PEOPLE).understood
    assert not columns_of("sad,joy", OF_EMOTIONS).understood
    for header in ("", '"', ",,,", "\0", "x" * 200_000):
        assert not columns_of(header, OF_EMOTIONS).understood


# Hugging Face


def test_a_metadata_file_beside_the_images_of_every_split(tmp_path):
    empty(tmp_path, "data/train/1.png", "data/train/sub/2.png", "data/test/1.png")
    (tmp_path / "data/train/metadata.csv").write_text("file_name,label\n1.png,sad\nsub/2.png,fear\n")
    (tmp_path / "data/test/metadata.csv").write_text("file_name,label\n1.png,joy\n")
    assert list_images(tmp_path, OF_EMOTIONS).layout == "csv"
    assert listed(tmp_path) == {
        "data/train/1.png": ("Sad", "train"),
        "data/train/sub/2.png": ("Fear", "train"),
        "data/test/1.png": ("Happy", "test"),
    }


def test_one_metadata_file_at_the_top(tmp_path):
    empty(tmp_path, "1.png", "2.png")
    (tmp_path / "metadata.csv").write_text("file_name,label,split\n1.png,sad,validation\n2.png,fear,\n")
    assert listed(tmp_path) == {"1.png": ("Sad", "val"), "2.png": ("Fear", "")}


# When a table decides


@pytest.mark.parametrize("header", ["img,label", "file_name,label", "image;label", "path,sad,fear"])
def test_a_table_of_a_part_of_the_images_is_refused(tmp_path, header):
    separator = ";" if ";" in header else ","
    row = ["0.png", *(["sad"] if "label" in header else ["1", "0"])]
    (tmp_path / "table.csv").write_text(f"{header}\n{separator.join(row)}\n")
    empty(tmp_path, "0.png", "Angry/1.png", "Happy/2.png")
    said = refusal(lambda: list_images(tmp_path, OF_EMOTIONS))
    assert said == (
        f"{tmp_path}: table.csv names 1 of the 3 images that are here, and not Angry/1.png: by the table 1 images, "
        "Sad 1 (--table table.csv); by the folders 2 images, Angry 1, Happy 1 (--layout folders)"
    )
    listing = list_images(tmp_path, Interpretation("emotions", table="table.csv"))
    assert [(image.path, image.name) for image in listing.images] == [("0.png", "Sad")]
    assert listing.left_out == dict.fromkeys(("Angry/1.png", "Happy/2.png"), "is not in table.csv")
    assert list_images(tmp_path, Interpretation("emotions", layout="folders")).images[0].path == "Angry/1.png"


def test_a_table_that_contradicts_the_folders_is_refused(tmp_path):
    """Two of four images, both under another name than that of their folder."""
    paths = ("Angry/0.png", "Angry/1.png", "Happy/2.png", "Happy/3.png")
    empty(tmp_path, *paths)
    table = tmp_path / "predictions.csv"
    table.write_text("image,label\nAngry/0.png,Sad\nHappy/2.png,Sad\n")
    assert "predictions.csv names 2 of the 4 images that are here" in refusal(
        lambda: list_images(tmp_path, OF_EMOTIONS)
    )
    table.write_text("image,label\n" + "".join(f"{path},{path[:5].strip('/')}\n" for path in paths))
    assert list_images(tmp_path, OF_EMOTIONS).layout == "csv"
    table.write_text(table.read_text().replace("3.png,Happy", "3.png,Sad"))
    said = refusal(lambda: list_images(tmp_path, OF_EMOTIONS))
    assert "predictions.csv contradicts the folders: Happy/3.png is Sad" in said
    assert said.endswith("by the folders 4 images, Angry 2, Happy 2 (--layout folders)")
    listing = list_images(tmp_path, Interpretation("emotions", table="predictions.csv"))
    assert listing.images[3].name == "Sad"
    assert listing.notes == ("warning: predictions.csv contradicts the folders: Happy/3.png is Sad",)


def test_a_table_of_more_than_the_images_is_refused(tmp_path):
    empty(tmp_path, "1.png")
    (tmp_path / "a.csv").write_text("path,label\n1.png,Sad\n2.png,Sad\n")
    assert "a.csv names 1 images that are not here, such as 2.png" in refusal(
        lambda: list_images(tmp_path, OF_EMOTIONS)
    )


def test_two_tables_are_refused_and_one_can_be_named(tmp_path):
    empty(tmp_path, "1.png")
    (tmp_path / "README.txt").write_text("Words about the set.\n")
    for name, emotion in (("a.csv", "Sad"), ("b.csv", "Happy")):
        (tmp_path / name).write_text(f"path,label\n1.png,{emotion}\n")
    assert refusal(lambda: list_images(tmp_path, OF_EMOTIONS)) == (
        f"{tmp_path} holds several tables: a.csv (--table a.csv); b.csv (--table b.csv)"
    )
    assert list_images(tmp_path, Interpretation("emotions", table="b.csv")).images[0].name == "Happy"
    assert "holds no such file" in refusal(lambda: list_images(tmp_path, Interpretation("emotions", table="c.csv")))


def test_names_take_precedence_and_a_contradiction_is_refused(tmp_path):
    """A column of numbers in an unknown order must not override the names: 0 was read as Angry."""
    empty(tmp_path, "a.png", "b.png", "c.png")
    table = tmp_path / "faces.csv"
    table.write_text("path,label,class\na.png,0,Neutral\nb.png,1,Happy\nc.png,0,Neutral\n")
    assert listed(tmp_path) == {"a.png": ("Neutral", ""), "b.png": ("Happy", ""), "c.png": ("Neutral", "")}
    for row in ("c.png,1,Neutral", "c.png,0,Sad"):
        table.write_text(f"path,label,class\na.png,0,Neutral\nb.png,1,Happy\n{row}\n")
        assert "the columns class and label contradict each other" in refusal(
            lambda: list_images(tmp_path, OF_EMOTIONS)
        )


def test_bare_numbers_need_an_order(tmp_path):
    empty(tmp_path, "a.png", "b.png")
    (tmp_path / "faces.csv").write_text("image,emotion,Usage\na.png,6,Training\nb.png,0,PublicTest\n")
    said = refusal(lambda: list_images(tmp_path, OF_EMOTIONS))
    assert "0 Angry, 6 Surprise (--order emotiw); 0 Angry, 6 Neutral (--order fer2013)" in said
    assert said.endswith("(--order NAME,NAME,...)")
    listing = list_images(tmp_path, Interpretation("emotions", order="fer2013"))
    assert [(image.name, image.split) for image in listing.images] == [("Neutral", "train"), ("Angry", "val")]
    assert listing.notes[0].startswith("labels are numbers: 0 Angry, 1 Disgust")
    own = list_images(tmp_path, Interpretation("emotions", order="sad,x,y,z,angry,fear,happy"))
    assert [image.name for image in own.images] == ["Happy", "Sad"]


def test_a_person_is_a_column_in_which_images_share_a_value(tmp_path):
    """Every row has a different id, so the ids are not people."""
    empty(tmp_path, *(f"{number}.png" for number in range(4)))
    table = tmp_path / "faces.csv"
    table.write_text("id,filename,label\n" + "".join(f"{n},{n}.png,{'ab'[n // 2]}\n" for n in range(4)))
    assert {name for name, _ in listed(tmp_path, "identities").values()} == {"a", "b"}
    table.write_text("id,filename\n" + "".join(f"{n},{n}.png\n" for n in range(4)))
    assert "no column (id) divides the images into groups" in refusal(lambda: list_images(tmp_path, OF_PEOPLE))
    table.write_text("person,filename,label\n" + "".join(f"{n % 2},{n}.png,{'ab'[n // 2]}\n" for n in range(4)))
    assert refusal(lambda: list_images(tmp_path, OF_PEOPLE)).endswith(
        "which column is the person?: 2 people by person (--person-column person); 2 people by label "
        "(--person-column label)"
    )
    listing = list_images(tmp_path, Interpretation("identities", person_column="label"))
    assert [image.name for image in listing.images] == ["a", "a", "b", "b"]


def test_a_list_that_agrees_with_the_folders_is_used(tmp_path):
    empty(tmp_path, "anna/1.png", "bert/2.png")
    (tmp_path / "train.lst").write_text("0\t0.000000\tanna/1.png\n1\t1.000000\tbert/2.png\n")
    assert list_images(tmp_path, OF_PEOPLE).layout == "list"
    assert listed(tmp_path / "train.lst", "identities") == {"anna/1.png": ("00000", ""), "bert/2.png": ("00001", "")}


def test_a_plain_table_decides_as_it_did(tmp_path):
    empty(tmp_path, "Angry/1.png", "Happy/2.png")
    (tmp_path / "faces.csv").write_text("path,label\nAngry/1.png,Angry\nHappy/2.png,Happy\n")
    assert list_images(tmp_path, OF_EMOTIONS).layout == "csv"
    (tmp_path / "faces.csv").unlink()
    (tmp_path / "faces.txt").write_text("Angry/1.png\tAngry\nHappy/2.png\tHappy\n")
    assert list_images(tmp_path, OF_EMOTIONS).layout == "list"


# The lists of record tools


def test_im2recs_list(tmp_path):
    empty(tmp_path, *(f"images/{k} a.png" for k in range(7)))
    lines = "".join(f"{9 - k}\t{k}.000000\timages/{k} a.png\n" for k in range(7))
    (tmp_path / "train.lst").write_text(lines + "  \n")
    for source in (tmp_path, tmp_path / "train.lst"):
        listing = list_images(source, Interpretation("emotions", order="emotiw"))
        assert listing.layout == "list"
        assert {image.path: image.name for image in listing.images} == {
            f"images/{k} a.png": name for k, name in enumerate(EMOTIONS)
        }
        assert listing.notes == (f"labels are numbers: {', '.join(f'{k} {name}' for k, name in enumerate(EMOTIONS))}",)
    assert set(listed(tmp_path, "identities").values()) == {(f"{k:05d}", "") for k in range(7)}


@pytest.mark.parametrize("more", ["", "\t1.5\t2\t3\t4\t5\t6\t7\t8\t9\t10"])
def test_insightfaces_list(tmp_path, more):
    empty(tmp_path, "images/0.jpg", "images/1 b.jpg")
    (tmp_path / "train.lst").write_text(f"1\timages/0.jpg\t0{more}\n0\timages/1 b.jpg\t12{more}\n")
    assert listed(tmp_path, "identities") == {"images/0.jpg": ("00000", ""), "images/1 b.jpg": ("00012", "")}


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("1\t7.000000\ta.png", "a.png: label 7 is not in the order emotiw: 0 Angry, "),
        ("1\t2.5\ta.png", "holds no image that can be used, as the layout list: 1\t2.5: not the name of an image"),
        ("1\t2\t3\ta.png", "holds no image that can be used, as the layout list"),
        ("1\t2.000000\t../a.png", "../a.png: is outside the source"),
    ],
)
def test_an_invalid_line_of_a_record_tool_is_a_one_line_error(tmp_path, line, said):
    (tmp_path / "l.lst").write_text(f"{line}\n")
    assert said in refusal(
        lambda: list_images(tmp_path / "l.lst", Interpretation("emotions", layout="list", order="emotiw"))
    )


def test_raf_dbs_numbers_begin_at_1(tmp_path):
    for number in ("0", "8", "happy", ""):
        (tmp_path / "EmoLabel").mkdir(exist_ok=True)
        (tmp_path / "EmoLabel/list_patition_label.txt").write_text(f"train_00001.jpg {number}\n")
        said = refusal(lambda: list_images(tmp_path, OF_EMOTIONS))
        assert "list_patition_label.txt" in said
        assert f"label {number!r} is not one of 1 Surprise" in said or number == ""
