"""Each row compares the results of both sides before it times the same work of both."""

import re
from functools import partial
from pathlib import Path

import pytest

from emotiw.evaluate.model import open_model

COSTS = {  # each row of costs, and whether a bare program does the same
    "predict-small": True,
    "predict-five": False,
    "predict-vgg_s": True,
    "evaluate": True,
    "table": False,
    "pretrain": True,
    "reproduce": True,
    "reproduce-nothing": False,
    "train": True,
}


@pytest.fixture
def little(load, monkeypatch):
    """The module `preparing` with a few images and one turn."""
    preparing = load("preparing")
    for constant in ("COUNT", "FIVE_COUNT", "MEAN_COUNT"):
        monkeypatch.setattr(preparing, constant, 12)
    monkeypatch.setattr(preparing, "alternate", partial(preparing.alternate, turns=1))
    return preparing


def changed(script, folder, old, new):
    """Copy a script with a fault in it; return the copy."""
    text = script.read_text()
    assert text.count(old) == 1
    copy = folder / script.name
    copy.write_text(text.replace(old, new))
    return copy


@pytest.mark.caffe
@pytest.mark.parametrize("name", ["prepare-rgb", "mean"])
def test_no_caffe_is_looked_for_on_the_clock(little, monkeypatch, tmp_path, name):
    def nothing_is_looked_for(*args, **options):
        for what in ("find_caffe", "tool"):
            monkeypatch.setattr(little, what, lambda *args: pytest.fail("looked for on the clock"))
        return load_turns(*args, **options)

    load_turns = little.alternate
    monkeypatch.setattr(little, "alternate", nothing_is_looked_for)
    turns = little.ROWS[name].measure(tmp_path)
    assert min(*turns.ours, *turns.theirs) > 0


def test_the_peer_computes_grey_and_codes_of_a_radius_only_once(load, monkeypatch):
    peer, face = load("by_skimage"), load("faces").face()
    done = []
    for name in ("grey", "local_binary_pattern"):
        real = getattr(peer, name)
        monkeypatch.setattr(peer, name, lambda *args, name=name, real=real: (done.append(name), real(*args))[1])
    assert list(peer.mapped(face)) == ["lbp", "cyclic_lbp", "cyclic_lbp_5", "cyclic_lbp_10"]
    assert sorted(done) == ["grey"] + 3 * ["local_binary_pattern"]


def test_other_colours_of_the_peer_are_seen(load, monkeypatch):
    mapping, face = load("mapping"), load("faces").face()
    mapping.check(face)
    right = mapping.mapped(face)
    monkeypatch.setattr(mapping, "mapped", lambda rgb: {name: image[..., ::-1] for name, image in right.items()})
    with pytest.raises(SystemExit, match="other colours where nothing ties"):
        mapping.check(face)


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("codes[each.radius]]", "255 - codes[each.radius]]", "pictures differ"),
        ("np.float32(len(lines))", "np.float32(len(lines) + 1)", "mean differs"),
    ],
)
def test_other_sets_of_the_peer_are_seen(little, monkeypatch, tmp_path, old, new, said):
    monkeypatch.setattr(little, "BY_SKIMAGE", changed(little.BY_SKIMAGE, tmp_path, old, new))
    with pytest.raises(SystemExit, match=said):
        little.measure_five(tmp_path)


def test_five_passes_of_the_peer_write_what_one_writes(little, tmp_path):
    """Each pass reads the pictures again; the five results are compared like those of one pass."""
    turns = little.measure_separately(tmp_path)
    assert len(turns.theirs) == 1
    assert turns.note.startswith("mapping by ")
    peer = little.BY_SKIMAGE.read_text(encoding="utf-8")
    assert "for together in [[each] for each in PAPER] if how else [PAPER]:" in peer


@pytest.mark.caffe
def test_another_mean_is_seen(little, monkeypatch, tmp_path):
    fault = changed(little.MEAN_OF_LMDB, tmp_path, "recount(keys)", "recount(keys[1:])")
    monkeypatch.setattr(little, "MEAN_OF_LMDB", fault)
    with pytest.raises(SystemExit, match="gives a different mean"):
        little.measure_mean(tmp_path)


