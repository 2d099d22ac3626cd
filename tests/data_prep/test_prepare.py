import fcntl
import json
import os
import resource
import shutil
import signal
import subprocess
import sys
import threading
import time
import traceback
from dataclasses import replace
from functools import partial
from pathlib import Path

import cv2
import numpy as np
import pytest

from emotiw.data_prep import prepare as preparing
from emotiw.data_prep import transform
from emotiw.data_prep.images import decode, read_image
from emotiw.data_prep.lmdb_writer import LmdbWriter
from emotiw.data_prep.prepare import prepare
from emotiw.data_prep.prepared_set import open_set
from emotiw.data_prep.transform import Settings
from emotiw.data_prep.workers import Background, in_order
from emotiw.errors import EmotiwError, UsageError
from emotiw.lbp_mapping.mapping import map_image
from emotiw.lbp_mapping.representation import parse

from .conftest import contents

SETTINGS = Settings("emotions", ("rgb", "cyclic_lbp_5"), size=16, val=0.25, seed=1)


def keys(lmdb_folder: Path) -> list[str]:
    return [key.decode() for key, _ in contents(lmdb_folder)["data.mdb"]]


def refusal(call, kind=EmotiwError) -> str:
    with pytest.raises(kind) as caught:
        call()
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_the_files_of_a_set_and_nothing_else(source, tmp_path):
    prepare(source, tmp_path / "set", SETTINGS)
    assert sorted(contents(tmp_path / "set")) == [
        "cyclic_lbp_5/mean.binaryproto",
        "cyclic_lbp_5/train_lmdb/data.mdb",
        "cyclic_lbp_5/val_lmdb/data.mdb",
        "manifest.csv",
        "report.txt",
        "rgb/mean.binaryproto",
        "rgb/train_lmdb/data.mdb",
        "rgb/val_lmdb/data.mdb",
        "set.json",
    ]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["faces", "set"]


def test_the_training_lmdb_is_shuffled_by_the_seed(source, tmp_path):
    orders = {}
    for seed in (1, 2):
        prepare(source, tmp_path / f"{seed}", replace(SETTINGS, val=None, seed=seed))
        orders[seed] = keys(tmp_path / f"{seed}/rgb/train_lmdb")
        assert [key[:8] for key in orders[seed]] == [f"{k:08d}" for k in range(24)]
        paths = [key[9:] for key in orders[seed]]
        assert paths != sorted(paths)
        assert sorted(paths) == sorted(str(path.relative_to(source)) for path in source.rglob("*.*"))
    assert orders[1] != orders[2]
    names = ["Angry", "Disgust", "Fear", "Happy", "Neutral", "Sad", "Surprise"]
    for record in open_set(tmp_path / "1").records("cyclic_lbp_5", "train"):
        assert names[record.label] == record.path.split("/")[0]


def test_the_val_lmdb_is_by_path(source, tmp_path):
    prepare(source, tmp_path / "set", SETTINGS)
    paths = [key[9:] for key in keys(tmp_path / "set/rgb/val_lmdb")]
    assert len(paths) == 6
    assert paths == sorted(paths)


def test_images_are_mapped_at_native_size_and_then_resized(source, tmp_path):
    prepare(source, tmp_path / "set", SETTINGS)
    for name in SETTINGS.representations:
        for record in open_set(tmp_path / "set").records(name, "train"):
            rgb = read_image(source / record.path)
            by_hand = cv2.resize(map_image(rgb, parse(name)), (16, 16), interpolation=cv2.INTER_LINEAR)
            np.testing.assert_array_equal(record.blob, by_hand[..., ::-1].transpose(2, 0, 1))


def test_each_image_is_decoded_once(source, tmp_path, monkeypatch):
    read = []
    monkeypatch.setattr(transform, "decode", lambda data: read.append(data) or decode(data))
    prepare(source, tmp_path / "set", SETTINGS)
    assert len(read) == len(set(read)) == 24


def test_two_processes_make_the_same_set_as_one(source, tmp_path):
    reports = [prepare(source, tmp_path / f"{jobs}", SETTINGS, jobs) for jobs in (1, 2)]
    assert reports[0].replace(str(tmp_path / "1"), str(tmp_path / "2")) == reports[1]
    assert contents(tmp_path / "1") == contents(tmp_path / "2")


