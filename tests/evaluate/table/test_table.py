"""The table of synthetic runs: figures counted by hand, and recomputed from their files."""

import csv
import io
import json
import re
from html.parser import HTMLParser

import numpy as np
import pytest
from scipy.optimize import minimize
from scipy.stats import binomtest
from sklearn.model_selection import StratifiedGroupKFold, StratifiedKFold

from emotiw.__main__ import main
from emotiw.errors import EmotiwError
from emotiw.evaluate.ensemble import fit_weights, nested
from emotiw.evaluate.table.markdown import markdown
from emotiw.evaluate.table.published import publications, published_on
from emotiw.evaluate.table.results import collect
from emotiw.evaluate.table.table_csv import csv_text
from emotiw.evaluate.table.view import view

# Eight images; a constant guess of the commonest class is right on two.
LABELS = [0, 1, 2, 3, 4, 5, 6, 6]


@pytest.fixture
def three(make_run, answers, tmp_path):
    """Two nets, one of them on two representations: 6, 7 and 4 of the 8 images right."""
    make_run("vgg_s-rgb", answers(0, 1, 2, 3, 4, 5, 0, 0), LABELS)
    make_run("vgg_s-cyclic_lbp", answers(0, 1, 2, 3, 4, 0, 6, 6), LABELS)
    make_run("vgg_m_2048-rgb", answers(0, 1, 0, 0, 0, 0, 6, 6), LABELS, engine="torch")
    return tmp_path / "runs"


def test_markdown_to_the_letter(three):
    """The weight 7 / 24 for rgb has the largest likelihood of images 5 (right with rgb), 6 and 7 (right without)."""
    assert markdown(view(collect(three), publications())) == (
        """\
Set gone: unknown data set (name it with emotiw prepare --dataset).
Accuracy in % on 8 val images, 1 crop; a constant guess of the commonest class: 25.00%.
Trained from scratch for 4 iterations, seed 1, by the engines below.

| net        | rgb           | cyclic_lbp    | highest    |
|------------|---------------|---------------|------------|
| vgg_m_2048 | 50.00 (torch) | not run       | rgb        |
| vgg_s      | 75.00 (caffe) | 87.50 (caffe) | cyclic_lbp |

|                                                       | engine       | val   | 95 % interval   |
|-------------------------------------------------------|--------------|-------|-----------------|
| vgg_m_2048-rgb                                        | torch        | 50.00 | 15.70 - 84.30   |
| vgg_s-rgb                                             | caffe        | 75.00 | 34.91 - 96.81   |
| vgg_s-cyclic_lbp                                      | caffe        | 87.50 | 47.35 - 99.68   |
| ensemble of 3: likelihood, on these very scores       | torch; caffe | 87.50 | 47.35 - 99.68   |
| ensemble of 3: greedy selection, on these very scores | torch; caffe | 87.50 | 47.35 - 99.68   |
| ensemble of 3: uniform average                        | torch; caffe | 87.50 | 47.35 - 99.68   |

| compared                | difference   | 95 % interval    | one alone right   | p, McNemar   | p, Holm   |
|-------------------------|--------------|------------------|-------------------|--------------|-----------|
| vgg_s: cyclic_lbp - rgb | +12.50       | -49.47 to +64.77 | 2 / 1             | 1.0000       | 1.0000    |

95 % intervals: bootstrap of the 8 images (their groups, such as people or movies, are not known); if fewer than 5 of them are right, or wrong, the exact interval of Clopper and Pearson. They do not include the spread between trainings.

Weights by likelihood, fitted on 8 val images: vgg_s-rgb 0.29, vgg_s-cyclic_lbp 0.71.

Weights by greedy selection, fitted on 8 val images: vgg_s-cyclic_lbp 1.00.

Weights fitted and scored on the same images overestimate accuracy; the other averages do not.

Uniform average after adding, step by step, the net that improves it most: vgg_s-cyclic_lbp 87.50, vgg_s-rgb 62.50, vgg_m_2048-rgb 87.50.

Claims are tested by McNemar's exact two-sided test, corrected by Holm for 1 comparison; a corrected p below 0.05 shows a difference. Each p compares one training (one seed) of each net, so it does not include the spread between trainings. The ensemble is not tested against its best member: the two cannot be chosen out of fold.

Best representation of vgg_s: no difference shown (highest figure: cyclic_lbp, 87.50; smallest p against RGB 1.0000).

Not known, because not recorded: the inputs of the scores of vgg_m_2048-rgb, vgg_s-rgb, vgg_s-cyclic_lbp.
"""
    )


