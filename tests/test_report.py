"""`docs/report.md`: every figure is that of a file or a page that its section links."""

import csv
import re
from pathlib import Path

import pytest
from tabulate import tabulate

from emotiw.prototxt.formats.messages import LayerParameter, NetParameter, SolverParameter, read_text
from emotiw.train.run_folder import STAGES

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "docs/report.md"
TEXT = PAGE.read_text(encoding="utf-8")

# The pages with an experiment's table: the faces, the page, and the number of validation images.
EXPERIMENTS = (
    ("drawn", "pipeline", 252),
    ("drawn, in SFEW's layout", "reproduce", 210),
    ("ORL to Yale", "real_faces", 20),
)
SHOWN = re.compile(
    r"vgg_s_small-.*|ensemble of \d+: (?:uniform average|chosen by nested cross-validation)|baseline: .*"
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
            [row["method"], row["split"], row["n"], row["accuracy"], row["standing"]]
            for row in csv.DictReader(file)
            if row["dataset"] == "SFEW 2.0" and row["net"] in ("ensemble", "baseline")
        ]
    assert len(rows) == 4
    check("published", ["method", "split", "n", "accuracy, %", "standing"], rows)


def test_the_accuracies_are_those_of_the_pages():
    rows = []
    for faces, name, n in EXPERIMENTS:
        assert re.search(rf"^Accuracy in % on {n} val images", page(name), re.M)
        lines = re.findall(r"^\| ([^|]+?) +\| ([\d.]+) +\| ([\d.]+ - [\d.]+) +\|$", page(name), re.M)
        rows += [
            [f"[{faces}]({name}.md)", str(n), what, figure, interval]
            for what, figure, interval in lines
            if SHOWN.fullmatch(what)
        ]
    assert len(rows) > 15
    check("accuracies", ["faces", "n", "figure", "%", "95 % interval"], rows)


def test_the_tests_of_the_claims_are_those_of_the_pages():
    line = re.compile(
        r"^\| ([^|]+ - [^|]+?) +\| ([-+][\d.]+) +\| ([-+][\d.]+ to [-+][\d.]+) +\|(?: [^|]+\|){3} ([\d.]+) +\|$", re.M
    )
    rows = [
        [f"[{faces}]({name}.md)", what, difference, interval, p]
        for faces, name, _ in EXPERIMENTS
        for what, difference, interval, p in line.findall(page(name))
    ]
    assert len(rows) >= 10
    check("claims", ["faces", "compared", "difference", "95 % interval", "p, Holm"], rows)


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
