"""Output formats of predictions: text, JSON, CSV, written one by one."""

import json
from collections.abc import Callable, Iterable, Iterator, Mapping

import numpy as np
from numpy.typing import NDArray

from emotiw.csv_cells import csv_lines
from emotiw.data_prep.prepared_set import FACES
from emotiw.evaluate.model import STAND_INS

from .faces import Failure, title
from .predictor import Prediction, Predictor

Answers = Iterable[Prediction | Failure]
Format = Callable[[Answers, Predictor, int], Iterator[str]]


def text(answers: Answers, predictor: Predictor, top: int) -> Iterator[str]:
    """Yield a line for each face with its `top` most probable classes, then, of several models, a line for each."""
    classes, several = predictor.models[0].classes, len(predictor.models) > 1
    for answer in answers:
        if isinstance(answer, Failure):
            yield f"{answer.image}: {answer.reason}\n"
            continue
        titles = [title(model, answer.face) for model in predictor.models]
        source = f", {average_title(predictor)}" if several else titles[0].removeprefix(predictor.models[0].title)
        head = f"{answer.face.image}: {answer.face.where}{source}: {_likeliest(answer.average, classes, top)}\n"
        each = zip(titles, answer.posteriors, strict=True) if several else ()
        yield head + "".join(f"  {name}: {_likeliest(row, classes, top)}\n" for name, row in each)


def as_json(answers: Answers, predictor: Predictor, top: int) -> Iterator[str]:
    """Yield one JSON document, with a line for each face or failure and all posteriors; `top` is ignored."""
    classes = predictor.models[0].classes
    models = [
        {
            "model": model.title,
            "stand_in": model.stand_in,
            "trained_on": FACES.get(model.faces, ""),
            "weight": float(weight),
            "run": line,
        }
        for model, weight, line in zip(predictor.models, predictor.weights, predictor.describe(), strict=True)
    ]
    yield f'{{"classes": {json.dumps(classes)},\n "models": {json.dumps(models)},\n "pictures": ['
    between = "\n  "
    for answer in answers:
        yield between + json.dumps(_record(answer, predictor))
        between = ",\n  "
    yield "\n ]}\n"


def as_csv(answers: Answers, predictor: Predictor, top: int) -> Iterator[str]:
    """Yield a head, then a row for each face and model; with several models, the average's row is last.

    Pictures without a face have a row without numbers. `top` is ignored.
    """
    classes = predictor.models[0].classes
    yield _row("image", "face", "x", "y", "width", "height", "model", "label", *classes, "reason")
    for answer in answers:
        if isinstance(answer, Failure):
            yield _row(answer.image, *[""] * (7 + len(classes)), answer.reason)
            continue
        place = (answer.face.image, answer.face.number, *(answer.face.box or [""] * 4))
        for name, posteriors in _named(answer, predictor):
            label = classes[int(posteriors.argmax())]
            yield _row(*place, name, label, *(f"{p:.6f}" for p in posteriors), "")


FORMATS: Mapping[str, Format] = {"text": text, "json": as_json, "csv": as_csv}
"""The output formats of `emotiw predict`, by name."""


def average_title(predictor: Predictor) -> str:
    """Return the title of several models' average, which mentions stand-ins among them."""
    if STAND_INS in (model.provenance for model in predictor.models):
        return f"average ({STAND_INS.mark} among them)"
    return "average"


def _named(answer: Prediction, predictor: Predictor) -> list[tuple[str, NDArray[np.float64]]]:
    """Return each model's posteriors with its title; with several models, the average's are last."""
    titles = [title(model, answer.face) for model in predictor.models]
    rows = list(zip(titles, answer.posteriors, strict=True))
    return [*rows, (average_title(predictor), answer.average)] if len(rows) > 1 else rows


def _record(answer: Prediction | Failure, predictor: Predictor) -> dict[str, object]:
    if isinstance(answer, Failure):
        return {"image": answer.image, "reason": answer.reason}
    classes = predictor.models[0].classes
    posteriors = {
        name: {kind: round(float(p), 6) for kind, p in zip(classes, row, strict=True)}
        for name, row in _named(answer, predictor)
    }
    return {
        "image": answer.face.image,
        "face": answer.face.number,
        "box": answer.face.box,
        "label": classes[int(answer.average.argmax())],
        "posteriors": posteriors,
    }


def _likeliest(posteriors: NDArray[np.float64], classes: tuple[str, ...], top: int) -> str:
    """Return the most probable classes with their posteriors; at ties the lower label is first."""
    order = np.argsort(-posteriors, kind="stable")[:top]
    return ", ".join(f"{classes[label]} {posteriors[label]:.4f}" for label in order)


def _row(*cells: object) -> str:
    return "".join(csv_lines([cells]))