def test_columns_are_the_papers_five_in_its_order_then_ones_own(make_run, answers, tmp_path):
    names = ["rgb", "lbp", "cyclic_lbp", "cyclic_lbp_5", "cyclic_lbp_10", "cyclic_lbp_r3_t5", "hamming_lbp"]
    for name in reversed(names):
        make_run(f"vgg_s-{name}", answers(*LABELS), LABELS)
    results = collect(tmp_path / "runs")
    head = markdown(view(results, publications())).splitlines()[4]
    assert head.replace(" (ours)", "-ours").replace("|", " ").split() == [
        "net",
        *names[:5],
        "cyclic_lbp_r3_t5-ours",
        "hamming_lbp-ours",
        "highest",
    ]
    assert [cell.representation for cell in results.trained.cells] == names


def test_no_conclusion_without_a_significant_test(make_run, answers, tmp_path):
    """With 7 images that only one classifies correctly, p is 2 / 2 ** 7; with 5, 2 / 2 ** 5: above 5 %."""
    zeros = [0, *[1, 2, 3, 4, 5, 6, 6]]
    for representation, others, said in (
        ("lbp", LABELS, "no difference shown (highest figure: rgb, lbp, 100.00; smallest p against RGB 1.0000)"),
        ("lbp", [0] * 8, "rgb (p = 0.0156)"),
        (
            "lbp",
            [0, 1, 2, 0, 0, 0, 0, 0],
            "no difference shown (highest figure: rgb, 100.00; smallest p against RGB 0.0625)",
        ),
    ):
        make_run("vgg_s-rgb", answers(*zeros), LABELS)
        make_run(f"vgg_s-{representation}", answers(*others), LABELS)
        assert f"Best representation of vgg_s: {said}." in markdown(view(collect(tmp_path / "runs"), publications()))
    make_run("vgg_s-rgb", answers(*[0] * 8), LABELS)
    make_run("vgg_s-lbp", answers(*LABELS), LABELS)
    text = markdown(view(collect(tmp_path / "runs"), publications()))
    assert "Best representation of vgg_s: lbp (not RGB; p = 0.0156)." in text
    # A second comparison doubles that p, and four comparisons make it too large.
    for extra, p in (("cyclic_lbp", "0.0312"), ("cyclic_lbp_5", "0.0469")):
        make_run(f"vgg_s-{extra}", answers(*[0] * 8), LABELS)
        text = markdown(view(collect(tmp_path / "runs"), publications()))
        assert f"Best representation of vgg_s: lbp (not RGB; p = {p})." in text
    make_run("vgg_s-cyclic_lbp_10", answers(*[0] * 8), LABELS)
    text = markdown(view(collect(tmp_path / "runs"), publications()))
    assert "Best representation of vgg_s: no difference shown (highest figure: lbp, 100.00; smallest p" in text
    assert "in the paper" not in text


def test_one_run_has_no_ensemble(make_run, answers, tmp_path):
    make_run("vgg_s-rgb", answers(*LABELS), LABELS)
    text = markdown(view(collect(tmp_path / "runs"), publications()))
    assert "| 100.00 |" in text
    assert "by caffe." in text
    assert "ensemble of 1" not in text
    assert "Weights by" not in text


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
    """The weights of largest likelihood by another method: as a softmax, without constraints."""
    given = np.array(posteriors)[:, np.arange(len(labels)), labels]

    def loss(logits):
        weights = np.exp(logits - logits.max())
        return -np.log(weights / weights.sum() @ given).mean()

    logits = minimize(loss, np.zeros(len(given)), method="Nelder-Mead", options={"xatol": 1e-6, "fatol": 1e-12}).x
    weights = np.exp(logits - logits.max())
    return weights / weights.sum()


@pytest.mark.parametrize("split", ["val", "test"])
def test_the_table_recomputed_from_the_score_files(make_run, tmp_path, split):
    """On `test`, the weights are those fitted on `val`."""
    labels = {"val": np.arange(70) % 7, "test": np.arange(49) * 3 % 7}
    named = {"dataset": "SFEW 2.0"}
    folders = {row: make_run(row, noisy(seed, labels["val"]), labels["val"], **named) for seed, row in enumerate(ROWS)}
    for seed, row in enumerate(ROWS):
        make_run(row, noisy(9 + seed, labels["test"]), labels["test"], split="test", **named)
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
    assert [cell.strip() for cell in ensemble.split("|")[4:6]] == [published, f"{ours - float(published):+.2f}"]
    assert all("not published" in line for line in text.splitlines() if line.startswith("| vgg_s-r"))


