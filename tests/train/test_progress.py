import numpy as np
import pytest

from emotiw.engine.base import Loss, Snapshot
from emotiw.train.curves import draw_curves
from emotiw.train.progress import Point, Progress, read_progress
from emotiw.train.validation import Validation

FOUND = Validation(accuracy=0.5, loss=1.75, train_accuracy=0.75)


def follow(folder, *seen, start=0, prior=2.0):
    with Progress(folder, start, 100, prior, lambda weights: FOUND) as progress:
        for event in seen:
            progress(event)
    return progress


def snapshot(folder, iteration):
    return Snapshot(iteration, folder / f"snapshot_iter_{iteration}.caffemodel")


def test_the_file_by_hand(tmp_path):
    follow(tmp_path, Loss(0, 2.0625), Loss(20, 1.5), snapshot(tmp_path, 40), Loss(40, 1e-7))
    text = (tmp_path / "progress.csv").read_text()
    assert text == (
        "iteration,loss,val_accuracy,val_loss,train_accuracy\n0,2.0625,,,\n20,1.5,,,\n40,,0.5,1.75,0.75\n40,1e-07,,,\n"
    )
    assert read_progress(tmp_path / "progress.csv") == [
        Point(0, 2.0625),
        Point(20, 1.5),
        Point(40, None, 0.5, 1.75, 0.75),
        Point(40, 1e-7),
    ]


def test_the_file_of_an_older_run_is_read(tmp_path):
    (tmp_path / "progress.csv").write_text("iteration,loss,val_accuracy\n0,2.0625,\n40,,0.5\n")
    assert read_progress(tmp_path / "progress.csv") == [Point(0, 2.0625), Point(40, None, 0.5)]
    follow(tmp_path, Loss(40, 1.5), start=40)
    assert (
        (tmp_path / "progress.csv").read_text().startswith("iteration,loss,val_accuracy,val_loss,train_accuracy\n0,2")
    )


def test_the_snapshots_weights_are_validated(tmp_path):
    asked = []
    with Progress(tmp_path, 0, 100, 2.0, asked.append) as progress:
        progress(Loss(0, 2.0))
        progress(snapshot(tmp_path, 40))
    assert asked == [tmp_path / "snapshot_iter_40.caffemodel"]
    assert progress.points == [Point(0, 2.0)]  # without a validation split there is no accuracy


def test_resuming_drops_losses_logged_again(tmp_path):
    follow(tmp_path, Loss(0, 2.0), Loss(20, 1.5), snapshot(tmp_path, 40), Loss(40, 1.25), Loss(60, 1.0))
    with (tmp_path / "progress.csv").open("a") as file:
        file.write("80,0.")  # cut off
    again = follow(tmp_path, Loss(40, 1.2), Loss(60, 1.1), start=40)
    assert [(p.iteration, p.loss) for p in again.points] == [(0, 2), (20, 1.5), (40, None), (40, 1.2), (60, 1.1)]
    assert read_progress(tmp_path / "progress.csv") == again.points
    assert follow(tmp_path, Loss(0, 2.5)).points == [Point(0, 2.5)]  # from the start: nothing is kept


def test_a_loss_that_stays_at_the_prior_is_warned_of(tmp_path, capsys):
    prior = [Loss(k, loss) for k, loss in enumerate((2.5, 1.99, 2.0, 2.01, 1.97, 1.98))]
    assert not follow(tmp_path, *prior[:4], snapshot(tmp_path, 4)).at_prior()  # too few
    assert "warning" not in capsys.readouterr().out
    assert follow(tmp_path, *prior, snapshot(tmp_path, 6), snapshot(tmp_path, 8)).at_prior()
    printed = capsys.readouterr().out
    assert printed.count("warning: the loss is still that of guessing (2.000)") == 1
    for cure in ("--solver 'base_lr: ...'", "--net", "xavier or msra", "dropout", "scaled by 1/128"):
        assert cure in printed
    assert not follow(tmp_path, *prior, Loss(6, 1.0), snapshot(tmp_path, 7)).at_prior()
    assert "warning" not in capsys.readouterr().out


def test_the_text_of_the_terminal(tmp_path, capsys):
    follow(tmp_path, Loss(0, 2.0), Loss(20, 1.5), snapshot(tmp_path, 40))
    shown = capsys.readouterr().err
    assert "40/100" in shown
    assert "loss 1.500, val accuracy 0.500" in shown


def test_a_log_is_not_flooded(tmp_path, capsys):
    follow(tmp_path, *(Loss(k, 1.0) for k in range(100)))
    assert len(capsys.readouterr().err.split("\r")) <= 4


COLOURS = {  # of the curves, in BGR: tab:blue, red, green, orange
    "loss": (180, 119, 31),
    "val_loss": (40, 39, 214),
    "train_accuracy": (44, 160, 44),
    "val_accuracy": (14, 127, 255),
}


def drawn(path, colour):
    """Whether a curve of that colour is in the panels (left of the legends)."""
    import cv2

    picture = cv2.imread(str(path))
    panels = picture[40:-60, : int(picture.shape[1] * 0.7)].astype(int)
    return bool((np.abs(panels - colour).sum(axis=2) < 30).any())


@pytest.mark.parametrize(
    "points",
    [
        [Point(0, 2.0), Point(20, 1.5), Point(20, None, 0.25, 1.75, 0.5), Point(40, None, 0.5, 1.5, 0.75)],
        [Point(0, 2), Point(9, 1)],
        [Point(0, 2), Point(5, None, 0.4), Point(9, 1), Point(9, None, 0.5)],
        [],
    ],
    ids=["all", "no accuracy", "an older run", "nothing"],
)
def test_curves(tmp_path, points):
    draw_curves(points, "vgg_s-rgb, pretrain", tmp_path / "curves.png")
    for name, colour in COLOURS.items():
        there = any(getattr(point, name) is not None for point in points[1:])
        assert drawn(tmp_path / "curves.png", colour) == there, name


@pytest.mark.parametrize("steps", [[], [15], [5, 15]])
def test_the_steps_of_the_rate_are_marked(tmp_path, steps):
    """They are dotted vertical lines: columns of pixels that differ from the picture without steps."""
    import cv2

    points = [Point(0, 2.0), Point(20, 2.0), Point(20, None, 0.1, 2.0, 0.1)]
    panels = []
    for number, marked in enumerate(([], steps)):
        draw_curves(points, "a run", tmp_path / f"{number}.png", marked)
        picture = cv2.imread(str(tmp_path / f"{number}.png")).astype(int)
        panels.append(picture[60:200, : int(picture.shape[1] * 0.6)])
    differs = (np.abs(panels[0] - panels[1]).sum(axis=2) > 30).sum(axis=0) > 20  # of a column's 140 pixels
    assert (np.diff(np.concatenate([[0], differs])) == 1).sum() == len(steps)
