"""Released models and runs in one table: figures by hand, and each column as in a table of its own."""

import csv
import json
import re
from html import unescape

import numpy as np
import pytest

from emotiw.__main__ import main
from emotiw.errors import EmotiwError
from emotiw.evaluate.released.catalog import released
from emotiw.evaluate.table.markdown import markdown
from emotiw.evaluate.table.published import publications
from emotiw.evaluate.table.results import collect
from emotiw.evaluate.table.table_csv import csv_text
from emotiw.evaluate.table.view import view

LABELS = [0, 1, 2, 3, 4, 5, 6, 6]
VAL, TEST = np.arange(70) % 7, np.arange(49) * 3 % 7
ROWS, NAMES = ("vgg_s-rgb", "vgg_s-lbp", "vgg_m_2048-rgb"), tuple(released())


@pytest.fixture
def beside(make_run, make_released, answers, tmp_path):
    """Two runs, 6 and 4 of 8 images right, and two released models, 7 and 5 right; `beside(True)`: stand-ins."""

    def make(stand_in=False):
        make_run("vgg_s-rgb", answers(0, 1, 2, 3, 4, 5, 0, 0), LABELS, dataset="SFEW 2.0")
        make_run("vgg_m_2048-rgb", answers(0, 1, 0, 0, 0, 0, 6, 6), LABELS, dataset="SFEW 2.0")
        make_released("VGG_S_rgb", answers(0, 1, 2, 3, 4, 5, 6, 0), LABELS, stand_in, dataset="SFEW 2.0")
        make_released("VGG_S_lbp", answers(0, 1, 2, 0, 0, 0, 6, 6), LABELS, dataset="SFEW 2.0")
        return tmp_path / "runs"

    return make


def noisy(seed, labels):
    """Posteriors of a net that often errs."""
    posteriors = np.random.default_rng(seed).dirichlet(np.ones(7), len(labels))
    posteriors[np.arange(len(labels)), labels] += 0.3
    return posteriors / posteriors.sum(axis=1, keepdims=True)


