"""Predictions on a split without labels, by the ensemble and each net, and counts of correct ones by others."""

import csv

import pytest

from emotiw.__main__ import main

VAL = list(range(7))
ROWS = ("vgg_s-rgb", "vgg_s-lbp")


@pytest.fixture
def two(make_run, answers, tmp_path):
    """Two nets, the second always right on val, the first never; five test images without labels."""
    for row, val, test in ((ROWS[0], [1] + [0] * 6, [2] * 5), (ROWS[1], VAL, [3, 4, 4, 4, 4])):
        make_run(row, answers(*val), VAL)
        make_run(row, answers(*test), [-1] * 5, split="test")
    return tmp_path / "runs"


def tabled(runs, out, *more):
    return main(["table", str(runs), "-o", str(out), *more])


def fill(path, **counts):
    rows = [line.split(",") for line in path.read_text().splitlines()]
    path.write_text("".join(f"{name},{n},{counts.get(name.replace('-', '_'), correct)}\n" for name, n, correct in rows))


def test_predictions_of_nets_and_ensemble_have_empty_counts(two, tmp_path, capsys):
    out = tmp_path / "out"
    assert tabled(two, out, "--split", "test") == 0
    said = capsys.readouterr().out
    assert sorted(path.name for path in out.iterdir()) == [
        "predictions_test.txt",
        "predictions_test_vgg_s-lbp.txt",
        "predictions_test_vgg_s-rgb.txt",
        "test_scores.csv",
    ]
    words = {path.name: [line.split()[1] for line in path.read_text().splitlines()] for path in out.glob("*.txt")}
    assert words["predictions_test.txt"] == words["predictions_test_vgg_s-lbp.txt"] == ["Happy", *["Neutral"] * 4]
    assert words["predictions_test_vgg_s-rgb.txt"] == ["Fear"] * 5
    assert (out / "test_scores.csv").read_text() == "name,n,correct\nensemble,5,\nvgg_s-rgb,5,\nvgg_s-lbp,5,\n"
    assert said.count("to be scored") == 3
    assert "the test images have no labels, so there is no table" in said


def test_a_table_with_labels_has_predictions_of_each_net(two, tmp_path):
    assert tabled(two, tmp_path / "out") == 0
    assert {path.name for path in (tmp_path / "out").glob("predictions_*")} == {
        "predictions_val.txt",
        "predictions_val_vgg_s-lbp.txt",
        "predictions_val_vgg_s-rgb.txt",
    }
    assert not (tmp_path / "out/val_scores.csv").exists()


def test_a_table_of_fewer_rows_removes_other_predictions(two, tmp_path, capsys):
    tabled(two, tmp_path / "out")
    assert tabled(two, tmp_path / "out", "--rows", ROWS[0]) == 1
    assert tabled(two, tmp_path / "out", "--rows", ROWS[0], "--force") == 0
    assert len(list((tmp_path / "out").glob("predictions_val*"))) == 2


def row_of(text, name):
    (line,) = [line for line in text.splitlines() if line.startswith(f"| {name} ")]
    return [cell.strip() for cell in line.split("|")[2:-1]]


