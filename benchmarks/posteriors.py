"""Posteriors of faces by VGG_S: ours, and the script that everybody has."""

from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from subprocess import PIPE

import cv2
import numpy as np
from alternating import Row, Turns, Work, alternate, on_cores
from faces import face

from emotiw.engine.caffe.locate import find_caffe
from emotiw.engine.caffe.process import start
from emotiw.engine.leash import running
from emotiw.engine.opening import open_engine
from emotiw.engine.scoring import posteriors
from emotiw.evaluate.released import DEPLOY, MEAN, WEIGHTS
from emotiw.evaluate.stand_in import write_stand_in
from emotiw.prototxt.blobs import read_mean

SIDE, INPUT = 256, 224
COUNT = 100  # faces
# The authors' notebook; it reads pictures itself, as `caffe.io.load_image` fails with newer releases of scikit-image.
COMMON = """
import sys
import numpy as np
import caffe
deploy, weights, folder, oversample = sys.argv[1:5]
classifier = caffe.Classifier(
    deploy, weights, mean=np.load(folder + "/mean.npy"), channel_swap=(2, 1, 0), raw_scale=255, image_dims=(256, 256)
)
faces = np.load(folder + "/faces.npy").astype(np.float32) / 255
while sys.stdin.readline():
    np.save(folder + "/theirs.npy", np.concatenate([classifier.predict([each], oversample == "10") for each in faces]))
    print("done")
    sys.stdout.flush()
"""


def write_faces(folder: Path, count: int) -> np.ndarray:
    """Write the stand-in of the authors' VGG_S, faces and the mean as the script reads them; return the faces."""
    write_stand_in(folder, "VGG_S_rgb")
    faces = np.stack([cv2.resize(face(number), (SIDE, SIDE)) for number in range(count)])
    np.save(folder / "faces.npy", faces)
    np.save(folder / "mean.npy", mean_of(folder))
    return faces


def mean_of(folder: Path) -> np.ndarray:
    """Return the middle of the mean."""
    edge = (SIDE - INPUT) // 2
    return read_mean(folder / MEAN)[:, edge : edge + INPUT, edge : edge + INPUT]


def measure(folder: Path, crops: int) -> Turns:
    """Time both on two cores, each with its net loaded; then compare."""
    faces, mean = write_faces(folder, COUNT), mean_of(folder)
    images = list(np.ascontiguousarray(faces[..., ::-1].transpose(0, 3, 1, 2)))
    ours: list[np.ndarray] = []
    with (
        on_cores(2),
        open_engine("caffe").scorer(folder / DEPLOY, folder / WEIGHTS) as scorer,
        common(folder, crops) as theirs,
    ):

        def score() -> None:
            ours[:] = posteriors(scorer.scores, images, mean, crops)

        turns = alternate(score, theirs)
    np.testing.assert_allclose(np.array(ours), np.load(folder / "theirs.npy"), rtol=0, atol=1e-5)
    return turns


@contextmanager
def common(folder: Path, crops: int) -> Iterator[Work]:
    """Run the common script in the same Caffe; yield what has it score all faces once."""
    caffe = find_caffe()
    arguments = ["-c", COMMON, folder / DEPLOY, folder / WEIGHTS, folder, str(crops)]
    process = start(caffe, arguments, stdin=PIPE, stdout=PIPE, env={"GLOG_minloglevel": "1"}, program=caffe.python)

    def score() -> None:
        assert process.stdin
        assert process.stdout
        process.stdin.write(b"\n")
        process.stdin.flush()
        if process.stdout.readline() != b"done\n":
            raise SystemExit("the common script failed")

    with running(process):
        yield score


def row(crops: int, least: float) -> Row:
    """Return the row for so many crops."""
    return Row(
        f"posteriors of {COUNT} faces, VGG_S, {crops} crop{'s' * (crops > 1)}, two cores",
        "the same Caffe: caffe.Classifier.predict, image by image",
        partial(measure, crops=crops),
        least=least,
    )


ROWS = {"score": row(1, 1.5), "score-10": row(10, 1)}
