"""Behaviours of the real pycaffe that scripts rely on, each by itself: one script, run by both."""

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from subprocess import PIPE

import lmdb
import numpy as np
import pytest

from emotiw.engine.caffe.programs import start
from emotiw.engine.child_process import running
from emotiw.prototxt.formats.blobs import write_mean
from emotiw.prototxt.formats.messages import Datum

pytestmark = pytest.mark.caffe

SCRIPT = Path(__file__).with_name("differences_script.py").read_text()
OURS = SCRIPT.replace("import caffe\n", "from emotiw.engine.torch import pycaffe as caffe\n", 1)
OURS = re.sub(r"^from caffe", "from emotiw.engine.torch.pycaffe", OURS, flags=re.M)
OURS = OURS.replace("\nimport caffe\n", "\nfrom emotiw.engine.torch import pycaffe as caffe\n")
SECTIONS = re.findall(r"^def (\w+)\(\):", SCRIPT, re.M)


def in_caffe(caffe, folder, *sections):
    with running(start(caffe, [caffe.python, "-c", SCRIPT, folder, *sections], stderr=PIPE)) as child:
        _, complaint = child.communicate()
    assert child.returncode == 0, complaint.decode(errors="replace")[-2000:]
    return json.loads((folder / "answers.json").read_text())


def in_torch(folder, *sections):
    quiet = {name: value for name, value in os.environ.items() if name != "GLOG_minloglevel"}
    command = [sys.executable, "-c", OURS, folder, *sections]
    done = subprocess.run(command, capture_output=True, text=True, env=quiet)
    assert done.returncode == 0, done.stderr[-2000:]
    return json.loads((folder / "answers.json").read_text())


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    """A folder for each, ours first, with an LMDB and its mean."""
    made = [tmp_path_factory.mktemp(name) for name in ("ours", "theirs")]
    rng = np.random.default_rng(1)
    for folder in made:
        with lmdb.open(str(folder / "faces")) as environment, environment.begin(write=True) as transaction:
            for k in range(5):
                pixels = np.random.default_rng(k).integers(0, 256, (2, 5, 6)).astype(np.uint8).tobytes()
                datum = Datum(channels=2, height=5, width=6, data=pixels, label=k)
                transaction.put(f"{k}".encode(), datum.SerializeToString())
    mean = rng.uniform(0, 255, (2, 5, 6)).astype(np.float32)
    for folder in made:
        write_mean(folder / "mean.binaryproto", mean)
    return made


@pytest.fixture(scope="module")
def answers(caffe, folders):
    return in_torch(folders[0]), in_caffe(caffe, folders[1])


def assert_alike(ours, theirs, where):
    assert type(ours) is type(theirs), (where, ours, theirs)
    if isinstance(theirs, dict):
        assert ours.keys() == theirs.keys(), where
        for name in theirs:
            assert_alike(ours[name], theirs[name], f"{where} {name}")
    elif isinstance(theirs, list):
        assert len(ours) == len(theirs), (where, ours, theirs)
        if theirs and all(isinstance(each, float) for each in (*ours, *theirs)):
            scale = max(1, *map(abs, theirs))
            np.testing.assert_allclose(ours, theirs, rtol=2e-4, atol=2e-5 * scale, err_msg=where)
            return
        for k, pair in enumerate(zip(ours, theirs, strict=True)):
            assert_alike(*pair, f"{where} {k}")
    elif isinstance(theirs, float):
        assert ours == pytest.approx(theirs, rel=2e-4, abs=2e-5), where
    else:
        assert ours == theirs, where


@pytest.mark.parametrize("section", SECTIONS)
def test_a_behaviour_is_that_of_pycaffe(answers, section):
    ours, theirs = answers
    assert_alike(ours[section], theirs[section], section)


def test_each_resumes_from_the_others_hdf5_snapshot(caffe, folders, answers):
    section = "hdf5_snapshots_are_resumed"
    names = [path.name for path in folders[0].glob("h_iter_3*")]
    assert sorted(names) == ["h_iter_3.caffemodel.h5", "h_iter_3.solverstate.h5"]
    for name in names:
        ours, theirs = (folder / name for folder in folders)
        shutil.move(ours, ours.with_suffix(".kept"))
        shutil.copy(theirs, ours)
        shutil.copy(ours.with_suffix(".kept"), theirs)
    crossed = in_torch(folders[0], section), in_caffe(caffe, folders[1], section)
    for found in crossed:
        assert_alike(found[section], answers[1][section], section)
