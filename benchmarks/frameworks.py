"""Compare one face's posteriors by Caffe, PyTorch, ONNX Runtime and OpenCV.

python benchmarks/frameworks.py MODEL...    Markdown; a model's name or a run folder, as in `emotiw predict`

The face is the first drawn one of 250 x 250. A model of RGB gets it resized to its own size, because OpenCV reads no
graph that resizes; a model of codes gets the plain face, and OpenCV is left out.
"""

import argparse
from collections.abc import Iterator, Sequence

import cv2
import numpy as np
import onnxruntime
from faces import Image, face
from numpy.typing import NDArray
from tabulate import tabulate

from emotiw.engine.registry import open_engine
from emotiw.engine.settings import ENGINES, EngineSettings
from emotiw.evaluate.model import Model, open_model
from emotiw.evaluate.onnx_model import image_input, onnx_model
from emotiw.evaluate.predict.faces import Face
from emotiw.evaluate.predict.predictor import Prediction, Predictor

Posteriors = NDArray[np.float64]


def by_engine(model: Model, picture: Image, engine: str) -> Posteriors:
    """Return the posteriors by one of our engines, (C,)."""
    with Predictor([model], open_engine(EngineSettings(engine))) as predictor:
        (answer,) = predictor.predict([Face("face", 1, None, picture, picture)])
    assert isinstance(answer, Prediction)
    return answer.average


def by_onnx(model: Model, picture: Image, *, plain: bool) -> Iterator[tuple[str, Posteriors]]:
    """Yield the posteriors by ONNX Runtime and, unless the graph takes a plain face, by OpenCV; each (C,)."""
    given = image_input(model, "face" if plain else "prepared", mapping=plain and model.representation != "rgb")
    written = onnx_model(model, given).SerializeToString()
    value = picture if plain else picture[None]
    session = onnxruntime.InferenceSession(written, providers=["CPUExecutionProvider"])
    yield "ONNX Runtime", np.asarray(session.run(None, {given.name: value})[0][0], np.float64)
    if not plain:
        net = cv2.dnn.readNetFromONNX(np.frombuffer(written, np.uint8))
        net.enableWinograd(False)
        net.setInput(value)
        yield "OpenCV", np.asarray(net.forward()[0], np.float64)


def rows(model: Model) -> Iterator[list[str]]:
    """Yield a row for each framework: the posteriors, and the largest difference from Caffe's."""
    plain = model.representation != "rgb"
    picture = face() if plain else cv2.resize(face(), (model.size, model.size))
    found = {engine: by_engine(model, picture, engine) for engine in ENGINES} | dict(
        by_onnx(model, picture, plain=plain)
    )
    what = f"{model.name}, {'a plain face' if plain else 'resized by OpenCV'}"
    for name, posteriors in found.items():
        difference = "" if name == ENGINES[0] else f"{np.abs(posteriors - found[ENGINES[0]]).max():.1e}"
        yield [what, name, *(f"{one:.6f}" for one in posteriors), difference]
        what = ""


def main(arguments: Sequence[str] | None = None) -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("models", nargs="+", metavar="MODEL")
    models = [open_model(name) for name in parser.parse_args(arguments).models]
    headers = ["model, face", "by", *models[0].classes, "largest difference"]
    print(tabulate([row for model in models for row in rows(model)], headers, "github", disable_numparse=True))


if __name__ == "__main__":
    main()
