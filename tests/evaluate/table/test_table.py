"""The table of synthetic runs, whose figures can be counted by hand, and recomputed from their files."""

import csv
import io
import json
import re
from html.parser import HTMLParser

import numpy as np
import pytest
from scipy.optimize import minimize

from emotiw.__main__ import main
from emotiw.errors import EmotiwError
from emotiw.evaluate.ensemble import nested
from emotiw.evaluate.table.markdown import markdown
from emotiw.evaluate.table.published import publications
from emotiw.evaluate.table.results import collect
from emotiw.evaluate.table.table_csv import csv_text
from emotiw.evaluate.table.view import view

# Eight images; always naming the commonest class gives two of eight.
LABELS = [0, 1, 2, 3, 4, 5, 6, 6]


@pytest.fixture
def three(make_run, answers, tmp_path):
    """Two nets, one of them on two representations: 6, 7 and 4 of the 8 images right."""
    make_run("vgg_s-rgb", answers(0, 1, 2, 3, 4, 5, 0, 0), LABELS)
    make_run("vgg_s-cyclic_lbp", answers(0, 1, 2, 3, 4, 0, 6, 6), LABELS)
    make_run("vgg_m_2048-rgb", answers(0, 1, 0, 0, 0, 0, 6, 6), LABELS, engine="torch")
    return tmp_path / "runs"


def test_markdown_to_the_letter(three):
    """A weight of 7 / 24 for rgb makes images 5 (right with rgb), 6 and 7 (right without) likeliest together."""
    assert markdown(view(collect(three), publications())) == (
        """\
Accuracy in % on 8 val images, 1 crop; always naming the commonest class: 25.00%.

| net        | rgb           | cyclic_lbp    | best       |
|------------|---------------|---------------|------------|
| vgg_m_2048 | 50.00 (torch) | not run       | rgb        |
| vgg_s      | 75.00 (caffe) | 87.50 (caffe) | cyclic_lbp |

|                                                       | engine       | val   | 95 % interval   | published (SFEW 2.0)   | difference   | within   |
|-------------------------------------------------------|--------------|-------|-----------------|------------------------|--------------|----------|
| vgg_m_2048-rgb                                        | torch        | 50.00 | 12.50 - 87.50   | not published          |              |          |
| vgg_s-rgb                                             | caffe        | 75.00 | 37.50 - 100.00  | not published          |              |          |
| vgg_s-cyclic_lbp                                      | caffe        | 87.50 | 62.50 - 100.00  | not published          |              |          |
| ensemble of 3: likelihood, on these very scores       | torch; caffe | 87.50 | 62.50 - 100.00  | 51.75                  | +35.75       | no       |
| ensemble of 3: greedy selection, on these very scores | torch; caffe | 87.50 | 62.50 - 100.00  | 51.75                  | +35.75       | no       |
| ensemble of 3: uniform average                        | torch; caffe | 87.50 | 62.50 - 100.00  | 51.75                  | +35.75       | no       |

Published (SFEW 2.0): Levi & Hassner 2015, ensemble of VGG_S, VGG_M, GoogLeNet: val 51.75, test 54.56. On other faces than SFEW's the comparison says nothing.

Weights by likelihood, found on 8 val images: vgg_s-rgb 0.29, vgg_s-cyclic_lbp 0.71.

Weights by greedy selection, found on 8 val images: vgg_s-cyclic_lbp 1.00.

Weights found and judged on the same images flatter; the other averages do not.

The uniform average as it grows by the net that helps most: vgg_s-cyclic_lbp 87.50, vgg_s-rgb 62.50, vgg_m_2048-rgb 87.50.

Best representation of vgg_s: cyclic_lbp (as in the paper, not RGB).

Not known, as it is not on record: what the scores of vgg_m_2048-rgb, vgg_s-rgb, vgg_s-cyclic_lbp were made of.
"""
    )


