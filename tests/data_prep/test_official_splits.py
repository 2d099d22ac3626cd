"""A source's own splits become the splits of a set, which records them."""

import json
import shutil
from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest

from emotiw.__main__ import main
from emotiw.data_prep import datasets
from emotiw.data_prep import prepare as preparing
from emotiw.data_prep.extend import extend
from emotiw.data_prep.image_list import Interpretation
from emotiw.data_prep.layouts.registry import list_images
from emotiw.data_prep.official_splits import MadeOf
from emotiw.data_prep.prepare import dry_run, prepare
from emotiw.data_prep.prepared_set import PreparedSet, open_set
from emotiw.data_prep.synthetic import expression_sets as sets
from emotiw.data_prep.synthetic.archives import as_sfew, faces_by_split
from emotiw.data_prep.synthetic.faces import draw_expressions
from emotiw.data_prep.transform import Settings
from emotiw.errors import EmotiwError, UsageError

from .conftest import contents

FORMS = {"table": sets.as_fer2013, "folders": sets.as_fer2013_folders, "Kaggle": sets.as_fer2013_kaggle}
CHOICE = "train=train,validation=test"


@pytest.fixture(scope="module")
def faces(tmp_path_factory):
    """Draw four people: two in train (14 faces), one in val (7), one in test (7)."""
    folder = tmp_path_factory.mktemp("faces") / "faces"
    draw_expressions(folder, 4, 1, seed=0)
    return folder


@pytest.fixture(scope="module")
def held(faces, tmp_path_factory):
    """Write the same pictures in the three forms of FER2013."""
    folder = tmp_path_factory.mktemp("held")
    for form, write in FORMS.items():
        write(faces, folder / form)
    return folder


def settings(splits: str | None = CHOICE, **more) -> Settings:
    return replace(Settings("emotions", ("rgb",), size=16, splits=splits), **more)


def made(source: Path, output: Path, splits: str | None = CHOICE, **more) -> PreparedSet:
    prepare(source, output, settings(splits, **more))
    return open_set(output)


def refusal(call, kind=UsageError) -> str:
    with pytest.raises(kind) as caught:
        call()
    assert "\n" not in str(caught.value)
    return str(caught.value)


def table(folder: Path, *rows: str) -> Path:
    """Write a table of grey pictures; rows are `<label>,<split>`, or `<label>,<split>,<value>` with a grey value."""
    folder.mkdir()
    for number, row in enumerate(rows):
        value = int([*row.split(","), str(number)][2])
        (folder / f"{number}.pgm").write_bytes(b"P5 8 8 255\n" + bytes([value] * 64))
    lines = [f"{number}.pgm,{','.join(row.split(',')[:2])}\n" for number, row in enumerate(rows)]
    (folder / "table.csv").write_text("path,label,split\n" + "".join(lines))
    return folder


def official(prepared: PreparedSet) -> dict[str, tuple[int, dict[str, int]]]:
    return {one.name: (one.images, one.held) for one in prepared.facts.official}


def pictures(prepared: PreparedSet) -> dict[str, tuple[str, str]]:
    """Return class and split of each picture, by its pixels."""
    return {row["pixels"]: (row["name"], row["split"]) for row in prepared.manifest}


@pytest.mark.parametrize("val", [None, 0.5])
def test_every_form_of_fer2013_gives_the_same_set(faces, held, tmp_path, val):
    """Labels, splits and official names, and the same images drawn."""
    found = {form: made(held / form, tmp_path / form, val=val) for form in FORMS}
    first = found["table"]
    assert len(pictures(first)) == 21
    for prepared in found.values():
        assert pictures(prepared) == pictures(first)
        assert official(prepared) == official(first)
    drawn = {} if val is None else {"val": 7}
    assert official(first) == {
        "train": (14, {"train": 14 - 7 * bool(val)} | drawn),
        "validation": (7, {"test": 7}),
        "test": (7, {}),
    }
    people = Counter(split for split, *_ in faces_by_split(faces))
    assert people == {"train": 14, "val": 7, "test": 7}