def said_of(main_text, beginning):
    return [line for line in main_text.splitlines() if line.startswith(beginning)]


@pytest.mark.parametrize("change", ["labels", "posteriors"])
def test_weights_do_not_depend_on_test(make_run, tmp_path, change):
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
            assert "Frozen: weights are fitted on the 70 val images only, before test is read;" in text
            assert "overestimate" not in text
            assert "on these very scores" not in text
            assert "nested" not in text
            assert "the net that improves it most on val: " in text
    assert weights["before"] == weights["after"]
    assert said_of(texts["before"], "Weights by") == said_of(texts["after"], "Weights by") != []
    order = {when: re.findall(r"vgg_s-\w+", said_of(texts[when], "Uniform average after")[0]) for when in texts}
    assert order["before"] == order["after"]
    assert (predicted["before"] == predicted["after"]) == (change == "labels")
    assert said_of(texts["before"], "| vgg_s-rgb ") != said_of(texts["after"], "| vgg_s-rgb ")  # the figures do change


def test_weights_are_not_fitted_on_unknown_labels(make_run, answers, tmp_path):
    """-1 is not a class, and must not index the last one."""
    for row, named in ((ROWS[0], 6), (ROWS[1], 2)):
        make_run(row, answers(named, named), [-1, -1])
        make_run(row, answers(*LABELS), LABELS, split="test")
    val = collect(tmp_path / "runs").trained
    assert (val.weights, val.nested, [average.name for average in val.averages]) == ({}, None, ["uniform average"])
    assert collect(tmp_path / "runs", split="test").trained.weights == {}


def test_nested_cross_validation_has_a_row_and_its_choices(make_run, tmp_path):
    labels = np.arange(70) % 7
    for seed, row in enumerate(ROWS):
        make_run(row, noisy(seed, labels), labels)
    results = collect(tmp_path / "runs")
    posteriors = np.array([noisy(seed, labels) for seed in range(3)])
    combined, chosen = nested(posteriors, labels)
    accuracy = f"{np.mean(combined.argmax(axis=1) == labels) * 100:.2f}"
    text = markdown(view(results, publications()))
    (line,) = said_of(text.split("| compared")[0], "| ensemble of 3: chosen by nested cross-validation ")
    assert line.split("|")[2].strip() == accuracy
    counts = re.findall(r"in each of 5 folds: (.+)\.", text)[0].split(", ")
    assert sorted(counts) == sorted(f"{name} {chosen.count(name)}" for name in set(chosen))


def test_the_note_on_51_75_is_for_sfews_number_of_images(make_run, answers, tmp_path):
    said = "51.75 % is not k/431 for any k, neither rounded nor truncated"
    for n in (431, 427):
        labels = np.arange(n) % 7
        make_run("vgg_s-rgb", answers(*labels), labels, dataset="SFEW 2.0")
        assert main(["table", str(tmp_path / "runs"), "-o", str(tmp_path / "table"), "--force"]) == 0
        for file in ("table.md", "report.html"):
            text = (tmp_path / "table" / file).read_text()
            assert (said in text) == (n == 431)
            assert ("only 207/400, 221/427, 222/429 give it; the authors probably scored 427" in text) == (n == 431)
    labels = np.arange(372) % 7
    make_run("vgg_s-rgb", answers(*labels), labels, split="test", dataset="SFEW 2.0")
    assert " is not k/" not in markdown(view(collect(tmp_path / "runs", split="test"), publications()))


def test_without_val_scores_test_has_only_the_uniform_average(make_run, answers, tmp_path):
    for row in ROWS[:2]:
        make_run(row, answers(*LABELS), LABELS, split="test")
    make_run(ROWS[0], answers(*LABELS), LABELS)
    assert [average.name for average in collect(tmp_path / "runs", split="test").trained.averages] == [
        "uniform average"
    ]
    text = markdown(view(collect(tmp_path / "runs", split="test"), publications()))
    assert "the net that improves it most on test itself: " in text
    assert "Frozen" not in text