def test_columns_are_the_papers_five_in_its_order_then_ones_own(make_run, answers, tmp_path):
    names = ["rgb", "lbp", "cyclic_lbp", "cyclic_lbp_5", "cyclic_lbp_10", "cyclic_lbp_r3_t5", "hamming_lbp"]
    for name in reversed(names):
        make_run(f"vgg_s-{name}", answers(*LABELS), LABELS)
    results = collect(tmp_path / "runs")
    head = markdown(view(results, publications())).splitlines()[2]
    assert head.replace(" (ours)", "-ours").replace("|", " ").split() == [
        "net",
        *names[:5],
        "cyclic_lbp_r3_t5-ours",
        "hamming_lbp-ours",
        "best",
    ]
    assert [cell.representation for cell in results.trained.cells] == names


def test_equal_representations_are_all_the_best(make_run, answers, tmp_path):
    make_run("vgg_s-lbp", answers(*LABELS), LABELS)
    make_run("vgg_s-rgb", answers(*LABELS), LABELS)
    assert "Best representation of vgg_s: rgb, lbp (RGB is among equals)." in markdown(
        view(collect(tmp_path / "runs"), publications())
    )
    make_run("vgg_s-lbp", answers(0, 0, 0, 0, 0, 0, 0, 0), LABELS)
    assert "Best representation of vgg_s: rgb (unlike in the paper, RGB)." in markdown(
        view(collect(tmp_path / "runs"), publications())
    )


def test_one_run_has_no_ensemble(make_run, answers, tmp_path):
    make_run("vgg_s-rgb", answers(*LABELS), LABELS)
    text = markdown(view(collect(tmp_path / "runs"), publications()))
    assert "100.00 (caffe)" in text
    assert "ensemble of 1" not in text
    assert "Weights by" not in text
    assert "val 51.75, test 54.56" in text


def noisy(seed, labels, classes=7):
    """Posteriors of a net that often errs."""
    posteriors = np.random.default_rng(seed).dirichlet(np.ones(classes), len(labels))
    posteriors[np.arange(len(labels)), labels] += 0.3
    return posteriors / posteriors.sum(axis=1, keepdims=True)


ROWS = ("vgg_s-rgb", "vgg_s-lbp", "vgg_s-cyclic_lbp")


def read(folder, split):
    """Labels and posteriors of a scores file, by numpy alone."""
    table = np.loadtxt(folder / f"scores_{split}.csv", delimiter=",", skiprows=1, usecols=range(1, 9))
    return table[:, 0].astype(int), table[:, 1:]


def mean_class_accuracy(labels, posteriors):
    return np.mean([np.mean(posteriors[labels == label].argmax(axis=1) == label) for label in np.unique(labels)])


def best_weights(posteriors, labels):
    """The likeliest weights, found another way: as a softmax, without constraints."""
    given = np.array(posteriors)[:, np.arange(len(labels)), labels]

    def loss(logits):
        weights = np.exp(logits - logits.max())
        return -np.log(weights / weights.sum() @ given).mean()

    logits = minimize(loss, np.zeros(len(given)), method="Nelder-Mead", options={"xatol": 1e-6, "fatol": 1e-12}).x
    weights = np.exp(logits - logits.max())
    return weights / weights.sum()