@pytest.mark.caffe
def test_another_lmdb_is_seen(little, monkeypatch, tmp_path):
    right = little.write_list

    def other_labels(made, path):
        right(made, path)
        path.write_text(re.sub(r" 1$", " 2", path.read_text(), flags=re.MULTILINE))

    monkeypatch.setattr(little, "write_list", other_labels)
    with pytest.raises(SystemExit, match="a different LMDB"):
        little.measure_rgb(tmp_path, jobs=1)


@pytest.mark.caffe
def test_other_posteriors_of_the_bare_program_are_seen(load, monkeypatch, tmp_path, runs, caffe):
    costs = load("costs")
    monkeypatch.setattr(costs, "LEAST_SPREAD", 0)  # of three iterations
    pair = costs.predicting(tmp_path, open_model(runs / "vgg_s_small-rgb/finetune"), caffe)
    for program in (pair.ours, pair.theirs):
        program.run()
    pair.check()
    changed(costs.PEERS / "classify_picture.py", tmp_path, "channel_swap=(2, 1, 0)", "channel_swap=(0, 1, 2)")
    monkeypatch.setattr(costs, "PEERS", tmp_path)
    pair = costs.predicting(tmp_path, open_model(runs / "vgg_s_small-rgb/finetune"), caffe)
    pair.theirs.run()
    with pytest.raises(AssertionError, match="Not equal to tolerance"):
        pair.check()


def test_posteriors_that_are_all_alike_show_nothing(load):
    costs = load("costs")
    costs.same_posteriors([0.25, 0.75], [0.25, 0.75])
    with pytest.raises(SystemExit, match="all equal"):
        costs.same_posteriors([0.5, 0.5], [0.5, 0.5])


@pytest.mark.slow
@pytest.mark.caffe
@pytest.mark.parametrize("name", [*COSTS])
def test_what_a_command_costs(load, monkeypatch, tmp_path, name):
    """Run each row's own check in one turn."""
    costs = load("costs")
    monkeypatch.setattr(costs, "TRAINED", ("vgg_s_small", 2))
    ours, bare = costs.ROWS[name].measure(tmp_path, turns=1)
    assert all(min(one.seconds, one.cpu, one.peak) > 0 for one in (ours, bare) if one)
    assert (bare is not None) is COSTS[name]


def test_every_row_of_costs_is_tested(load):
    assert list(COSTS) == list(load("costs").ROWS)


@pytest.mark.slow
@pytest.mark.caffe
@pytest.mark.parametrize("name", ["map", "prepare-rgb", "prepare-five", "mean", "help", "map-command"])
def test_both_come_to_the_same(load, monkeypatch, tmp_path, name):
    """Run each row's own check on little data."""
    preparing, rows = load("preparing"), load("rows")
    for constant in ("COUNT", "FIVE_COUNT", "MEAN_COUNT"):
        monkeypatch.setattr(preparing, constant, 80)
    turns = rows.ROWS[name].measure(tmp_path)
    assert min(*turns.ours, *turns.theirs) > 0


@pytest.mark.slow
@pytest.mark.caffe
@pytest.mark.parametrize("fault", [False, True])
def test_posteriors_of_the_common_script(load, monkeypatch, tmp_path, fault):
    posteriors = load("posteriors")
    monkeypatch.setattr(posteriors, "COUNTS", {1: 2})
    monkeypatch.setattr(posteriors, "alternate", partial(posteriors.alternate, turns=1))
    if not fault:
        assert min(*(turns := posteriors.measure(tmp_path, 1)).ours, *turns.theirs) > 0
        return
    monkeypatch.setattr(posteriors, "COMMON", posteriors.COMMON.replace("(2, 1, 0)", "(0, 1, 2)"))
    with pytest.raises(AssertionError, match="Not equal to tolerance"):
        posteriors.measure(tmp_path, 1)


def test_scripts_for_caffes_python_are_where_they_are_looked_for(load):
    peers = load("costs").PEERS
    assert {path.name for path in Path(peers).glob("*.py")} == {"classify_picture.py", "score_lmdb.py"}
