"""`docs/cluster.md`: the computed figures are those of the package's own estimates."""

import re
from pathlib import Path

from tabulate import tabulate

from emotiw.data_prep.disk_space import pages
from emotiw.data_prep.layouts.sfew import ALIGNED
from emotiw.data_prep.transform import Settings
from emotiw.lbp_mapping.representation import PAPER
from emotiw.prototxt.formats.messages import NetParameter, read_text
from emotiw.prototxt.shapes import parameters, shapes
from emotiw.train.experiments import preset_rows
from emotiw.train.reproduce.cost import Cost, room
from emotiw.train.run_folder import STAGES

ROOT = Path(__file__).parents[1]
CASIA, PEOPLE = 494_414, 10_572  # without the three people of LFW
NAMES = tuple(representation.name for representation in PAPER)


def page(name: str) -> str:
    return (ROOT / f"docs/{name}.md").read_text(encoding="utf-8")


def parameters_of(net: str, stage: str) -> int:
    """Return the number of parameters of a net with the last layers of its stage's classes."""
    message = read_text(ROOT / f"prototxt/{net}/train_val_{stage}.prototxt", NetParameter)
    classes = {"pretrain": PEOPLE, "finetune": 7}[stage]
    last = [layer for layer in message.layer if layer.inner_product_param.num_output == 7]
    assert last
    for layer in last:
        layer.inner_product_param.num_output = classes
    return parameters(shapes(message)[1])


def runs() -> list[Cost]:
    """Return what the paper's rows leave on the disk."""
    nets = [row.net for row in preset_rows("paper")]
    return [
        Cost(net, stage, nets.count(net), 0, 0, 0, parameters_of(net, stage))
        for net in dict.fromkeys(nets)
        for stage in STAGES
    ]


def seconds_of_five_representations() -> float:
    """Return the seconds of an image of 250 x 250 pixels, on one core."""
    (images, seconds) = re.findall(
        r"^\| (\d+) JPEGs to the five LMDBs and means, raw, [^|]+\|[^|]+\| ([\d.]+) ", page("benchmarks"), re.M
    )[0]
    return float(seconds) / int(images)


def test_the_computed_figures():
    gigabytes = [pages(images, Settings("", NAMES)) / 1e9 for images in (CASIA, sum(map(sum, ALIGNED.values())))]
    (estimate,) = re.findall(r"at least ([\d,.]+) hours of training, 1 at a time", page("reproduce"))
    hours = round(float(estimate.replace(",", "")), -3)
    rows = [
        ["disk: CASIA's set, raw", f"{gigabytes[0]:.1f} GB, {gigabytes[0] / 5:.1f} GB for each representation"],
        ["disk: SFEW's set, raw", f"{gigabytes[1]:.1f} GB"],
        ["disk: snapshots and models of the 20 rows", f"{room(runs(), 1) / 1e9:.1f} GB"],
        ["`prepare` of CASIA, one core", f"at least {CASIA * seconds_of_five_representations() / 3600:.1f} hours"],
        ["trainings, two cores", f"at least {hours:,.0f} hours"],
    ]
    wanted = tabulate(rows, ["what", "the paper's 20 rows, 256 x 256 pixels: computed"], tablefmt="github")
    assert f"<!-- computed -->\n\n{wanted}\n\n<!-- end of computed -->" in page("cluster"), f"put this there:\n{wanted}"


def test_the_counts_are_those_of_the_rehearsal():
    assert f"{CASIA:,} pictures of 10,575 people" in page("cluster")
    assert " / ".join(str(sum(ALIGNED[split])) for split in ("train", "val", "test")) in page("cluster")