MARKDOWN = """\
Set gone: SFEW 2.0.
Accuracy in % on 8 val images, 1 crop; a constant guess of the commonest class: 25.00%.
Trained for 4 iterations, seed 1, by caffe.

| net                     | rgb   | lbp     | highest   |
|-------------------------|-------|---------|-----------|
| vgg_m_2048              | 50.00 | not run | rgb       |
| vgg_s                   | 75.00 | not run | rgb       |
| vgg_s, authors' weights | 87.50 | 62.50   | rgb       |

|                                                       | trained here     | 95 % interval   | authors' weights, our code   | 95 % interval   | published (SFEW 2.0)   | difference, trained here   | within, trained here   | difference, authors' weights   | within, authors' weights   |
|-------------------------------------------------------|------------------|-----------------|------------------------------|-----------------|------------------------|----------------------------|------------------------|--------------------------------|----------------------------|
| vgg_m_2048-rgb                                        | 50.00            | 15.70 - 84.30   | no released weights          |                 | not published          |                            |                        |                                |                            |
| vgg_s-rgb                                             | 75.00            | 34.91 - 96.81   | 87.50                        | 47.35 - 99.68   | not published          |                            |                        |                                |                            |
| vgg_s-lbp                                             | not trained here |                 | 62.50                        | 24.49 - 91.48   | not published          |                            |                        |                                |                            |
| ensemble of 2: likelihood, on these very scores       | 75.00            | 34.91 - 96.81   | 87.50                        | 47.35 - 99.68   | 51.75                  | +23.25                     | yes                    | +35.75                         | yes                        |
| ensemble of 2: greedy selection, on these very scores | 75.00            | 34.91 - 96.81   | 87.50                        | 47.35 - 99.68   | 51.75                  | +23.25                     | yes                    | +35.75                         | yes                        |
| ensemble of 2: uniform average                        | 25.00            | 3.19 - 65.09    | 50.00                        | 15.70 - 84.30   | 51.75                  | -26.75                     | yes                    | -1.75                          | yes                        |

| compared                           | difference   | 95 % interval    | one alone right   | p, McNemar   | p, Holm   |
|------------------------------------|--------------|------------------|-------------------|--------------|-----------|
| vgg_s, authors' weights: lbp - rgb | -25.00       | -75.20 to +44.13 | 1 / 3             | 0.6250       | 0.6250    |

95 % intervals: bootstrap of the 8 images (their groups, such as people or movies, are not known); if fewer than 5 of them are right, or wrong, the exact interval of Clopper and Pearson. They do not include the spread between trainings.

Published (SFEW 2.0): Levi & Hassner 2015, ensemble of VGG_S, VGG_M, GoogLeNet: val 51.75, test 54.56. They are on 431 val images; this table is on 8.

Authors' weights, our code: the released VGG_S nets; the mean is subtracted by the rule `resize`, which current Caffe applies to the mean of the authors' notebook. The published ensemble also had VGG_M and GoogLeNet nets; their weights were not released.

Weights by likelihood, fitted on 8 val images: vgg_m_2048-rgb 0.29, vgg_s-rgb 0.71.

Weights by greedy selection, fitted on 8 val images: vgg_s-rgb 1.00.

Weights fitted and scored on the same images overestimate accuracy; the other averages do not.

Uniform average after adding, step by step, the net that improves it most: vgg_s-rgb 75.00, vgg_m_2048-rgb 25.00.

Authors' weights, our code. Weights by likelihood, fitted on 8 val images: VGG_S_rgb 0.81, VGG_S_lbp 0.19.

Authors' weights, our code. Weights by greedy selection, fitted on 8 val images: VGG_S_rgb 1.00.

Authors' weights, our code. Weights fitted and scored on the same images overestimate accuracy; the other averages do not.

Authors' weights, our code. Uniform average after adding, step by step, the net that improves it most: VGG_S_rgb 87.50, VGG_S_lbp 50.00.

Claims are tested by McNemar's exact two-sided test, corrected by Holm for 1 comparison; a corrected p below 0.05 shows a difference. Each p compares one training (one seed) of each net, so it does not include the spread between trainings. The ensemble is not tested against its best member: the two cannot be chosen out of fold.

Best representation of vgg_s, authors' weights: no difference shown (highest figure: rgb, 87.50; smallest p against RGB 0.6250).

Not known, because not recorded: the inputs of the scores of vgg_m_2048-rgb, vgg_s-rgb, VGG_S_rgb, VGG_S_lbp.
"""


def test_markdown_to_the_letter(beside):
    """Of 6 images that only one net classifies correctly, vgg_s has 4: weight 17 / 24; VGG_S_rgb 3 of 4: 13 / 16."""
    assert markdown(view(collect(beside()), publications())) == MARKDOWN


def words_of(page):
    """Return the words of a report, without its style sheet."""
    return " ".join(unescape(re.sub(r"<style>.*?</style>|<[^>]+>", " ", page, flags=re.S)).split())


def test_a_stand_in_is_marked_everywhere_and_not_compared(beside, tmp_path, capsys):
    runs, out = beside(True), tmp_path / "table"
    assert main(["table", str(runs), "-o", str(out)]) == 0
    text, words = (out / "table.md").read_text(), words_of((out / "report.html").read_text())
    for said in (text, words):
        assert "STAND-INS (random weights), our code" in said
        assert "Their figures say nothing about the authors' nets and are not compared." in said
        assert "authors' weights" not in said.lower()
        assert "VGG_S_rgb" in said
        assert said.count("VGG_S_rgb") == said.count("VGG_S_rgb (STAND-IN)")
        assert "difference, trained here" in said
        assert "difference, STAND-INS" not in said
    assert "Best representation of vgg_s, " not in text
    assert "| vgg_s, STAND-INS | 87.50 | 62.50   | random weights |" in text
    with (out / "table.csv").open() as file:
        rows = list(csv.DictReader(file))
    theirs = [row for row in rows if row["kind"] != "trained here"]
    assert {row["kind"] for row in theirs} == {"STAND-INS (random weights), our code"}
    assert len(theirs) == 5
    assert all(row["published"] == "" for row in theirs)
    assert all("STAND-INS" in row["name"] for row in theirs if row["name"].startswith("ensemble"))
    # Without runs, they have no published figures, and the predictions are marked as theirs.
    for row in ROWS:
        (runs / row / "finetune/scores_val.csv").unlink(missing_ok=True)
    capsys.readouterr()
    assert main(["table", str(runs), "-o", str(out), "--force"]) == 0
    said = capsys.readouterr().out
    assert "predictions (STAND-INS (random weights), our code: likelihood, on these very scores): " in said
    for said in ((out / "table.md").read_text(), (out / "report.html").read_text()):
        assert "51.75" not in said
        assert "ublished" not in said
        assert "aper's claim" not in said
        assert "difference" not in said