def test_other_classes_have_no_published_figures(make_run, answers, tmp_path):
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
        (
            {"digest": "f" * 64},
            "vgg_s-lbp and vgg_s-rgb were scored on different sets or crops: evaluate both in the same way",
        ),
        (
            {"crops": 10},
            "vgg_s-lbp and vgg_s-rgb were scored on different sets or crops: evaluate both in the same way",
        ),
        ({"labels": LABELS[:-1]}, "vgg_s-lbp and vgg_s-rgb have scores of different images"),
        ({"labels": LABELS[::-1]}, "vgg_s-lbp and vgg_s-rgb have scores of different images"),
    ],
)
@pytest.mark.parametrize("split", ["val", "test"])
def test_runs_on_different_images_are_refused(make_run, answers, tmp_path, change, words, split):
    """Also those that the weights are fitted on."""
    other = {"labels": LABELS, **change}
    for row in ROWS[:2]:
        make_run(row, answers(*LABELS), LABELS, split="test")
    make_run(ROWS[0], answers(*LABELS), LABELS)
    make_run(ROWS[1], answers(*other["labels"]), **other)
    with pytest.raises(EmotiwError, match=words):
        collect(tmp_path / "runs", split=split)


def test_errors_of_collect_are_one_line(make_run, answers, tmp_path, capsys):
    def refused(*arguments):
        assert main(["table", str(tmp_path / "runs"), "-o", str(tmp_path / "table"), *arguments]) == 1
        (line,) = capsys.readouterr().err.splitlines()
        return line

    assert "has no finetune run with val scores: make them with emotiw evaluate" in refused()
    folder = make_run("vgg_s-rgb", answers(*LABELS), LABELS)
    assert "has no finetune run with test scores" in refused("--split", "test")
    assert "has no pretrain run with val scores" in refused("--stage", "pretrain")
    protocol = json.loads((folder / "scores_val.json").read_text())
    older = {key: value for key, value in protocol.items() if key != "mean_rule"}
    for damaged in ({}, [], older, {**protocol, "more": 1}, {**protocol, "stand_in": "no"}):
        (folder / "scores_val.json").write_text(json.dumps(damaged))
        assert "scores_val.json is damaged or of another version of emotiw (" in refused()
    make_run("vgg_s-rgb", answers(*LABELS), LABELS)
    (folder / "scores_val.csv").write_text("path,label\n")
    assert "scores_val.csv is not a table of scores" in refused()
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


def test_predictions_are_written_last(three, tmp_path, monkeypatch):
    """`reproduce` takes them as the sign of a complete table: a killed command must leave none, even older ones."""
    words = list(map(str, ["table", three, "-o", tmp_path / "table", "--force"]))
    assert main(words) == 0
    monkeypatch.setattr("emotiw.evaluate.table.output.html", lambda *_: 1 / 0)
    assert main(words) == 1
    assert [path.name for path in (tmp_path / "table").iterdir() if path.name.startswith("predictions")] == []


def test_published_figures():
    """Li & Deng's survey for SFEW 2.0, and FER2013's figures as in their sources."""
    found = publications()
    on = {(each.dataset, each.split) for each in found}
    assert on == {("SFEW 2.0", "val"), ("SFEW 2.0", "test"), ("FER2013", "test")}
    val, test = found[:2]
    assert (val.accuracy, val.split, val.n, val.net, val.share) == ("51.75", "val", "431", "ensemble", 0.5175)
    assert (test.accuracy, test.split, test.n, test.net, test.method) == (
        "54.56",
        "test",
        "372",
        "ensemble",
        val.method,
    )
    assert [len(published_on(found, name)) for name in ("SFEW 2.0", "FER2013", "", "CK+")] == [17, 8, 0, 0]
    assert len({each.method for each in published_on(found, "SFEW 2.0")}) == 10
    assert all(publication.source and publication.standing for publication in found)
    recalled = [publication.method for publication in found if publication.standing != "verified"]
    assert recalled == [*["Challenge baseline (PHOG + LPQ, SVM)"] * 2, "People", "Tang 2013, winner of the challenge"]
    faces = {each.method: each.accuracy for each in published_on(found, "FER2013", "test")}
    assert list(faces.values()) == ["65", "71.16", "70.80", "71.97", "72.42", "73.28", "74.14", "76.82"]
    assert {each.n for each in published_on(found, "FER2013")} == {"3589"}
    assert int(0.5456 * 372 + 1) == 203  # 54.56 is 203 of the 372 test images, truncated


NEW = "method,net,representation,dataset,split,n,accuracy,mean_class_accuracy,protocol,source,standing\n"
OLD = "method,net,representation,images,val,val_mean_class,test,test_mean_class,source,standing\n"


