"""A script for pycaffe, run twice, as pycaffe_script.py: each function is one behaviour of the real pycaffe.

python differences_script.py FOLDER: answers in FOLDER/answers.json, by function.
"""

import json
import os
import re
import sys
from pathlib import Path

import caffe
import numpy as np
from caffe import layers, params
from caffe.coord_map import AxisMismatchException, coord_map_from_to, crop
from caffe.proto import caffe_pb2

PYTHON_LAYERS = """import json
import os
import caffe
import numpy as np

class Tenfold(caffe.Layer):
    def setup(self, bottom, top):
        self.factor = json.loads(self.param_str)["factor"]
    def reshape(self, bottom, top):
        top[0].reshape(*bottom[0].data.shape)
    def forward(self, bottom, top):
        top[0].data[...] = self.factor * bottom[0].data
    def backward(self, top, propagate_down, bottom):
        self.seen = list(propagate_down)
        if propagate_down[0]:
            bottom[0].diff[...] = self.factor * top[0].diff

class Weights(caffe.Layer):
    def setup(self, bottom, top):
        self.blobs.add_blob(2, 3)
        self.blobs.add_blob(1)
        self.weights = self.blobs[0]
        self.weights.data[...] = 4
    def reshape(self, bottom, top):
        top[0].reshape()
    def forward(self, bottom, top):
        top[0].data[...] = self.weights.data.sum() + self.blobs[1].data.sum()
    def backward(self, top, propagate_down, bottom):
        self.weights.diff[...] += top[0].diff
        self.blobs[1].diff[...] += 2 * top[0].diff

class Phase(caffe.Layer):
    def setup(self, bottom, top):
        pass
    def reshape(self, bottom, top):
        top[0].reshape()
    def forward(self, bottom, top):
        top[0].data[()] = self.phase
    def backward(self, top, propagate_down, bottom):
        pass

class Batches(Phase):
    def reshape(self, bottom, top):
        self.count = getattr(self, "count", 0) + 1
        top[0].reshape(self.count, 2)
        top[1].reshape(1)
    def forward(self, bottom, top):
        top[0].data[...] = self.count
        top[1].data[...] = -self.count

class Fails(Phase):
    def setup(self, bottom, top):
        if self.param_str:
            raise RuntimeError("its own error in setup")
    def forward(self, bottom, top):
        raise ValueError("its own error")
"""
V1_DATA = """
layers { name: "d" type: DATA top: "x" top: "label" data_param { source: "faces" batch_size: 3 backend: LMDB
  scale: 0.5 crop_size: 3 mean_file: "mean.binaryproto" } }
"""
V0 = """
name: "old" input: "x" input_dim: 1 input_dim: 4 input_dim: 6 input_dim: 7
layers { layer { name: "pad1" type: "padding" pad: 2 } bottom: "x" top: "pad1" }
layers { layer { name: "conv1" type: "conv" num_output: 6 kernelsize: 3 stride: 2 group: 2 } bottom: "pad1" top: "c" }
layers { layer { name: "relu1" type: "relu" } bottom: "c" top: "c" }
layers { layer { name: "pool1" type: "pool" pool: AVE kernelsize: 3 stride: 2 } bottom: "c" top: "p" }
layers { layer { name: "norm1" type: "lrn" local_size: 3 alpha: 0.1 } bottom: "p" top: "n" }
layers { layer { name: "ip" type: "innerproduct" num_output: 5 } bottom: "n" top: "ip" }
layers { layer { name: "prob" type: "softmax" } bottom: "ip" top: "prob" }
"""
REGRESSION = """
layer { name: "x" type: "Input" top: "x" top: "t" input_param { shape { dim: 2 dim: 3 } shape { dim: 2 dim: 2 } } }
layer { name: "ip" type: "InnerProduct" bottom: "x" top: "y"
  inner_product_param { num_output: 2 weight_filler { type: "gaussian" } } }
layer { name: "loss" type: "EuclideanLoss" bottom: "y" bottom: "t" top: "loss" }
"""
SOLVER = """net: "regression.prototxt" base_lr: 0.1 lr_policy: "fixed" momentum: 0.9 max_iter: 4 snapshot_prefix: "%s"
display: 1 average_loss: 2 test_iter: 1 test_interval: 2 snapshot_format: HDF5 %s"""
IP = "inner_product_param { num_output: 2 %s }"
CONV, POOL, RESHAPE = "convolution_param { num_output: 2 %s }", "pooling_param { %s }", "reshape_param { shape { %s } }"


