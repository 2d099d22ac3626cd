"""A split in which only some images have a label."""

import pytest

from emotiw.__main__ import main
from emotiw.data_prep.prepared_set import PreparedSet, SetFacts
from emotiw.errors import EmotiwError
from emotiw.evaluate.scoring import require_labels


@pytest.fixture
def prepared(tmp_path):
    rows = ("t.png,0,a,train,", "x.png,1,b,test,", "y.png,-1,,test,", "z.png,-1,,test,")
    lines = ["path,label,name,split,group,sha256", *(row + "," + "f" * 64 for row in rows)]
    (tmp_path / "manifest.csv").write_text("\n".join([*lines, ""]))
    return PreparedSet(tmp_path, SetFacts("e" * 64, ["a", "b"], "emotions", ["rgb"], 64, detect=False))


def test_it_is_refused_before_anything_is_scored(prepared):
    with pytest.raises(EmotiwError) as caught:
        require_labels(prepared, "test")
    assert str(caught.value) == (
        f"{prepared.folder}: 2 of its 3 test images have no label, such as y.png: give them with --truth FILE"
    )
    require_labels(prepared, "train")


def test_the_truth_has_the_rest_and_contradicts_nothing(prepared, tmp_path):
    truth = tmp_path / "truth.txt"
    truth.write_text("y a\nz b\n")
    require_labels(prepared, "test", truth)
    truth.write_text("y a\n")
    with pytest.raises(EmotiwError, match=r"no label for 1 of the images, such as z\.png"):
        require_labels(prepared, "test", truth)
    truth.write_text("x a\ny a\nz b\n")
    with pytest.raises(EmotiwError, match=r"contradicts the set's own labels of 1 images, such as x\.png"):
        require_labels(prepared, "test", truth)


def test_the_commands_say_so_in_one_line(prepared, monkeypatch, capsys):
    monkeypatch.setattr("emotiw.data_prep.prepared_set.open_set", lambda *_: prepared)
    command = ["evaluate", "no-model", "--set", str(prepared.folder), "--split", "test", "--engine", "torch"]
    assert main(command) == 1
    assert "2 of its 3 test images have no label" in capsys.readouterr().err