@pytest.mark.parametrize(
    "content",
    [
        NEW + "the paper's table,vgg_s,rgb,sfew-2.0,val,431,74.00,,,the paper,read by me\n",
        OLD + "the paper's table,vgg_s,rgb,891 / 431 / ?,74.00,,,,the paper,read by me\n",  # read as SFEW 2.0
        "\ufeff" + NEW + "the paper's table,vgg_s,rgb,SFEW 2.0,val,,74.00,,,the paper,read by me\n",
    ],
)
def test_a_user_adds_published_figures(make_run, answers, tmp_path, capsys, content):
    right = LABELS * 10
    make_run("vgg_s-rgb", answers(*LABELS * 7, *[0] * 24), right, dataset="SFEW 2.0")
    own = tmp_path / "own.csv"
    own.write_text(content)
    command = ["table", str(tmp_path / "runs"), "-o", str(tmp_path / "table"), "--published", str(own), "--force"]
    assert main(command) == 0
    line = next(line for line in capsys.readouterr().out.splitlines() if line.startswith("| vgg_s-rgb "))
    assert [cell.strip() for cell in line.split("|")[4:7]] == ["74.00", "-0.25", "yes"]
    make_run("vgg_s-rgb", answers(*LABELS * 7, *[0] * 24), right, dataset="FER2013")
    assert main(command) == 0
    assert "74.00" not in capsys.readouterr().out


def test_a_damaged_file_of_published_figures_is_one_line(three, tmp_path, capsys):
    own = tmp_path / "own.csv"
    command = ["table", str(three), "-o", str(tmp_path / "table"), "--published", str(own)]
    for text, words in (
        ("a,b\n1,2\n", "the columns are wrong"),
        ("", "the columns are wrong"),
        (OLD + "x,,,,n/a,,,,,\n", "not a row"),
        (OLD + "x\n", "not a row"),
        (NEW + "x\n", "not a row"),
        (NEW + "x,,,SFEW 2.0,val,431,n/a,,,,\n", "not a row"),
        (NEW + "x,,,SFEW 2.0,val,431,nan,,,,\n", "not a row"),
        (NEW + "x,,,SFEW 2.0,val,431,151.75,,,,\n", "not a row"),
        (NEW + "x,,,SFEW 2.0,val,some,51.75,,,,\n", "not a row"),
        (NEW + "x,,,SFEW 2.0,val,431,,,,,\n", "not a row"),
        (NEW + "x,,,,val,431,51.75,,,,\n", "not a row"),
        (NEW + "x,,,SFEW 2.0,dev,431,51.75,,,,\n", "not a row"),
        (NEW + "x,,,SFEW 2.0,val,431,51.75,,,,,\n", "not a row"),
    ):
        own.write_text(text)
        assert main(command) == 1
        (line,) = capsys.readouterr().err.splitlines()
        assert words in line, text


VOID = {"meta", "img", "br", "link", "hr", "input"}


class Page(HTMLParser):
    """Collects text and URLs; raises if tags are not nested."""

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


def test_the_report_is_self_contained(three, tmp_path):
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
        "vgg_m_2048-rgb", "vgg_s-rgb", "vgg_s-cyclic_lbp", "87.50", "75.00", "50.00", "not run",
        "uniform average", "caffe 1.0.0, torch 1.0.0", "25.00", "Set gone: unknown data set",
        "Best representation of vgg_s: no difference shown", "4 iterations",
    ):  # fmt: skip
        assert expected in words, expected


def test_names_are_escaped_in_the_report(make_run, answers, tmp_path):
    folder = make_run("vgg_s-rgb", answers(*LABELS), LABELS)
    protocol = json.loads((folder / "scores_val.json").read_text())
    (folder / "scores_val.json").write_text(json.dumps({**protocol, "engine_version": "<b>&1"}))
    assert main(["table", str(tmp_path / "runs"), "-o", str(tmp_path / "table")]) == 0
    assert "&lt;b&gt;&amp;1" in (tmp_path / "table/report.html").read_text()


def test_every_row_names_its_engines(make_run, answers, tmp_path):
    """An engine that trained and another one that scored are both named."""
    make_run("vgg_s-rgb", answers(0, 1, 0, 0, 0, 0, 6, 6), LABELS, engine="torch bf16")
    make_run("vgg_s-lbp", answers(0, 1, 0, 0, 0, 0, 6, 6), LABELS, engine="torch bf16",
             run={"engine": "caffe + torch"})  # fmt: skip
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


def claims_of(text):
    """The cells of a table's claims, by comparison."""
    lines = said_of(text.split("| compared ")[1].split("\n\n")[0], "| ")
    return {cells[1].strip(): [cell.strip() for cell in cells[2:-1]] for cells in (line.split("|") for line in lines)}


