"""A script for pycaffe, run twice: under Caffe's own Python, and with only its import of caffe changed.

python pycaffe_script.py FOLDER: answers in FOLDER/answers.npz and FOLDER/words.json, by section and name.
"""

import json
import os
import sys
from pathlib import Path

import caffe
import numpy as np

WIDE = """name: "wide" force_backward: %s
layer { name: "d" type: "DummyData" top: "x" top: "label" dummy_data_param {
  shape { dim: 3 dim: 4 } shape { dim: 3 } data_filler { value: 1 } data_filler { value: 2 } } }
layer { name: "a" type: "InnerProduct" bottom: "x" top: "aa" param { lr_mult: 1 } param { lr_mult: 0 }
  inner_product_param { num_output: 4 } }
layer { name: "r" type: "ReLU" bottom: "aa" top: "aa" }
layer { name: "n" type: "TanH" bottom: "aa" top: "n" loss_weight: 0.5 }
layer { name: "b" type: "InnerProduct" bottom: "aa" top: "b" param { name: "w" } param { name: "v" }
  inner_product_param { num_output: 4 } }
layer { name: "c" type: "InnerProduct" bottom: "b" top: "c" param { name: "w" } param { name: "v" }
  inner_product_param { num_output: 4 } }
layer { name: "stop" type: "InnerProduct" bottom: "x" top: "s" propagate_down: false
  inner_product_param { num_output: 4 } }
layer { name: "m" type: "Eltwise" bottom: "n" bottom: "c" bottom: "s" top: "m" }
layer { name: "loss" type: "SoftmaxWithLoss" bottom: "m" bottom: "label" }
layer { name: "loss2" type: "SoftmaxWithLoss" bottom: "m" bottom: "label" top: "l2" loss_weight: 2 }
layer { name: "acc" type: "Accuracy" bottom: "m" bottom: "label" top: "acc" include { phase: TEST } }
layer { name: "aside" type: "InnerProduct" bottom: "x" top: "aside" inner_product_param { num_output: 2 } }
"""
PLAIN = """force_backward: true
layer { name: "data" type: "DummyData" top: "data" top: "label" dummy_data_param {
  shape { dim: 4 dim: 2 dim: 5 dim: 6 } shape { dim: 4 } } }
layer { name: "conv" type: "Convolution" bottom: "data" top: "conv"
  convolution_param { num_output: 3 kernel_size: 3 } }
layer { name: "tanh" type: "TanH" bottom: "conv" top: "tanh" }
layer { name: "ip" type: "InnerProduct" bottom: "tanh" top: "scores" inner_product_param { num_output: 5 } }
layer { name: "loss" type: "SoftmaxWithLoss" bottom: "scores" bottom: "label" top: "loss" }
"""
DEPLOY = """force_backward: true
layer { name: "data" type: "Input" top: "data" input_param { shape { dim: 4 dim: 3 dim: 10 dim: 12 } } }
layer { name: "conv" type: "Convolution" bottom: "data" top: "conv"
  convolution_param { num_output: 6 kernel_size: 3 stride: 2 } }
layer { name: "relu" type: "ReLU" bottom: "conv" top: "conv" }
layer { name: "norm" type: "LRN" bottom: "conv" top: "norm" }
layer { name: "pool" type: "Pooling" bottom: "norm" top: "pool" pooling_param { global_pooling: true } }
layer { name: "fc" type: "InnerProduct" bottom: "pool" top: "fc" inner_product_param { num_output: 7 } }
layer { name: "prob" type: "Softmax" bottom: "fc" top: "prob" }
"""
LEVELS = """layer { name: "data" type: "DummyData" top: "data" dummy_data_param { shape { dim: 2 dim: 3 } } }
layer { name: "any" type: "InnerProduct" bottom: "data" top: "any" inner_product_param { num_output: 1 } }
layer { name: "low" type: "InnerProduct" bottom: "data" top: "low" inner_product_param { num_output: 1 }
  include { max_level: 0 } }
layer { name: "high" type: "InnerProduct" bottom: "data" top: "high" inner_product_param { num_output: 1 }
  include { min_level: 1 } }
layer { name: "A" type: "InnerProduct" bottom: "data" top: "A" inner_product_param { num_output: 1 }
  include { stage: "A" } }
layer { name: "AB" type: "InnerProduct" bottom: "data" top: "AB" inner_product_param { num_output: 1 }
  include { stage: "A" stage: "B" } }
layer { name: "notA" type: "InnerProduct" bottom: "data" top: "notA" inner_product_param { num_output: 1 }
  include { not_stage: "A" } }
layer { name: "train" type: "InnerProduct" bottom: "data" top: "train" inner_product_param { num_output: 1 }
  include { phase: TRAIN } }
"""
MEMORY = """layer { name: "data" type: "MemoryData" top: "data" top: "label"
  memory_data_param { batch_size: 4 channels: 2 height: 5 width: 6 } }
layer { name: "conv" type: "Convolution" bottom: "data" top: "conv" param { lr_mult: 1 } param { lr_mult: 2 }
  convolution_param { num_output: 3 kernel_size: 3 } }
layer { name: "tanh" type: "TanH" bottom: "conv" top: "conv" }
layer { name: "ip" type: "InnerProduct" bottom: "conv" top: "scores" param { lr_mult: 1 } param { lr_mult: 0 }
  inner_product_param { num_output: 3 } }
layer { name: "accuracy" type: "Accuracy" bottom: "scores" bottom: "label" top: "accuracy" include { phase: TEST } }
layer { name: "loss" type: "SoftmaxWithLoss" bottom: "scores" bottom: "label" top: "loss" }
"""
SOLVER = """net: "memory.prototxt" test_iter: 2 test_interval: 3 max_iter: 6 snapshot_prefix: "snap"
base_lr: 0.05 lr_policy: "step" gamma: 0.5 stepsize: 4 weight_decay: 0.01 iter_size: 2 type: "%s" %s
"""
SOLVERS = {
    "SGD": "momentum: 0.9",
    "Nesterov": "momentum: 0.9",
    "AdaGrad": "delta: 0.01",
    "RMSProp": "rms_decay: 0.95 delta: 1e-4",
    "AdaDelta": "momentum: 0.95 delta: 1e-4",
    "Adam": "momentum: 0.9 momentum2: 0.99 delta: 1e-4",
}
ARRAYS, WORDS = {}, {}


