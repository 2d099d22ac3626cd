"""Runs under Caffe's own Python 3: solvers.

python caffe_solver_worker.py FOLDER: run the solver.prototxt in each FOLDER/<case> by case.json and given.npz, and
write answers.npz: `loss` of each iteration's last pass, GoogLeNet's three; `param:<layer>:<k>` at the end.
"""

import json
import os
import sys
from pathlib import Path

import caffe
import numpy as np


def feed(net, given, phase):
    images, labels = given["images:" + phase], given["labels:" + phase]
    net.set_input_arrays(images, labels.reshape(-1, 1, 1, 1))


def run(folder):
    os.chdir(str(folder))
    sys.stderr.write(f"CASE {folder.name}\n")
    sys.stderr.flush()
    case = json.loads((folder / "case.json").read_text())
    given = dict(np.load(folder / "given.npz"))
    solver = caffe.get_solver("solver.prototxt")
    feed(solver.net, given, "TRAIN")
    for net in solver.test_nets:
        feed(net, given, "TEST")
    for name, array in given.items():
        kind, _, rest = name.partition(":")
        if kind == "param":
            layer, _, k = rest.rpartition(":")
            solver.net.params[layer][int(k)].data[...] = array
    if case["restore"]:
        solver.restore(case["restore"])
    losses = []
    if case["solve"]:
        solver.solve()
    else:
        for _ in range(case["iterations"]):
            solver.step(1)
            losses.append([float(solver.net.blobs[name].data) for name in sorted(solver.net.outputs)])
    reported = {"loss": np.array(losses), "iteration": np.array(solver.iter)}
    for layer, blobs in solver.net.params.items():
        for k, blob in enumerate(blobs):
            reported[f"param:{layer}:{k}"] = blob.data.copy()
    np.savez(folder / "answers.npz", **reported)


caffe.set_mode_cpu()
for folder in sorted(Path(sys.argv[1]).resolve().iterdir()):
    run(folder)