def test_the_validation_split_holds_the_right_faces(faces, held, tmp_path):
    emotions = {emotion for split, emotion, *_ in faces_by_split(faces) if split == "val"}
    for form in FORMS:
        prepared = made(held / form, tmp_path / form)
        paths = [row["path"] for row in prepared.manifest if row["split"] == "test"]
        assert {row["name"] for row in prepared.manifest if row["split"] == "test"} == emotions
        assert paths == sorted(paths)
        assert all(("PublicTest" in path) == (form != "table") for path in paths)


def test_an_unlabelled_split_alone_is_a_set_without_a_mean(held, tmp_path):
    prepared = made(held / "folders", tmp_path / "set", "test=test")
    assert {(row["split"], row["label"], row["name"]) for row in prepared.manifest} == {("test", "-1", "")}
    assert official(prepared) == {"train": (14, {}), "validation": (7, {}), "test": (7, {"test": 7})}
    assert len(list(prepared.records("rgb", "test"))) == 7
    assert not list((tmp_path / "set").rglob("mean.binaryproto"))
    assert "no image of class" not in (tmp_path / "set/report.txt").read_text()
    assert [one.role for one in prepared.inputs("rgb", ["test"])] == ["manifest", "LMDB of rgb, test"]
    said = refusal(lambda: prepared.mean_file("rgb"), EmotiwError)
    assert said.endswith("holds no train split: prepare it with a folder named train or --splits")
    extend(held / "folders", tmp_path / "set", settings("test=test", representations=("lbp",)))
    assert len(list(open_set(tmp_path / "set").records("lbp", "test"))) == 7


def test_log_report_and_dry_run_say_which_splits_are_left_out(held, tmp_path, capsys):
    command = ["prepare", str(held / "table"), "--labels", "emotions", "-r", "rgb", "--size", "16", "--jobs", "1"]
    assert main([*command, "--splits", CHOICE, "--val", "0.5", "-o", str(tmp_path / "set")]) == 0
    assert "left out by --splits: test (PrivateTest, 7 images)" in capsys.readouterr().out.splitlines()
    line = (
        "official splits: train (Training, 14 images): train 7, val 7; validation (PublicTest, 7 images): test 7; test "
        "(PrivateTest, 7 images): left out"
    )
    report = (tmp_path / "set/report.txt").read_text().splitlines()
    assert line in report
    assert (
        "splits: train, val, test, by --val 0.5, which draws that share of each class, seed 0; --splits "
        "train=train,validation=test; the column Usage"
    ) in report
    assert main([*command, "--splits", CHOICE, "--val", "0.5", "--dry-run"]) == 0
    assert line in capsys.readouterr().out.splitlines()
    assert main([*command, "-o", str(tmp_path / "all")]) == 0
    assert "left out" not in capsys.readouterr().out + (tmp_path / "all/report.txt").read_text()