def of(first, *others):
    sides = " ".join(f"dim: {dim}" for dim in (first, *others))
    return f'layer {{ name: "x" type: "Input" top: "x" input_param {{ shape {{ {sides} }} }} }}\n'


def layer(kind, settings="", name="y"):
    return f'layer {{ name: "{name}" type: "{kind}" bottom: "x" top: "y" {settings} }}\n'


def python(kind, settings="", bottom='bottom: "x"', top='top: "y"', name="p", text=""):
    own = f'python_param {{ module: "own_layers" layer: "{kind}" param_str: \'{text}\' }}'
    return f'layer {{ name: "{name}" type: "Python" {bottom} {top} {own} {settings} }}\n'


def net_of(text, phase=caffe.TEST, name="net.prototxt"):
    Path(name).write_bytes(text if isinstance(text, bytes) else text.encode())
    return caffe.Net(name, phase)


def fill(net):
    rng = np.random.RandomState(1)
    for blobs in net.params.values():
        for blob in blobs:
            blob.data[...] = rng.standard_normal(blob.data.shape)


def numbers(values):
    return np.ravel(values).astype(float).tolist()


def refused(act):
    """Return whether something is refused: by an error here, by the end of the process in Caffe."""
    if not hasattr(caffe, "_caffe"):
        return _fails(act)
    process = os.fork()
    if not process:
        os.dup2(os.open(os.devnull, os.O_WRONLY), 2)
        os._exit(_fails(act))
    return os.waitpid(process, 0)[1] != 0


def _fails(act):
    try:
        act()
    except Exception:
        return True
    return False


def blob_reshape_keeps_the_buffer():
    blob = net_of(of(4, 3)).blobs["x"]
    blob.data[...], blob.diff[...] = np.arange(12).reshape(4, 3), 5
    held, seen = blob.data, []
    blob.reshape(2, 3)
    seen += [blob.data.tolist(), blob.diff.tolist(), blob.count]
    blob.data[0] = 7
    blob.reshape(4, 3)
    seen += [blob.data.tolist(), held.tolist(), blob.diff.tolist()]
    blob.reshape(3, 4)
    seen += [blob.data.tolist()]
    blob.reshape(5, 3)
    seen += [blob.data.tolist(), blob.diff.tolist()]
    blob.reshape(0, 3)
    seen += [list(blob.data.shape), blob.count]
    blob.reshape()
    return [*seen, blob.data.tolist(), list(blob.shape), refused(lambda: blob.reshape(-1, 2))]


def a_smaller_batch_leaves_the_rest_of_the_blob():
    net = net_of(of(4, 3) + layer("Power", "power_param { scale: 2 }"))
    net.blobs["x"].data[...] = 1
    net.forward()
    net.blobs["x"].reshape(2, 3)
    net.blobs["x"].data[...] = 3
    net.forward()
    small = net.blobs["y"].data.tolist()
    net.blobs["x"].reshape(4, 3)
    net.reshape()
    return [small, net.blobs["x"].data.tolist(), net.blobs["y"].data.tolist()]


def test_nets_have_their_own_weights_until_the_first_test():
    Path("regression.prototxt").write_text(REGRESSION)
    Path("solver.prototxt").write_text(SOLVER % ("s", "test_initialization: false"))
    solver = caffe.SGDSolver("solver.prototxt")
    trained, tested = solver.net.params["ip"][0], solver.test_nets[0].params["ip"][0]
    seen = [trained.data.any(), tested.data.any(), np.array_equal(trained.data, tested.data)]
    tested.data[...] = 9
    for _ in range(4):
        seen += [float(trained.data.max()) == 9, np.array_equal(trained.data, tested.data)]
        solver.step(1)
    tested.diff[...] = 77
    seen += [float(trained.diff.max()) == 77]
    trained.data[...] = 5
    again = solver.test_nets[0].params["ip"][0]
    return [*map(bool, seen), tested.data.tolist(), again.data.tolist()]


def nets_share_weights_but_not_gradients():
    one, other = net_of(REGRESSION, caffe.TRAIN), net_of(REGRESSION, caffe.TRAIN)
    fill(one)
    held = other.params["ip"][0]
    other.share_with(one)
    one.params["ip"][0].data[0] = 4
    for net in (one, other):
        net.blobs["x"].data[...] = 1
    other.forward()
    other.backward()
    return [numbers(held.data), numbers(held.diff), numbers(one.params["ip"][0].diff), numbers(other.blobs["y"].data)]


