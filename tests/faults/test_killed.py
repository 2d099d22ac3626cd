"""Commands killed at any moment, then run again: nothing partial, no process left, and the same results.

`pytest tests/faults/test_killed.py -m slow -s` kills each 30 times and prints each moment and the last output.
"""

import shutil

import numpy as np
import pytest
from victims import VICTIMS

pytestmark = pytest.mark.caffe

SEED = 0
FEW, MANY = 2, 30  # kills
QUICK = ("prepare", "pretrain by caffe", "evaluate by torch", "models fetch", "caffe install")


def killed_and_again(name, scene, tmp_path, kills):
    undisturbed, _ = scene.undisturbed(name)
    rng = np.random.default_rng(SEED)
    print(f"\n{name}: {undisturbed.seconds:.2f} s, the first word at {undisturbed.first:.2f}; seed {SEED}")
    for kill in range(kills):
        share = (kill + rng.random()) / kills
        timed = undisturbed
        for attempt in range(20):  # this run may be faster; its duration is used for the next kill
            moment = (timed.first + share * (timed.seconds - timed.first)) * 0.95**attempt
            trial = scene.trial(name, tmp_path / f"kill {kill} {attempt}").begin()
            if trial.wait(kill_at=moment):
                break
            shutil.rmtree(trial.folder)
            timed = trial
        assert trial.process.returncode == -9, trial.said[-5:]
        trial.gone()
        phase = trial.said[-1][:90] if trial.said else "nothing yet"
        trial.victim.whole(trial.folder)
        scene.again(trial, name)
        print(f"  {kill + 1:2d}/{kills} at {trial.seconds:5.2f} s: {phase}")
        shutil.rmtree(trial.folder)


@pytest.mark.parametrize("name", QUICK)
def test_killed_twice(name, scene, tmp_path):
    killed_and_again(name, scene, tmp_path, FEW)


@pytest.mark.slow
@pytest.mark.parametrize("name", VICTIMS)
def test_killed_30_times(name, scene, tmp_path):
    killed_and_again(name, scene, tmp_path, MANY)