@pytest.mark.parametrize("split", ["val", "test"])
def test_the_table_recomputed_from_the_score_files(make_run, tmp_path, split):
    """On `test`, the weights are those found on `val`."""
    labels = {"val": np.arange(70) % 7, "test": np.arange(49) * 3 % 7}
    folders = {row: make_run(row, noisy(seed, labels["val"]), labels["val"]) for seed, row in enumerate(ROWS)}
    for seed, row in enumerate(ROWS):
        make_run(row, noisy(9 + seed, labels["test"]), labels["test"], split="test")
    assert main(["table", str(tmp_path / "runs"), "-o", str(tmp_path / "table"), "--split", split]) == 0
    with (tmp_path / "table/table.csv").open() as file:
        table = {line["name"]: line for line in csv.DictReader(file)}

    scores = [read(folders[row], split) for row in ROWS]
    truth = scores[0][0]
    weights = best_weights([read(folders[row], "val")[1] for row in ROWS], labels["val"])
    expected = dict(zip(ROWS, (posteriors for _, posteriors in scores), strict=True))
    where = "on these very scores" if split == "val" else "on val, frozen"
    expected[f"ensemble of 3: likelihood, {where}"] = np.tensordot(weights, list(expected.values()), 1)
    expected["ensemble of 3: uniform average"] = np.mean([posteriors for _, posteriors in scores], axis=0)
    others = {f"ensemble of 3: greedy selection, {where}"}
    if split == "val":
        others |= {f"ensemble of 3: {method}, cross-validated" for method in ("likelihood", "greedy selection")}
        others.add("ensemble of 3: chosen by nested cross-validation")
    assert set(table) - set(expected) == others
    for name, posteriors in expected.items():
        assert float(table[name]["accuracy"]) == pytest.approx(np.mean(posteriors.argmax(axis=1) == truth), abs=1e-6)
        mean = mean_class_accuracy(truth, posteriors)
        assert float(table[name]["mean_class_accuracy"]) == pytest.approx(mean, abs=1e-6)
        assert (table[name]["split"], table[name]["n"], table[name]["crops"]) == (split, str(len(truth)), "1")
    np.testing.assert_allclose([float(table[row]["weight"]) for row in ROWS], weights, atol=2e-3)

    text = (tmp_path / "table/table.md").read_text()
    for name, line in table.items():
        assert f"{float(line['accuracy']) * 100:.2f}" in text, name
    published = {"val": "51.75", "test": "54.56"}[split]
    ensemble = next(line for line in text.splitlines() if "uniform average" in line)
    ours = float(table["ensemble of 3: uniform average"]["accuracy"]) * 100
    assert [cell.strip() for cell in ensemble.split("|")[5:7]] == [published, f"{ours - float(published):+.2f}"]
    assert all("not published" in line for line in text.splitlines() if line.startswith("| vgg_s-"))


def said_of(main_text, beginning):
    return [line for line in main_text.splitlines() if line.startswith(beginning)]


@pytest.mark.parametrize("change", ["labels", "posteriors"])
def test_weights_are_frozen_whatever_is_on_test(make_run, tmp_path, change):
    """Other labels or other posteriors on test: the same weights, the same order of adding nets, to the last digit."""
    rng = np.random.default_rng(7)
    val = np.arange(70) % 7
    truth = {"before": np.arange(49) * 3 % 7, "after": np.arange(49) * 3 % 7}
    answers = {when: [noisy(20 + net, truth["before"]) for net in range(3)] for when in truth}
    if change == "labels":
        truth["after"] = rng.permutation(truth["before"])
    else:
        answers["after"] = [noisy(50 + net, truth["before"]) for net in range(3)]
    texts, weights, predicted = {}, {}, {}
    for when in truth:
        for net, row in enumerate(ROWS):
            make_run(row, noisy(net, val), val)
            make_run(row, answers[when][net], truth[when], split="test")
        out = tmp_path / when
        assert main(["table", str(tmp_path / "runs"), "-o", str(out), "--split", "test"]) == 0
        texts[when] = (out / "table.md").read_text()
        with (out / "table.csv").open() as file:
            weights[when] = [line["weight"] for line in csv.DictReader(file)]
        labels = (line.split(" ")[1] for line in (out / "predictions_test.txt").read_text().splitlines())
        predicted[when] = list(labels)
        report = (out / "report.html").read_text()
        for text in (texts[when], report):
            assert "Frozen: weights are found on the 70 val images alone, before test is touched;" in text
            assert "flatter" not in text
            assert "on these very scores" not in text
            assert "nested" not in text
            assert "by the net that helps most on val: " in text
    assert weights["before"] == weights["after"]
    assert said_of(texts["before"], "Weights by") == said_of(texts["after"], "Weights by") != []
    order = {when: re.findall(r"vgg_s-\w+", said_of(texts[when], "The uniform")[0]) for when in texts}
    assert order["before"] == order["after"]
    assert (predicted["before"] == predicted["after"]) == (change == "labels")
    assert said_of(texts["before"], "| vgg_s-rgb ") != said_of(texts["after"], "| vgg_s-rgb ")  # the figures do change