def numbers(*shape):
    return RNG.standard_normal(shape).astype(np.float32)


def net_of(name, text, phase=caffe.TEST, **more):
    Path(name + ".prototxt").write_text(text)
    return caffe.Net(name + ".prototxt", phase, **more)


def fill(net):
    """Give a net weights that do not depend on random numbers of Caffe's."""
    for blobs in net.params.values():
        for blob in blobs:
            blob.data[...] = 0.4 * numbers(*blob.data.shape)


def tell(section, **arrays):
    ARRAYS.update((f"{section}:{name}", np.array(array)) for name, array in arrays.items())


def tell_blobs(section, net):
    for name, blob in net.blobs.items():
        tell(section, **{"data " + name: blob.data, "diff " + name: blob.diff})
    for name, blobs in net.params.items():
        for k, blob in enumerate(blobs):
            tell(section, **{f"param {name} {k}": blob.data, f"gradient {name} {k}": blob.diff})


def names():
    for phase in ("TRAIN", "TEST"):
        net = net_of("wide", WIDE % "false", getattr(caffe, phase))
        WORDS["names " + phase] = {
            "layers": list(net._layer_names),
            "types": [layer.type for layer in net.layers],
            "learned": [[list(blob.shape) for blob in layer.blobs] for layer in net.layers],
            "layer_dict": list(net.layer_dict),
            "blobs": [[name, list(blob.shape), blob.count, blob.num] for name, blob in net.blobs.items()],
            "params": list(net.params),
            "weights": list(net.blob_loss_weights.items()),
            "tops": list(net.top_names.items()),
            "bottoms": list(net.bottom_names.items()),
            "inputs": list(net.inputs),
            "outputs": list(net.outputs),
        }
    net = net_of("deploy", DEPLOY)
    data = net.blobs["data"]
    WORDS["names of an input"] = [
        list(net.inputs),
        list(net.outputs),
        [data.num, data.channels, data.height, data.width, data.count],
        [net.blobs["prob"].num, net.blobs["prob"].channels, net.blobs["prob"].height, net.blobs["prob"].width],
    ]


def states():
    Path("levels.prototxt").write_text(LEVELS)
    for settings in ({}, {"level": 1}, {"stages": ["A"]}, {"stages": ["A", "B"], "level": 2}):
        net = caffe.Net("levels.prototxt", caffe.TEST, **settings)
        WORDS[f"state {sorted(settings.items())}"] = list(net._layer_names)
    WORDS["state by place"] = list(caffe.Net("levels.prototxt", caffe.TRAIN, 1, ["A"])._layer_names)


