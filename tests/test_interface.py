"""The Python interface: `help(emotiw)`, and the functions that it names."""

import doctest
import pydoc
import subprocess
import sys

import cv2
import numpy as np
import pytest

import emotiw
from emotiw import interface
from emotiw.data_prep.images import UnreadableImageError
from emotiw.evaluate.predict.predictor import Predictor
from emotiw.lbp_mapping import mapping
from emotiw.lbp_mapping.representation import PAPER

RUN = "vgg_s_small-rgb/finetune"


@pytest.fixture
def face(sets):
    """The file of a drawn face."""
    return next(iter(sorted((sets / "faces/expressions").rglob("*.png"))))


def test_help_names_them_all():
    text = pydoc.render_doc(emotiw, renderer=pydoc.plaintext)
    for name in emotiw.__all__:
        assert name == "__version__" or f"\n    {name}(" in text or f"\n    class {name}(" in text, name
    assert emotiw.__version__ in text
    assert '>>> mapped = emotiw.map_image(rgb, "cyclic_lbp_5")' in text


def test_to_import_it_costs_nothing():
    code = "import sys; before = set(sys.modules); import emotiw; print(*sorted(set(sys.modules) - before))"
    done = subprocess.run([sys.executable, "-P", "-c", code], check=True, capture_output=True, text=True)
    assert set(done.stdout.split()) <= {"emotiw", "emotiw.errors", "emotiw.lazy", "emotiw.pixel_limit", "errno"}


@pytest.mark.caffe
def test_its_example_works(runs, sets, face, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    for name, target in (("runs", runs), ("sets", sets), ("face.png", face)):
        (tmp_path / name).symlink_to(target)
    names = {"rgb": cv2.imread(str(face))[..., ::-1]}
    for example in doctest.DocTestParser().get_examples(emotiw.__doc__):
        exec(example.source, names)
    height, width = names["rgb"].shape[:2]
    assert names["mapped"].shape == (height - 10, width - 10, 3)
    first, *others = capsys.readouterr().out.splitlines()
    assert first.rpartition(" ")[0] == "whole picture"
    assert first.rpartition(" ")[2] in names["prepared"].classes
    assert len(others) == names["prepared"].count("val")
    assert all(line.endswith("(3, 64, 64)") for line in others)


def test_map_image_takes_a_representation_by_its_name(face):
    rgb = cv2.imread(str(face))[..., ::-1]
    for representation in PAPER:
        mapped = emotiw.map_image(rgb, representation.name)
        np.testing.assert_array_equal(mapped, mapping.map_image(rgb, representation))
    with pytest.raises(ValueError, match=r"^nonsense: not a representation; give one of rgb, lbp, "):
        emotiw.map_image(rgb, "nonsense")
    assert doctest.run_docstring_examples(interface.map_image, vars(interface)) is None


@pytest.mark.caffe
def test_predict_gives_what_the_predictor_gives(runs, face, engine):
    model, rgb = emotiw.open_model(runs / RUN), cv2.imread(str(face))[..., ::-1]
    (found,) = emotiw.predict(face, [model], detect=False, engine=engine)
    (of_array,) = emotiw.predict(rgb, [model], detect=False, crops=1)
    with Predictor([model], engine) as predictor:
        wanted = predictor.scores(predictor.inputs(rgb))
    np.testing.assert_array_equal(found.posteriors, wanted)
    np.testing.assert_array_equal(of_array.posteriors, wanted)
    np.testing.assert_allclose(found.average, wanted[0], rtol=0, atol=1e-9)
    assert emotiw.predict(np.full((80, 80, 3), 99, np.uint8), [model], detect=True) == []
    (whole,) = emotiw.predict(rgb, [model], engine=engine)
    assert whole.face.box is None, "as it was trained"
    models = emotiw.open_models([runs / "vgg_s_small-cyclic_lbp_r3_t5/finetune"])
    with pytest.raises(emotiw.EmotiwError, match=r"^the array: face 1: "):
        emotiw.predict(np.zeros((5, 5, 3), np.uint8), models, detect=False)


@pytest.mark.caffe
@pytest.mark.parametrize("picture", [np.zeros((8, 8), np.uint8), np.zeros((8, 8, 4), np.uint8), np.zeros((8, 8, 3))])
def test_predict_refuses_other_arrays(runs, picture):
    with pytest.raises(ValueError, match=r"^a picture is \(H, W, 3\) uint8, RGB, not \(8, 8"):
        emotiw.predict(picture, [emotiw.open_model(runs / RUN)])


@pytest.mark.caffe
def test_predict_refuses_a_file_that_is_not_a_picture(runs, tmp_path):
    (tmp_path / "x.png").write_text("x")
    with pytest.raises(UnreadableImageError):
        emotiw.predict(tmp_path / "x.png", [emotiw.open_model(runs / RUN)])


@pytest.mark.caffe
def test_open_engine_gives_the_real_caffe(caffe):
    assert emotiw.open_engine().title == "caffe"
    assert emotiw.open_engine(emotiw.EngineSettings(gpu="none")).settings.gpu == ""


def test_open_set_gives_its_records(sets):
    prepared = emotiw.open_set(sets / "expressions")
    record = next(prepared.records("rgb", "val"))
    assert (record.blob.shape, record.blob.dtype) == ((3, 64, 64), np.uint8)
    assert prepared.classes[record.label] in record.path
