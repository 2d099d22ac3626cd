"""`predict --weights` accepts only weights of an ensemble of the same nets."""

import pytest

from emotiw.errors import EmotiwError
from emotiw.evaluate.model import Model
from emotiw.evaluate.table.table_csv import ensemble_weights
from emotiw.files import sha256_of


@pytest.fixture
def models(tmp_path):
    """Two runs with only the fields that are read."""
    made = []
    for name in ("rgb", "lbp"):
        (tmp_path / name).write_text(name)
        made.append(Model(f"vgg_s-{name}/finetune", "vgg_s", name, *[tmp_path / name] * 3, ("a", "b"), "crop"))
    return made


@pytest.fixture
def table(tmp_path):
    def write(*rows, head="name,weight,crops,model_sha256"):
        (tmp_path / "table.csv").write_text("\n".join([head, *rows, ""]))
        return tmp_path / "table.csv"

    return write


RGB, LBP, OTHER = (sha256_of(name.encode()) for name in ("rgb", "lbp", "another"))


def test_its_own_table_is_accepted_without_a_warning(models, table, caplog):
    weights = ensemble_weights(models, table(f"vgg_s-rgb,0.75,1,{RGB}", f"vgg_s-lbp,0.25,1,{LBP}", "ensemble,,1,"))
    assert weights.tolist() == [0.75, 0.25]
    assert not caplog.records


def test_another_ensembles_table_is_refused(models, table, tmp_path):
    with pytest.raises(EmotiwError) as caught:
        ensemble_weights(models, table(f"vgg_s-rgb,0.75,1,{RGB}", f"vgg_s-lbp,0.25,1,{OTHER}"))
    words = str(caught.value)
    assert (
        f"has the weight of another vgg_s-lbp: its sha256 is {OTHER[:12]}, that of {tmp_path / 'lbp'} {LBP[:12]}"
        in words
    )


def test_a_net_that_is_there_twice_is_refused(models, table):
    with pytest.raises(EmotiwError, match="has several weights for one net"):
        ensemble_weights(models, table(f"vgg_s-rgb,0.75,1,{RGB}", f"vgg_s-lbp,0.25,1,{LBP}", f"vgg_s-lbp,0.5,1,{LBP}"))


@pytest.mark.parametrize(
    ("rows", "crops", "words"),
    [
        ((f"vgg_s-rgb,0.5,1,{RGB}", f"vgg_s-lbp,0.25,1,{LBP}", "vgg_m-rgb,0.25,1,"), 1, "2 nets are given but it has"),
        ((f"vgg_s-rgb,0.5,1,{RGB}", f"vgg_s-lbp,0.5,1,{LBP}"), 10, "its nets were scored with --crops 1, not 10"),
        (("vgg_s-rgb,0.5,1,", "vgg_s-lbp,0.5,1,"), 1, "it does not record the digests of its nets"),
    ],
)
def test_a_different_ensemble_gives_a_warning(models, table, caplog, rows, crops, words):
    ensemble_weights(models, table(*rows), crops)
    (record,) = caplog.records
    assert words in record.message
    assert record.message.endswith(": this is not the ensemble of the table's figure")


@pytest.mark.parametrize(
    ("recorded", "asked", "warns"),
    [("channel", "channel", False), ("", "crop", False), ("", "", False), ("channel", "", True), ("", "channel", True)],
)
def test_another_rule_for_the_mean_gives_a_warning(models, table, caplog, recorded, asked, warns):
    file = table(f"vgg_s-rgb,1,1,{RGB},{recorded}", head="name,weight,crops,model_sha256,mean_rule")
    ensemble_weights(models[:1], file, mean_rule=asked)
    words = f"vgg_s-rgb was scored with the rule {recorded or 'crop'} for the mean, not {asked or 'crop'}"
    assert [words in record.message for record in caplog.records] == [True] * warns