def test_labels_that_nobody_knows_find_no_weights(make_run, answers, tmp_path):
    """-1 is no class; the last one, which that place would be in an array, is not taken for it."""
    for row, named in ((ROWS[0], 6), (ROWS[1], 2)):
        make_run(row, answers(named, named), [-1, -1])
        make_run(row, answers(*LABELS), LABELS, split="test")
    val = collect(tmp_path / "runs").trained
    assert (val.weights, val.nested, [average.name for average in val.averages]) == ({}, None, ["uniform average"])
    assert collect(tmp_path / "runs", split="test").trained.weights == {}


def test_nested_cross_validation_has_a_row_and_says_what_it_chose(make_run, tmp_path):
    labels = np.arange(70) % 7
    for seed, row in enumerate(ROWS):
        make_run(row, noisy(seed, labels), labels)
    results = collect(tmp_path / "runs")
    posteriors = np.array([noisy(seed, labels) for seed in range(3)])
    combined, chosen = nested(posteriors, labels)
    accuracy = f"{np.mean(combined.argmax(axis=1) == labels) * 100:.2f}"
    text = markdown(view(results, publications()))
    (line,) = said_of(text, "| ensemble of 3: chosen by nested cross-validation ")
    assert line.split("|")[3].strip() == accuracy
    counts = re.findall(r"in each of 5 folds: (.+)\.", text)[0].split(", ")
    assert sorted(counts) == sorted(f"{name} {chosen.count(name)}" for name in set(chosen))


def test_the_arithmetic_is_told_on_as_many_images_as_sfew_has(make_run, answers, tmp_path):
    told = "51.75 % is no k/431, neither rounded nor truncated"
    for n in (431, 427):
        labels = np.arange(n) % 7
        make_run("vgg_s-rgb", answers(*labels), labels)
        assert main(["table", str(tmp_path / "runs"), "-o", str(tmp_path / "table"), "--force"]) == 0
        for file in ("table.md", "report.html"):
            text = (tmp_path / "table" / file).read_text()
            assert (told in text) == (n == 431)
            assert ("207/400, 221/427, 222/429 only; the authors probably scored 427" in text) == (n == 431)
    labels = np.arange(372) % 7
    make_run("vgg_s-rgb", answers(*labels), labels, split="test")
    assert " is no k/" not in markdown(view(collect(tmp_path / "runs", split="test"), publications()))


def test_without_val_scores_a_test_table_has_the_uniform_average_alone(make_run, answers, tmp_path):
    for row in ROWS[:2]:
        make_run(row, answers(*LABELS), LABELS, split="test")
    make_run(ROWS[0], answers(*LABELS), LABELS)
    assert [average.name for average in collect(tmp_path / "runs", split="test").trained.averages] == [
        "uniform average"
    ]
    text = markdown(view(collect(tmp_path / "runs", split="test"), publications()))
    assert "by the net that helps most on test itself: " in text
    assert "Frozen" not in text


