"""Scripts as people bring them, run as they are by `emotiw caffe python` on a stand-in. Nothing is replaced."""

import os
import subprocess
import sys

import cv2
import numpy as np
import pytest

from emotiw.data_prep.synthetic.faces import draw_expressions
from emotiw.evaluate.released.catalog import WEIGHTS
from emotiw.evaluate.released.stand_in import write_stand_in

pytestmark = pytest.mark.caffe

# The calls of the usual notebook, in their usual order.
SCRIPT = """
import os
import sys
import numpy as np
import matplotlib.pyplot as plt
import lmdb

plt.rcParams["figure.figsize"] = (5, 5)
plt.rcParams["image.interpolation"] = "nearest"
plt.rcParams["image.cmap"] = "gray"

import caffe

categories = ["Angry", "Disgust", "Fear", "Happy", "Neutral", "Sad", "Surprise"]
model, face = sys.argv[1:]

with open(os.path.join(model, "mean.binaryproto"), "rb") as file:
    proto = caffe.io.caffe_pb2.BlobProto.FromString(file.read())
mean = caffe.io.blobproto_to_array(proto)[0]
np.save("mean.npy", mean)

net = caffe.Classifier(
    os.path.join(model, "deploy.prototxt"), os.path.join(model, "EmotiW_VGG_S.caffemodel"),
    mean=mean, channel_swap=(2, 1, 0), raw_scale=255, image_dims=(256, 256),
)
image = caffe.io.load_image(face)
plt.imshow(image)
plt.savefig("face.png")
prediction = net.predict([image], oversample=False)
print("predicted category is", categories[prediction.argmax()])
np.save("script.npy", prediction)

filters = net.params["conv1"][0].data[:16].transpose(0, 2, 3, 1)
filters = (filters - filters.min()) / (filters.max() - filters.min())
plt.figure()
for k, one in enumerate(filters):
    plt.subplot(4, 4, k + 1)
    plt.imshow(one)
plt.savefig("filters.png")
"""


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    """The stand-in VGG_S_rgb."""
    folder = tmp_path_factory.mktemp("models") / "VGG_S_rgb"
    write_stand_in(folder, folder.name)
    yield folder
    (folder / WEIGHTS).unlink()  # 500 MB


def test_the_usual_script_and_caffes_own_classify(model, caffe, tmp_path):
    draw_expressions(tmp_path / "drawn", 1, 1, seed=5)
    (face,) = (tmp_path / "drawn/Happy").iterdir()
    (tmp_path / "script.py").write_text(SCRIPT)

    def run(*command):
        command = [sys.executable, "-m", "emotiw", "caffe", "python", *command]
        environment = {name: value for name, value in os.environ.items() if name != "DISPLAY"}
        done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr[-2000:]
        return done.stdout

    assert run("script.py", model, face).startswith("predicted category is ")
    for name in ("face.png", "filters.png"):
        assert np.ptp(cv2.imread(str(tmp_path / name))) > 200, name
    # As Caffe ships it: python/classify.py, among Debian's examples.
    classify = caffe.program.resolve().parents[1] / "root/usr/share/doc/python3-caffe/examples/classify.py"
    files = ["--model_def", model / "deploy.prototxt", "--pretrained_model", model / WEIGHTS, "--mean_file", "mean.npy"]
    assert "Classifying 1 inputs." in run(classify, face, "classify.npy", *files, "--center_only")
    ours, theirs = (np.load(tmp_path / f"{name}.npy") for name in ("script", "classify"))
    np.testing.assert_array_equal(ours, theirs)
    assert ours.shape == (1, 7)
    assert ours.sum() == pytest.approx(1, abs=1e-6)
