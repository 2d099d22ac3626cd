"""The cost of wrong preprocessing: validation accuracy of finished runs, with correct preprocessing and each mistake.

python benchmarks/mistakes.py SET SOURCE RUN...    a Markdown table per run; SOURCE is what SET was prepared from
"""

import argparse
import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from skimage.feature import local_binary_pattern
from tabulate import tabulate

from emotiw.data_prep.face_detection import crop_face
from emotiw.data_prep.images import Rgb, decode, resize
from emotiw.data_prep.prepared_set import PreparedSet, open_set
from emotiw.engine.inference import posteriors
from emotiw.engine.preprocessing import MEAN_RULES, Blob, Image, Mean, net_inputs
from emotiw.engine.registry import open_engine
from emotiw.evaluate.model import Model, open_model
from emotiw.evaluate.scores import Scores
from emotiw.lbp_mapping.codes import grey, lbp_codes
from emotiw.lbp_mapping.mapping import map_image
from emotiw.lbp_mapping.representation import Representation, parse
from emotiw.lbp_mapping.tables import palette


@dataclass(frozen=True)
class Way:
    """The preprocessing steps from a picture to the net's input, in order; the defaults are those of our trainings.

    `face` takes the picture, (H, W, 3) uint8 RGB, and whether a face must be detected in it; `before` and `mapped`
    work at native size; `side` is the S that is resized to; `planes` makes (3, S, S) of (S, S, 3): B, G, R, [0, 255];
    `mean`, (3, crop, crop), is subtracted from the centre crop of its size.
    """

    face: Callable[[Rgb, bool], Rgb | None] = lambda picture, detect: crop_face(picture) if detect else picture
    before: Callable[[Rgb, int], Rgb] = lambda face, side: face
    mapped: Callable[[Rgb, Representation], Rgb] = map_image
    side: Callable[[Model], int] = lambda model: model.size
    planes: Callable[[Rgb], Image] = lambda rgb: rgb[..., ::-1].transpose(2, 0, 1)
    mean: Callable[[Model], Mean] = lambda model: model.input_mean()

    def image(self, picture: Rgb, detect: bool, model: Model) -> Image:
        """Return the image from which the crop is cut, (3, S, S)."""
        side = self.side(model)
        face = self.before(self.face(picture, detect), side)
        return self.planes(resize(self.mapped(face, parse(model.representation)), side))