# The same call, killed at image K.
KILLED = """
import json, os, signal, sys
from pathlib import Path
from emotiw.data_prep import prepare as preparing
from emotiw.data_prep.transform import Settings, represent
seen = []
def dying(source, settings, image):
    seen.append(image)
    if len(seen) > int(sys.argv[3]):
        os.kill(os.getpid(), signal.SIGKILL)
    return represent(source, settings, image)
preparing.represent, preparing._COMMIT_EVERY = dying, 5
preparing.prepare(Path(sys.argv[1]), Path(sys.argv[2]), Settings(**json.loads(sys.argv[4])))
"""


def test_a_killed_call_continues_to_the_same_set(source, tmp_path, monkeypatch):
    (source / "Happy/broken.png").write_bytes(b"not an image")
    for settings in (replace(SETTINGS, store="png"), SETTINGS):
        whole, output = tmp_path / f"whole_{settings.store}", tmp_path / f"killed_{settings.store}"
        report = prepare(source, whole, settings)
        for survived in (3, 6, 13, 25):  # images that each call finishes
            args = [sys.executable, "-c", KILLED, source, output, str(survived), json.dumps(vars(settings))]
            status = subprocess.run(args, capture_output=True).returncode
            assert status == (-signal.SIGKILL if survived < 25 else 0)
            assert output.exists() == (survived == 25)
        assert contents(output) == contents(whole)
        assert "  Happy/broken.png: not an image that OpenCV reads" in report.splitlines()


def test_finished_images_are_not_processed_again(source, tmp_path, monkeypatch):
    monkeypatch.setattr(preparing, "_COMMIT_EVERY", 5)
    whole = tmp_path / "whole"
    prepare(source, whole, SETTINGS)
    made = []

    def represent(source, settings, image):
        if len(made) in (12, 20):
            made.append("interrupted")
            raise KeyboardInterrupt
        made.append(image.path)
        return transform.represent(source, settings, image)

    monkeypatch.setattr(preparing, "represent", represent)
    for _ in range(2):
        with pytest.raises(KeyboardInterrupt):
            prepare(source, tmp_path / "set", SETTINGS)
    prepare(source, tmp_path / "set", SETTINGS)
    first, second, third = made[:12], made[13:20], made[21:]
    assert second[:2] == first[10:]  # 10 were committed; the other 2 are processed again
    assert third[:2] == second[5:]
    assert len(first + second + third) == 24 + 2 + 2
    assert contents(tmp_path / "set") == contents(whole)


def interrupt(source: Path, output: Path, settings: Settings) -> None:
    def stop(*_):
        raise KeyboardInterrupt

    with pytest.MonkeyPatch.context() as broken:
        broken.setattr(preparing, "finish", stop)
        with pytest.raises(KeyboardInterrupt):
            prepare(source, output, settings)


def test_an_interruption_at_the_very_end_costs_nothing(source, tmp_path, monkeypatch):
    prepare(source, tmp_path / "whole", SETTINGS)
    interrupt(source, tmp_path / "set", SETTINGS)
    assert not (tmp_path / "set").exists()
    monkeypatch.setattr(preparing, "represent", lambda *_: pytest.fail("made again"))
    prepare(source, tmp_path / "set", SETTINGS)
    assert contents(tmp_path / "set") == contents(tmp_path / "whole")


@pytest.mark.parametrize("change", [{"seed": 9}, {"size": 24}, {"representations": ("rgb",)}, {"store": "png"}])
def test_other_arguments_start_again(source, tmp_path, change):
    other = replace(SETTINGS, **change)
    prepare(source, tmp_path / "whole", other)
    interrupt(source, tmp_path / "set", SETTINGS)
    prepare(source, tmp_path / "set", other)
    assert contents(tmp_path / "set") == contents(tmp_path / "whole")


@pytest.mark.parametrize("journal", [b"no journal\n", b"[1]\n", b'["a", "b", "c", "d"]\n', b"7\n", b"\xff\n", None])
def test_an_unreadable_journal_starts_again(source, tmp_path, journal):
    prepare(source, tmp_path / "whole", SETTINGS)
    interrupt(source, tmp_path / "set", SETTINGS)
    if journal is None:
        (tmp_path / ".set.partial/journal.jsonl").unlink()
    else:
        (tmp_path / ".set.partial/journal.jsonl").write_bytes(journal)
    prepare(source, tmp_path / "set", SETTINGS)
    assert contents(tmp_path / "set") == contents(tmp_path / "whole")


