import numpy as np
import pytest

from emotiw.engine.base import Loss, Snapshot
from emotiw.train.progress import Point, Progress, draw_curves, read_progress


def follow(folder, *seen, start=0, prior=2.0, accuracy=0.5):
    with Progress(folder, start, 100, prior, lambda weights: accuracy) as progress:
        for event in seen:
            progress(event)
    return progress


def snapshot(folder, iteration):
    return Snapshot(iteration, folder / f"snapshot_iter_{iteration}.caffemodel")


def test_the_file_by_hand(tmp_path):
    follow(tmp_path, Loss(0, 2.0625), Loss(20, 1.5), snapshot(tmp_path, 40), Loss(40, 1e-7))
    text = (tmp_path / "progress.csv").read_text()
    assert text == "iteration,loss,val_accuracy\n0,2.0625,\n20,1.5,\n40,,0.5\n40,1e-07,\n"
    assert read_progress(tmp_path / "progress.csv") == [
        Point(0, 2.0625),
        Point(20, 1.5),
        Point(40, None, 0.5),
        Point(40, 1e-7),
    ]


def test_the_snapshots_weights_are_validated(tmp_path):
    asked = []
    with Progress(tmp_path, 0, 100, 2.0, asked.append) as progress:
        progress(Loss(0, 2.0))
        progress(snapshot(tmp_path, 40))
    assert asked == [tmp_path / "snapshot_iter_40.caffemodel"]
    assert progress.points == [Point(0, 2.0)]  # without a validation split there is no accuracy


def test_going_on_drops_what_is_told_again(tmp_path):
    follow(tmp_path, Loss(0, 2.0), Loss(20, 1.5), snapshot(tmp_path, 40), Loss(40, 1.25), Loss(60, 1.0))
    with (tmp_path / "progress.csv").open("a") as file:
        file.write("80,0.")  # cut off
    again = follow(tmp_path, Loss(40, 1.2), Loss(60, 1.1), start=40)
    assert [(p.iteration, p.loss) for p in again.points] == [(0, 2), (20, 1.5), (40, None), (40, 1.2), (60, 1.1)]
    assert read_progress(tmp_path / "progress.csv") == again.points
    assert follow(tmp_path, Loss(0, 2.5)).points == [Point(0, 2.5)]  # from the start: nothing is kept


def test_a_loss_that_stays_at_the_prior_is_warned_of(tmp_path, capsys):
    prior = [Loss(k, loss) for k, loss in enumerate((2.5, 1.99, 2.0, 2.01, 1.97, 1.98))]
    assert not follow(tmp_path, *prior[:4], snapshot(tmp_path, 4)).at_prior()  # too few to tell
    assert "warning" not in capsys.readouterr().out
    assert follow(tmp_path, *prior, snapshot(tmp_path, 6)).at_prior()
    assert "warning: the loss is still that of guessing (2.000)" in capsys.readouterr().out
    assert not follow(tmp_path, *prior, Loss(6, 1.0), snapshot(tmp_path, 7)).at_prior()
    assert "warning" not in capsys.readouterr().out


def test_what_the_terminal_shows(tmp_path, capsys):
    follow(tmp_path, Loss(0, 2.0), Loss(20, 1.5), snapshot(tmp_path, 40))
    shown = capsys.readouterr().err
    assert "40/100" in shown
    assert "loss 1.500, val accuracy 0.500" in shown


def test_a_log_is_not_flooded(tmp_path, capsys):
    follow(tmp_path, *(Loss(k, 1.0) for k in range(100)))
    assert len(capsys.readouterr().err.split("\r")) <= 4


@pytest.mark.parametrize(
    "points",
    [[Point(0, 2.0), Point(20, 1.5), Point(20, None, 0.25), Point(40, None, 0.5)], [Point(0, 2), Point(9, 1)], []],
    ids=["both", "no accuracy", "nothing"],
)
def test_curves(tmp_path, points):
    import cv2

    draw_curves(points, "vgg_s-rgb, pretrain", tmp_path / "curves.png")
    picture = cv2.imread(str(tmp_path / "curves.png"))
    picture = picture[40:-80].astype(int)  # without title and legend
    for colour, name in (((180, 119, 31), "loss"), ((14, 127, 255), "val_accuracy")):  # tab:blue and orange, in BGR
        drawn = (np.abs(picture - colour).sum(axis=2) < 30).any()
        assert drawn == any(getattr(point, name) is not None for point in points[1:]), name
