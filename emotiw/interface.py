"""The Python interface: a few functions that run the same steps as the commands, on arrays.

`emotiw/__init__` exports them; nothing else imports this module.
"""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from emotiw.engine.base import Engine
from emotiw.engine.registry import open_engine
from emotiw.errors import EmotiwError
from emotiw.evaluate.model import Model
from emotiw.evaluate.predict.faces import Failure, find, looked_for, read
from emotiw.evaluate.predict.predictor import Prediction, Predictor
from emotiw.lbp_mapping import mapping
from emotiw.lbp_mapping.representation import parse

Rgb = NDArray[np.uint8]


def map_image(rgb: Rgb, representation: str) -> Rgb:
    """Return an image in a representation, at its native size: what `emotiw map` writes.

    Parameters
    ----------
    rgb : (H, W, 3) uint8
        RGB, [0, 255].
    representation : str
        "rgb", "lbp", "cyclic_lbp", "cyclic_lbp_5" or "cyclic_lbp_10", or another one spelled, such as
        "cyclic_lbp:radius=3:threshold=5".

    Returns
    -------
    (H - 2R, W - 2R, 3) uint8
        RGB, [0, 255]; R is the radius of the LBP operator, 0 for "rgb".

    Raises
    ------
    ValueError
        If there is no such representation, or the image is not RGB or smaller than 2R + 1 pixels either way.

    Examples
    --------
    >>> map_image(np.zeros((64, 48, 3), np.uint8), "cyclic_lbp_5").shape
    (54, 38, 3)
    """
    return mapping.map_image(rgb, parse(representation))


def predict(
    picture: str | Path | Rgb,
    models: Sequence[Model],
    *,
    detect: bool | None = None,
    crops: int = 1,
    engine: Engine | None = None,
) -> list[Prediction]:
    """Return the faces in a picture, the largest first, with their posteriors: what `emotiw predict` prints.

    Each call loads the models; to score many pictures, load them once with `emotiw.evaluate.predict.Predictor`.

    Parameters
    ----------
    picture : path, or (H, W, 3) uint8
        A file, or an array: RGB, [0, 255].
    models : sequence of Model
        Models with the same classes; see `open_model`.
    detect : bool, optional
        Look for faces; if false, the picture is the crop of one face already. The default looks for faces, unless all
        models are runs that were trained on whole pictures.
    crops : int
        1 (the centre), or 10 (centre and corners, each mirrored too); their posteriors are averaged.
    engine : Engine, optional
        See `open_engine`; the default is the real Caffe.

    Returns
    -------
    list of Prediction
        Its attributes: `face.box`, (x, y, width, height) in pixels, None if `detect` is false; `posteriors`,
        (models, classes) float64; `average`, (classes,) float64, over the models. Classes are in the order of
        `models[0].classes`. The list is empty if no face is found.

    Raises
    ------
    UnreadableImageError
        If the file is not a picture; it is a ValueError.
    ValueError
        If the array is not (H, W, 3) uint8.
    EmotiwError
        If a face is too small for a model, the models have different classes, or the engine fails.

    Examples
    --------
    >>> model = open_model("VGG_S_rgb")  # doctest: +SKIP
    >>> [model.classes[found.average.argmax()] for found in predict("party.jpg", [model])]  # doctest: +SKIP
    ['Happy', 'Surprise']
    """
    name, rgb = ("the array", picture) if isinstance(picture, np.ndarray) else (str(picture), read(str(picture)))
    if rgb.ndim != 3 or rgb.shape[2] != 3 or rgb.dtype != np.uint8:
        raise ValueError(f"a picture is (H, W, 3) uint8, RGB, not {rgb.shape} {rgb.dtype}")
    found = []
    with Predictor(models, engine or open_engine(), crops) as predictor:
        for answer in predictor.predict(find(rgb, name, detect=looked_for(models, detect))):
            if isinstance(answer, Failure):
                raise EmotiwError(f"{answer.image}: {answer.reason}")
            found.append(answer)
    return found