def test_counts_are_in_the_table_with_their_intervals(two, tmp_path, capsys):
    """4 of 5: Clopper and Pearson give 0.2836 to 0.9949."""
    out = tmp_path / "out"
    tabled(two, out, "--split", "test")
    fill(out / "test_scores.csv", ensemble=4, vgg_s_lbp=4)
    capsys.readouterr()
    assert tabled(two, tmp_path / "val", "--scored", str(out / "test_scores.csv")) == 0
    text = capsys.readouterr().out
    assert "test, scored by others" in text
    assert row_of(text, "vgg_s-lbp")[2:] == ["80.00", "28.36 - 99.49"]
    assert row_of(text, "vgg_s-rgb")[2:] == ["to be scored", ""]
    assert row_of(text, "ensemble of 2: likelihood, on these very scores")[2:] == ["80.00", "28.36 - 99.49"]
    assert row_of(text, "ensemble of 2: uniform average")[2:] == ["", ""]
    assert "Frozen: weights are fitted on the 7 val images only, before test is read;" in text
    said = "test, scored by others: the predictions were counted by someone who has the labels, not by emotiw;"
    report = (tmp_path / "val/report.html").read_text()
    for form in (text, report):
        assert said in form
    assert "<td>28.36 - 99.49</td>" in report
    assert "<td>to be scored</td>" in report
    with (tmp_path / "val/table.csv").open(newline="") as file:
        found = {row["name"]: row for row in csv.DictReader(file) if row["split"] == "test"}
    assert found["ensemble"]["accuracy"] == "0.800000"
    assert (found["ensemble"]["interval"], found["ensemble"]["marks"]) == ("Clopper-Pearson", "scored by others")
    assert (found["vgg_s-rgb"]["accuracy"], found["vgg_s-rgb"]["marks"]) == ("", "to be scored")


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("name,n,correct\nvgg_s-rgb,5,6\n", "line 2: vgg_s-rgb has n 5 and correct 6, but there are 5 images"),
        ("name,n,correct\nvgg_s-rgb,4,4\n", "line 2: vgg_s-rgb has n 4 and correct 4, but there are 5 images"),
        ("name,n,correct\nvgg_s-rgb,5,-1\n", "line 2: correct: "),
        ("name,n,correct\nvgg_s-rgb,5,4.5\n", "line 2: correct: "),
        ("name,n,correct\nvgg_s-rgb,5,80%\n", "line 2: correct: "),
        (
            "name,n,correct\nvgg_m-rgb,5,4\n",
            "line 2: vgg_m-rgb is none of the predictions of test: ensemble, vgg_s-rgb",
        ),
        ("name,n,correct\nensemble,5,4\nvgg_s-rgb,5,\nensemble,5,4\n", "line 4: ensemble occurs twice"),
        ("name,correct\nensemble,4\n", "line 1: the columns are name, correct, not "),
        ("", "line 1: the columns are missing, not "),
    ],
)
def test_a_file_of_counts_is_accepted_whole_or_refused(two, tmp_path, capsys, content, words):
    out = tmp_path / "out"
    tabled(two, out, "--split", "test")
    (out / "test_scores.csv").write_text(content)
    capsys.readouterr()
    assert tabled(two, tmp_path / "val", "--scored", str(out / "test_scores.csv")) == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert f"test_scores.csv, {words}" in line
    assert not (tmp_path / "val").exists()


def test_counts_are_of_the_predictions_beside_them(two, make_run, answers, tmp_path, capsys):
    """A net that was trained again has other predictions, to which the earlier count does not belong."""
    out = tmp_path / "out"
    tabled(two, out, "--split", "test")
    fill(out / "test_scores.csv", vgg_s_rgb=3, vgg_s_lbp=2)
    make_run(ROWS[0], answers(*[1] * 5), [-1] * 5, split="test")
    capsys.readouterr()
    assert tabled(two, tmp_path / "val", "--scored", str(out / "test_scores.csv")) == 1
    assert (
        "vgg_s-rgb: predictions_test_vgg_s-rgb.txt beside it is missing or does not have the" in capsys.readouterr().err
    )
    assert tabled(two, out, "--split", "test") == 1
    assert (
        "test_scores.csv has a count for vgg_s-rgb that belongs to other predictions: give --force"
        in capsys.readouterr().err
    )
    assert tabled(two, out, "--split", "test", "--force") == 0
    assert "the count of vgg_s-rgb is dropped: it belongs to other predictions" in capsys.readouterr().out
    assert (out / "test_scores.csv").read_text() == "name,n,correct\nensemble,5,\nvgg_s-rgb,5,\nvgg_s-lbp,5,2\n"


def test_the_same_command_keeps_the_counts(two, tmp_path, capsys):
    out = tmp_path / "out"
    tabled(two, out, "--split", "test")
    fill(out / "test_scores.csv", ensemble=4)
    before = (out / "test_scores.csv").read_text()
    assert tabled(two, out, "--split", "test", "--force") == 0
    assert (out / "test_scores.csv").read_text() == before
    assert row_of(capsys.readouterr().out.split("| test, scored by others")[-1], "ensemble")[:3] == ["5", "4", "80.00"]