def copy_from_notices_another_number_of_blobs():
    nets = {
        "both": of(2, 3) + layer("InnerProduct", IP % ""),
        "weights": of(2, 3) + layer("InnerProduct", IP % "bias_term: false"),
        "none": of(2, 3) + layer("ReLU"),
        "other name": of(2, 3) + layer("InnerProduct", IP % "", name="z"),
    }
    seen = {}
    for source, text in nets.items():
        net_of(text).save("source.caffemodel")
        for target in nets:
            net = net_of(nets[target])
            seen[source + " to " + target] = refused(lambda net=net: net.copy_from("source.caffemodel"))
    return seen


def data_param_of_v1_layers():
    net = net_of(V1_DATA)
    seen = [numbers(net.forward()["x"]), net.blobs["label"].data.tolist()]
    return [*seen, numbers(net.forward()["x"])]


def v0_nets_and_caffemodels():
    net = net_of(V0)
    fill(net)
    net.save("new.caffemodel")
    old = caffe_pb2.NetParameter(name="old")
    for given in caffe_pb2.NetParameter.FromString(Path("new.caffemodel").read_bytes()).layer:
        if given.blobs:
            kind = {"Convolution": "conv", "InnerProduct": "innerproduct"}[given.type]
            v0 = old.layers.add().layer
            v0.name, v0.type = given.name, kind
            v0.blobs.extend(given.blobs)
    Path("old.caffemodel").write_bytes(old.SerializeToString())
    other = net_of(V0)
    other.copy_from("old.caffemodel")
    other.blobs["x"].data[...] = np.random.RandomState(2).standard_normal((1, 4, 6, 7))
    return [numbers(other.forward()["prob"]), {name: list(blob.shape) for name, blob in other.blobs.items()}]


def a_prototxt_in_any_encoding():
    text = of(2, 3).encode()
    texts = {
        "GBK": b"# \xd6\xd0\xce\xc4 \xca\xfd\xbe\xdd\n" + text,
        "Latin-1": text + b"# \xe9t\xe9",
        "a name in GBK": b'name: "\xd6\xd0"\n' + text,
        "Windows": text.replace(b"\n", b"\r\n"),
    }
    return {name: list(net_of(text).blobs["x"].shape) for name, text in texts.items()}


def hdf5_snapshots():
    Path("regression.prototxt").write_text(REGRESSION)
    Path("h.prototxt").write_text(SOLVER % ("h", ""))
    solver = caffe.SGDSolver("h.prototxt")
    fill(solver.net)
    solver.net.blobs["x"].data[...], solver.net.blobs["t"].data[...] = [[1, 2, 3], [0, 1, 0]], [[1, 0], [2, 2]]
    solver.step(3)
    solver.snapshot()
    return [sorted(path.name for path in Path().glob("h_iter*")), numbers(solver.net.params["ip"][0].data)]


def hdf5_snapshots_are_resumed():
    """Those of the other engine, too, which the test puts into this folder in between."""
    solver = caffe.SGDSolver("h.prototxt")
    solver.restore("h_iter_3.solverstate.h5")
    solver.net.blobs["x"].data[...], solver.net.blobs["t"].data[...] = [[1, 2, 3], [0, 1, 0]], [[1, 0], [2, 2]]
    solver.step(1)
    Path("second.prototxt").write_text(SOLVER % ("other", 'weights: "h_iter_3.caffemodel.h5"'))
    second = caffe.SGDSolver("second.prototxt")
    return [solver.iter, numbers(solver.net.params["ip"][0].data), numbers(second.net.params["ip"][0].data)]


def display_lines_of_a_step():
    Path("regression.prototxt").write_text(REGRESSION)
    Path("solver.prototxt").write_text(SOLVER % ("s", ""))
    solver = caffe.SGDSolver("solver.prototxt")
    fill(solver.net)
    solver.net.blobs["x"].data[...] = 1
    sys.stderr.flush()
    kept, log = os.dup(2), os.open("log.txt", os.O_WRONLY | os.O_CREAT)
    os.dup2(log, 2)
    solver.step(3)
    solver.snapshot()
    sys.stderr.flush()
    os.dup2(kept, 2)
    prefix = re.compile(r"I\d{4} \d\d:\d\d:\d\d\.\d{6} +\d+ [\w.:]+\] (.*)")
    lines = [prefix.fullmatch(line)[1] for line in Path("log.txt").read_text().splitlines()]
    lines = [line for line in lines if not line.endswith("is whole")]  # Caffe does not say that a snapshot is complete
    values = [float(value) for line in lines for value in re.findall(r"(?<== )[-.e\d]+", line)]
    return [[re.sub(r" \([^*]* iters\)|(?<== )[-.e\d]+", "", line) for line in lines], values]