def splits():
    for force in ("false", "true"):
        net = net_of("wide", WIDE % force, caffe.TRAIN)
        fill(net)
        net.blobs["x"].data[...] = numbers(3, 4)
        section = "splits " + force
        tell(section, loss=net._forward(0, len(net.layers) - 1))
        net.blobs["aside"].diff[...] = 1  # no loss depends on it
        net.backward()
        net.backward()  # the gradients of learned blobs are added up
        tell_blobs(section, net)


def passes():
    net = net_of("plain", PLAIN, caffe.TRAIN)
    fill(net)
    net.blobs["data"].data[...] = numbers(4, 2, 5, 6)
    net.blobs["label"].data[...] = [4, 0, 2, 1]
    order = []
    net.before_forward(lambda k: order.append(["before", k]))
    net.after_forward(lambda k: order.append(["after", k]))
    net.before_backward(lambda k: order.append(["back, before", k]))
    net.after_backward(lambda k: order.append(["back, after", k]))
    given = net.forward(end="tanh", blobs=["conv"])
    tell("passes", **{"to tanh " + name: array for name, array in given.items()})
    net.blobs["tanh"].data[...] = numbers(*net.blobs["tanh"].data.shape)
    given = net.forward(start="ip")
    tell("passes", **{"from ip " + name: array for name, array in given.items()})
    given = net.backward(end="ip", diffs=["scores"])
    tell("passes", **{"back to ip " + name: array for name, array in given.items()})
    net.blobs["tanh"].diff[...] = numbers(*net.blobs["tanh"].data.shape)
    net.forward(end="tanh")
    net.backward(start="tanh")
    WORDS["passes"] = order
    tell_blobs("passes", net)
    gradient = net.params["ip"][0].diff
    net.clear_param_diffs()
    tell("cleared", held=gradient, again=net.params["conv"][0].diff)
    # Without a forward pass before it, on the current values of the blobs.
    other = net_of("plain", PLAIN, caffe.TRAIN)
    fill(other)
    other.blobs["tanh"].data[...] = numbers(*net.blobs["tanh"].data.shape)
    other.blobs["scores"].diff[...] = numbers(4, 5)
    other.backward(start="ip", end="ip")
    tell_blobs("no pass before", other)
    # Values written to a bottom and to weights after the forward pass are used by the backward pass.
    other.blobs["label"].data[...] = [1, 1, 3, 0]
    other.clear_param_diffs()
    other.forward()
    other.params["ip"][0].data[...] *= 2
    other.blobs["tanh"].data[...] *= 3
    other.backward(end="ip")
    tell_blobs("written between", other)


def inputs():
    net = net_of("deploy", DEPLOY)
    fill(net)
    pictures, diffs = numbers(10, 3, 10, 12), numbers(10, 7)
    tell("inputs", forward=net.forward(data=pictures[:4])["prob"])
    tell("inputs", backward=net.backward(prob=diffs[:4])["data"], again=net.forward()["prob"])
    tell("inputs", **net.forward_all(data=pictures))
    made, returned = net.forward_backward_all(blobs=["fc"], diffs=["pool"], data=pictures, prob=diffs)
    tell("inputs", **{"all " + name: array for name, array in made.items()})
    tell("inputs", **{"all back " + name: array for name, array in returned.items()})
    net.blobs["data"].reshape(2, 3, 14, 11)
    net.reshape()
    WORDS["reshaped"] = [[list(blob.shape), list(blob.data.shape)] for blob in net.blobs.values()]
    net.blobs["data"].data[...] = numbers(2, 3, 14, 11)
    net.forward()
    net.blobs["prob"].diff[...] = numbers(2, 7)
    net.backward()
    tell_blobs("reshaped", net)
    net.blobs["data"].reshape(1, 3, 9, 9)
    tell("reshaped", at_once=net.forward(data=numbers(1, 3, 9, 9))["prob"])


def weights():
    first = net_of("deploy", DEPLOY)
    fill(first)
    first.save("deploy.caffemodel")
    first.save_hdf5("deploy.h5")
    pictures = numbers(4, 3, 10, 12)
    opened = {
        "old order": caffe.Net("deploy.prototxt", "deploy.caffemodel", caffe.TEST),
        "named": caffe.Net("deploy.prototxt", caffe.TEST, weights="deploy.caffemodel"),
        "copied": caffe.Net("deploy.prototxt", caffe.TEST),
        "hdf5": caffe.Net("deploy.prototxt", caffe.TEST),
        "shared": caffe.Net("deploy.prototxt", caffe.TEST),
    }
    opened["copied"].copy_from("deploy.caffemodel")
    opened["hdf5"].load_hdf5("deploy.h5")
    opened["shared"].share_with(first)
    first.params["fc"][1].data[...] += 1
    for name, net in opened.items():
        tell("weights", **{name: net.forward(data=pictures)["prob"]})
    tell("weights", bias=opened["shared"].params["fc"][1].data)
    saved = caffe.proto.caffe_pb2.NetParameter.FromString(Path("deploy.caffemodel").read_bytes())
    WORDS["saved"] = [[layer.name, layer.type, len(layer.blobs)] for layer in saved.layer]


