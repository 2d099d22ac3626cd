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

# What pycaffe imports, and scoring never calls: most of the time of `import caffe`.
UNUSED = (
    "scipy",
    "scipy.ndimage",
    "skimage",
    "skimage.io",
    "skimage.transform",
    "caffe.net_spec",  # would create one of Caffe's messages
    "caffe.proto",
    "caffe.proto.caffe_pb2",
)
TEST = 1  # caffe.TEST, which is a value of caffe_pb2


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


# Fields of Caffe's messages, by number. Of a NetParameter: V1 layers and current ones, with their names and blobs.
LAYERS = {2: (4, 6), 100: (1, 7)}
OTHERS = (1, 3, 4, 5, 6, 7, 8)
OLD_SHAPE, DATA, SHAPE, DOUBLES = (1, 2, 3, 4), 5, 7, 8  # of a BlobProto


def varint(message, at):
    """Return the number at a position of a protobuf message, and the position after it."""
    value = shift = 0
    while True:
        byte = int(message[at])
        value, shift, at = value | (byte & 127) << shift, shift + 7, at + 1
        if byte < 128:
            return value, at


def fields(message):
    """Return the fields of a protobuf message, (number, value); a value is a number, or bytes of the message."""
    found, at = [], 0
    while at < len(message):
        key, at = varint(message, at)
        if key & 7 == 0:
            value, at = varint(message, at)
        else:
            size, at = varint(message, at) if key & 7 == 2 else ({1: 8, 5: 4}[key & 7], at)
            value, at = message[at : at + size], at + size
        found.append((key >> 3, value))
    if at > len(message):
        raise ValueError("the message is cut off")
    return found


def copy_weights(net, weights):
    """Copy a caffemodel into a net, by layer name.

    Caffe itself parses the whole file first and copies it twice if its layers are V1: 2 GB for VGG_S, which has 0.5.
    """
    try:
        copy_layers(net, fields(np.memmap(weights, np.uint8, "r")))
    except Exception:  # a file that only Caffe reads, or of which it says what is wrong
        net.copy_from(weights)


def copy_layers(net, parts):
    """Copy the blobs of a NetParameter with these fields: Net::CopyTrainedLayersFrom."""
    kinds = {number for number, _ in parts if number not in OTHERS}
    if len(kinds) > 1:
        raise ValueError("V1 layers and current ones")
    for name_number, blob_number, layer in [(LAYERS[kind] + (value,)) for kind, value in parts if kind in kinds]:
        inner = fields(layer)
        name = dict(inner)[name_number].tobytes().decode("utf-8")
        blobs = [value for number, value in inner if number == blob_number]
        targets = net.params.get(name, ())
        if name in list(net._layer_names) and len(targets) != len(blobs):
            raise ValueError("another number of blobs")
        for k, target in enumerate(targets):
            copy_blob(target.data, dict(fields(blobs[k])))


def copy_blob(target, blob):
    """Copy the values of a BlobProto with these fields: Blob::FromProto."""
    if any(number in blob for number in OLD_SHAPE):
        shape = tuple(blob.get(number, 0) for number in OLD_SHAPE)
        wanted = (1,) * (4 - target.ndim) + target.shape
    else:
        ((_, sides),), shape, wanted, at = fields(blob[SHAPE]), (), target.shape, 0
        while at < len(sides):
            side, at = varint(sides, at)
            shape += (side,)
    if shape != wanted or DOUBLES in blob:
        raise ValueError("another shape, or doubles")
    target[...] = blob[DATA].view("<f4").reshape(target.shape)


class Pipe(object):
    """Only `read` and `write` of a file: numpy would seek in what looks like a real file."""

    def __init__(self, file):
        self.read = file.read
        self.write = file.write


def scores(caffe, stdout, net_path, weights, output):
    """Answer each batch, float32 (N, C, H, W), with the blob `output`, float32 (N, classes)."""
    net = caffe.Net(net_path, TEST)
    copy_weights(net, weights)
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
    """Write the versions of this Python and NumPy, the loaded BLAS libraries, and the number of layer types."""
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