def test_a_split_left_out_does_not_count_as_unusable_files(held, tmp_path):
    prepare(held / "folders", tmp_path / "set", settings(), strict=True)
    assert open_set(tmp_path / "set").count("test") == 7


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        (
            "trian=train,validation=test",
            "--splits: the source has no split 'trian'; it has train (Training, 14 images), validation (PublicTest, "
            "7 images), test (PrivateTest, 7 images)",
        ),
        ("train=train,validation", "--splits train=train,validation: give NAME=SPLIT, several with commas, such as"),
        ("train=training", "--splits train=training: give NAME=SPLIT, several with commas"),
        ("=train", "--splits =train: give NAME=SPLIT, several with commas"),
        ("train=train,", "--splits train=train,: give NAME=SPLIT, several with commas"),
        ("", "--splits : give NAME=SPLIT, several with commas"),
        (
            "validation=val,PublicTest=test",
            "--splits validation=val,PublicTest=test: the official split validation is named twice: name it once",
        ),
    ],
)
def test_an_invalid_splits_option_is_a_usage_error(held, tmp_path, capsys, asked, said):
    command = ["prepare", str(held / "table"), "--labels", "emotions", "-r", "rgb", "--size", "16", "--splits", asked]
    assert main([*command, "-o", str(tmp_path / "set")]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith(f"emotiw: {said}")
    assert list(tmp_path.iterdir()) == []


def test_images_without_labels_neither_train_nor_validate(held, tmp_path):
    for split in ("train", "val"):
        said = refusal(lambda split=split: made(held / "folders", tmp_path / "set", f"train=train,test={split}"))
        assert said.startswith(
            f"--splits train=train,test={split}: 7 images of test, such as fer2013/test/PrivateTest_"
        )
        assert said.endswith("have no label, so it can only be the set's test")
    assert made(held / "Kaggle", tmp_path / "set", "train=train,test=val").count("val") == 7  # here they have labels


def test_a_source_without_splits_has_none_to_name(faces, tmp_path):
    said = refusal(lambda: made(faces, tmp_path / "set"))
    assert said == "--splits: the source has no splits of its own: leave it out, and draw one by --val"


@pytest.mark.parametrize("name", ["validation", "Validation", "PublicTest", "publictest", "val", "dev"])
def test_a_split_is_named_by_the_sources_word_or_another_for_it(held, tmp_path, name):
    prepared = made(held / "table", tmp_path / "set", f"Training=train,{name}=test")
    assert prepared.made_of("test") == MadeOf(("validation",))


def test_two_official_splits_can_become_one(tmp_path):
    source = table(tmp_path / "t", "happy,a", "sad,a", "happy,b", "sad,c", "happy,Test")
    prepared = made(source, tmp_path / "set", "a=train,b=train,c=test")
    assert official(prepared) == {
        "test": (1, {}),
        "a": (2, {"train": 2}),
        "b": (1, {"train": 1}),
        "c": (1, {"test": 1}),
    }
    assert prepared.made_of("train") == MadeOf(("a", "b"))
    assert prepared.beside("train") == " (the source's a and b)"
    assert "'a' is not one of train, val, test: correct it, or say by --splits which it is" in refusal(
        lambda: made(source, tmp_path / "other", None), EmotiwError
    )


def test_a_split_with_unprintable_characters_is_refused(tmp_path):
    source = table(tmp_path / "t", "happy,train", "sad,train")
    (source / "table.csv").write_text('path,label,split\n0.pgm,happy,"train\nx"\n1.pgm,sad,train\n')
    for splits in (None, "train=train"):
        said = refusal(lambda splits=splits: made(source, tmp_path / "set", splits), EmotiwError)
        assert said.endswith("0.pgm: split 'train\\nx' is not a name: correct it")


def test_several_words_for_one_split_stay_separate(tmp_path):
    source = table(tmp_path / "t", "happy,train", "sad,train", "happy,dev", "sad,val", "sad,val")
    prepared = made(source, tmp_path / "set", "train=train,dev=val,val=test")
    assert (prepared.made_of("val"), prepared.made_of("test")) == (MadeOf(("dev",)), MadeOf(("val",)))
    assert made(source, tmp_path / "as they mean", None).made_of("val") == MadeOf(("dev", "val"))
    said = refusal(lambda: made(source, tmp_path / "other", "train=train,validation=test"))
    assert said.endswith("it has train (2 images), dev (1 images), val (2 images)")


def test_images_of_no_split_are_left_out_and_counted(tmp_path, capsys):
    source = table(tmp_path / "t", "happy,train", "sad,train", "happy,", "sad,test")
    prepared = made(source, tmp_path / "set", "train=train,test=test")
    assert len(prepared.manifest) == 3
    assert "official splits: train (2 images): train 2; test (1 images): test 1; 1 images of no split: left out" in (
        (tmp_path / "set/report.txt").read_text().splitlines()
    )
    whole = made(source, tmp_path / "whole", None)
    assert whole.made_of("train") == MadeOf(("train", ""))
    assert whole.beside("train") == " (the source's train and images of no split)"


def test_a_drawn_split_says_what_it_was_drawn_from(held, tmp_path):
    prepared = made(held / "table", tmp_path / "set", val=0.5)
    assert [prepared.made_of(split) for split in ("train", "val", "test")] == [
        MadeOf(("train",), "part"),
        MadeOf(("train",), "drawn"),
        MadeOf(("validation",)),
    ]
    assert [prepared.beside(split) for split in ("train", "val", "test")] == [
        " (part of the source's train)",
        " (drawn from the source's train)",
        " (the source's validation)",
    ]
    whole = made(held / "table", tmp_path / "whole", None)
    assert [whole.beside(split) for split in ("train", "val", "test")] == ["", "", ""]


def test_val_is_drawn_only_from_training_images(held, tmp_path):
    said = refusal(lambda: made(held / "table", tmp_path / "set", None, val=0.5))
    assert said.endswith("or give that split another role by --splits, such as train=train,validation=test")
    said = refusal(lambda: made(held / "table", tmp_path / "set", "test=test", val=0.5))
    assert said == "--val draws from training images, and all are of the test split: leave --val out"
    assert refusal(lambda: made(held / "table", tmp_path / "set", "train=train,test=val", val=0.5)).startswith(
        "--val: "
    )


def test_the_record_is_sealed_and_older_sets_have_none(held, tmp_path):
    made(held / "table", tmp_path / "set")
    path = tmp_path / "set/set.json"
    facts = json.loads(path.read_text())
    assert facts["splits"] == CHOICE
    path.write_text(json.dumps(facts | {"official": []}))
    assert "was changed after it was written" in refusal(lambda: open_set(tmp_path / "set"), EmotiwError)
    path.write_text(json.dumps({k: v for k, v in facts.items() if k not in ("official", "splits", "seal")}))
    older = open_set(tmp_path / "set")
    assert older.made_of("test") == MadeOf()
    assert (older.beside("test"), older.made_of("test").official("test")) == ("", "test")


def test_an_interrupted_preparation_keeps_its_splits(held, tmp_path, monkeypatch):
    def stop(*_):
        raise KeyboardInterrupt

    made(held / "Kaggle", tmp_path / "whole", val=0.5)
    with monkeypatch.context() as broken:
        broken.setattr(preparing, "finish", stop)
        with pytest.raises(KeyboardInterrupt):
            made(held / "Kaggle", tmp_path / "set", val=0.5)
    with monkeypatch.context() as known:
        known.setattr(preparing, "represent", lambda *_: pytest.fail("made again"))
        made(held / "Kaggle", tmp_path / "set", val=0.5)
    assert contents(tmp_path / "set") == contents(tmp_path / "whole")
    with monkeypatch.context() as broken:
        broken.setattr(preparing, "finish", stop)
        with pytest.raises(KeyboardInterrupt):
            made(held / "Kaggle", tmp_path / "other", "train=train,test=test", val=0.5)
    made(held / "Kaggle", tmp_path / "other", val=0.5)
    assert contents(tmp_path / "other") == contents(tmp_path / "whole")


def test_extend_keeps_the_splits_of_the_set(held, tmp_path):
    made(held / "Kaggle", tmp_path / "set", val=0.5)
    before = official(open_set(tmp_path / "set"))
    extend(held / "Kaggle", tmp_path / "set", Settings("", ("lbp",), size=16))
    prepared = open_set(tmp_path / "set")
    assert official(prepared) == before
    assert {path: len(list(prepared.records("lbp", path))) for path in ("train", "val", "test")} == {
        "train": 7,
        "val": 7,
        "test": 7,
    }
    said = refusal(
        lambda: extend(held / "Kaggle", tmp_path / "set", Settings("", ("cyclic_lbp",), 16, splits="test=test"))
    )
    assert "--splits test=test: " in said
    assert "was made with train=train,validation=test, which --extend keeps: leave it out" in said


# FER2013 as a data set


@pytest.fixture
def small(monkeypatch):
    """Define a data set with the numbers of the drawn faces."""
    whole = {"train": 14, "val": 7, "test": 7}
    known = datasets.Dataset("Small", ("fer2013", "folders"), (whole,))
    monkeypatch.setattr(datasets, "DATASETS", [known])
    monkeypatch.setattr("emotiw.data_prep.prepare.is_drawn", lambda file: False)


@pytest.mark.parametrize("form", FORMS)
def test_a_data_set_is_known_by_the_numbers_of_its_source(held, tmp_path, small, form):
    for number, (splits, val) in enumerate([(CHOICE, None), (CHOICE, 0.5), ("test=test", None), (None, None)]):
        prepared = made(held / form, tmp_path / str(number), splits, val=val)
        assert prepared.dataset == "Small"
    assert made(held / form, tmp_path / "last").beside("test") == " (Small's validation)"
    assert refusal(lambda: made(held / form, tmp_path / "set", dataset="Other")).endswith(
        "is Small by its layout and its numbers of images"
    )


def test_a_source_with_another_number_of_images_is_unknown(held, tmp_path, small):
    shutil.copytree(held / "folders", tmp_path / "held")
    next((tmp_path / "held/fer2013/test").iterdir()).unlink()
    assert made(tmp_path / "held", tmp_path / "set").dataset == ""
    first = next((tmp_path / "held/fer2013/validation/sad").iterdir())
    shutil.copytree(held / "folders", tmp_path / "damaged")
    (tmp_path / "damaged" / first.relative_to(tmp_path / "held")).write_bytes(b"")
    assert made(tmp_path / "damaged", tmp_path / "less").dataset == ""  # six of seven are scored


def test_kaggles_official_splits_are_found_by_file_names(held, tmp_path, small):
    said = dry_run(held / "Kaggle", settings(None)).splitlines()
    assert (
        "splits: train, test, by folders named test, train; official splits by the files' names, such as Training_"
        in said
    )
    assert (
        "official splits: train (Training, 14 images): train 14; validation (PublicTest, 7 images): test 7; test "
        "(PrivateTest, 7 images): test 7"
    ) in said
    assert (
        "warning: the folders' split test holds 7 of PrivateTest and 7 of PublicTest, by the names of FER2013's files: "
        "say by --splits which is which, such as train=train,validation=val,test=test"
    ) in said
    as_today = made(held / "Kaggle", tmp_path / "set", None)
    assert as_today.count("test") == 14
    assert as_today.made_of("test").official("test") == ""  # so that no published figure is compared with it
    assert as_today.beside("test") == " (Small's validation and test)"
    assert not any("warning: the folders" in line for line in dry_run(held / "Kaggle", settings()).splitlines())
    assert not any("warning: the folders" in line for line in dry_run(held / "folders", settings(None)).splitlines())


def test_files_moved_to_another_split_cause_a_warning(held, tmp_path, small):
    """A user's own split of FER2013's files is not the official one, even if its numbers are equal."""
    shutil.copytree(held / "Kaggle", tmp_path / "held")
    mine = sorted((tmp_path / "held/test/happy").glob("PublicTest_*"))[0]
    mine.rename(tmp_path / "held/train/happy" / mine.name)
    said = dry_run(tmp_path / "held", settings(None))
    assert "warning: the folders' split train holds 1 of PublicTest and 14 of Training, by the names" in said
    prepared = made(tmp_path / "held", tmp_path / "set", None)
    assert (prepared.count("train"), prepared.count("test")) == (15, 13)
    assert prepared.made_of("train") == MadeOf(("train", "validation"), "part")
    assert made(tmp_path / "held", tmp_path / "official").count("train") == 14
    shutil.copy(min((tmp_path / "held/test/sad").iterdir()), tmp_path / "held/train/happy/mine.png")
    said = dry_run(tmp_path / "held", settings("train=train,test=test"))  # not only FER2013's files any more
    assert "warning: the folders' split train holds 1 of PublicTest and 14 of Training, by the names" in said


# The layouts' words for splits

WORDS = {
    "fer2013": (sets.as_fer2013, {"train": "Training", "validation": "PublicTest", "test": "PrivateTest"}),
    "ferplus": (sets.as_ferplus, {"train": "Training", "validation": "PublicTest", "test": "PrivateTest"}),
    "raf-db": (sets.as_raf_db_kaggle, {"train": "train", "test": "test"}),
    "affectnet": (sets.as_affectnet, {"train": "training", "validation": "validation"}),
    "affectnet npy": (sets.as_affectnet_npy, {"train": "train", "validation": "val"}),
    "sfew": (as_sfew, {"train": "Train", "validation": "Val", "test": "Test"}),
    "jaffe": (sets.as_jaffe, {"": ""}),
}


@pytest.mark.parametrize("form", WORDS)
def test_each_layout_keeps_the_words_of_its_source(faces, tmp_path, form):
    write, words = WORDS[form]
    write(faces, tmp_path / "held")
    listing = list_images(tmp_path / "held", Interpretation("emotions"))
    assert {one.name: one.word for one in listing.officials} == words
    assert sum(one.images for one in listing.officials) == len(listing.images)


def test_lmdbs_and_people_have_official_splits_too(faces, held, tmp_path):
    made(held / "table", tmp_path / "set", None)
    from_lmdbs = made(tmp_path / "set/rgb", tmp_path / "again")
    assert official(from_lmdbs) == {"train": (14, {"train": 14}), "validation": (7, {"test": 7}), "test": (7, {})}
    made(held / "table", tmp_path / "chosen", val=0.5)
    chosen = made(tmp_path / "chosen/rgb", tmp_path / "of the chosen", None)
    assert chosen.made_of("test") == MadeOf(("validation",))  # what its test split is made from, not its name
    assert chosen.made_of("val") == MadeOf(("drawn from train",))
    assert chosen.made_of("train") == MadeOf(("part of train",))
    for split, name in (("train", "a"), ("train", "b"), ("test", "a")):
        (tmp_path / "people" / split / name).mkdir(parents=True)
        for number, path in enumerate(sorted(faces.glob("*/*.png"))[:2]):
            shutil.copy(path, tmp_path / "people" / split / name / f"{number}.png")
    prepare(tmp_path / "people", tmp_path / "p", replace(settings("train=train"), labels="identities"))
    assert official(open_set(tmp_path / "p")) == {"train": (4, {"train": 4}), "test": (2, {})}


# Equal pictures


def test_equal_pictures_count_only_within_the_set(tmp_path):
    """The first is in train and test, the second in a split that is left out, the third in train under two labels."""
    rows = ["happy,train,10", "happy,validation,10", "sad,train,20", "sad,test,20", "sad,train,30", "happy,train,30"]
    source = table(tmp_path / "t", *rows, "sad,train,40", "sad,validation,50")
    prepared = made(source, tmp_path / "set")
    said = {row["path"]: row["same_pixels"] for row in prepared.manifest if row["same_pixels"]}
    assert said == {"0.pgm": "split", "1.pgm": "split", "4.pgm": "label", "5.pgm": "label"}
    report = (tmp_path / "set/report.txt").read_text()
    assert "equal pictures: 2 are there more than once, 4 images together" in report
    assert "warning: the same picture on two sides of the split: 0.pgm, 1.pgm" in report
    dropped = made(source, tmp_path / "dropped", same_pixels="drop")
    assert {row["path"] for row in dropped.manifest} == {"1.pgm", "2.pgm", "6.pgm", "7.pgm"}
    assert official(dropped) == {"train": (5, {"train": 2}), "validation": (2, {"test": 2}), "test": (1, {})}
    assert dropped.made_of("train") == MadeOf(("train",))


def test_equal_pictures_are_drawn_into_one_split(tmp_path):
    rows = [f"happy,train,{number // 2}" for number in range(20)] + ["happy,validation,0", "happy,validation,99"]
    prepared = made(table(tmp_path / "t", *rows), tmp_path / "set", val=0.3)
    sides: dict[str, set[str]] = {}
    for row in prepared.manifest:
        if row["split"] != "test":
            sides.setdefault(row["pixels"], set()).add(row["split"])
    assert all(len(found) == 1 for found in sides.values())
    assert (prepared.count("train"), prepared.count("val")) == (14, 6)