def test_files_without_labels_have_the_name_of_their_official_split(make_run, answers, tmp_path, capsys):
    """FER2013: its validation split is the set's test, so the scores of its test split have another name here."""
    for row in ROWS:
        make_run(row, answers(*VAL), VAL)
        for split, official, labels in (("test", "validation", VAL), ("official-test", "test", [-1] * 7)):
            more = {"dataset": "FER2013", "official": {"names": [official], "how": "all"}}
            make_run(row, answers(*VAL), labels, split=split, **more)
    out = tmp_path / "out"
    assert tabled(tmp_path / "runs", out, "--split", "official-test") == 0
    assert sorted(path.name for path in out.iterdir()) == [
        "predictions_test.txt",
        "predictions_test_vgg_s-lbp.txt",
        "predictions_test_vgg_s-rgb.txt",
        "test_scores.csv",
    ]
    fill(out / "test_scores.csv", ensemble=7)
    assert tabled(tmp_path / "runs", out, "--split", "official-test", "--force") == 0
    capsys.readouterr()
    for split in ("test", "val"):
        assert (
            tabled(tmp_path / "runs", tmp_path / split, "--split", split, "--scored", str(out / "test_scores.csv")) == 0
        )
        text = capsys.readouterr().out
        assert "| official-test (FER2013's test), scored by others" in text
        assert row_of(text, "vgg_s-rgb")[2] == "to be scored"
        assert text.count(" 100.00 ") > 3
    assert "test (FER2013's validation)" in (tmp_path / "test/table.md").read_text()
    with (tmp_path / "test/table.csv").open(newline="") as file:
        assert {row["split"] for row in csv.DictReader(file)} == {"test", "official-test"}


def test_scored_refuses_other_files(two, tmp_path, capsys):
    assert tabled(two, tmp_path / "out", "--scored", "counts.csv") == 2
    assert "the file's name must be <split>_scores.csv" in capsys.readouterr().err
    assert tabled(two, tmp_path / "out", "--scored", "far_scores.csv") == 1
    assert "has no finetune run with far scores" in capsys.readouterr().err
    assert tabled(two, tmp_path / "out", "--split", "test", "--scored", "val_scores.csv") == 2
    assert "test has no labels, which --scored" in capsys.readouterr().err


def test_each_seed_has_predictions_and_the_lowest_one_the_count(make_run, answers, tmp_path, capsys):
    for seed in (2, 1):
        for split, labels in (("val", VAL), ("test", [-1] * 7)):
            run = {"row": ROWS[0], "seed": seed}
            make_run(f"{ROWS[0]}-s{seed}", answers(*[seed] * 7), labels, split=split, run=run)
    out = tmp_path / "out"
    assert tabled(tmp_path / "runs", out, "--split", "test") == 0
    assert (out / "test_scores.csv").read_text().split() == [
        "name,n,correct",
        "ensemble,7,",
        "vgg_s-rgb-s1,7,",
        "vgg_s-rgb-s2,7,",
    ]
    fill(out / "test_scores.csv", vgg_s_rgb_s1=1, vgg_s_rgb_s2=2)
    capsys.readouterr()
    assert tabled(tmp_path / "runs", tmp_path / "val", "--scored", str(out / "test_scores.csv")) == 0
    text = capsys.readouterr().out
    assert row_of(text, "vgg_s-rgb")[3:] == ["14.29", "0.36 - 57.87"]
    assert "For a row with several trainings, the predictions are of the lowest seed." in text


def test_two_predictions_with_one_name_are_refused(make_run, answers, tmp_path, capsys):
    make_run("ensemble-rgb", answers(*VAL), VAL)
    (tmp_path / "runs/ensemble-rgb").rename(tmp_path / "runs/ensemble")
    assert tabled(tmp_path / "runs", tmp_path / "out") == 1
    assert "another net's predictions are named ensemble: rename the run" in capsys.readouterr().err


def test_a_count_has_the_marks_of_its_split(two, make_run, answers, tmp_path, capsys):
    """Training images among the predicted ones overestimate a count like any figure."""
    known = [{"stage": "finetune", "where": "faces", "images": 2}]
    make_run(ROWS[0], answers(*[2] * 5), [-1] * 5, split="test", trained_on=known)
    out = tmp_path / "out"
    tabled(two, out, "--split", "test")
    words = "Trained on scored images: of 5 images, 2 in finetune on faces (test)."
    assert words in capsys.readouterr().out
    fill(out / "test_scores.csv", ensemble=4)
    assert tabled(two, tmp_path / "val", "--scored", str(out / "test_scores.csv")) == 0
    assert words in capsys.readouterr().out
    assert words in (tmp_path / "val/report.html").read_text()
