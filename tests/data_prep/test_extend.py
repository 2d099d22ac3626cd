import json
import os
import shutil
import signal
import subprocess
import sys
from dataclasses import replace

import cv2
import pytest

from emotiw.data_prep import extend as extending
from emotiw.data_prep.extend import extend
from emotiw.data_prep.prepare import prepare
from emotiw.data_prep.prepared_set import open_set
from emotiw.data_prep.synthetic.expression_sets import as_fer2013
from emotiw.data_prep.synthetic.faces import draw_expressions
from emotiw.data_prep.transform import Settings
from emotiw.errors import EmotiwError, UsageError

from .conftest import contents

BOTH = Settings("emotions", ("rgb", "lbp"), size=16, val=0.25, seed=1)
RGB, LBP = replace(BOTH, representations=("rgb",)), replace(BOTH, representations=("lbp",))
UNSPLIT = replace(LBP, val=None)


def refusal(call, kind=EmotiwError) -> str:
    with pytest.raises(kind) as caught:
        call()
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_an_extended_set_equals_one_made_at_once(source, tmp_path):
    prepare(source, tmp_path / "once", BOTH)
    prepare(source, tmp_path / "set", RGB)
    digest = open_set(tmp_path / "set").digest
    assert extend(source, tmp_path / "set", LBP, jobs=2) == f"added to {tmp_path / 'set'}: lbp"
    assert contents(tmp_path / "set") == contents(tmp_path / "once")
    assert open_set(tmp_path / "set").digest == digest  # trained runs can continue
    assert not list(tmp_path.glob(".*"))


def test_a_source_may_have_been_moved(source, tmp_path):
    prepare(source, tmp_path / "set", RGB)
    shutil.copytree(source, tmp_path / "elsewhere")
    extend(tmp_path / "elsewhere", tmp_path / "set", LBP)
    assert open_set(tmp_path / "set").facts.representations == ["rgb", "lbp"]


def test_extend_reads_a_table_with_the_settings_of_the_set(source, tmp_path):
    draw_expressions(tmp_path / "drawn", people=10, images=1, seed=0)
    as_fer2013(tmp_path / "drawn", tmp_path / "fer2013")
    settings = replace(RGB, val=None)
    prepare(tmp_path / "fer2013", tmp_path / "set", settings)
    prepare(tmp_path / "fer2013", tmp_path / "once", replace(settings, representations=("rgb", "lbp")))
    extend(tmp_path / "fer2013", tmp_path / "set", UNSPLIT)
    assert contents(tmp_path / "set") == contents(tmp_path / "once")


def test_numbers_keep_their_order_and_images_their_root(source, tmp_path):
    (tmp_path / "list.txt").write_text("".join(f"Angry/{k:02d}.{e} 1\nSad/{k + 2:02d}.{e} 2\n" for k, e in NAMES))
    settings = replace(RGB, val=None, order="happy,angry,sad", images=str(source))
    prepare(tmp_path / "list.txt", tmp_path / "set", settings)
    extend(tmp_path / "list.txt", tmp_path / "set", UNSPLIT)
    names = {row["path"].split("/")[0] for row in open_set(tmp_path / "set").manifest}
    assert names == {row["name"] for row in open_set(tmp_path / "set").manifest} == {"Angry", "Sad"}


NAMES = [(0, "png"), (3, "jpg")]


def test_images_dropped_for_equal_pixels_are_not_missed(source, tmp_path, draw):
    draw(source / "test/Angry/99.png", 30, 75, 0)
    draw(source / "train/Sad/99.png", 30, 75, 0)  # the same picture
    settings = replace(RGB, val=None, same_pixels="drop")
    prepare(source, tmp_path / "set", settings)
    extend(source, tmp_path / "set", UNSPLIT)
    assert "train/Sad/99.png" not in {row["path"] for row in open_set(tmp_path / "set").manifest}


def recompress(source):
    picture = cv2.imread(str(source / "Angry/00.png"))
    picture[0, 0] ^= 1
    cv2.imwrite(str(source / "Angry/00.png"), picture)


def add(source):
    shutil.copy(source / "Angry/00.png", source / "Angry/more.png")


def lose(source):
    (source / "Angry/00.png").unlink()


def move(source):
    (source / "Angry").rename(source / "angry")