def misuse_and_impossible_geometries():
    cases = {
        "stride 0 of Convolution": of(2, 3, 5, 5) + layer("Convolution", CONV % "kernel_size: 3 stride: 0"),
        "a larger kernel": of(2, 3, 5, 5) + layer("Convolution", CONV % "kernel_size: 9"),
        "group 0": of(2, 3, 5, 5) + layer("Convolution", CONV % "kernel_size: 3 group: 0"),
        "no kernel": of(2, 3, 5, 5) + layer("Convolution", CONV % ""),
        "stride 0 of Pooling": of(2, 3, 5, 5) + layer("Pooling", POOL % "kernel_size: 3 stride: 0"),
        "Pooling of 3 axes": of(2, 3, 5) + layer("Pooling", POOL % "kernel_size: 3"),
        "Pooling of nothing": of(2, 3, 5, 5) + layer("Pooling"),
        "a larger pool": of(2, 3, 5, 5) + layer("Pooling", POOL % "kernel_size: 9"),
        "Reshape without parameters": of(2, 3) + layer("Reshape"),
        "Reshape of two unknown": of(2, 3) + layer("Reshape", RESHAPE % "dim: -1 dim: -1"),
        "Reshape that does not divide": of(2, 3) + layer("Reshape", RESHAPE % "dim: 5 dim: -1"),
        "Reshape to another count": of(2, 3) + layer("Reshape", RESHAPE % "dim: 5 dim: 2"),
        "Reshape": of(2, 3) + layer("Reshape", RESHAPE % "dim: 3 dim: -1"),
        "Reshape of a scalar": of(1, 1) + layer("Reshape"),
        "LRN of 2 axes": of(2, 3) + layer("LRN"),
        "Softmax of no axis": of(2, 3) + layer("Softmax", "softmax_param { axis: 3 }"),
        "no output": of(2, 3) + layer("InnerProduct"),
        "no axis": of(2, 3) + layer("InnerProduct", IP % "axis: 5"),
    }
    seen = {name: refused(lambda text=text: net_of(text)) for name, text in cases.items()}
    assert (seen["group 0"], seen["Reshape"]) == (True, False)
    return seen


def arguments_of_net():
    net_of(of(2, 3))
    seen = []
    for given, named in (
        ((), {}),
        (("net.prototxt",), {}),
        (("net.prototxt", caffe.TEST, 0, ["A"], "w", "more"), {}),
        ((3, caffe.TEST), {}),
        (("net.prototxt", caffe.TEST), {"weight": "x"}),
        (("net.prototxt",), {"phase": caffe.TEST}),
        ((), {"network_file": "net.prototxt", "phase": caffe.TEST, "level": 0}),
    ):
        try:
            seen.append(list(caffe.Net(*given, **named).blobs))
        except TypeError:
            seen.append("TypeError")
    return seen


def layers_in_python():
    ten = python("Tenfold", text='{"factor": 10}')
    two = python("Tenfold", bottom='bottom: "y"', top='top: "z"', name="q", text='{"factor": 2}')
    net = net_of("force_backward: true " + of(2, 3) + ten + two, caffe.TRAIN)
    net.blobs["x"].data[...] = 1
    seen = [net.forward()["z"].tolist()]
    net.blobs["z"].diff[...] = 1
    seen += [net.backward()["x"].tolist(), net.layers[1].seen, net.layers[1].param_str, net.layers[1].type]
    net.blobs["x"].reshape(1, 2)
    net.blobs["x"].data[...] = 3
    seen += [net.forward()["z"].tolist(), [each.type for each in net.layers], list(net.params)]
    net = net_of(of(2, 3) + python("Phase", bottom="") + python("Phase", name="q", top='top: "z"'), caffe.TEST)
    seen += [sorted((name, float(value)) for name, value in net.forward().items())]
    net = net_of(python("Batches", bottom="", top='top: "y" top: "z"'))
    seen += [[value.tolist() for _, value in sorted(net.forward().items())] for _ in range(2)]
    net = net_of(of(2, 3) + python("Tenfold", "loss_weight: 2", text='{"factor": 3}'), caffe.TRAIN)
    net.blobs["x"].data[...] = 1
    return [*seen, net._forward(0, 1), net.blobs["y"].diff.tolist(), "Python" in caffe.layer_type_list()]


