"""`emotiw reproduce --experiments`: a user's own rows in the workflow and in the table."""

import json

import pytest

from emotiw.__main__ import main
from emotiw.data_prep.prepared_set import open_set
from emotiw.train.experiments_file import read_experiments
from emotiw.train.reproduce.workflow import Options, lay_out
from emotiw.train.run_folder import STAGES, Run

pytestmark = pytest.mark.caffe

HEAD = "name,net,representation,finetune,epochs,seed"
ROWS = ("usual,vgg_s_small,rgb,,1,", "fast,vgg_s_small,rgb,base_lr: 0.01,1,7")


@pytest.fixture
def table(tmp_path):
    def write(*lines):
        path = tmp_path / "mine.csv"
        path.write_text("".join(f"{line}\n" for line in (HEAD, *lines)))
        return path

    return write


def asked(sets, folder, *more):
    both = ["--pretrain", sets / "people", "--finetune", sets / "expressions"]
    return list(map(str, ["reproduce", *both, "-o", folder, *more]))


def fingerprints(sets, folder, path, **options):
    """The fingerprint of each row's stages, which Snakemake compares."""
    both = {"pretrain": open_set(sets / "people"), "finetune": open_set(sets / "expressions")}
    lay_out(folder, read_experiments(path).values(), both, Options(experiments=path, **options))
    return json.loads((folder / "reproduction.json").read_text())["rows"]


def test_a_changed_line_changes_its_own_stage_and_no_other(sets, table, tmp_path):
    before = fingerprints(sets, tmp_path / "it", table(*ROWS))
    assert list(before) == ["usual", "fast"]
    assert before["usual"]["pretrain"] != before["fast"]["pretrain"], "the seed"
    for line, stages in (
        ("fast,vgg_s_small,rgb,base_lr: 0.02,1,7", {"finetune"}),
        ("fast,vgg_s_small,rgb,base_lr: 0.01,2,7", {"pretrain", "finetune"}),
        ("fast,vgg_s_small,rgb,base_lr: 0.01,1,8", {"pretrain", "finetune"}),
    ):
        after = fingerprints(sets, tmp_path / "it", table(ROWS[0], line))
        assert after["usual"] == before["usual"]
        assert {stage for stage in STAGES if after["fast"][stage] != before["fast"][stage]} == stages, line
    assert fingerprints(sets, tmp_path / "it", table(*ROWS), seed=7)["usual"] != before["usual"], "a flag goes first"


def test_the_whole_file_is_checked_before_anything_is_laid_out(sets, table, tmp_path, capsys):
    path = table(*ROWS, "odd,vgg_s_small,rgb,base_lrr: 1,,")
    assert main(asked(sets, tmp_path / "it", "--experiments", path)) == 2
    line = "line 4: the column finetune is not a SolverParameter in prototxt format: line 1, column 1: Message type"
    assert line in capsys.readouterr().err
    assert main(asked(sets, tmp_path / "it", "--experiments", table(*ROWS), "--rows", "usual", "slow")) == 2
    assert "has no row slow: name some of usual, fast" in capsys.readouterr().err
    lbp = table(*ROWS, "lbp,vgg_s_small,lbp,,,")
    assert main(asked(sets, tmp_path / "it", "--experiments", lbp)) == 1
    assert "holds no lbp, only rgb" in capsys.readouterr().err
    assert not (tmp_path / "it").exists()


def test_a_dry_run_prints_the_cost_of_every_row(sets, table, tmp_path, capsys):
    """Each row has 2 iterations on 60 pictures of people and 2 on 56 faces."""
    assert main(asked(sets, tmp_path / "it", "--experiments", table(*ROWS), "--dry-run")) == 0
    printed = capsys.readouterr().out.splitlines()
    assert printed[1].startswith("8 of 8 steps to do: 2 pretrain, 2 finetune, 2 evaluate")
    assert printed[2:4] == [
        "usual, pretrain and 1 more: schedule: the rate's step at iteration 300 is not reached, since the last one is "
        "2: it stays 0.01; give steps by --solver",
        "usual, finetune: schedule: the rate's step at iteration 240 is not reached, since the last one is 2: it stays "
        "0.004; give steps by --solver",
    ]
    rows = [[cell.strip() for cell in line.split("|")[1:-1]] for line in printed if line.startswith("| vgg")]
    assert [row[:4] for row in rows] == [["vgg_s_small", "pretrain", "2", "4"], ["vgg_s_small", "finetune", "2", "4"]]


def test_a_dry_run_says_whose_settings_an_unlisted_representation_has(sets, table, tmp_path, capsys):
    path = table("usual,vgg_s_small,rgb,,1,", "own,vgg_s_small,cyclic_lbp:radius=3:threshold=5,,1,")
    command = [
        "reproduce",
        "--finetune",
        sets / "expressions",
        "-o",
        tmp_path / "it",
        "--experiments",
        path,
        "--dry-run",
    ]
    assert main(list(map(str, command))) == 0
    words = "own, finetune: cyclic_lbp_r3_t5 is in no shipped row: the settings are those of vgg_s_small-rgb"
    assert words in capsys.readouterr().out.splitlines()


@pytest.mark.slow
def test_rows_of_one_net_are_trained_and_named_in_the_table(sets, table, tmp_path, capsys):
    command = asked(sets, tmp_path / "it", "--experiments", table(*ROWS))
    assert main(command) == 0
    printed = capsys.readouterr().out
    assert "fast (vgg_s_small on rgb) was trained with its own settings: base_lr 0.004 -> 0.01.\n" in printed
    assert "Best of the 2 rows of vgg_s_small on rgb, chosen on val: " in printed
    facts = [Run(tmp_path / "it/runs" / row / "finetune").facts() for row in ("usual", "fast")]
    assert [(one.row, one.iterations, one.seed) for one in facts] == [("usual", 2, 1), ("fast", 2, 7)]
    (tmp_path / "mine.csv").unlink()  # the folder has its own copy
    assert (tmp_path / "it/experiments.csv").is_file()