def table(runs, output, split="val"):
    assert main(["table", str(runs), "-o", str(output), "--split", split, "--force"]) == 0
    with (output / "table.csv").open() as file:
        return list(csv.DictReader(file))


@pytest.mark.parametrize("split", ["val", "test"])
def test_runs_and_models_do_not_affect_each_other(make_run, make_released, tmp_path, split):
    """The figures of runs and of models are those of a table without the others, and
    those of runs with the same scores."""
    for seed, row in enumerate(ROWS):
        make_run(row, noisy(seed, VAL), VAL)
        make_run(row, noisy(9 + seed, TEST), TEST, split="test")
    alone = table(tmp_path / "runs", tmp_path / "alone", split)
    assert "kind" not in alone[0]
    for seed, name in enumerate(NAMES):
        make_released(name, noisy(20 + seed, VAL), VAL)
        make_released(name, noisy(30 + seed, TEST), TEST, split="test")
    both = table(tmp_path / "runs", tmp_path / "both", split)
    handed_in = (tmp_path / "both" / f"predictions_{split}.txt").read_text()
    assert handed_in == (tmp_path / "alone" / f"predictions_{split}.txt").read_text()
    ours = [row for row in both if row.pop("kind") == "trained here"]
    assert ours == alone
    theirs = [row for row in both if row not in ours]
    assert [row["name"] for row in theirs[:5]] == list(NAMES)
    assert [(row["net"], row["representation"]) for row in theirs[:5]] == [
        ("vgg_s", released()[name].representation) for name in NAMES
    ]
    assert sum(float(row["weight"]) for row in theirs[:5]) == pytest.approx(1, abs=1e-5)
    assert len([row for row in theirs if row["name"].startswith("ensemble of 5, authors' weights: ")]) == (
        len(theirs) - 5
    )

    (tmp_path / "runs").rename(tmp_path / "before")
    for seed, name in enumerate(NAMES):
        make_released(name, noisy(20 + seed, VAL), VAL)
        make_released(name, noisy(30 + seed, TEST), TEST, split="test")
    lone = table(tmp_path / "runs", tmp_path / "lone", split)
    assert [row | {"kind": None} for row in lone] == [row | {"kind": None} for row in theirs]

    (tmp_path / "runs").rename(tmp_path / "models")
    for seed, name in enumerate(NAMES):
        row = f"vgg_s-{released()[name].representation}"
        make_run(row, noisy(20 + seed, VAL), VAL)
        make_run(row, noisy(30 + seed, TEST), TEST, split="test")
    same = table(tmp_path / "runs", tmp_path / "same", split)
    free = {"name": "", "iterations": "", "seeds": ""}  # the models' training is not known
    assert [row | free for row in same] == [row | free for row in theirs]
    assert [row["name"].replace("ensemble of 5:", "ensemble of 5, authors' weights:") for row in same[5:]] == [
        row["name"] for row in theirs[5:]
    ]
    predicted = [(tmp_path / one / f"predictions_{split}.txt").read_text() for one in ("lone", "same")]
    assert predicted[0] == predicted[1]


def cells_of(text):
    """Return the rows of the table of figures, by name: the two columns' accuracies."""
    lines = text.split("| trained here ")[1].split("\n\n")[0].splitlines()[2:]
    split = [[cell.strip() for cell in line.split("|")] for line in lines]
    return {cells[1]: (cells[2], cells[4]) for cells in split}