def test_classes_that_are_not_the_emotions_stand_beside_no_published_figure(make_run, answers, tmp_path):
    people = ("ann", "bob", "eve")
    for row in ROWS[:2]:
        make_run(row, answers(0, 1, 2, classes=3), [0, 1, 2], classes=people)
    assert main(["table", str(tmp_path / "runs"), "-o", str(tmp_path / "table")]) == 0
    for file in ("table.md", "report.html"):
        text = (tmp_path / "table" / file).read_text()
        assert "51.75" not in text
        assert "uniform average" in text


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"digest": "f" * 64}, "vgg_s-lbp and vgg_s-rgb were scored on different sets or crops: evaluate both alike"),
        ({"crops": 10}, "vgg_s-lbp and vgg_s-rgb were scored on different sets or crops: evaluate both alike"),
        ({"labels": LABELS[:-1]}, "vgg_s-lbp and vgg_s-rgb have scores of other images"),
        ({"labels": LABELS[::-1]}, "vgg_s-lbp and vgg_s-rgb have scores of other images"),
    ],
)
@pytest.mark.parametrize("split", ["val", "test"])
def test_runs_on_different_images_are_refused(make_run, answers, tmp_path, change, words, split):
    """Those the weights are found on, too."""
    other = {"labels": LABELS, **change}
    for row in ROWS[:2]:
        make_run(row, answers(*LABELS), LABELS, split="test")
    make_run(ROWS[0], answers(*LABELS), LABELS)
    make_run(ROWS[1], answers(*other["labels"]), **other)
    with pytest.raises(EmotiwError, match=words):
        collect(tmp_path / "runs", split=split)


def test_what_cannot_be_a_table_is_one_line(make_run, answers, tmp_path, capsys):
    def refused(*arguments):
        assert main(["table", str(tmp_path / "runs"), "-o", str(tmp_path / "table"), *arguments]) == 1
        (line,) = capsys.readouterr().err.splitlines()
        return line

    assert "holds no finetune run with val scores: make them with emotiw evaluate" in refused()
    folder = make_run("vgg_s-rgb", answers(*LABELS), LABELS)
    assert "holds no finetune run with test scores" in refused("--split", "test")
    assert "holds no pretrain run with val scores" in refused("--stage", "pretrain")
    protocol = json.loads((folder / "scores_val.json").read_text())
    older = {key: value for key, value in protocol.items() if key != "mean_rule"}
    for damaged in ({}, [], older, {**protocol, "more": 1}, {**protocol, "stand_in": "no"}):
        (folder / "scores_val.json").write_text(json.dumps(damaged))
        assert "scores_val.json is damaged or of another version of emotiw (" in refused()
    make_run("vgg_s-rgb", answers(*LABELS), LABELS)
    (folder / "scores_val.csv").write_text("path,label\n")
    assert "scores_val.csv is no table of scores" in refused()
    make_run("vgg_s-rgb", answers(*LABELS), LABELS)
    copied = make_run("vgg_s-rgb-copy", answers(*LABELS), LABELS)
    (copied / "run.json").write_text((folder / "run.json").read_text())
    assert "are the same row: move one elsewhere" in refused()
    assert not (tmp_path / "table").exists()


def test_a_table_is_not_overwritten(three, tmp_path, capsys):
    command = ["table", str(three), "-o", str(tmp_path / "table")]
    assert main(command) == 0
    assert capsys.readouterr().out.startswith(markdown(view(collect(three), publications())))
    assert main(command) == 1
    assert "table.md exists already: give --force" in capsys.readouterr().err
    assert main([*command, "--force"]) == 0


def test_published_figures():
    """Li & Deng's survey: the paper, and what came after it."""
    found = publications()
    assert (found[0].val, found[0].test, found[0].images) == ("51.75", "54.56", "891 / 431 / 372")
    assert (found[0].net, found[0].on("val"), found[0].on("train")) == ("ensemble", 0.5175, None)
    assert len(found) == 10
    assert all(publication.source and publication.standing for publication in found)
    recalled = [publication.method for publication in found if publication.standing != "verified"]
    assert recalled == ["Challenge baseline (PHOG + LPQ, SVM)"]
    assert int(0.5456 * 372 + 1) == 203  # 54.56 is 203 of the 372 test images, truncated