def solvers():
    Path("memory.prototxt").write_text(MEMORY)
    images, labels = numbers(12, 2, 5, 6), RNG.randint(0, 3, 12).astype(np.float32)
    for kind, settings in SOLVERS.items():
        Path("solver.prototxt").write_text(SOLVER % (kind, settings))
        solver = (caffe.get_solver if kind == "Adam" else getattr(caffe, kind + "Solver"))("solver.prototxt")
        fill(solver.net)
        for net in (solver.net, solver.test_nets[0]):
            net.set_input_arrays(images, labels)
        section, called = "solver " + kind, []
        solver.add_callback(lambda called=called: called.append("start"), lambda called=called: called.append("ready"))
        held = solver.net.params["conv"][0].data
        for k in range(5):
            tell(section, **{f"rate {k}": solver.lr})
            solver.step(1)
            tell(section, **{f"loss {k}": solver.net.blobs["loss"].data})
        WORDS[section] = [
            solver.iter,
            list(called),
            solver.param.max_iter,
            [type(solver).__name__, len(solver.test_nets)],
        ]
        tell(section, held=held, tested=solver.test_nets[0].blobs["loss"].data)
        solver.snapshot()
        WORDS[section].append(sorted(path.name for path in Path().glob("snap*")))
        tell_blobs(section, solver.net)
        solver.solve()
        tell(section, solved=solver.net.params["ip"][0].data, iteration=solver.iter)
        again = getattr(caffe, kind + "Solver")("solver.prototxt")
        for net in (again.net, again.test_nets[0]):
            net.set_input_arrays(images, labels)
        again.solve("snap_iter_5.solverstate")
        tell(section, resumed=again.net.params["ip"][0].data)
        again.restore("snap_iter_5.solverstate")
        tell(section, restored=again.net.params["ip"][0].data, back=again.iter)
        again.net.params["ip"][0].diff[...] = 1
        again.net.params["conv"][0].diff[...] = numbers(3, 2, 3, 3)
        again.net.params["conv"][1].diff[...] = 0
        again.apply_update()
        tell_blobs(section + " update", again.net)
        other = net_of("memory", MEMORY, caffe.TEST)
        again.share_weights(other)
        again.net.params["ip"][0].data[0] = 7
        tell(section, shared=other.params["ip"][0].data)
        for path in Path().glob("snap*"):
            path.unlink()


def pictures():
    rng = np.random.RandomState(3)
    picture = np.clip(rng.uniform(-0.3, 1.3, (20, 17, 3)), 0, 1).astype(np.float32)
    for name, sides in {"larger": (31, 40), "smaller": (9, 7), "both": (28, 11), "same": (20, 17)}.items():
        tell("resized", **{name: caffe.io.resize_image(picture, sides)})
        tell("resized", **{name + " grey": caffe.io.resize_image(picture[:, :, :1] * 255 - 20, sides)})
        tell("resized", **{name + " of five": caffe.io.resize_image(numbers(20, 17, 5), sides)})
    tell("resized", constant=caffe.io.resize_image(np.full((4, 5, 3), 0.25, np.float32), (3, 3)))
    tell("resized", oversampled=caffe.io.oversample([picture, picture[::-1]], (9, 8)))
    transformer = caffe.io.Transformer({"data": (1, 3, 12, 14)})
    transformer.set_transpose("data", (2, 0, 1))
    tell("transformed", plain=transformer.preprocess("data", picture))
    transformer.set_channel_swap("data", (2, 0, 1))
    transformer.set_raw_scale("data", 255)
    transformer.set_input_scale("data", 0.017)
    for name, mean in (
        ("values", np.array([104.0, 117, 123])),
        ("whole", 50 + 200 * rng.uniform(size=(3, 12, 14)).astype(np.float32)),
        ("larger", 50 + 200 * rng.uniform(size=(3, 30, 29)).astype(np.float32)),
    ):
        transformer.set_mean("data", mean)
        made = transformer.preprocess("data", picture.copy())
        tell("transformed", **{name: made, name + " back": transformer.deprocess("data", made[np.newaxis])})


