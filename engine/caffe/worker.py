"""Runs under Caffe's own Python, 2.7 to 3.9: forward passes and version information, over stdin and stdout.

python worker.py BEGIN scores NET WEIGHTS OUTPUT       .npy batches in, .npy scores out, until stdin ends
python worker.py BEGIN about                           JSON out: versions and libraries

The line BEGIN precedes the first answer, because a wrapper or a sitecustomize may have printed something.
"""

from __future__ import print_function

import io
import json
import os
import sys
import types

import numpy as np

# What caffe.io imports, and scoring never calls: more than half of the time of `import caffe`.
UNUSED = ("scipy", "scipy.ndimage", "skimage", "skimage.io", "skimage.transform")


class Absent(types.ModuleType):
    """An empty module in the place of one of `UNUSED`: every name in it is None."""

    def __getattr__(self, name):
        if name.startswith("__"):
            raise AttributeError(name)


def import_caffe(unused):
    """Return pycaffe, imported without the modules `unused`; later imports of these find the real ones."""
    sys.modules.update((name, Absent(name)) for name in unused)
    import caffe

    for name in unused:
        del sys.modules[name]
    return caffe


def has_python_layers(net_path):
    """Return whether a prototxt may have layers in Python, which may call anything."""
    with io.open(net_path, "rb") as net:
        return b"Python" in net.read()


class Pipe(object):
    """Only `read` and `write` of a file: numpy would seek in what looks like a real file."""

    def __init__(self, file):
        self.read = file.read
        self.write = file.write


def scores(caffe, stdout, net_path, weights, output):
    """Answer each batch, float32 (N, C, H, W), with the blob `output`, float32 (N, classes)."""
    net = caffe.Net(net_path, weights, caffe.TEST)
    source, output = net.inputs[0], output or net.outputs[-1]
    if output not in net.blobs:
        sys.exit("no blob %s in this net: it has %s" % (output, ", ".join(net.blobs)))
    stdin = io.open(0, "rb")  # noqa: SIM115
    while stdin.peek(1):
        batch = np.lib.format.read_array(Pipe(stdin), allow_pickle=False)
        if net.blobs[source].data.shape != batch.shape:
            net.blobs[source].reshape(*batch.shape)
            net.reshape()
        net.blobs[source].data[...] = batch
        net.forward()
        answer = net.blobs[output].data.reshape(len(batch), -1)
        np.lib.format.write_array(Pipe(stdout), answer, allow_pickle=False)
        stdout.flush()


def about(caffe, stdout):
    """Write the versions of this Python and its libraries, and the file names of the loaded BLAS libraries."""
    with open("/proc/self/maps") as maps:
        files = {os.path.basename(line.split(None, 5)[-1].strip()) for line in maps if ".so" in line}
    kinds = ("libopenblas", "libmkl", "libatlas", "libsatlas", "libtatlas", "libblis", "libcblas", "libblas")
    write_json(
        stdout,
        {
            "Python": sys.version.split()[0],
            "numpy": np.__version__,
            "BLAS": sorted(file for file in files if file.startswith(kinds)),
            "layer types": len(caffe.layer_type_list()),
        },
    )


def write_json(stdout, value):
    """Write `value` as UTF-8."""
    stdout.write(json.dumps(value).encode("utf-8"))


def main(begin, command, *args):
    """Keep the real stdout for answers: what Caffe and its Python layers print goes to stderr."""
    stdout = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    stdout.write(("\n%s\n" % begin).encode("ascii"))
    stdout.flush()
    os.environ.setdefault("GLOG_minloglevel", "1")  # no progress reports
    caffe = import_caffe(UNUSED if command == "scores" and not has_python_layers(args[0]) else ())
    caffe.set_mode_cpu()
    {"scores": scores, "about": about}[command](caffe, stdout, *args)
    stdout.close()


if __name__ == "__main__":
    main(*sys.argv[1:])
