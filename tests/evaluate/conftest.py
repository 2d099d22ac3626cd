import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from emotiw.data_prep.emotions import EMOTIONS
from emotiw.evaluate.scores import Scores, write_scores

MakeRun = Callable[..., Path]


@pytest.fixture
def make_run(tmp_path: Path) -> MakeRun:
    """Write a run folder by hand, with scores of a split, below RUNS = tmp_path / "runs"."""

    def write(row, posteriors, labels, classes=EMOTIONS, split="val", crops=1, digest="d" * 64, engine="caffe"):  # type: ignore[no-untyped-def]
        net, _, representation = row.partition("-")
        folder: Path = tmp_path / "runs" / row / "finetune"
        folder.mkdir(parents=True, exist_ok=True)
        facts = {
            "row": row, "stage": "finetune", "net": net, "representation": representation, "engine": engine,
            "engine_version": "1.0.0", "set_folder": "gone", "set_digest": digest, "classes": list(classes),
            "recipe": "e" * 64, "seed": 1, "iterations": 4, "weights": "", "weights_sha256": "", "emotiw": "0.1.0",
        }  # fmt: skip
        (folder / "run.json").write_text(json.dumps(facts))
        protocol = {"engine": engine, "engine_version": "1.0.0", "split": split, "crops": crops, "set_digest": digest}
        (folder / f"scores_{split}.json").write_text(json.dumps(protocol))
        paths = tuple(f"{classes[label]}/{number}.png" for number, label in enumerate(labels))
        scores = Scores(paths, np.array(labels), tuple(classes), np.array(posteriors, float))
        write_scores(folder / f"scores_{split}.csv", scores)
        return folder

    return write


@pytest.fixture
def answers() -> Callable[..., list[list[float]]]:
    """Posteriors that name these classes, of `classes`, with 0.6 each."""

    def posteriors(*named: int, classes: int = 7) -> list[list[float]]:
        rest = 0.4 / (classes - 1)
        return [[0.6 if label == name else rest for label in range(classes)] for name in named]

    return posteriors
