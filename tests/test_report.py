"""`docs/report.md`: every figure is that of a file or a page that its section links."""

import csv
import re
from pathlib import Path

import numpy as np
import pytest
from tabulate import tabulate

from emotiw.data_prep.images import read_image
from emotiw.data_prep.synthetic.faces import draw_expressions
from emotiw.lbp_mapping.codes import grey, lbp_codes
from emotiw.lbp_mapping.tables import UNSEEN
from emotiw.prototxt.formats.messages import LayerParameter, NetParameter, SolverParameter, read_text
from emotiw.train.run_folder import STAGES

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "docs/report.md"
TEXT = PAGE.read_text(encoding="utf-8")
WORDS = re.sub(r"\s+", " ", TEXT)  # without line breaks

# The experiments: the faces, the page, the file with the table, and the number of images.
EXPERIMENTS = (
    ("drawn", "pipeline", "docs/pipeline.md", 252),
    ("drawn, in SFEW's layout", "reproduce", "docs/reproduce.md", 210),
    ("ORL to Yale", "real_faces", "docs/real_faces.md", 20),
    ("FER2013", "fer2013", "results/fer2013/table_test/table.md", 3589),
)
SHOWN = re.compile(
    r"vgg_s_(?:small|medium)-.*|baseline: .*"
    r"|ensemble of \d+: (?:uniform average|chosen by nested cross-validation|likelihood, on val, frozen)"
)

# Each setting of the real nets with its standing; a pair: for pre-training, and for fine-tuning.
AGE_GENDER = "age/gender (D5)"
GUESS = "guess (D5)"
SOLVER = {
    "type": AGE_GENDER,
    "base_lr": (GUESS, AGE_GENDER),
    "lr_policy": AGE_GENDER,
    "gamma": AGE_GENDER,
    "stepsize": (GUESS, AGE_GENDER),
    "max_iter": (GUESS, AGE_GENDER),
    "momentum": AGE_GENDER,
    "weight_decay": AGE_GENDER,
}
NET = {
    "batch size": (AGE_GENDER, "released"),
    "crop": "released",
    "mirrored in training": "released",
    "dropout of fc6, fc7": "released",
    "rates of conv1, weight / bias": "released",
    "rates of fc7": ("guess (D9)", "released"),
    "rates of the last layer": ("guess (D9)", "released"),
    "filler of conv1": "released",
    "filler of fc6": "released",
}


def page(name: str) -> str:
    return (ROOT / f"docs/{name}.md").read_text(encoding="utf-8")


def words(name: str) -> str:
    """Return a page without its line breaks."""
    return re.sub(r"\s+", " ", page(name))


def check(name: str, head: list[str], rows: list[list[str]]) -> None:
    wanted = tabulate(rows, head, tablefmt="github", disable_numparse=True)
    assert f"<!-- {name} -->\n\n{wanted}\n\n<!-- end of {name} -->" in TEXT, f"put this into docs/report.md:\n{wanted}"


def layers(stage: str) -> dict[str, LayerParameter]:
    """Return the layers of the real VGG_S for a stage's training by their names."""
    net = read_text(ROOT / f"prototxt/vgg_s/train_val_{stage}.prototxt", NetParameter)
    return {layer.name: layer for layer in reversed(net.layer)}  # of the two data layers the first, of training


def rates(layer: LayerParameter) -> str:
    return " / ".join(f"{param.lr_mult:g}" for param in layer.param)


def settings_of_net(stage: str) -> dict[str, str]:
    by_name = layers(stage)
    data, conv1 = by_name["data"], by_name["conv1"]
    last = next(layer for layer in by_name.values() if layer.type == "InnerProduct")
    dropout = {f"{by_name[name].dropout_param.dropout_ratio:g}" for name in ("drop6", "drop7")}
    conv, fc6 = conv1.convolution_param.weight_filler, by_name["fc6"].inner_product_param.weight_filler
    return {
        "batch size": str(data.data_param.batch_size),
        "crop": str(data.transform_param.crop_size),
        "mirrored in training": "yes" if data.transform_param.mirror else "no",
        "dropout of fc6, fc7": ", ".join(dropout),
        "rates of conv1, weight / bias": rates(conv1),
        "rates of fc7": rates(by_name["fc7"]),
        "rates of the last layer": rates(last),
        "filler of conv1": f"{conv.type} {conv.std:g}",
        "filler of fc6": f"{fc6.type} {fc6.std:g}",
    }


def test_the_hyperparameters_are_those_of_the_prototxt():
    solvers = [read_text(ROOT / f"prototxt/vgg_s/solver_{stage}.prototxt", SolverParameter) for stage in STAGES]
    nets = [settings_of_net(stage) for stage in STAGES]
    rows = []
    for name, standing in (SOLVER | NET).items():
        values = [net[name] for net in nets] if name in NET else [_plain(getattr(one, name)) for one in solvers]
        of_stage = standing if isinstance(standing, tuple) else (standing, standing)
        rows.append([name, values[0], of_stage[0], values[1], of_stage[1]])
    check("hyperparameters", ["setting", "pretrain", "standing", "finetune", "standing"], rows)