def test_an_empty_cell_has_a_reason(make_run, make_released, answers, tmp_path):
    right = answers(*LABELS)
    for row in ("vgg_s-rgb", "vgg_s-cyclic_lbp", "vgg_m_2048-rgb", "vgg_s-cyclic_lbp_r3_t5"):
        folder = make_run(row, right, LABELS)
        if row == "vgg_s-cyclic_lbp":
            (folder / "scores_val.csv").unlink()
    for name in ("VGG_S_lbp", "VGG_S_cyclic_lbp", "VGG_S_cyclic_lbp_10"):
        make_released(name, right, LABELS)
    text = markdown(view(collect(tmp_path / "runs"), publications()))
    found = cells_of(text)
    assert {name: cells for name, cells in found.items() if not name.startswith("ensemble")} == {
        "vgg_m_2048-rgb": ("100.00", "no released weights"),
        "vgg_s-rgb": ("100.00", "not evaluated"),
        "vgg_s-lbp": ("not trained here", "100.00"),
        "vgg_s-cyclic_lbp": ("not finished", "100.00"),
        "vgg_s-cyclic_lbp_10": ("not trained here", "100.00"),
        "vgg_s-cyclic_lbp_r3_t5": ("100.00", "no released weights"),
    }
    assert found["ensemble of 3: uniform average"] == ("100.00", "100.00")
    grid = next(line for line in text.splitlines() if line.startswith("| vgg_s, authors' weights "))
    assert [cell.strip() for cell in grid.split("|")[2:6]] == ["not evaluated", *["100.00"] * 3]

    two = collect(tmp_path / "runs", rows=["vgg_s-rgb", "vgg_m_2048-rgb"])
    found = cells_of(markdown(view(two, publications())))
    assert "vgg_s-cyclic_lbp_r3_t5" not in found
    assert found["vgg_s-cyclic_lbp"] == ("left out", "100.00")
    assert found["ensemble of 2 / 3: uniform average"] == ("100.00", "100.00")
    one = cells_of(markdown(view(collect(tmp_path / "runs", rows=["vgg_s-rgb"]), publications())))
    assert one["ensemble of 3: uniform average"] == ("only one net", "100.00")


def test_models_without_val_scores_have_the_uniform_average(make_run, make_released, answers, tmp_path):
    right = answers(*LABELS)
    for row, name in zip(ROWS[:2], NAMES, strict=False):
        for split in ("val", "test"):
            make_run(row, right, LABELS, split=split)
        make_released(name, right, LABELS, split="test")
    make_released(NAMES[0], right, LABELS)  # one of two is not enough
    results = collect(tmp_path / "runs", split="test")
    found = cells_of(markdown(view(results, publications())))
    assert found["ensemble of 2: likelihood, on val, frozen"] == ("100.00", "not evaluated on val")
    assert found["ensemble of 2: uniform average"] == ("100.00", "100.00")
    rows = csv.DictReader(csv_text(view(results, publications())).splitlines())
    assert [row["weight"] != "" for row in rows if row["net"]] == [True, True, False, False]


def test_a_table_of_pretrained_runs_has_no_models(make_run, make_released, answers, tmp_path):
    folder = make_run("vgg_s-rgb", answers(*LABELS), LABELS)
    folder.rename(folder.with_name("pretrain"))
    make_released("VGG_S_rgb", answers(*LABELS), LABELS)
    assert collect(tmp_path / "runs", "pretrain").released is None
    assert collect(tmp_path / "runs").trained.cells == ()
    assert markdown(view(collect(tmp_path / "runs"), publications())).count("| 100.00 | rgb ") == 1


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (
            {"digest": "f" * 64},
            "VGG_S_rgb and vgg_s-rgb were scored on different sets or crops: evaluate both in the same way",
        ),
        (
            {"crops": 10},
            "VGG_S_rgb and vgg_s-rgb were scored on different sets or crops: evaluate both in the same way",
        ),
        ({"labels": LABELS[:-1]}, "VGG_S_rgb and vgg_s-rgb have scores of different images"),
    ],
)
def test_models_scored_on_other_images_than_the_runs_are_refused(
    make_run, make_released, answers, tmp_path, change, words
):
    make_run("vgg_s-rgb", answers(*LABELS), LABELS)
    made = {"labels": LABELS, **change}
    make_released("VGG_S_rgb", answers(*made["labels"]), **made)
    with pytest.raises(EmotiwError, match=words):
        collect(tmp_path / "runs")


