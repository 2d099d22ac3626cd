"""Posteriors of faces by VGG_S: ours, and the usual pycaffe script."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path
from subprocess import PIPE

import numpy as np
from alternating import Row, Turns, Work, alternate, on_cores
from faces import face

from emotiw.engine.caffe.find import find_caffe
from emotiw.engine.caffe.programs import start
from emotiw.engine.child_process import running
from emotiw.engine.registry import open_engine
from emotiw.evaluate.model import released_in
from emotiw.evaluate.predict.faces import Face
from emotiw.evaluate.predict.predictor import Prediction, Predictor
from emotiw.evaluate.released.stand_in import write_stand_in
from emotiw.text import counted

MODEL = "VGG_S_rgb"
COUNTS = {1: 100, 10: 30}  # crops -> number of faces
# The authors' notebook, from `load_image`'s floats on.
COMMON = """
import sys
import numpy as np
import caffe
deploy, weights, mean, folder, oversample = sys.argv[1:6]
blob = caffe.proto.caffe_pb2.BlobProto.FromString(open(mean, "rb").read())
classifier = caffe.Classifier(
    deploy, weights, mean=caffe.io.blobproto_to_array(blob)[0], channel_swap=(2, 1, 0), raw_scale=255,
    image_dims=(256, 256),
)
faces = np.load(folder + "/faces.npy")
while sys.stdin.readline():
    floats = [(each / 255.0).astype(np.float32) for each in faces]
    np.save(folder + "/theirs.npy", np.concatenate([classifier.predict([each], oversample == "10") for each in floats]))
    print("done")
    sys.stdout.flush()
"""


def measure(folder: Path, crops: int) -> Turns:
    """Time both on two cores, with loaded nets, from pixels to posteriors, after checking that they agree."""
    write_stand_in(folder / MODEL, MODEL)
    pictures = np.stack([face(number) for number in range(COUNTS[crops])])
    np.save(folder / "faces.npy", pictures)
    faces = [Face("face", 1, None, picture, picture) for picture in pictures]
    model = released_in(folder / MODEL)
    ours: list[np.ndarray] = []
    with (
        on_cores(2),
        Predictor([model], open_engine(), crops) as predictor,
        common(folder, [model.deploy, model.weights, model.mean_file, folder, str(crops)]) as theirs,
    ):

        def score() -> None:
            """Compute the posteriors of all faces by ours, into `ours`."""
            ours[:] = [each.average for each in predictor.predict(faces) if isinstance(each, Prediction)]

        score()
        theirs()
        np.testing.assert_allclose(np.array(ours), np.load(folder / "theirs.npy"), rtol=0, atol=1e-5)
        return alternate(score, theirs)


@contextmanager
def common(folder: Path, arguments: list[str | Path]) -> Iterator[Work]:
    """Run the common script in the same Caffe; yield a function that makes it score all faces once."""
    caffe = find_caffe()
    quiet = replace(caffe, environment={**caffe.environment, "GLOG_minloglevel": "1"})
    process = start(quiet, [caffe.python, "-c", COMMON, *arguments], stdin=PIPE, stdout=PIPE)

    def score() -> None:
        """Ask the script for the posteriors of all faces, and wait until it has written them."""
        assert process.stdin
        assert process.stdout
        process.stdin.write(b"\n")
        process.stdin.flush()
        if process.stdout.readline() != b"done\n":
            raise SystemExit("the common script failed")

    with running(process):
        yield score


def row(crops: int, least: float) -> Row:
    """Return the row for a number of crops."""
    return Row(
        f"posteriors of {COUNTS[crops]} faces of 250 x 250, VGG_S, {counted(crops, 'crop')}, two cores",
        "the same Caffe: caffe.Classifier.predict, image by image",
        partial(measure, crops=crops),
        least=least,
    )


ROWS = {"score": row(1, 1.5), "score-10": row(10, 1)}