def test_a_file_that_was_replaced_meanwhile_is_read_again(source, tmp_path, draw):
    (source / "Sad/23.jpg").write_bytes(b"")
    interrupt(source, tmp_path / "set", SETTINGS)
    draw(source / "Sad/23.jpg")
    assert "left out" not in prepare(source, tmp_path / "set", SETTINGS)


def test_two_at_once_do_not_collide(source, tmp_path):
    partial = tmp_path / ".set.partial"
    partial.mkdir()
    held = os.open(partial, os.O_RDONLY)
    fcntl.flock(held, fcntl.LOCK_EX)
    said = refusal(lambda: prepare(source, tmp_path / "set", SETTINGS))
    assert said == f"another emotiw prepare is writing {tmp_path / 'set'}: wait for it, or name another -o"
    os.close(held)
    prepare(source, tmp_path / "set", SETTINGS)


def test_a_set_is_replaced_completely(source, tmp_path):
    prepare(source, tmp_path / "set", SETTINGS)
    prepare(source, tmp_path / "set", replace(SETTINGS, representations=("lbp",), val=None))
    assert sorted(path.name for path in (tmp_path / "set").iterdir()) == [
        "lbp",
        "manifest.csv",
        "report.txt",
        "set.json",
    ]


def test_nothing_but_a_set_is_replaced(source, tmp_path):
    for output in (source, tmp_path, source / "../faces"):
        assert "would replace the source" in refusal(
            lambda output=output: prepare(source, output, SETTINGS), UsageError
        )
    for output in (source / "set", source / "Sad/set"):
        assert refusal(lambda output=output: prepare(source, output, SETTINGS), UsageError) == (
            f"-o {output} is in the source {source}, which would then include it: name another output"
        )
    (tmp_path / "thesis").mkdir()
    (tmp_path / "notes").write_text("precious")
    for output in (tmp_path / "thesis", tmp_path / "notes"):
        assert "is not a prepared set, so it is not replaced" in refusal(
            lambda output=output: prepare(source, output, SETTINGS), EmotiwError
        )
    assert (tmp_path / "notes").read_text() == "precious"
    assert len(list(source.rglob("*.*"))) == 24


def test_the_report_counts_and_lists(source, tmp_path, draw):
    (source / "Happy/empty.png").write_bytes(b"")
    (source / "Happy/text.png").write_text("this is not an image")
    draw(source / "Happy/tiny.png", 10, 40)  # a radius of 5 needs 11 pixels
    draw(source / "Sad/name with spaces\nand a line, ünïcode.png")
    (source / "Sad/readme.txt").write_text("notes")
    draw(source / "contempt/1.png")
    lines = prepare(source, tmp_path / "set", replace(SETTINGS, val=None)).splitlines()
    assert [line.split() for line in lines[:10]] == [
        ["7", "classes", "train"],
        ["-----------", "-------"],
        ["Angry", "8"],
        ["Disgust", "0"],
        ["Fear", "0"],
        ["Happy", "8"],
        ["Neutral", "0"],
        ["Sad", "9"],
        ["Surprise", "0"],
        ["all", "25"],
    ]
    assert [line for line in lines[10:] if "warning" not in line] == [
        "left out, 4 files (1 not the name of an image, 1 not an image that OpenCV reads, 1 empty file, 1 an image of "
        "40 x 10 pixels is too small for LBP codes of radius 5):",
        "  Happy/empty.png: empty file",
        "  Happy/text.png: not an image that OpenCV reads",
        "  Happy/tiny.png: an image of 40 x 10 pixels is too small for LBP codes of radius 5: "
        "it needs at least 11 x 11",
        "  Sad/readme.txt: not the name of an image",
        "left out: 1 images in folders named 'contempt', which is not a class",
    ]
    assert [line for line in lines if "warning" in line] == [
        f"warning: 4 classes have no image, such as: no image of class Disgust; {tmp_path / 'set/report.txt'} lists all"
    ]
    lacking = ("Disgust", "Fear", "Neutral", "Surprise")
    assert [line for line in (tmp_path / "set/report.txt").read_text().splitlines() if "warning" in line] == [
        f"warning: no image of class {name}" for name in lacking
    ]
    rows = {row["path"]: row for row in open_set(tmp_path / "set").manifest}
    assert len(rows) == 25
    odd = rows["Sad/name with spaces\nand a line, ünïcode.png"]
    assert odd["name"] == "Sad"
    assert {record.path for record in open_set(tmp_path / "set").records("rgb", "train")} == set(rows)


