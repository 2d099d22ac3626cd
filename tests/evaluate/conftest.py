import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from emotiw.data_prep.emotions import EMOTIONS
from emotiw.evaluate.scores import Scores, write_scores

MakeRun = Callable[..., Path]


def write_split(  # type: ignore[no-untyped-def]
    folder: Path, posteriors, labels, classes=EMOTIONS, split="val", crops=1, digest="d" * 64,
    engine="caffe", **more,
) -> Path:  # fmt: skip
    """Write scores of a split by hand, and how they were made."""
    protocol = {
        "engine": engine, "engine_version": "1.0.0", "split": split, "crops": crops, "set_digest": digest,
        "set_folder": "gone", "model": "by hand", "weights_sha256": "a" * 64, "mean_rule": "crop", "stand_in": False,
    }  # fmt: skip
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"scores_{split}.json").write_text(json.dumps(protocol | more))
    paths = tuple(f"{classes[label]}/{number}.png" for number, label in enumerate(labels))
    scores = Scores(paths, np.array(labels), tuple(classes), np.array(posteriors, float))
    write_scores(folder / f"scores_{split}.csv", scores)
    return folder


@pytest.fixture
def make_run(tmp_path: Path) -> MakeRun:
    """Write a run folder by hand, with scores of a split, below RUNS = tmp_path / "runs"."""

    def write(row, posteriors, labels, classes=EMOTIONS, digest="d" * 64, engine="caffe", **more):  # type: ignore[no-untyped-def]
        net, _, representation = row.partition("-")
        folder: Path = tmp_path / "runs" / row / "finetune"
        folder.mkdir(parents=True, exist_ok=True)
        facts = {
            "row": row, "stage": "finetune", "net": net, "representation": representation, "engine": engine,
            "engine_version": "1.0.0", "set_folder": "gone", "set_digest": digest, "classes": list(classes),
            "recipe": "e" * 64, "seed": 1, "iterations": 4, "weights": "", "weights_sha256": "", "emotiw": "0.1.0",
        }  # fmt: skip
        (folder / "run.json").write_text(json.dumps(facts))
        return write_split(folder, posteriors, labels, classes, digest=digest, engine=engine, **more)

    return write


@pytest.fixture
def make_released(tmp_path: Path) -> MakeRun:
    """Write scores of a released model by hand, below the same RUNS."""

    def write(name, posteriors, labels, stand_in=False, **more):  # type: ignore[no-untyped-def]
        folder = tmp_path / "runs/released" / name
        return write_split(folder, posteriors, labels, mean_rule="resize", stand_in=stand_in, **more)

    return write


@pytest.fixture
def answers() -> Callable[..., list[list[float]]]:
    """Posteriors that name these classes, of `classes`, with 0.6 each."""

    def posteriors(*named: int, classes: int = 7) -> list[list[float]]:
        rest = 0.4 / (classes - 1)
        return [[0.6 if label == name else rest for label in range(classes)] for name in named]

    return posteriors