def test_labels_that_only_one_of_them_knows_are_refused(make_run, make_released, answers, tmp_path):
    """One was evaluated with --truth on a split without labels, the other without."""
    make_run("vgg_s-rgb", answers(0, 0), [0, 0])
    folder = make_released("VGG_S_rgb", answers(0, 0), [0, 0])
    file = folder / "scores_val.csv"
    file.write_text(file.read_text().replace("png,0,", "png,-1,"))
    with pytest.raises(EmotiwError, match="VGG_S_rgb and vgg_s-rgb have different labels: evaluate both with the same"):
        collect(tmp_path / "runs")


def test_weights_found_on_val_by_other_weights_are_refused(make_released, answers, tmp_path):
    """For example, a stand-in was scored on val, then the real model on test."""
    for split in ("val", "test"):
        folder = make_released("VGG_S_rgb", answers(*LABELS), LABELS, split=split)
    protocol = json.loads((folder / "scores_val.json").read_text())
    (folder / "scores_val.json").write_text(json.dumps(protocol | {"weights_sha256": "b" * 64}))
    with pytest.raises(
        EmotiwError, match="VGG_S_rgb: its test and val scores are of different weights: evaluate both splits with"
    ):
        collect(tmp_path / "runs", split="test")


def test_damaged_scores_of_a_model_are_one_line(make_released, answers, tmp_path, capsys):
    folder = make_released("VGG_S_rgb", answers(*LABELS), LABELS)
    (tmp_path / "runs/released/VGG_S_of_somebody").mkdir()  # not a model's name: ignored
    for name, content, words in (
        (
            "scores_val.csv",
            "path,label\n",
            "scores_val.csv is not a table of scores (line 1): make it again with emotiw evaluate",
        ),
        ("scores_val.json", "{}", "scores_val.json is damaged or of another version of emotiw ("),
    ):
        (folder / name).write_text(content)
        assert main(["table", str(tmp_path / "runs"), "-o", str(tmp_path / "table")]) == 1
        (line,) = capsys.readouterr().err.splitlines()
        assert words in line
        make_released("VGG_S_rgb", answers(*LABELS), LABELS)
    assert not (tmp_path / "table").exists()


@pytest.mark.parametrize("stand_in", [False, True])
def test_the_report_has_both_kinds(beside, tmp_path, stand_in):
    assert main(["table", str(beside(stand_in)), "-o", str(tmp_path / "table")]) == 0
    text = (tmp_path / "table/report.html").read_text()
    words = words_of(text)
    assert text.count("<img") == text.count("data:image/png;base64,") == 2  # a confusion matrix an ensemble
    mark, title = ("STAND-INS", "STAND-INS (random weights)") if stand_in else ("authors' weights",) * 2
    for expected in (
        f"vgg_s, {mark}", f"trained here 95 % interval mean class accuracy {title}, our code 95 % interval",
        "not trained here", "no released weights", f"Ensemble, {title}, our code", "difference, trained here",
    ):  # fmt: skip
        assert expected in words, expected
    for expected in (
        "difference, authors' weights",
        "+35.75",
        "vgg_s, authors' weights: no difference",
        "the rule `resize`,",
    ):
        assert (expected in words) != stand_in, expected
    figures = text.split("<h2>Every figure</h2>")[1].split("</table>")[0]
    widths = [
        sum(int(re.search(r'colspan="(\d+)"', cell)[1]) if "colspan" in cell else 1 for cell in cells)
        for cells in (re.findall(r"<t[hd][^>]*>", row) for row in figures.split("<tr>")[1:])
    ]
    assert len(widths) == 7
    assert set(widths) == {1 + 3 + 3 + 1 + (2 if stand_in else 4)}