def _plain(value: object) -> str:
    return f"{value:,}" if isinstance(value, int) else f"{value:g}" if isinstance(value, float) else str(value)


@pytest.mark.parametrize("net", ["vgg_m_2048", "vgg_m_4096", "googlenet"])
def test_the_other_real_nets_have_the_same_solvers(net):
    for stage in STAGES:
        texts = [(ROOT / f"prototxt/{one}/solver_{stage}.prototxt").read_text() for one in ("vgg_s", net)]
        fields = [re.sub(r"^#.*\n", "", text, flags=re.M) for text in texts]
        assert fields[0] == fields[1]


def test_the_standings_name_the_register():
    register = set(re.findall(r"^\| (D\d+) \|", page("deviations"), re.M))
    named = set(re.findall(r"\bD\d+\b", TEXT))
    assert named <= register
    assert named >= {"D5", "D7", "D8", "D9", "D10", "D11", "D12", "D13"}


def test_the_published_figures_are_those_of_the_file():
    with (ROOT / "evaluate/table/published.csv").open(encoding="utf-8", newline="") as file:
        rows = [
            [row["method"], row["split"], row["n"], row["accuracy"], row["standing"], row["source"]]
            for row in csv.DictReader(file)
            if row["dataset"] == "SFEW 2.0" and row["net"] in ("ensemble", "baseline")
        ]
    assert len(rows) == 4
    check("published", ["method", "split", "n", "accuracy, %", "standing", "source"], rows)
    # By split: the ensemble's accuracy less the baseline's, beside what the abstract says.
    ensemble, baseline = ({row[1]: float(row[3]) for row in half} for half in (rows[:2], rows[2:]))
    differences = {split: f"{ensemble[split] - baseline[split]:.2f}" for split in ensemble}
    assert f"the differences are {differences['val']} on val and {differences['test']} on test, not 15.36" in WORDS
    questions = words("deviations")
    assert f"54.56 - 39.13 = {differences['test']} and 51.75 - 35.93 = {differences['val']}" in questions
    assert f"on test would be {ensemble['test'] - 15.36:.2f}" in questions
    assert {round(100 * 15.36 / other) for other in (baseline["test"], 39.20)} == {39}


def test_the_accuracies_are_those_of_the_pages():
    rows = []
    for faces, name, file, n in EXPERIMENTS:
        text = (ROOT / file).read_text(encoding="utf-8")
        assert re.search(rf"^Accuracy in % on {n} (?:val|test) images", text, re.M)
        counted = r"(?:[^|\n]*\|){2}" if file.startswith("results/") else ""  # of official-test
        line = rf"^\| ([^|]+?) +\| ([\d.]+(?: \[a\])?) +\| ([\d.]+ - [\d.]+) +\|{counted}$"
        lines = re.findall(line, text, re.M)
        rows += [
            [f"[{faces}]({name}.md)", str(n), what, figure, interval]
            for what, figure, interval in lines
            if SHOWN.fullmatch(what)
        ]
    assert len(rows) > 15
    check("accuracies", ["faces", "n", "figure", "%", "95 % interval"], rows)


def test_the_tests_of_the_claims_are_those_of_the_pages():
    line = re.compile(
        r"^\| ([^|]+ - [^|]+?) +\| ([-+][\d.]+) +\| ([-+][\d.]+ to [-+][\d.]+) +\|"
        r"(?: [^|]+\|){2,3} ((?:< )?[\d.]+) +\|$",
        re.M,
    )
    rows = [
        [f"[{faces}]({name}.md)", what, difference, interval, p]
        for faces, name, file, _ in EXPERIMENTS
        for what, difference, interval, p in line.findall((ROOT / file).read_text(encoding="utf-8"))
    ]
    assert len(rows) >= 10
    check("claims", ["faces", "compared", "difference", "95 % interval", "p, Holm"], rows)


def accuracies(faces: str) -> dict[str, float]:
    """Return the figures of the table of accuracies on some faces."""
    lines = re.findall(rf"^\| \[{faces}\]\(\w+\.md\) +\| \d+ +\| (.+?) +\| ([\d.]+)(?: \[a\])? +\|", TEXT, re.M)
    return {what: float(figure) for what, figure in lines}


@pytest.mark.parametrize("faces", [faces for faces, *_ in EXPERIMENTS[:3]])
def test_the_baseline_is_above_every_net_and_ensemble(faces):
    found = accuracies(faces)
    baseline = found.pop("baseline: LBP histograms, SVM")
    assert len(found) in (2, 7)
    assert max(found.values()) < baseline


def test_the_rehearsals_grid_is_between_the_figures_named():
    grid = re.findall(r"^\| (?:vgg|googlenet)\w*_small +\|((?: [\d.]+ +\|){5})", page("reproduce"), re.M)
    figures = [float(figure) for line in grid for figure in re.findall(r"[\d.]+", line)]
    assert len(figures) == 20
    assert f"({min(figures):.2f} to {max(figures):.2f}, " in TEXT
    assert max(figures) < 67.62  # the lowest of the ensembles, whose figures that page calls higher


