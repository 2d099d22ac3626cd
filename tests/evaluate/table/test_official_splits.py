"""A table names the official split of its figures, and has published figures only for the same split."""

import csv

import pytest

from emotiw.__main__ import main
from emotiw.errors import EmotiwError
from emotiw.evaluate.table.published import publications
from emotiw.evaluate.table.results import collect
from emotiw.evaluate.table.view import view

LABELS = [0, 1, 2, 3, 4, 5, 6, 6]
ROW = "vgg_s-rgb"
HEAD = "method,net,representation,dataset,split,n,accuracy,mean_class_accuracy,protocol,source,standing\n"
OFFICIAL_TEST = HEAD + "theirs,vgg_s,rgb,FER2013,test,8,74.00,,,the paper,read by me\n"


def made_of(*names, how="all"):
    return {"dataset": "FER2013", "official": {"names": names, "how": how}}


@pytest.fixture
def table(make_run, answers, tmp_path, capsys):
    """Write scores of a split made of official splits; return a table's text and the first row of its CSV."""

    def write(split="test", own=OFFICIAL_TEST, **more):
        make_run(ROW, answers(*LABELS), LABELS, split=split, **more)
        (tmp_path / "own.csv").write_text(own)
        command = ["table", str(tmp_path / "runs"), "-o", str(tmp_path / "table"), "--split", split, "--force"]
        assert main([*command, "--published", str(tmp_path / "own.csv")]) == 0
        with (tmp_path / "table/table.csv").open() as file:
            return capsys.readouterr().out, next(csv.DictReader(file))

    return write


def test_official_test_figures_are_not_compared_with_validation(table, tmp_path):
    text, row = table(**made_of("validation"))
    assert "Accuracy in % on 8 test images (FER2013's validation), 1 crop; " in text
    assert "| test (FER2013's validation)   |" in text
    assert "74.00" not in text.partition("Published (FER2013)")[0]
    assert "None of them is on test (FER2013's validation)." in text
    assert (row["split"], row["official"], row["dataset"]) == ("test", "validation", "FER2013")
    assert row["published"] == ""
    report = (tmp_path / "table/report.html").read_text()
    assert "<title>emotiw: FER2013, test (FER2013&#39;s validation)</title>" in report
    assert "test images (FER2013&#39;s validation), 1 crop" in report


def test_official_test_figures_are_compared_with_test(table):
    for split in ("test", "val"):  # also under another name in the set
        text, row = table(split, **made_of("test"))
        assert row["published"] == "0.740000"
        assert row["official"] == "test"
        assert "None of them" not in text
        assert ("val images (FER2013's test), 1 crop" in text) == (split == "val")
        assert "test images, 1 crop" in text or split == "val"


@pytest.mark.parametrize("word", ["val", "validation"])
def test_validation_figures_are_compared_with_validation(table, word):
    text, row = table(own=OFFICIAL_TEST.replace(",test,", f",{word},"), **made_of("validation"))
    assert row["published"] == "0.740000"
    assert f"theirs (read by me): {word} 74.00" in text


@pytest.mark.parametrize(
    ("split", "official", "words", "short"),
    [
        ("val", made_of("train", how="drawn"), "drawn from FER2013's train", "drawn from train"),
        ("test", made_of("test", how="part"), "part of FER2013's test", "part of test"),
        ("test", made_of("validation", "test"), "FER2013's validation and test", "validation and test"),
        ("test", made_of("test", ""), "FER2013's test and images of no split", "test and images of no split"),
        ("test", made_of("extra"), "FER2013's extra", "extra"),
    ],
)
def test_a_part_of_an_official_split_is_not_compared(table, split, official, words, short):
    own = HEAD + "".join(OFFICIAL_TEST.removeprefix(HEAD).replace(",test,", f",{word},") for word in ("val", "test"))
    text, row = table(split, own, **official)
    assert f"8 {split} images ({words}), 1 crop" in text
    assert (row["official"], row["published"]) == (short, "")


def test_a_drawn_split_is_not_the_official_one(table):
    text, row = table("val", OFFICIAL_TEST.replace(",test,", ",val,"), **made_of("", how="drawn"))
    assert row["published"] == ""
    assert "official" not in row
    assert "8 val images, 1 crop" in text
    assert "None of them is on val (no official split)." in text


def test_older_scores_belong_to_the_split_of_their_name(table):
    text, row = table(dataset="FER2013")
    assert row["published"] == "0.740000"
    assert "official" not in row
    assert "8 test images, 1 crop" in text


def test_scores_of_different_official_splits_are_refused(make_run, answers, tmp_path):
    make_run(ROW, answers(*LABELS), LABELS, **made_of("train", how="drawn"))
    make_run("vgg_s-lbp", answers(*LABELS), LABELS, **made_of("validation"))
    with pytest.raises(EmotiwError, match=r"^the scores name different official splits for the same images"):
        collect(tmp_path / "runs")
    make_run("vgg_s-lbp", answers(*LABELS), LABELS, dataset="FER2013")  # older ones do not record it
    said = view(collect(tmp_path / "runs"), publications()).notes.sentences
    assert any(
        line.startswith("Weights by likelihood, fitted on 8 val images (drawn from FER2013's train): ") for line in said
    )
