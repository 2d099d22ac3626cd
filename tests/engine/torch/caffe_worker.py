"""Runs under Caffe's own Python 3: nets forward and backward.

python caffe_worker.py FOLDER: run each FOLDER/<case>/net.prototxt on the arrays of given.npz; write answers.npz.
Names in both: `blob:<name>`, `diff:<name>`, `param:<layer>:<k>`, `gradient:<layer>:<k>`;
of a case of several passes `pass:<k>:<blob>`.
"""

import json
import sys
from pathlib import Path

import caffe
import numpy as np


def run(folder):
    case = json.loads((folder / "case.json").read_text())
    given = dict(np.load(folder / "given.npz"))
    net = caffe.Net(str(folder / "net.prototxt"), getattr(caffe, case["phase"]))
    if case["weights"]:
        net.copy_from(case["weights"])
    for name, array in given.items():
        kind, _, rest = name.partition(":")
        if kind == "blob":
            net.blobs[rest].reshape(*array.shape)
            net.blobs[rest].data[...] = array
        elif kind == "param":
            layer, _, k = rest.rpartition(":")
            net.params[layer][int(k)].data[...] = array
    reported = {}
    for k in range(case["passes"]):
        net.forward()
        reported.update(
            (f"pass:{k}:{name}", blob.data.copy()) for name, blob in net.blobs.items() if case["passes"] > 1
        )
    reported.update((f"blob:{name}", blob.data.copy()) for name, blob in net.blobs.items())
    if case["backward"]:
        for name, array in given.items():
            if name.startswith("diff:"):
                net.blobs[name[5:]].diff[...] = array
        net.backward()
        reported.update((f"diff:{name}", blob.diff.copy()) for name, blob in net.blobs.items())
    for layer, blobs in net.params.items():
        for k, blob in enumerate(blobs):
            reported[f"param:{layer}:{k}"] = blob.data.copy()
            reported[f"gradient:{layer}:{k}"] = blob.diff.copy()
    if case["save"]:
        net.save(case["save"])
    np.savez(folder / "answers.npz", **reported)


caffe.set_mode_cpu()
for folder in sorted(Path(sys.argv[1]).iterdir()):
    run(folder)