def test_the_seeds_are_further_apart_than_any_difference_on_drawn_faces():
    line = re.search(r"^\| caffe +\| ([\d., ]+?) +\|", page("torch_engine"), re.M)
    *first, last = line[1].split(", ")
    assert f"{', '.join(first)} and {last} there" in WORDS
    seeds = [float(figure) for figure in (*first, last)]
    spread = max(seeds) - min(seeds)
    assert f"{spread:.0f} points apart" in WORDS
    differences = re.findall(r"^\| \[drawn\]\(pipeline\.md\) .* ([-+][\d.]+) +\| \S+ to", TEXT, re.M)
    assert len(differences) == 5
    assert max(abs(float(difference)) for difference in differences) < spread


def test_the_rows_read_from_pictures_are_those_of_the_tables():
    lbp, cyclic = (256 - len(set(UNSEEN[mapping])) for mapping in ("lbp", "cyclic_lbp"))
    assert f"Of the shipped rows {lbp} of `lbp` and {cyclic} of `cyclic_lbp` were read" in WORDS
    assert WORDS.count(f"{lbp} and {cyclic} of 256 [rows]") == 2


def test_images_a_second_are_those_of_the_seconds_an_image():
    with (ROOT / "benchmarks/results.csv").open(encoding="utf-8", newline="") as file:
        row = next(row for row in csv.DictReader(file) if row["name"] == "gpu-float32")
    seconds = float(row["ours_s"])
    assert row["remark"] == "measured before this correction"
    for name in ("report", "reproduce"):
        assert re.search(rf"{seconds:.7f} s an image, (?:or|which is) {1 / seconds:,.0f} images", words(name)), name
    assert round(50 * 300_000 * seconds / 3600) == 3


def test_on_fer2013_the_baseline_is_above_one_net():
    found = accuracies("FER2013")
    baseline = found.pop("baseline: LBP histograms, SVM")
    assert len(found) == 7
    assert [what for what, figure in found.items() if figure < baseline] == ["vgg_s_medium-cyclic_lbp_10"]


def changed(values: np.ndarray, scale: float = 1, offset: float = 0, gamma: float = 1) -> np.ndarray:
    """Return grey values after a monotonic change, rounded and clipped to 8 bits."""
    new = 255 * (values / 255) ** gamma * scale + offset
    return np.floor(np.clip(new, 0, 255) + 0.5).astype(np.uint8)


def test_the_codes_that_a_change_of_light_changes(tmp_path):
    draw_expressions(tmp_path / "faces", 2, 1, seed=2015)
    faces = [grey(read_image(path)) for path in sorted((tmp_path / "faces").rglob("*.png"))]
    assert f"grey values of {len(faces)} drawn faces" in WORDS
    dark = [face // 2 for face in faces]
    changes = {
        "halved before, then times 2: nothing is rounded": (dark, {"scale": 2}),
        "plus 20": (faces, {"offset": 20}),
        "times 0.5": (faces, {"scale": 0.5}),
        "times 1.5, the bright ones clipped": (faces, {"scale": 1.5}),
        "gamma 0.5": (faces, {"gamma": 0.5}),
        "gamma 2": (faces, {"gamma": 2}),
    }
    rows = []
    for name, (images, change) in changes.items():
        shares = []
        for radius in (1, 5, 10):
            differ = [lbp_codes(one, radius) != lbp_codes(changed(one, **change), radius) for one in images]
            shares.append(f"{100 * np.mean(differ):.1f}")
        rows.append([name, *shares])
    check("illumination", ["change", "R = 1", "R = 5", "R = 10"], rows)


def sections() -> dict[str, str]:
    """Return the text of each section that is written by hand, by its heading."""
    by_hand = re.sub(r"<!-- (\w+) -->.*?<!-- end of \1 -->", "", TEXT, flags=re.S)
    heading, *rest = re.split(r"^#+ (.+)$", by_hand, flags=re.M)[1:]
    return dict(zip([heading, *rest[1::2]], rest[::2], strict=True))


@pytest.mark.parametrize("heading", sections())
def test_a_figure_in_a_section_is_in_a_file_that_it_links(heading):
    """Any number with a decimal point or of at least three digits."""
    section = sections()[heading]
    linked = [(PAGE.parent / link.partition("#")[0]) for link in re.findall(r"\]\(([^)\s]+)\)", section)]
    sources = "\n".join(path.read_text(encoding="utf-8") for path in linked)
    written = re.sub(r"\]\([^)]+\)|`[^`]+`|SFEW 2\.0|[A-Za-z]+\d+", "", section)  # names have numbers, too
    for figure in re.findall(r"\d[\d,]*\.\d+|\d+(?:,\d{3})+|\d{3,}", written):
        assert re.search(rf"(?<![\d.,]){re.escape(figure)}(?![\d]|[.,]\d)", sources), f"{figure} is in none of {linked}"