def test_a_user_adds_published_figures(three, tmp_path, capsys):
    head = "method,net,representation,images,val,val_mean_class,test,test_mean_class,source,standing\n"
    own = tmp_path / "own.csv"
    own.write_text(head + "the paper's table,vgg_s,rgb,,74.00,,,,the paper,read by me\n")
    command = ["table", str(three), "-o", str(tmp_path / "table"), "--published", str(own), "--force"]
    assert main(command) == 0
    line = next(line for line in capsys.readouterr().out.splitlines() if line.startswith("| vgg_s-rgb "))
    assert [cell.strip() for cell in line.split("|")[5:8]] == ["74.00", "+1.00", "yes"]
    for text, words in (
        ("a,b\n1,2\n", "has not the columns"),
        (head + "x,,,,n/a,,,,,\n", "not a row"),
        (head + "x\n", "not a row"),
    ):
        own.write_text(text)
        assert main(command) == 1
        (line,) = capsys.readouterr().err.splitlines()
        assert words in line


VOID = {"meta", "img", "br", "link", "hr", "input"}


class Page(HTMLParser):
    """Collects text and addresses; raises where tags are not nested."""

    def __init__(self, text):
        super().__init__()
        self.open, self.addresses, self.words = [], [], []
        self.feed(text)
        assert self.open == []

    def handle_starttag(self, tag, attrs):
        self.addresses += [value for key, value in attrs if key in ("src", "href", "srcset", "data", "action")]
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.words.append(data)


def test_the_report_is_whole_in_itself(three, tmp_path):
    (three / "vgg_s-rgb/finetune/curves.png").write_bytes(b"a picture")
    assert main(["table", str(three), "-o", str(tmp_path / "table")]) == 0
    text = (tmp_path / "table/report.html").read_text()
    page = Page(text)
    assert len(page.addresses) == 2  # the ensemble's confusion matrix and the curves
    assert all(address.startswith("data:image/png;base64,") for address in page.addresses)
    for outside in ("http://", "https://", "url(", "@import", "<script", str(tmp_path)):
        assert outside not in text
    words = " ".join(" ".join(page.words).split())
    for expected in (
        "vgg_m_2048-rgb", "vgg_s-rgb", "vgg_s-cyclic_lbp", "87.50", "75.00", "50.00", "51.75", "54.56", "not run",
        "uniform average", "caffe 1.0.0, torch 1.0.0", "Levi & Hassner 2015", "25.00",
    ):  # fmt: skip
        assert expected in words, expected


def test_names_are_escaped_in_the_report(make_run, answers, tmp_path):
    folder = make_run("vgg_s-rgb", answers(*LABELS), LABELS)
    protocol = json.loads((folder / "scores_val.json").read_text())
    (folder / "scores_val.json").write_text(json.dumps({**protocol, "engine_version": "<b>&1"}))
    assert main(["table", str(tmp_path / "runs"), "-o", str(tmp_path / "table")]) == 0
    assert "&lt;b&gt;&amp;1" in (tmp_path / "table/report.html").read_text()


def test_every_row_says_which_engines_it_comes_from(make_run, answers, tmp_path):
    """Trained by one and scored by the other is not the same as both by one."""
    make_run("vgg_s-rgb", answers(0, 1, 0, 0, 0, 0, 6, 6), LABELS, engine="torch bf16")
    make_run("vgg_s-lbp", answers(0, 1, 0, 0, 0, 0, 6, 6), LABELS, engine="torch bf16", trained_by="caffe + torch")
    make_run("vgg_s-cyclic_lbp", answers(0, 1, 0, 0, 0, 0, 6, 6), LABELS)
    results = collect(tmp_path / "runs")
    rows = list(csv.DictReader(io.StringIO(csv_text(view(results, publications())))))
    assert [row["engine"] for row in rows][:4] == [
        "torch bf16",
        "caffe + torch, scored by torch bf16",
        "caffe",
        "torch bf16; caffe + torch, scored by torch bf16; caffe",
    ]
    text = markdown(view(results, publications()))
    assert "(caffe + torch, scored by torch bf16)" in text
    assert all(row["engine"] for row in rows)