def messages():
    array = numbers(2, 3, 4)
    for name, datum in {
        "floats": caffe.io.array_to_datum(array, 5),
        "bytes": caffe.io.array_to_datum((array * 50 + 128).astype(np.uint8)),
    }.items():
        tell("messages", **{name: caffe.io.datum_to_array(datum)})
        WORDS["datum " + name] = [datum.label, datum.HasField("label"), str(caffe.io.datum_to_array(datum).dtype)]
        WORDS["serialised " + name] = datum.SerializeToString().hex()
    blob = caffe.io.array_to_blobproto(array, 2 * array)
    tell("messages", blob=caffe.io.blobproto_to_array(blob), diff=caffe.io.blobproto_to_array(blob, True))
    old = caffe.proto.caffe_pb2.BlobProto(num=1, channels=2, height=3, width=4, data=array.ravel())
    tell("messages", old=caffe.io.blobproto_to_array(old))
    one = caffe.proto.caffe_pb2.BlobProto(data=[123])
    tell("messages", one=caffe.io.blobproto_to_array(one))
    vector = caffe.io.arraylist_to_blobprotovector_str([array, array[0]])
    WORDS["vector"] = [vector.hex(), [list(a.shape) for a in caffe.io.blobprotovector_str_to_arraylist(vector)]]
    old.data.append(1)
    for wrong in (old, caffe.proto.caffe_pb2.BlobProto(data=[1, 2])):
        try:
            caffe.io.blobproto_to_array(wrong)
            WORDS["as many as the shape says"] = "taken"
        except ValueError:
            WORDS["as many as the shape says"] = "refused"


def classifiers():
    Path("deploy.prototxt").write_text(DEPLOY)
    net = caffe.Net("deploy.prototxt", caffe.TEST)
    fill(net)
    net.save("deploy.caffemodel")
    rng = np.random.RandomState(5)
    faces = [rng.uniform(size=shape).astype(np.float32) for shape in ((15, 19, 3), (40, 30, 3), (13, 14, 3))]
    mean = rng.uniform(0, 255, (3, 13, 15)).astype(np.float32)
    for name, settings in {
        "plain": {},
        "all": {"mean": mean, "channel_swap": (2, 1, 0), "raw_scale": 255, "image_dims": (13, 15), "input_scale": 0.01},
        "values": {"mean": mean.mean(1).mean(1), "raw_scale": 255, "image_dims": (16, 17)},
    }.items():
        classifier = caffe.Classifier("deploy.prototxt", "deploy.caffemodel", **settings)
        for crops in (False, True):
            tell("classified", **{f"{name} {crops}": classifier.predict(faces, oversample=crops)})
        tell("classified", **{name + " by default": classifier.predict(faces[:1])})


def specs():
    n, layers, params = caffe.NetSpec(), caffe.layers, caffe.params
    n.data, n.label = layers.DummyData(
        shape=[{"dim": [5, 1, 8, 8]}, {"dim": 5}], data_filler={"type": "gaussian", "std": 2}, ntop=2
    )
    n.conv = layers.Convolution(
        n.data, kernel_size=3, num_output=2, param=[{"lr_mult": 1}, {"lr_mult": 2}], weight_filler={"type": "xavier"}
    )
    n.pool = layers.Pooling(n.conv, pool=params.Pooling.MAX, kernel_size=2, stride=2)
    n.relu = layers.ReLU(layers.Dropout(n.pool, dropout_ratio=0.25, in_place=True), in_place=True)
    n["ip"] = layers.InnerProduct(layers.InnerProduct(n.relu, num_output=9), num_output=3, bias_term=False)
    n.loss = layers.SoftmaxWithLoss(n.ip, n.label, loss_weight=0.5, include={"phase": caffe.TRAIN})
    n.silence = layers.Silence(n.pool, ntop=0)
    WORDS["spec"] = n.to_proto().SerializeToString().hex()
    WORDS["spec of a top"] = [made.SerializeToString().hex() for made in (caffe.to_proto(n.ip), n.pool.to_proto())]
    Path("spec.prototxt").write_text(str(n.to_proto()))
    WORDS["spec as a net"] = list(caffe.Net("spec.prototxt", caffe.TRAIN).blobs)


os.chdir(sys.argv[1])
caffe.set_mode_cpu()
for section in (
    names,
    states,
    splits,
    passes,
    inputs,
    weights,
    solvers,
    pictures,
    messages,
    classifiers,
    specs,
):
    RNG = np.random.RandomState(7)
    section()
np.savez("answers.npz", **ARRAYS)
Path("words.json").write_text(json.dumps(WORDS))
