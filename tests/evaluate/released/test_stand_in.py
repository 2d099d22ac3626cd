"""Stand-ins: the authors' structure, random weights, and marks that they are not the authors'."""

import hashlib
from itertools import chain
from subprocess import PIPE

import cv2
import numpy as np
import pytest

from emotiw.data_prep.synthetic.faces import draw_expressions
from emotiw.engine.caffe.programs import start
from emotiw.engine.child_process import running
from emotiw.engine.preprocessing import MEAN_RULES, net_inputs, resize
from emotiw.evaluate.model import released_in
from emotiw.evaluate.released.catalog import DEPLOY, MEAN, WEIGHTS, is_stand_in, released
from emotiw.evaluate.released.stand_in import write_stand_in
from emotiw.prototxt.formats.blobs import array_of, read_mean, read_weights
from emotiw.prototxt.formats.messages import BlobProto, NetParameter, read_binary, read_text
from emotiw.prototxt.formats.upgrade import read_net
from emotiw.prototxt.shapes import parameters, shapes
from emotiw.prototxt.surgery import committed

FILES = (WEIGHTS, MEAN, DEPLOY)


def head(path):
    with path.open("rb") as file:
        return file.read(1000)


def test_it_has_every_layer_of_the_card_in_the_old_format(stand_ins):
    """The weights of each output sum to 0, so that the common part of all images cancels."""
    net = read_binary(stand_ins / "VGG_S_lbp" / WEIGHTS, NetParameter)
    assert len(net.layer) == 0
    assert len(net.layers) == len(committed("vgg_s", "deploy.prototxt").layer) - 1
    blobs = [blob for layer in net.layers for blob in layer.blobs]
    assert not any(blob.HasField("shape") for blob in blobs)
    assert sum(len(blob.data) for blob in blobs) == 124_507_607
    for layer in net.layers:
        if layer.blobs and layer.name != "fc6":
            rows = array_of(layer.blobs[0]).reshape(len(layer.blobs[1].data), -1)
            half = rows.shape[1] // 2
            np.testing.assert_array_equal(rows[:, :half], -rows[:, half : 2 * half])


def test_its_deploy_is_the_committed_one_in_the_old_format(stand_ins):
    ours = committed("vgg_s", "deploy.prototxt")
    text = read_text(stand_ins / "VGG_S_rgb" / DEPLOY, NetParameter)
    assert (len(text.layer), list(text.input_dim)) == (0, [1, 3, 224, 224])
    theirs = read_net(stand_ins / "VGG_S_rgb" / DEPLOY)
    theirs.name, theirs.layer[0].name = ours.name, ours.layer[0].name
    assert theirs == ours
    assert parameters(shapes(theirs)[1]) == 124_507_607


def test_its_mean_is_smooth_and_of_the_authors_size(stand_ins):
    mean = read_mean(stand_ins / "VGG_S_rgb" / MEAN)
    assert mean.shape == (3, 256, 256)
    assert 60 <= mean.min() < mean.max() <= 180
    assert max(abs(np.diff(mean, axis=axis)).max() for axis in (1, 2)) < 2  # 120 in 64 pixels


def test_the_five_differ_and_each_says_what_it_is(stand_ins):
    for file in FILES:
        heads = {head(stand_ins / name / file) for name in released()}
        assert len(heads) == 5
        assert all(is_stand_in(stand_ins / name / file) for name in released())


def test_one_of_its_files_makes_a_stand_in_of_the_whole(stand_ins, tmp_path):
    """The authors' weights with a random mean are a stand-in."""
    folder, words = tmp_path / "VGG_S_lbp", b"stand-in for EmotiW_VGG_S: random weights"
    folder.mkdir()
    heads = {file: head(stand_ins / folder.name / file) for file in FILES}
    for file, begin in heads.items():
        assert begin.count(words) == 1
        (folder / file).write_bytes(begin.replace(words, b"x" * len(words)))
    assert released_in(folder).title == "VGG_S_lbp"
    for file, begin in heads.items():
        genuine = (folder / file).read_bytes()
        (folder / file).write_bytes(begin)
        assert released_in(folder).title == "VGG_S_lbp (STAND-IN: random weights)"
        (folder / file).write_bytes(genuine)