def learned_blobs_of_layers_in_python():
    text = "force_backward: true " + of(2, 3) + python("Weights", "param { lr_mult: 2 } loss_weight: 1")
    net, other = (net_of(text, caffe.TRAIN) for _ in range(2))
    own = net.layers[1].blobs
    seen = [float(net.forward()["y"]), [list(blob.shape) for blob in net.params["p"]], len(own)]
    net.backward()
    net.backward()
    seen += [own[0].diff.tolist(), net.params["p"][1].diff.tolist()]
    net.save("python.caffemodel")
    own[0].data[...] = 1
    own[1].data[...] = 5
    seen += [float(net.forward()["y"])]
    other.share_with(net)
    seen += [float(other.forward()["y"]), other.layers[1].blobs[0].data.tolist()]
    net.copy_from("python.caffemodel")
    seen += [float(net.forward()["y"])]
    Path("python.prototxt").write_text(text)
    Path("solver.prototxt").write_text('net: "python.prototxt" base_lr: 0.5 lr_policy: "fixed" snapshot_prefix: "p"')
    solver = caffe.SGDSolver("solver.prototxt")
    solver.step(2)
    return [*seen, [blob.data.tolist() for blob in solver.net.params["p"]]]


def errors_of_layers_in_python():
    seen = []
    for text in (python("Fails", text="x"), python("Fails")):
        try:
            net_of(of(2, 3) + text).forward()
        except (RuntimeError, ValueError) as error:
            seen.append([type(error).__name__, str(error)])
    for text in (python("Nothing"), python("Phase").replace("own_layers", "no_such_module")):
        seen.append(refused(lambda text=text: net_of(of(2, 3) + text)))
    return seen


def names_of_a_net():
    text = of(2, 3) + layer("ReLU", name="a") + layer("Concat", 'bottom: "y"', "b").replace('top: "y"', 'top: "z"')
    net = net_of(text, caffe.TRAIN)
    ids = [[list(net._bottom_ids(k)), list(net._top_ids(k))] for k in range(len(net.layers))]
    blobs = [list(blob.shape) for blob in net._blobs]
    return [list(net._blob_names), list(net._layer_names), list(net._inputs), list(net._outputs), ids, blobs,
            list(net._blob_loss_weights), callable(net._set_input_arrays)]  # fmt: skip


def coordinates():
    def spec(kernel=3, stride=1, pad=0, pool=2, deconv=2):
        n = caffe.NetSpec()
        n.data, n.aux = (layers.Input(shape={"dim": [2, 1, side, side]}) for side in (100, 20))
        n.conv = layers.Convolution(n.data, num_output=10, kernel_size=kernel, stride=stride, pad=pad)
        n.relu = layers.ReLU(n.conv, in_place=True)
        n.pool = layers.Pooling(n.relu, pool=params.Pooling.MAX, kernel_size=pool, stride=pool)
        n.deconv = layers.Deconvolution(
            n.pool, convolution_param={"num_output": 10, "kernel_size": 2 * deconv, "stride": deconv}
        )
        n.sum = layers.Eltwise(layers.PReLU(n.deconv), layers.BatchNorm(n.deconv))
        n.crop = layers.Crop(n.sum, n.data, axis=2, offset=3)
        n.dilated = layers.Convolution(n.data, num_output=1, kernel_size=3, dilation=2)
        n.ip = layers.InnerProduct(n.deconv, num_output=10)
        n.other = layers.Convolution(n.data, num_output=1, kernel_size=1, axis=2)
        return n

    def recorded(found):
        axis, scale, offset = found
        return [axis, np.ravel(scale).tolist(), np.ravel(offset).tolist()]

    n, seen = spec(), []
    for one, other in (("deconv", "data"), ("data", "deconv"), ("pool", "conv"), ("crop", "data"), ("relu", "pool"),
                       ("dilated", "deconv"), ("sum", "deconv")):  # fmt: skip
        seen.append(recorded(coord_map_from_to(n[one], n[other])))
    for settings in ({"pad": 1}, {"kernel": 5}, {"kernel": [3, 5]}, {"stride": 2, "deconv": 4}, {"kernel": [3, 3, 1],
                     "stride": [2, 2, 1], "pad": [1, 0, 0], "pool": [2, 2, 1]}):  # fmt: skip
        made = spec(**settings)
        seen.append(recorded(coord_map_from_to(made.deconv, made.data)))
    made = crop(n.deconv, n.data).to_proto().layer[-1]
    seen += [[made.type, made.crop_param.axis, list(made.crop_param.offset), list(made.bottom)]]
    for act in (
        lambda: coord_map_from_to(n.ip, n.data),
        lambda: coord_map_from_to(n.aux, n.data),
        lambda: crop(n.pool, n.data),
        lambda: crop(n.data, spec(pad=5).deconv),
        lambda: crop(n.conv, n.pool),
        lambda: crop(n.data, n.deconv),
        lambda: coord_map_from_to(n.other, n.conv),
    ):
        try:
            seen.append(type(act()).__name__)
        except (RuntimeError, AssertionError, AxisMismatchException) as error:
            seen.append(type(error).__name__)
    return seen