def test_a_file_name_with_a_line_break_does_not_break_the_report(source, tmp_path):
    (source / "Sad/a\nb\x1b[2J.png").write_bytes(b"")
    assert "  Sad/a\\nb\\x1b[2J.png: empty file" in prepare(source, tmp_path / "set", SETTINGS).splitlines()


def test_equal_pictures_and_groups_in_two_splits_are_reported(tmp_path, draw):
    faces = tmp_path / "faces"
    for number, name in enumerate(("train/Sad/anna_1", "train/Happy/bert_2", "val/Sad/carl_3", "val/Happy/anna_4")):
        draw(faces / f"{name}.png", seed=number)
    shutil.copy(faces / "train/Sad/anna_1.png", faces / "val/Sad/carl_9.png")
    shutil.copy(faces / "train/Happy/bert_2.png", faces / "train/Sad/bert_9.png")
    settings = Settings("emotions", ("rgb",), size=16, group=r"([a-z]+)_\d")
    warnings = [line for line in prepare(faces, tmp_path / "set", settings).splitlines() if "class" not in line]
    assert [line for line in warnings if line.startswith("warning")] == [
        "warning: the same picture under two labels: train/Happy/bert_2.png, train/Sad/bert_9.png",
        "warning: the same picture on two sides of the split: train/Sad/anna_1.png, val/Sad/carl_9.png",
        "warning: group anna is on 2 sides of the split",
    ]


def test_many_unknown_classes_are_counted_together(tmp_path, draw):
    for person in range(31):
        for number in (1, 2):
            draw(tmp_path / f"faces/{person:07d}/{number:03d}.png", seed=2 * person + number)
    lines = prepare(tmp_path / "faces", tmp_path / "set", Settings("identities", ("rgb",), size=16)).splitlines()
    assert [line.split() for line in (lines[0], *lines[2:])] == [["31", "classes", "train"], ["all", "62"]]


def test_strict_makes_an_unusable_file_an_error(source, tmp_path, draw):
    (source / "Happy/empty.png").write_bytes(b"")
    draw(source / "contempt/1.png")
    said = refusal(lambda: prepare(source, tmp_path / "set", SETTINGS, strict=True))
    listed = tmp_path / ".set.partial/report.txt"
    assert said == f"--strict: 2 files of {source} cannot be used; {listed} lists them with the reasons"
    assert "Happy/empty.png: empty file" in listed.read_text()
    assert not (tmp_path / "set").exists()
    (source / "Happy/empty.png").unlink()
    shutil.rmtree(source / "contempt")
    prepare(source, tmp_path / "set", SETTINGS, strict=True)
    assert not (tmp_path / ".set.partial").exists()


def test_a_split_without_usable_images_is_an_error(tmp_path, draw):
    draw(tmp_path / "faces/train/Sad/1.png")
    (tmp_path / "faces/val/Sad").mkdir(parents=True)
    (tmp_path / "faces/val/Sad/2.png").write_bytes(b"")
    said = refusal(lambda: prepare(tmp_path / "faces", tmp_path / "set", replace(SETTINGS, val=None)))
    assert said == f"{tmp_path / 'faces'} gives no usable image for the val split: val/Sad/2.png: empty file"
    (tmp_path / "faces/train/Sad/1.png").unlink()
    said = refusal(lambda: prepare(tmp_path / "faces", tmp_path / "set", replace(SETTINGS, val=None)))
    assert said == f"{tmp_path / 'faces'} gives no usable image for the train split"


def test_a_picture_without_a_face_is_left_out_with_detect(source, tmp_path):
    said = refusal(lambda: prepare(source, tmp_path / "set", replace(SETTINGS, detect=True, val=None)))
    assert said.startswith(f"{source} gives no usable image for the train split: ")
    assert said.endswith(": no face found")


