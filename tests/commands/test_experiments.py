"""The verb `experiments`, and the errors of wrong command lines."""

import pytest

from emotiw.__main__ import main
from emotiw.prototxt.surgery import nets
from emotiw.train.experiments import experiments, shipped_table


def printed(capsys, *words):
    assert main(["experiments", *words]) == 0
    return capsys.readouterr().out


def test_it_prints_the_shipped_table(capsys):
    assert printed(capsys) == shipped_table()


def test_it_prints_the_rows_of_a_net(capsys):
    lines = printed(capsys, "vgg_s_small").splitlines()
    assert lines[0].startswith("row,net,")
    assert [line.partition(",")[0] for line in lines[1:]] == [
        row for row in experiments() if row.startswith("vgg_s_small-")
    ]


def test_it_lists_the_nets_and_their_batch_sizes(capsys):
    lines = printed(capsys, "--nets").splitlines()
    cells = [[cell.strip() for cell in line.split("|")[1:-1]] for line in lines]
    assert sorted(row[0] for row in cells[2:]) == list(nets())
    by_net = {row[0]: row[1:] for row in cells}
    assert by_net["vgg_s"] == ["124,507,607", "224 of 256", "50 x 300,000 at 0.01", "30 x 50,000 at 0.001"]
    assert by_net["vgg_s_small"][1:] == ["56 of 64", "30 x 400 at 0.01", "30 x 300 at 0.004"]


def refused(capsys, *command):
    try:
        status = main(list(map(str, command)))
    except SystemExit as end:
        status = end.code
    lines = capsys.readouterr().err.splitlines()
    assert (status, len(lines)) == (2, 1), lines
    return lines[0]


def test_a_net_that_is_none(capsys):
    assert "there is no net 'alexnet': name one of vgg_s, " in refused(capsys, "experiments", "alexnet")


@pytest.mark.parametrize("verb", ["predict face.png", "finetune vgg_s-rgb --set set", "experiments"])
def test_an_extra_word_points_to_the_verbs_help(capsys, verb):
    line = refused(capsys, *verb.split(), "--thresh", "3")
    name = verb.split()[0]
    assert line.startswith(f"emotiw {name}: unrecognized arguments: --thresh")
    assert line.endswith(f"(see emotiw {name} --help)")


FINETUNE = ("finetune", "vgg_s_small-rgb", "--set", "set")


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--iterations", "3", "--epochs", "2"), "argument --epochs: not allowed with argument --iterations"),
        (("--net", "x", "--experiments", "y.csv"), "not allowed with argument --net"),
        (("--epochs", "0"), "--epochs must be above 0"),
        (("--epochs", "nan"), "--epochs must be above 0"),
        (("--epochs", "2", "--gpu", "0,1"), "--epochs counts the images of one GPU"),
        (("--solver", "nowhere.prototxt"), "--solver nowhere.prototxt: neither a text file nor prototxt"),
        (("--solver", "base_lrr: 1"), 'has no field named "base_lrr"'),
        (("--net", "nowhere"), "nowhere/train_val.prototxt is missing"),
    ],
)
def test_contradictions_are_usage_errors(capsys, sets, words, said):
    assert said in refused(capsys, *FINETUNE[:3], sets / "expressions", "--from", "scratch", *words)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--iterations", "3", "--epochs", "2"), "not allowed with argument --iterations"),
        (("--small", "--experiments", "y.csv"), "not allowed with argument --small"),
        (("--small", "--rows", "vgg_s-rgb"), "--rows and --small both choose rows"),
    ],
)
def test_contradictions_of_reproduce(capsys, sets, words, said):
    both = ["--pretrain", sets / "people", "--finetune", sets / "expressions"]
    assert said in refused(capsys, "reproduce", *both, *words)
