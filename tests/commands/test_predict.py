"""What `emotiw predict` imports: each package takes a tenth of a second or more."""

import shutil
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest

OLDER = Path(__file__).parents[1] / "older/runs/googlenet_small-rgb/finetune"

# The command with an engine that only guesses; then the modules that it has imported.
PREDICT = """
import sys
from types import SimpleNamespace
import numpy
from emotiw.__main__ import main
from emotiw.engine import registry

class Guesses:
    def __enter__(self): return self
    def __exit__(self, *exception): pass
    def scores(self, blob): return numpy.full((len(blob), 7), 1 / 7, numpy.float32)

registry.open_engine = lambda settings: SimpleNamespace(require=lambda: None, scorer=lambda *files: Guesses())
status = main(sys.argv[1:])
print("modules:", *sys.modules)
sys.exit(status)
"""


@pytest.fixture
def imported(tmp_path):
    """Predict a picture with some options; return the modules that were imported."""
    run, face = shutil.copytree(OLDER, tmp_path / "googlenet_small-rgb/finetune"), tmp_path / "face.png"
    cv2.imwrite(str(face), np.random.default_rng(0).integers(0, 256, (70, 70, 3), np.uint8))

    def predict(*options):
        command = [sys.executable, "-P", "-c", PREDICT, "predict", face, "--aligned", "--model", run, "-o", tmp_path]
        done = subprocess.run([*command, *options], capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        return set(done.stdout.partition("modules:")[2].split())

    return predict


def test_no_package_is_imported_that_this_prediction_does_not_need(imported):
    unneeded = {"matplotlib", "emotiw.evaluate.table", "jinja2", "tabulate", "sklearn", "scipy.stats", "torch", "PIL"}
    assert not imported() & unneeded
    assert imported("--figure") & unneeded >= {"matplotlib", "PIL"}


def test_the_version_needs_no_package():
    code = "import sys; from emotiw.__main__ import main\ntry: main(['--version'])\nfinally: print(*sys.modules)"
    done = subprocess.run([sys.executable, "-P", "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.startswith("emotiw ")
    assert not {"numpy", "cv2", "scipy", "google.protobuf", "lmdb", "msgspec"} & set(done.stdout.split())