def framed(face: Rgb) -> Rgb:
    """Return a photograph of a drawn face: twice as high, three times as wide, a wall of its corner's colour, noise."""
    height, width = face.shape[:2]
    wall = np.random.default_rng(0).normal(face[0, 0], 2, (2 * height, 3 * width, 3)).clip(0, 255).astype(np.uint8)
    wall[height // 2 :, width:][:height, :width] = face
    return wall


def padded_lbp(rgb: Rgb, r: Representation) -> Rgb:
    """Map scikit-image's codes, which are rounded differently and include the border as if it were next to black."""
    return palette(r.mapping)[local_binary_pattern(grey(rgb), 8, r.radius).astype(np.uint8)]


def other_grey(rgb: Rgb, r: Representation) -> Rgb:
    """Map OpenCV's grey, not MATLAB's."""
    return map_image(cv2.cvtColor(cv2.cvtColor(rgb, cv2.COLOR_RGB2GRAY), cv2.COLOR_GRAY2RGB), r)


def colour(model: Model, *bgr: float) -> Blob:
    """Return a mean of one colour, (3, crop, crop)."""
    return np.full((model.crop, model.crop, 3), bgr, np.float32).transpose(2, 0, 1)


def a_little_larger(model: Model) -> int:
    """Return a side larger than the net's own by the ratio of AlexNet's 227 to 224."""
    return round(model.crop * 227 / 224)


MISTAKES: Mapping[str, Way] = {
    "none": Way(),
    "no mean subtracted": Way(mean=lambda model: colour(model, 0, 0, 0)),
    "ImageNet's mean": Way(mean=lambda model: colour(model, 104, 117, 123)),
    "one number per channel": Way(mean=lambda model: MEAN_RULES["channel"](model.mean, model.crop)),
    "RGB instead of BGR": Way(planes=lambda rgb: rgb.transpose(2, 0, 1)),
    "values in 0..1": Way(planes=lambda rgb: rgb[..., ::-1].transpose(2, 0, 1) / np.float32(255)),
    "a 227-pixel input": Way(side=a_little_larger, mean=lambda m: MEAN_RULES["resize"](m.mean, a_little_larger(m))),
    "a 256-pixel input": Way(mean=lambda model: model.mean),
    "the whole frame": Way(face=lambda picture, detect: picture if detect else framed(picture)),
}
OF_MAPPED_MODELS: Mapping[str, Way] = {
    "RGB, not mapped": Way(mapped=lambda rgb, r: rgb),
    "codes, not their colours": Way(mapped=lambda rgb, r: np.dstack([lbp_codes(grey(rgb), r.radius)] * 3)),
    "resized before mapping": Way(before=resize),
    "scikit-image's LBP": Way(mapped=padded_lbp),
    "the same, its border cut off": Way(
        mapped=lambda rgb, r: padded_lbp(rgb, r)[r.radius : -r.radius, r.radius : -r.radius]
    ),
    "OpenCV's grey": Way(mapped=other_grey),
}


def pictures_of(prepared: PreparedSet, rows: Sequence[Mapping[str, str]], source: Path) -> list[Rgb]:
    """Return the pictures from which the rows of a set's manifest were prepared."""
    files = [(source / row["path"]).read_bytes() for row in rows]
    if [hashlib.sha256(data).hexdigest() for data in files] != [row["sha256"] for row in rows]:
        raise SystemExit(f"{source} does not hold the pictures that {prepared.folder} was prepared from")
    return [decode(data) for data in files]


def measure(model: Model, prepared: PreparedSet, source: Path) -> dict[str, Scores]:
    """Return the posteriors of a set's validation images for each mistake."""
    rows = [row for row in prepared.manifest if row["split"] == "val"]
    pictures, detect = pictures_of(prepared, rows, source), prepared.facts.detect
    paths, labels = tuple(row["path"] for row in rows), np.array([int(row["label"]) for row in rows])
    ways, found = {**MISTAKES, **(OF_MAPPED_MODELS if model.representation != "rgb" else {})}, {}
    with open_engine().scorer(model.deploy, model.weights) as scorer:
        for name, way in ways.items():
            mean = way.mean(model)
            images = ((None, [net_inputs(way.image(picture, detect, model), mean)]) for picture in pictures)
            scores = [row for _, (row,) in posteriors([scorer.scores], images)]
            found[name] = Scores(paths, labels, model.classes, np.array(scores))
    return found


def line(name: str, scores: Scores, right: Scores) -> list[str]:
    """Return a mistake's line of the table."""
    happy, angry = map(scores.classes.index, ("Happy", "Angry"))
    smiles = scores.predictions[scores.labels == happy]
    answers = np.bincount(scores.predictions) / len(scores.labels)
    figures = [f"{100 * scores.accuracy:.2f}", f"{100 * (scores.accuracy - right.accuracy):+.2f}"]
    commonest = f"{scores.classes[answers.argmax()]} ({answers.max():.0%})"
    return [name, *figures, f"{100 * (smiles == angry).mean():.2f}", commonest]


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name, many in (("SET", None), ("SOURCE", None), ("RUN", "+")):
        parser.add_argument(name, type=Path, nargs=many)
    args = parser.parse_args()
    heads = ["mistake", "accuracy, %", "change", "of Happy called Angry, %", "commonest answer"]
    for model in map(open_model, args.RUN):
        found = measure(model, open_set(args.SET), args.SOURCE)
        lines = [line(name, scores, found["none"]) for name, scores in found.items()]
        lined = tabulate(lines, heads, "github", disable_numparse=True)
        print(f"{model.name}, n = {len(found['none'].labels)}\n\n{lined}\n")