def printed(p):
    return f"{p:.4f}" if p >= 0.0001 else "< 0.0001"


@pytest.mark.parametrize("split", ["val", "test"])
def test_the_claims_recomputed_from_the_score_files(make_run, tmp_path, split):
    """McNemar's p by scipy's binomtest, Holm's by hand; the ensemble and its best member are chosen on other images."""
    labels = {"val": np.arange(210) % 7, "test": np.arange(140) * 3 % 7}
    for seed, row in enumerate(ROWS):
        for place, one in enumerate(labels):
            make_run(row, noisy(seed + 10 * place, labels[one]), labels[one], split=one)
    stack = {
        one: np.array([noisy(seed + 10 * place, labels[one]) for seed in range(3)]) for place, one in enumerate(labels)
    }
    truth = labels[split]
    right = {row: scores.argmax(axis=1) == truth for row, scores in zip(ROWS, stack[split], strict=True)}
    if split == "val":
        folds = list(StratifiedKFold(5, shuffle=True, random_state=0).split(truth, truth))
        single = np.zeros(len(truth), bool)
        for known, held_out in folds:
            best = max(ROWS, key=lambda row: right[row][known].mean())
            single[held_out] = right[best][held_out]
        together = nested(stack["val"], truth)[0].argmax(axis=1) == truth
        names = ("chosen by nested cross-validation", "the best single net, chosen in the same folds")
    else:
        on_val = [(scores.argmax(axis=1) == labels["val"]).mean() for scores in stack["val"]]
        best = ROWS[int(np.argmax(on_val))]
        weights = best_weights(stack["val"], labels["val"])
        single, together = right[best], np.tensordot(weights, stack["test"], 1).argmax(axis=1) == truth
        names = ("likelihood, on val, frozen", f"{best}, the best on val")
    pairs = {
        "vgg_s: lbp - rgb": (right["vgg_s-lbp"], right["vgg_s-rgb"]),
        "vgg_s: cyclic_lbp - rgb": (right["vgg_s-cyclic_lbp"], right["vgg_s-rgb"]),
        f"ensemble of 3: {names[0]} - {names[1]}": (together, single),
    }
    text = markdown(view(collect(tmp_path / "runs", split=split), publications()))
    found = claims_of(text)
    assert list(found) == list(pairs)
    ps = []
    for name, (first, second) in pairs.items():
        alone = int((first & ~second).sum()), int((second & ~first).sum())
        assert found[name][0] == f"{(first.mean() - second.mean()) * 100:+.2f}"
        assert found[name][2] == f"{alone[0]} / {alone[1]}"
        ps.append(binomtest(alone[0], sum(alone)).pvalue)
        assert found[name][3] == printed(ps[-1])
    order = np.argsort(ps)
    held = np.minimum(1, np.maximum.accumulate(np.array(ps)[order] * [3, 2, 1]))
    for place, p in zip(order, held, strict=True):
        assert list(found.values())[place][4] == printed(p)
    where = "out of fold" if split == "val" else "on val"
    assert f"The ensemble and its best member are both chosen {where}, never on the images" in text