def test_too_small_a_disk_is_an_error_before_anything_is_written(source, tmp_path, monkeypatch):
    class Usage:
        free = 1000

    monkeypatch.setattr(shutil, "disk_usage", lambda _: Usage)
    said = refusal(lambda: prepare(source, tmp_path / "set", replace(SETTINGS, size=256)))
    assert said.startswith(f"the set needs 0.01 GB and {tmp_path} has 0.00 GB free: free some, or use --store png")
    prepare(source, tmp_path / "set", replace(SETTINGS, store="png"))


def test_a_full_disk_is_a_one_line_error_and_the_call_continues(source, tmp_path):
    """Files are limited to 1 MB, as on a full disk."""
    args = ["prepare", source, "-o", tmp_path / "set", "--labels", "emotions", "-r", "rgb", "--size", "256"]
    command = [sys.executable, "-m", "emotiw", *args, "--jobs", "1"]
    limit = lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (2**20, 2**20))  # noqa: E731
    full = subprocess.run(command, capture_output=True, text=True, preexec_fn=limit)
    assert full.returncode == 1
    assert full.stderr.splitlines()[-1].endswith("(disk full?): make room, then run the same command again to continue")
    assert "Traceback" not in full.stderr
    assert subprocess.run(command, capture_output=True).returncode == 0


@pytest.mark.parametrize("jobs", [1, 2, 3])
def test_threads_keep_the_order_and_buffer_few_results(jobs):
    begun = []

    def late(number):
        begun.append(number)
        time.sleep(0.001 * (number % 3))
        return number

    for expected, number in zip(range(200), in_order(late, range(200), jobs), strict=True):
        assert number == expected
        assert len(begun) <= number + 1 + 16 * jobs
    assert sorted(begun) == list(range(200))
    assert list(in_order(abs, [-3, 2, -1], jobs)) == [3, 2, 1]


def test_an_error_in_a_thread_is_raised_and_cancels_the_others():
    begun = []

    def fail(number):
        begun.append(number)
        raise ZeroDivisionError

    before = cv2.getNumThreads()
    with pytest.raises(ZeroDivisionError):
        list(in_order(fail, range(1000), 2))
    assert len(begun) < 1000
    assert cv2.getNumThreads() == before


def test_the_background_does_one_task_at_a_time():
    begun, ended = [], []

    def work(number):
        begun.append(number)
        time.sleep(0.005)
        ended.append(number)

    with Background() as background:
        for number in range(5):
            background.do(partial(work, number))
            assert ended[:number] == list(range(number)), "the previous task is done"
    assert begun == ended == list(range(5))


def no_room():
    raise OSError("no room")


def start_another(background):
    background.do(no_room)
    background.do(lambda: pytest.fail("a task was started after an error"))


def fail_meanwhile(background):
    background.do(no_room)
    raise KeyError


@pytest.mark.parametrize(
    ("owner", "error"),
    [(start_another, OSError), (lambda background: background.do(no_room), OSError), (fail_meanwhile, KeyError)],
)
def test_the_first_error_is_raised(owner, error):
    with pytest.raises(error), Background() as background:
        owner(background)


def test_ctrl_c_waits_for_the_background_task():
    done = []

    def waited_for():
        """Return whether the main thread waits at the end of the block."""
        frames = traceback.extract_stack(sys._current_frames()[threading.main_thread().ident])
        names = [frame.name for frame in frames]
        return names[-1] == "wait" and "__exit__" in names

    def work():
        for _ in range(6000):
            if waited_for():
                break
            time.sleep(0.01)
        os.kill(os.getpid(), signal.SIGINT)
        time.sleep(0.2)
        done.append(True)

    with pytest.raises(KeyboardInterrupt), Background() as background:
        background.do(work)
    assert done


def test_an_lmdb_with_a_damaged_first_page(tmp_path):
    (tmp_path / "set/rgb/train_lmdb").mkdir(parents=True)
    (tmp_path / "set/rgb/train_lmdb/data.mdb").write_bytes(bytes(4096))
    with pytest.raises(EmotiwError, match=r"train_lmdb is damaged: remove .*set, then run the same command again$"):
        LmdbWriter(tmp_path / "set/rgb/train_lmdb")