def test_name_and_seed_say_every_byte(tmp_path, monkeypatch):
    monkeypatch.setattr("emotiw.evaluate.released.stand_in.NET", "vgg_s_small")
    asked = (("VGG_S_rgb", 0), ("VGG_S_rgb", 0), ("VGG_S_rgb", 1), ("VGG_S_lbp", 0))
    for number, (name, seed) in enumerate(asked):
        write_stand_in(tmp_path / str(number), name, seed)
    first, again, *others = [[(tmp_path / str(n) / file).read_bytes()[300:] for file in FILES[:2]] for n in range(4)]
    assert again == first
    for other in others:
        assert other[0] != first[0]
        assert other[1] != first[1]
    weights = read_weights(tmp_path / "0" / WEIGHTS).values()
    arrays = [read_mean(tmp_path / "0" / MEAN), *chain.from_iterable(weights)]
    digest = hashlib.sha256(b"".join(array.tobytes() for array in arrays)).hexdigest()
    # On every machine.
    assert digest == "04cc63f32beda8ce36fb182563583f636fde8ccf1f04692afaf6486e5da7a559"


# The real Caffe's readers of both binary files: pycaffe's classes, and the C++ code that loads weights.
READ = """
import sys, numpy as np, caffe
from caffe.proto import caffe_pb2
folder = sys.argv[1]
mean = caffe.io.blobproto_to_array(caffe_pb2.BlobProto.FromString(open(folder + "/mean.binaryproto", "rb").read()))
np.save(sys.argv[2] + "/mean.npy", mean)
net = caffe.Net(folder + "/deploy.prototxt", folder + "/EmotiW_VGG_S.caffemodel", caffe.TEST)
np.savez(sys.argv[2] + "/net.npz", **{name: blobs[0].data for name, blobs in net.params.items() if name != "fc6"})
"""


@pytest.mark.caffe
def test_the_real_caffe_reads_it(stand_ins, caffe, tmp_path):
    folder = stand_ins / "VGG_S_rgb"
    with running(start(caffe, [caffe.python, "-c", READ, folder, tmp_path], stderr=PIPE)) as child:
        _, complaint = child.communicate()
    assert child.returncode == 0, complaint.decode()[-2000:]
    np.testing.assert_array_equal(np.load(tmp_path / "mean.npy"), read_mean(folder / MEAN)[None])
    theirs, ours = np.load(tmp_path / "net.npz"), read_weights(folder / WEIGHTS)
    assert sorted(theirs) == sorted({*ours} - {"fc6"})
    for layer in theirs:
        np.testing.assert_array_equal(theirs[layer].ravel(), ours[layer][0].ravel())
    assert BlobProto.FromString((folder / MEAN).read_bytes()).num == 1


@pytest.mark.caffe
def test_different_faces_get_different_posteriors(stand_ins, engine, scores, tmp_path):
    draw_expressions(tmp_path, 1, 1, seed=0)
    faces = [cv2.imread(str(path))[..., ::-1] for path in sorted(tmp_path.rglob("*.png"))[:4]]
    found = []
    for name in ("VGG_S_rgb", "VGG_S_lbp"):
        folder = stand_ins / name
        mean = MEAN_RULES["resize"](read_mean(folder / MEAN), 224)
        blob = np.concatenate([net_inputs(resize(face, 256).transpose(2, 0, 1)[::-1], mean) for face in faces])
        found.append(scores(engine, folder / DEPLOY, folder / WEIGHTS, blob))
    assert np.median(np.max(found, axis=2)) < 0.999  # not saturated
    for posteriors in found:
        assert posteriors.max(axis=1).mean() > 0.4  # not flat: 1/7
        gaps = abs(posteriors[:, None] - posteriors).max(axis=2)[~np.eye(len(faces), dtype=bool)]
        assert gaps.min() > 0.01
    assert abs(found[0] - found[1]).max(axis=1).min() > 0.05  # other models, other answers