def test_groups_reach_intervals_folds_and_tests(make_run, tmp_path):
    """The same scores with and without movies: other folds, wider intervals, larger p, as both tables note."""
    rng = np.random.default_rng(5)
    labels = np.tile(np.arange(7), 30)
    movies = [f"Movie{k:02d}" for k in range(15) for _ in range(14)]
    posteriors = []
    for _ in ROWS:
        leaning = rng.normal(0, 1.2, 15).repeat(14)  # each net is right on some movies only
        one = rng.dirichlet(np.ones(7), 210) + 1e-3
        one[np.arange(210), labels] += np.clip(0.25 + leaning / 2, 0, 2)
        posteriors.append(one / one.sum(axis=1, keepdims=True))
    texts, tables, views = {}, {}, {}
    for known in (False, True):
        for row, one in zip(ROWS, posteriors, strict=True):
            make_run(row, one, labels, groups=movies if known else ())
        results = collect(tmp_path / "runs")
        assert results.groups == (tuple(movies) if known else ())
        views[known] = view(results, publications())
        texts[known] = markdown(views[known])
        tables[known] = list(csv.DictReader(io.StringIO(csv_text(views[known]))))
    assert "95 % intervals: bootstrap of the 15 groups of the 210 images, such as Movie00;" in texts[True]
    assert (
        "95 % intervals: bootstrap of the 210 images (their groups, such as people or movies, are not known);"
        in texts[False]
    )
    assert "on 210 val images of 15 groups, 1 crop" in texts[True]
    assert {row["groups"] for row in tables[True]} == {"15"}
    assert {row["groups"] for row in tables[False]} == {"0"}
    for single, grouped in zip(tables[False][:3], tables[True][:3], strict=True):
        assert single["accuracy"] == grouped["accuracy"]
        widths = [float(row["high"]) - float(row["low"]) for row in (single, grouped)]
        assert widths[1] > 1.3 * widths[0]
    ours = next(a for a in views[True].table.trained.averages if a.name == "likelihood, cross-validated")
    combined = np.empty((210, 7))
    for known, held in StratifiedGroupKFold(5, shuffle=True, random_state=0).split(labels, labels, movies):
        weights = fit_weights(np.array(posteriors)[:, known], labels[known])
        combined[held] = np.tensordot(weights, np.array(posteriors)[:, held], 1)
    np.testing.assert_allclose(ours.scores.posteriors, combined, atol=1e-6)
    assert "p, groups" in texts[True]
    assert "p, groups" not in texts[False]
    assert "and a paired bootstrap of groups (the larger p counts)" in texts[True]
    for single, grouped in zip(views[False].claims[:2], views[True].claims[:2], strict=True):
        assert single.paired.mcnemar == grouped.paired.mcnemar < grouped.paired.grouped == grouped.paired.p


def test_scores_without_groups_beside_some_with_them(make_run, answers, tmp_path):
    """Older scores of the same images have no groups."""
    groups = list("aabbccdd")
    make_run("vgg_s-rgb", answers(*LABELS), LABELS)
    make_run("vgg_s-lbp", answers(*LABELS), LABELS, groups=groups)
    assert collect(tmp_path / "runs").groups == tuple(groups)
    make_run("vgg_s-rgb", answers(*LABELS), LABELS, groups=groups[::-1])
    with pytest.raises(
        EmotiwError, match="the scores name different groups for the same images: evaluate all with one"
    ):
        collect(tmp_path / "runs")


def test_a_table_begins_with_its_set(make_run, answers, tmp_path, capsys):
    """Its name, whether it is drawn, n, iterations; a drawn set has no published figures under any name."""

    def made(**more):
        for row in ROWS[:2]:
            make_run(row, answers(*LABELS), LABELS, set_folder="/somewhere/sets/faces", **more)
        assert main(["table", str(tmp_path / "runs"), "-o", str(tmp_path / "table"), "--force"]) == 0
        text, report = capsys.readouterr().out, (tmp_path / "table/report.html").read_text()
        first = text.splitlines()[:3]
        body = report.split("<h1>")[1]
        assert [body.index(line) for line in first] == sorted(body.index(line) for line in first)
        assert ("51.75" in report) == ("51.75" in text)
        with (tmp_path / "table/table.csv").open() as file:
            rows = list(csv.DictReader(file))
        return first, text, rows

    first, text, rows = made(dataset="SFEW 2.0")
    assert first == [
        "Set faces: SFEW 2.0.",
        "Accuracy in % on 8 val images, 1 crop; a constant guess of the commonest class: 25.00%.",
        "Trained from scratch for 4 iterations, seed 1, by caffe.",
    ]
    assert "| published (SFEW 2.0) " in text
    assert "this table is on 8." in text
    assert {(row["dataset"], row["drawn"], row["iterations"], row["seeds"]) for row in rows[:2]} == {
        ("SFEW 2.0", "False", "4", "1")
    }
    assert rows[-1]["published"] == "0.517500"
    first, text, rows = made(dataset="SFEW 2.0", drawn=True)
    assert first[0] == "Set faces: SFEW 2.0, DRAWN, no photographs: not comparable with published figures."
    assert "51.75" not in text
    assert "within" not in text
    assert "published" not in rows[0]
    first, text, rows = made(drawn=True)
    assert first[0] == "Set faces: faces, DRAWN, no photographs: not comparable with published figures."
    first, text, rows = made()
    assert first[0] == "Set faces: unknown data set (name it with emotiw prepare --dataset)."
    assert "ublished" not in text
    first, text, rows = made(dataset="FER2013")
    assert "51.75" not in text
    assert "| published" not in text  # no row of the table has a figure
    assert "Published (FER2013): People (recalled, 90 % sure): test 65; " in text
    make_run(ROWS[0], answers(*LABELS), LABELS, dataset="SFEW 2.0")
    assert main(["table", str(tmp_path / "runs"), "-o", str(tmp_path / "table"), "--force"]) == 1
    assert "the scores are of FER2013 and of SFEW 2.0: evaluate all with one --set" in capsys.readouterr().err


