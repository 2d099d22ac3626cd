"""A user's table of experiments: its rows, and the check of the whole file."""

import csv
import re

import pytest

from emotiw.errors import EmotiwError, UsageError
from emotiw.train.experiments import experiment, experiments, shipped_table
from emotiw.train.experiments_file import named_row, read_experiments


@pytest.fixture
def table(tmp_path):
    """Write a table of lines; return its path."""

    def write(*lines):
        path = tmp_path / "mine.csv"
        path.write_text("".join(f"{line}\n" for line in lines))
        return path

    return write


HEAD = "name,net,representation,finetune,epochs,seed"


def test_the_shipped_table_is_accepted(table):
    rows = read_experiments(table(*shipped_table().splitlines()))
    assert list(rows) == list(experiments())
    for name, row in rows.items():
        for stage in ("pretrain", "finetune"):
            assert row.recipe(stage) == experiments()[name].recipe(stage), "the same run goes on"
            assert row.changed(stage) == []


def test_one_net_and_representation_in_several_rows(table):
    rows = read_experiments(
        table(
            HEAD,
            "fast,vgg_s_small,rgb,base_lr: 0.01,3,",
            "slow,vgg_s_small,rgb,\"base_lr: 0.001 lr_policy: 'multistep' stepvalue: 5 stepvalue: 9\",0.5,7",
            ",vgg_s_small,rgb,,,",
            ",vgg_s_small,cyclic_lbp:radius=3,,,",
        )
    )
    assert list(rows) == ["fast", "slow", "vgg_s_small-rgb", "vgg_s_small-cyclic_lbp_r3"]
    assert [(row.epochs, row.seed) for row in rows.values()] == [(3, None), (0.5, 7), (None, None), (None, None)]
    assert rows["fast"].solver("finetune").base_lr == pytest.approx(0.01)
    assert rows["fast"].solver("pretrain") == experiment("vgg_s_small-rgb").solver("pretrain"), (
        "an empty stage is as shipped"
    )
    slow = rows["slow"].solver("finetune")
    assert (slow.lr_policy, list(slow.stepvalue)) == ("multistep", [5, 9])
    assert rows["slow"].changed("finetune") == [
        "base_lr 0.004 -> 0.001",
        "lr_policy step -> multistep",
        "stepvalue not given -> 5, 9",
    ]
    assert len({row.recipe("finetune") for row in rows.values()}) == 3  # the last two have the shipped settings
    assert named_row(table(HEAD, "fast,vgg_s_small,rgb,,,"), "fast").row == "fast"


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("a,alexnet,rgb,,,", "no net 'alexnet'"),
        ("a,vgg_s,sift,,,", "sift: not a representation"),
        ("a,vgg_s,rgb,base_lrr: 1,,", 'has no field named "base_lrr"'),
        ("a,vgg_s,rgb,base_lr: -1,,", "base_lr, max_iter and iter_size must be above 0"),
        ("a,vgg_s,rgb,lr_policy: 'stepp',,", "no lr_policy 'stepp'"),
        ("a,vgg_s,rgb,type: 'Adm',,", "no solver type 'Adm'"),
        ("a,vgg_s,rgb,net: 'x',,", "name your own net by --net"),
        ("a,vgg_s,rgb,type: 'AdaGrad',,", "AdaGrad and RMSProp need momentum: 0"),
        ("a,vgg_s,rgb,max_iter: 5,2,", "the column finetune gives max_iter, and the column epochs gives it, too"),
        ("a,vgg_s,rgb,random_seed: 5,,2", "the column finetune gives random_seed, and the column seed gives it, too"),
        ("a/b,vgg_s,rgb,,,", "'a/b' cannot be a folder's"),
        ("..,vgg_s,rgb,,,", "'..' cannot be a folder's"),
        ("vgg_s-lbp,vgg_s,rgb,,,", "the name vgg_s-lbp is that of a shipped row, but this row is vgg_s-rgb"),
        ("vgg_s,vgg_s_small,rgb,,,", "the name vgg_s is that of a shipped net"),
        ("good,vgg_s,rgb,,,", "good is also the name of line 2"),
        ("a,vgg_s,rgb,,0,", "0 epochs: give a number above 0"),
        ("a,vgg_s,rgb,,many,", "many epochs"),
        ("a,vgg_s,rgb,,nan,", "nan epochs"),
        ("a,vgg_s,rgb,,,1.5", "the seed 1.5 is not a whole number"),
        ("a,vgg_s,rgb,,,-1", "the seed -1 is not a whole number"),
        ("a,vgg_s,rgb,,", "more or fewer cells"),
        ("a,vgg_s,rgb,,,,", "more or fewer cells"),
    ],
)
def test_a_row_that_is_wrong_is_named_by_its_line(table, line, words):
    with pytest.raises(UsageError, match=re.escape(words)) as caught:
        read_experiments(table(HEAD, "good,vgg_s,rgb,,,", line))
    assert "line 3: " in str(caught.value)
    assert "\n" not in str(caught.value)


def test_every_wrong_row_is_reported(table):
    with pytest.raises(UsageError) as caught:
        read_experiments(table(HEAD, "a,x,rgb,,,", "b,vgg_s,rgb,,,", *(f"c{k},vgg_s,no,,," for k in range(7))))
    assert [f"line {k}: " in str(caught.value) for k in (2, 3, 4, 7, 8)] == [True, False, True, True, False]
    assert str(caught.value).endswith("and 3 more")


@pytest.mark.parametrize(
    ("lines", "words"),
    [
        (["net,finetune", "vgg_s,"], "has no column representation"),
        (["net,representation,fintune", "vgg_s,rgb,"], "has the unknown column fintune"),
        (["net,representation,net", "vgg_s,rgb,vgg_s"], "has twice the column net"),
        (["net,representation"], "it has no row"),
        ([], "has no column net, representation"),
        (["row,net,representation", "vgg_s-lbp,vgg_s,rgb"], "its `row` is vgg_s-lbp"),
    ],
)
def test_an_invalid_table_of_experiments(table, lines, words):
    with pytest.raises(UsageError, match=re.escape(words)):
        read_experiments(table(*lines))


def test_a_file_that_is_not_text(tmp_path):
    (tmp_path / "mine.csv").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(EmotiwError, match="is not a table of experiments"):
        read_experiments(tmp_path / "mine.csv")


def test_a_spreadsheet_may_mark_its_utf_8(table):
    path = table(HEAD, "a,vgg_s,rgb,,,")
    path.write_bytes(b"\xef\xbb\xbf" + path.read_bytes())
    assert list(read_experiments(path)) == ["a"]


def test_a_standing_is_kept(table):
    rows = list(csv.DictReader(shipped_table().splitlines()))
    assert read_experiments(table(*shipped_table().splitlines()))[rows[0]["row"]].standing == ("D5", "D9")