def relabel(source):
    (source / "Angry").rename(source / "Fear")


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (recompress, "Angry/00.png has other bytes: prepare a new set from it"),
        (add, "it holds Angry/more.png, which the set does not: prepare a new set from it"),
        (lose, "it holds no Angry/00.png (1 images are missing)"),
        (move, "it holds no Angry/00.png (8 images are missing)"),
        (relabel, "it holds no Angry/00.png (8 images are missing)"),
    ],
)
def test_another_source_is_refused_and_the_set_stays(source, tmp_path, change, said):
    prepare(source, tmp_path / "set", RGB)
    before = contents(tmp_path / "set")
    change(source)
    words = refusal(lambda: extend(source, tmp_path / "set", LBP))
    assert words == f"{source} is not what {tmp_path / 'set'} was made of: {said}"
    assert contents(tmp_path / "set") == before


def test_an_image_of_another_class_is_refused(source, tmp_path):
    table = tmp_path / "table.csv"
    rows = [f"{path.relative_to(source)},{path.parent.name}" for path in sorted(source.glob("*/*"))]
    table.write_text("path,label\n" + "\n".join(rows))
    settings = replace(RGB, images=str(source))
    prepare(table, tmp_path / "set", settings)
    table.write_text("path,label\n" + "\n".join(rows).replace("00.png,Angry", "00.png,Sad"))
    words = refusal(lambda: extend(table, tmp_path / "set", LBP))
    assert words.endswith("Angry/00.png is Sad there and Angry in the set")


def test_other_settings_are_refused(source, tmp_path):
    prepare(source, tmp_path / "set", RGB)
    asked = replace(LBP, size=64)
    words = refusal(lambda: extend(source, tmp_path / "set", asked), UsageError)
    assert words == f"--size 64: {tmp_path / 'set'} was made with 16, which --extend keeps: leave it out"
    plain = Settings("emotions", ("lbp",))  # options not given are those of the set
    extend(source, tmp_path / "set", plain)


def test_representations_of_the_set_are_not_made_again(source, tmp_path):
    prepare(source, tmp_path / "set", RGB)
    words = refusal(lambda: extend(source, tmp_path / "set", RGB), UsageError)
    assert words == f"{tmp_path / 'set'} holds rgb already: name another representation"


def test_an_image_too_small_for_a_representation_is_refused(source, tmp_path, draw):
    draw(source / "Angry/tiny.png", 10, 10)
    prepare(source, tmp_path / "set", RGB)
    words = refusal(lambda: extend(source, tmp_path / "set", replace(RGB, representations=("cyclic_lbp_5",))))
    assert words.startswith("Angry/tiny.png: an image of 10 x 10 pixels is too small for LBP codes of radius 5")
    assert open_set(tmp_path / "set").facts.representations == ["rgb"]


def test_extend_continues_after_a_kill_before_the_record(source, tmp_path):
    prepare(source, tmp_path / "once", BOTH)
    prepare(source, tmp_path / "set", RGB)
    die = "from emotiw.data_prep import extend as e; import os; e.write_sealed = lambda *_: os.kill(os.getpid(), 9);"
    call = f"from pathlib import Path; e.extend(Path({str(source)!r}), Path({str(tmp_path / 'set')!r}), {LBP!r})"
    code = f"{die} from emotiw.data_prep.transform import Settings; {call}"
    done = subprocess.run([sys.executable, "-c", code], check=False, capture_output=True, cwd=tmp_path, env=os.environ)
    assert done.returncode == -signal.SIGKILL, done.stderr
    assert open_set(tmp_path / "set").facts.representations == ["rgb"]
    assert json.loads((tmp_path / "set/set.json").read_text())["representations"] == ["rgb"]
    extend(source, tmp_path / "set", LBP)
    assert contents(tmp_path / "set") == contents(tmp_path / "once")


def test_extend_continues_after_an_interruption_while_mapping(source, tmp_path, monkeypatch):
    prepare(source, tmp_path / "once", BOTH)
    prepare(source, tmp_path / "set", RGB)
    seen = []

    def read(self, path):
        seen.append(path)
        if len(seen) == 15:
            raise KeyboardInterrupt
        return self.source.read(path)

    monkeypatch.setattr("emotiw.data_prep.prepare._COMMIT_EVERY", 4)
    with monkeypatch.context() as interrupted:
        interrupted.setattr(extending._SameBytes, "read", read)
        with pytest.raises(KeyboardInterrupt):
            extend(source, tmp_path / "set", LBP)
    extend(source, tmp_path / "set", LBP)
    assert contents(tmp_path / "set") == contents(tmp_path / "once")