def test_a_property_of_all_nets_is_not_a_column(make_run, answers, tmp_path):
    named = {"dataset": "SFEW 2.0"}
    make_run("vgg_s-rgb", answers(*LABELS), LABELS, **named)
    make_run("vgg_s-lbp", answers(*LABELS), LABELS, run={"iterations": 8}, **named)
    text = markdown(view(collect(tmp_path / "runs"), publications()))
    assert "Trained from scratch with seed 1, for the iterations below, by caffe." in text
    assert [line.split("|")[2].strip() for line in said_of(text, "| vgg_s-")] == ["4", "8"]
    assert "engine" not in text


def test_several_seeds_of_a_row_are_a_mean_and_a_spread(make_run, answers, tmp_path, capsys):
    """Seeds 3, 1 and 2 have 6, 4 and 5 of 8 images right: 62.50 on average, standard deviation 12.50."""
    seeds = {3: (0, 1, 2, 3, 4, 5, 0, 0), 1: (0, 1, 2, 3, 0, 0, 0, 0), 2: (0, 1, 2, 3, 4, 0, 0, 0)}
    for seed, named in seeds.items():
        make_run(f"vgg_s-rgb-s{seed}", answers(*named), LABELS, run={"row": "vgg_s-rgb", "seed": seed})
    make_run("vgg_s-lbp", answers(*LABELS), LABELS)
    results = collect(tmp_path / "runs")
    cell = results.trained.cells[0]
    assert [one.seed for one in cell.trainings] == [1, 2, 3]
    assert (cell.accuracy, cell.spread) == (0.625, pytest.approx(0.125))
    shown = view(results, publications())
    text = markdown(shown)
    assert said_of(text, "| vgg_s ")[0].split("|")[2].strip() == "62.50 +- 12.50"
    (line,) = said_of(text, "| vgg_s-rgb ")
    assert [cell.strip() for cell in line.split("|")[2:4]] == ["1, 2, 3; s = 12.50, 50.00 to 75.00", "62.50"]
    assert "vgg_s-rgb: the mean of 3 trainings, seeds 1, 2, 3; s = 12.50, 50.00 to 75.00." in text
    assert "For such rows, the ensemble and the tests use the training with the lowest seed." in text
    rows = {row["name"]: row for row in csv.DictReader(io.StringIO(csv_text(shown)))}
    assert (rows["vgg_s-rgb"]["accuracy"], rows["vgg_s-rgb"]["seeds"]) == ("0.625000", "1 2 3")
    assert shown.lines[0].interval.low < 0.5 < 0.75 < shown.lines[0].interval.high
    assert len(results.trained.cells) == 2  # the ensemble's members, too
    assert main(["table", str(tmp_path / "runs"), "-o", str(tmp_path / "table")]) == 0
    Page((tmp_path / "table/report.html").read_text())
    # The same seed twice, or another recipe under the same name, is not a repetition.
    for run in ({"seed": 2}, {"seed": 4, "recipe": "f" * 64}, {"seed": 4, "iterations": 9}):
        make_run("vgg_s-rgb-again", answers(*LABELS), LABELS, run={"row": "vgg_s-rgb"} | run)
        with pytest.raises(EmotiwError, match="are the same row: move one elsewhere"):
            collect(tmp_path / "runs")


def test_a_seed_scored_on_another_set_is_refused(make_run, answers, tmp_path):
    for seed, more in ((1, {}), (2, {"crops": 10})):
        make_run(f"vgg_s-rgb-s{seed}", answers(*LABELS), LABELS, run={"row": "vgg_s-rgb", "seed": seed}, **more)
    with pytest.raises(EmotiwError, match="were scored on different sets or crops"):
        collect(tmp_path / "runs")


def test_a_seed_scored_with_another_rule_for_the_mean_is_refused(make_run, answers, tmp_path):
    for seed, rule in ((1, "crop"), (2, "channel")):
        row = {"row": "vgg_s-rgb", "seed": seed}
        make_run(f"vgg_s-rgb-s{seed}", answers(*LABELS), LABELS, run=row, mean_rule=rule)
    with pytest.raises(EmotiwError, match="vgg_s-rgb: its trainings were scored with different rules for the mean: "):
        collect(tmp_path / "runs")