def words_of_a_net_spec():
    seen = []
    for act in (lambda: layers.Silence(layers.DummyData(ntop=2), ntop=0), lambda: layers.ReLU("data")):
        try:
            act()
        except TypeError as error:
            seen.append(str(error))
    return seen


def modes_and_names():
    caffe.set_multiprocess(False)
    caffe.set_solver_count(1)
    caffe.set_solver_rank(0)
    timer = caffe.Timer()
    timer.start()
    timer.stop()
    return [caffe.__version__, caffe.solver_count(), caffe.solver_rank(), caffe.has_nccl(), caffe_pb2.Phase.items(),
            caffe_pb2.Phase.Name(1), caffe_pb2.Phase.Value("TRAIN"), caffe_pb2.DESCRIPTOR.package,
            0 <= timer.ms < 1e4]  # fmt: skip


def resized_images():
    arrays, rng = {}, np.random.RandomState(3)
    picture = np.clip(rng.uniform(-0.3, 1.3, (20, 17, 3)), 0, 1).astype(np.float32)
    integers = (picture * 255).astype(np.uint8)
    for sides in ((31, 40), (9, 7), (28, 11)):
        for order in (2, 3, 4, 5):
            made = arrays.setdefault(f"order {order}", [])
            made += pixels(caffe.io.resize_image(picture, sides, interp_order=order))
            made += pixels(caffe.io.resize_image(picture[:, :, :1] * 255 - 20, sides, interp_order=order))
        for order, mode in ((1, "reflect"), (1, "constant"), (1, "edge"), (1, "symmetric"), (1, "wrap"), (3, "reflect"),
                            (3, "symmetric"), (4, "reflect"), (4, "edge"), (5, "constant")):  # fmt: skip
            made = arrays.setdefault(f"io.resize, order {order}, {mode}", [])
            made += pixels(caffe.io.resize(picture, sides, order=order, mode=mode))
        made = arrays.setdefault("io.resize", [])
        made += pixels(caffe.io.resize(picture[:, :, 0], sides))
        made += pixels(caffe.io.resize(integers, sides))
        made += pixels(caffe.io.resize(integers, (*sides, 3), preserve_range=True))
        made += pixels(caffe.io.resize(picture, sides, anti_aliasing=False, cval=0.5, mode="constant"))
        made += [str(caffe.io.resize(image, sides).dtype) for image in (picture, integers, picture.astype(float))]
    return arrays


def pixels(image):
    return [list(image.shape), numbers(image)]


SECTIONS = [each for name, each in list(globals().items()) if callable(each) and each.__module__ == __name__]
SECTIONS = [each for each in SECTIONS if each.__code__.co_argcount == 0 and each.__name__ != "main"]


def main(folder, *wanted):
    os.chdir(folder)
    sys.path.insert(0, "")
    Path("own_layers.py").write_text(PYTHON_LAYERS)
    caffe.set_mode_cpu()
    answers = {each.__name__: each() for each in SECTIONS if not wanted or each.__name__ in wanted}
    Path("answers.json").write_text(json.dumps(answers))


if __name__ == "__main__":
    main(*sys.argv[1:])
