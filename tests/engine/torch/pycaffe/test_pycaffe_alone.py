"""pycaffe's interface on torch alone: hand values, persistent arrays, and refusals."""

import gc
import re
import subprocess
import sys

import cv2
import lmdb
import numpy as np
import pytest
import skimage.io
import torch
from google.protobuf import text_format

from emotiw.engine.torch import pycaffe as caffe
from emotiw.engine.torch.pycaffe import blobs, mode
from emotiw.errors import EmotiwError
from emotiw.prototxt.formats.messages import Datum

NET = """layer { name: "x" type: "Input" top: "x" input_param { shape { dim: 2 dim: 3 } } }
layer { name: "ip" type: "InnerProduct" bottom: "x" top: "y" inner_product_param { num_output: 2
  weight_filler { type: "gaussian" } } }
layer { name: "relu" type: "ReLU" bottom: "y" top: "y" }
"""
MEMORY = """layer { name: "d" type: "MemoryData" top: "x" top: "label"
  memory_data_param { batch_size: 2 channels: 1 height: 1 width: 3 } }
layer { name: "ip" type: "InnerProduct" bottom: "x" top: "y" inner_product_param { num_output: 2 } }
layer { name: "loss" type: "SoftmaxWithLoss" bottom: "y" bottom: "label" top: "loss" }
"""


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(mode, "_MODES", mode._Modes())
    return tmp_path


@pytest.fixture
def opened(folder):
    def net(text=NET, phase=caffe.TEST, **settings):
        (folder / "net.prototxt").write_text(text)
        return caffe.Net("net.prototxt", phase, **settings)

    return net


def test_a_pass_by_hand(opened):
    net = opened("force_backward: true " + NET)
    net.params["ip"][0].data[...] = [[1, 2, 3], [-1, 0, 1]]
    net.params["ip"][1].data[...] = [0.5, -1]
    x, y = net.blobs["x"].data, net.blobs["y"].data
    x[...] = [[1, 1, 1], [0, -1, 2]]
    assert net.forward()["y"] is not None
    np.testing.assert_array_equal(y, [[6.5, 0], [4.5, 1]])  # the array obtained before
    assert net.backward(y=np.float32([[1, 1], [1, 10]]))["x"].tolist() == [[1, 2, 3], [-9, 2, 13]]
    assert net.params["ip"][1].diff.tolist() == [2, 10]
    net.backward(y=np.float32([[1, 0], [0, 0]]))
    assert net.params["ip"][1].diff.tolist() == [3, 10]


def test_blobs_outlive_their_net_and_a_solver_its_nets(opened, folder):
    net = opened()
    x, weights = net.blobs["x"], net.params["ip"][0].data
    x.data[...] = 3
    copy = weights.copy()
    del net
    gc.collect()
    assert (x.data + x.diff).sum() == 18
    np.testing.assert_array_equal(weights, copy)
    opened(MEMORY)
    (folder / "solver.prototxt").write_text(
        'net: "net.prototxt" base_lr: 1 lr_policy: "fixed" test_iter: 1 test_interval: 9'
    )
    solver = caffe.SGDSolver("solver.prototxt")
    nets = [solver.net, *solver.test_nets]
    del solver
    gc.collect()
    assert [sum(blob.data.sum() for blob in net.blobs.values()) for net in nets] == [0, 0]
    nets[0].params["ip"][0].data[...] = 5
    nets[1].share_with(nets[0])
    assert nets[1].params["ip"][0].data.tolist() == [[5, 5, 5], [5, 5, 5]]
    nets[1].params["ip"][0].data[0] = 6
    nets[1].params["ip"][0].diff[...] = 7
    assert nets[0].params["ip"][0].data.tolist() == [[6, 6, 6], [5, 5, 5]]
    assert not nets[0].params["ip"][0].diff.any()


def test_memory_data_cycles_and_sees_changes_of_its_arrays(opened):
    net = opened(MEMORY)
    with pytest.raises(EmotiwError, match=r"layer 'd' .*: no arrays were given: call set_input_arrays first"):
        net.forward()
    images, labels = np.arange(12, dtype=np.float32).reshape(4, 1, 1, 3), np.float32([0, 1, 1, 0])
    net.set_input_arrays(images, labels)
    images[3] = 7
    seen = [(net.forward(), net.blobs["x"].data[:, 0, 0, 0].tolist())[1] for _ in range(3)]
    assert seen == [[0, 3], [6, 7], [0, 3]]
    assert net.blobs["label"].data.ravel().tolist() == [0, 1]
    with pytest.raises(EmotiwError, match=r"^data is N x 1 x 1 x 3, N a multiple of 2, not \(3, 1, 1, 3\)$"):
        net.set_input_arrays(images[:3], labels[:3])
    with pytest.raises(EmotiwError, match=r"labels are \(4,\), or \(4, 1, 1, 1\), not \(2,\)"):
        net.set_input_arrays(images, labels[:2])
    with pytest.raises(EmotiwError, match="set_input_arrays needs a MemoryData layer first, not layer 'x'"):
        opened().set_input_arrays(images, labels)


def test_an_lmdb_feeds_a_data_layer(opened, folder):
    with lmdb.open(str(folder / "faces")) as environment, environment.begin(write=True) as transaction:
        for k in range(3):
            datum = Datum(channels=1, height=1, width=2, data=bytes([k, 10 * k]), label=k)
            transaction.put(f"{k}".encode(), datum.SerializeToString())
    net = opened(
        'layer { name: "d" type: "Data" top: "x" top: "label" '
        'data_param { source: "faces" batch_size: 2 backend: LMDB } }'
    )
    labels = [net.forward()["label"].tolist() for _ in range(2)]
    assert labels == [[0, 1], [2, 0]]
    assert net.blobs["x"].data.ravel().tolist() == [2, 20, 0, 0]


def test_a_seed_gives_the_same_weights_again(opened):
    made = []
    for seed in (3, 3, 4):
        caffe.set_random_seed(seed)
        made.append([opened().params["ip"][0].data.copy() for _ in range(2)])
    np.testing.assert_array_equal(made[0], made[1])
    assert not np.array_equal(made[0], made[2])
    assert not np.array_equal(made[0][0], made[0][1])  # of one net after the other


@pytest.mark.parametrize(
    ("do", "words"),
    [
        (lambda net: net.forward(start="conv"), "no layer 'conv' in this net: it has x, ip, relu"),
        (lambda net: net.forward(z=np.zeros((2, 3))), "a pass takes all of x, or none, not z"),
        (lambda net: net.forward(x=np.zeros((3, 3))), r"'x' is a batch of 2, not \(3, 3\)"),
        (lambda net: net.copy_from("weights.caffemodel"), "weights.caffemodel: no such file"),
        (lambda net: net.copy_from("weights.h5"), "weights.h5: no such file"),
        (lambda net: net.params["ip"][0].reshape(3, 2), r"the shape of a learned blob, \(2, 3\), cannot change"),
        (lambda net: (net.blobs["x"].reshape(2, 4), net.reshape()), "it has weights for 3 inputs, not 4"),
        (lambda net: (net.blobs["x"].reshape(1, 1, 1, 1, 3), net.blobs["x"].num), "a blob of 5 axes has no num"),
        (lambda net: caffe.Net("other.prototxt", caffe.TEST), "other.prototxt"),
        (lambda net: caffe.Net("net.prototxt", "no.caffemodel", caffe.TEST), "no.caffemodel: no such file"),
        (lambda net: caffe.get_solver("solver.prototxt"), "solver.prototxt: no such file"),
        (lambda net: caffe.io.load_image("net.prototxt"), "net.prototxt is not a readable image"),
        (lambda net: caffe.io.load_image("face.png"), "face.png: no such file"),
        (lambda net: caffe.io.Transformer({"x": (1, 3, 2, 2)}).set_raw_scale("y", 1), "'y' is not an input: there are"),
    ],
)
def test_what_is_refused(opened, do, words):
    with pytest.raises(EmotiwError, match=words):
        do(opened())


def test_a_net_takes_a_phase_after_its_prototxt(opened):
    opened()
    with pytest.raises(TypeError, match=r"^net\.prototxt: Net takes a phase after the prototxt, caffe\.TRAIN or"):
        caffe.Net("net.prototxt")
    with pytest.raises(TypeError, match=r"caffe\.TRAIN or caffe\.TEST, not 7$"):
        caffe.Net("net.prototxt", 7)
    with pytest.raises(TypeError, match="Net takes weights, phase after the prototxt, not 3 arguments"):
        caffe.Net("net.prototxt", "weights", caffe.TEST, 0)
    with pytest.raises(TypeError, match="each once: not phase"):
        caffe.Net("net.prototxt", caffe.TEST, phase=caffe.TEST)
    with pytest.raises(TypeError, match="Net takes a prototxt file first"):
        caffe.Net()


IMAGE = 'layer { name: "x" type: "Input" top: "x" input_param { shape { dim: 2 dim: 3 dim: 5 dim: 5 } } }'
FLAT = 'layer { name: "x" type: "Input" top: "x" input_param { shape { dim: 2 dim: 3 dim: 5 } } }'


@pytest.mark.parametrize(
    ("bottom", "kind", "settings", "words"),
    [
        (
            IMAGE,
            "Convolution",
            "convolution_param { num_output: 2 kernel_size: 3 stride: 0 }",
            "stride and dilation must",
        ),
        (IMAGE, "Convolution", "convolution_param { num_output: 2 kernel_size: 3 dilation: 0 }", "stride and dilation"),
        (IMAGE, "Convolution", "convolution_param { num_output: 2 kernel_size: 3 group: 0 }", "split into 0 groups"),
        (IMAGE, "Convolution", "convolution_param { num_output: 2 kernel_size: 9 }", ""),
        (IMAGE, "Deconvolution", "convolution_param { num_output: 2 kernel_size: 3 stride: 0 }", "stride and dilation"),
        (IMAGE, "Pooling", "pooling_param { kernel_size: 3 stride: 0 }", "kernel_size and stride must be at least 1"),
        (FLAT, "Pooling", "pooling_param { kernel_size: 3 }", r"its bottom is N x C x H x W, not \(2, 3, 5\)"),
        (IMAGE, "Pooling", "pooling_param { kernel_size: 9 }", "smaller than the kernel"),
        (FLAT, "LRN", "", "its bottom is N x C x H x W"),
        (FLAT, "Reshape", "", "its reshape_param has no shape, to which a blob of"),
        (
            FLAT,
            "Reshape",
            "reshape_param { shape { dim: 4 dim: -1 } }",
            r"reshape_param's dims are \[4, -1\], to which",
        ),
        (FLAT, "Reshape", "reshape_param { shape { dim: -1 dim: -1 } }", "cannot be reshaped"),
        (FLAT, "Concat", "concat_param { concat_dim: 7 }", ""),
        (FLAT, "Slice", "slice_param { slice_dim: 7 }", ""),
        (FLAT, "Flatten", "flatten_param { axis: 2 end_axis: 1 }", ""),
        (FLAT, "Scale", "scale_param { num_axes: 9 }", ""),
        (FLAT, "InnerProduct", "", ""),
        (FLAT, "Python", "", "its python_param has no module"),
        (FLAT, "Python", 'python_param { module: "nowhere" }', "no module 'nowhere': add its folder to PYTHONPATH"),
        (FLAT, "Python", 'python_param { module: "json" layer: "loads" }', "no class 'loads' that is a caffe.Layer"),
    ],
)
def test_an_impossible_layer_is_named(opened, bottom, kind, settings, words):
    text = f'{bottom}\nlayer {{ name: "odd" type: "{kind}" bottom: "x" top: "y" {settings} }}'
    with pytest.raises(EmotiwError, match=rf"^net\.prototxt:2: layer 'odd' \({kind}\): .*{words}"):
        opened(text)


@pytest.mark.parametrize(
    ("ask", "words"),
    [
        (lambda: caffe.Detector("deploy.prototxt", "weights"), "caffe.Detector is not offered on torch"),
        (lambda: caffe.NCCL(None, "uid"), "caffe.NCCL is not offered on torch: for several GPUs run"),
        (lambda: caffe.set_multiprocess(True), r"set_multiprocess\(True\): here a solver trains in one process"),
        (lambda: caffe.set_solver_count(2), r"set_solver_count\(2\): here"),
        (lambda: caffe.set_solver_rank(1), r"set_solver_rank\(1\): here"),
        (
            lambda: caffe.io.resize(np.zeros((2, 2, 3)), (3, 3, 4)),
            r"of \(2, 2, 3\) cannot be resized to \(3, 3, 4\)",
        ),
        (
            lambda: caffe.io.resize(np.zeros((2, 2)), (3, 3), order=6),
            "no order 6 with mode 'reflect': orders are 0",
        ),
        (lambda: caffe.io.resize(np.zeros((2, 2)), (1, 1), mode="x"), "no mode 'x': there are constant, edge,"),
        (lambda: caffe.io.resize(np.zeros((2, 2)), (3, 3), order=2, mode="wrap"), "wrap have no orders 2, 4 and 5"),
    ],
)
def test_what_is_refused_by_name(ask, words):
    with pytest.raises(EmotiwError, match=words):
        ask()


def test_the_log_is_as_loud_as_glog(opened, folder, monkeypatch, capfd):
    opened(MEMORY.replace("MemoryData", "DummyData").replace("memory_data_param", "dummy_data_param").replace(
        "batch_size: 2 channels: 1 height: 1 width: 3", "shape { dim: 2 dim: 3 } shape { dim: 2 }"))  # fmt: skip
    (folder / "solver.prototxt").write_text('net: "net.prototxt" base_lr: 0 lr_policy: "fixed" display: 1')
    line = r"I\d{4} \d\d:\d\d:\d\d\.\d{6} +\d+ pycaffe\] Iteration 0, loss = 0\.693147"
    monkeypatch.delenv("GLOG_minloglevel", raising=False)
    for level, loud in ((None, True), ("1", False), ("0", True)):
        if level is not None:
            monkeypatch.setenv("GLOG_minloglevel", level)
        caffe.SGDSolver("solver.prototxt").step(1)
        caffe.log("said")
        said = capfd.readouterr().err.splitlines()
        assert bool(said) == loud
        assert not loud or (re.fullmatch(line, said[0]) and said[-1].endswith("pycaffe] said"))
    monkeypatch.setenv("GLOG_minloglevel", "0")
    caffe.init_log(1)
    caffe.log("unsaid")
    assert capfd.readouterr().err == ""


def test_a_timer_stops():
    timer = caffe.Timer()
    assert timer.ms == 0
    timer.start()
    running = timer.ms
    timer.stop()
    assert 0 <= running <= timer.ms == timer.ms


def test_a_net_is_drawn(folder, monkeypatch):
    net = caffe.proto.caffe_pb2.NetParameter(name='a "net"')
    text = NET + 'layer { name: "c" type: "Convolution" bottom: "y" top: "c" include { phase: TEST } '
    text_format.Parse(text + "convolution_param { num_output: 5 kernel_size: 3 kernel_size: 4 } }", net)
    drawn = caffe.draw.draw_net(net, "LR", "dot").decode()
    for piece in (
        'digraph "a \\"net\\"" {\nrankdir=LR;',
        '"layer ip" [label="ip\\n(InnerProduct)", shape="box"',
        '"layer ip" -> "blob y" [label="2"];',
        '"blob y" -> "layer relu";\n"layer relu" -> "blob y";',
        'label="c\\n(Convolution)\\nkernel size: 3x4\\nstride: 1x1\\npad: 0x0"',
    ):
        assert piece in drawn, drawn
    assert '"layer c"' not in caffe.draw.draw_net(net, "LR", "dot", phase=caffe.TRAIN).decode()
    caffe.draw.draw_net_to_file(net, "net.dot")
    assert (folder / "net.dot").read_text() == drawn
    monkeypatch.setenv("PATH", str(folder))
    monkeypatch.setitem(sys.modules, "pydot", None)
    with pytest.raises(EmotiwError, match="drawing needs Graphviz: apt-get install graphviz; the format dot"):
        caffe.draw.draw_net_to_file(net, "net.png")
    with pytest.raises(EmotiwError, match=r"a pydot\.Dot needs pydot: pip install pydot"):
        caffe.draw.get_pydot_graph(net, "LR")
    program = folder / "dot"
    program.write_text("#!/bin/sh\necho $1\n/bin/cat\n")
    program.chmod(0o755)
    assert caffe.draw.draw_net(net, "LR").decode() == "-Tpng\n" + drawn
    program.write_text("#!/bin/sh\necho no such format >&2\nexit 1\n")
    with pytest.raises(EmotiwError, match="Graphviz draws no xyz: no such format"):
        caffe.draw.draw_net(net, "LR", "xyz")


@pytest.mark.skipif(torch.cuda.is_available(), reason="says what happens without a GPU")
@pytest.mark.parametrize("ask", [caffe.set_mode_gpu, lambda: caffe.set_device(0)])
def test_a_gpu_that_is_not_there(ask, opened):
    with pytest.raises(EmotiwError, match=r"^no GPU 0: torch finds 0; set_mode_cpu\(\) needs none$"):
        ask()
    opened().forward()


@pytest.mark.parametrize("color", [True, False])
def test_pictures_are_loaded_as_scikit_image_loads_them(folder, color):
    rng = np.random.default_rng(1)
    for name, shape, kind in (
        ("rgb", (5, 4, 3), np.uint8),
        ("alpha", (5, 4, 4), np.uint8),
        ("grey", (5, 4), np.uint8),
        ("deep", (5, 4), np.uint16),
    ):
        image = rng.integers(0, np.iinfo(kind).max, shape).astype(kind)
        cv2.imwrite(f"{name}.png", image)
        loaded = caffe.io.load_image(f"{name}.png", color)
        stored = skimage.util.img_as_float32(skimage.io.imread(f"{name}.png"))
        expected = stored[..., :3] if stored.ndim == 3 else np.repeat(stored[..., None], 3, 2)
        if not color:
            blended = skimage.color.rgba2rgb(stored) if name == "alpha" else expected
            expected = skimage.color.rgb2gray(blended)[..., None]
        assert loaded.dtype == np.float32
        assert loaded.flags.c_contiguous
        np.testing.assert_allclose(loaded, expected, rtol=0, atol=1e-6)


def test_a_picture_that_is_preprocessed_stays_as_it_was():
    transformer = caffe.io.Transformer({"x": (1, 3, 4, 5)})
    transformer.set_transpose("x", (2, 0, 1))
    transformer.set_raw_scale("x", 255)
    picture = np.full((4, 5, 3), 0.5, np.float32)
    assert transformer.preprocess("x", picture).max() == 127.5
    assert picture.max() == 0.5


def test_messages_have_pycaffes_names():
    from emotiw.engine.torch.pycaffe.proto import caffe_pb2

    assert caffe.proto.caffe_pb2 is caffe_pb2
    assert (caffe.TRAIN, caffe.TEST, caffe_pb2.TRAIN, caffe_pb2.TEST) == (0, 1, 0, 1)
    assert caffe_pb2.PoolingParameter.AVE == 1
    with pytest.raises(AttributeError, match="Caffe has no message 'Dat'"):
        _ = caffe_pb2.Dat
    assert {"Convolution", "MemoryData", "SoftmaxWithLoss"} <= set(caffe.layer_type_list())


def test_what_a_specification_refuses():
    with pytest.raises(TypeError, match=r"^ReLU input 0 is not a Top \(type is <class 'str'>\)$"):
        caffe.layers.ReLU("data")
    with pytest.raises(AttributeError, match="LayerParameter has no field 'kernel'"):
        caffe.layers.Pooling(caffe.layers.Input(), kernel=2).to_proto()
    with pytest.raises(AttributeError, match="no top 'a' in this net"):
        _ = caffe.NetSpec().a


def test_importing_it_opens_no_window_and_draws_no_number():
    script = "import torch; a = torch.get_rng_state(); from emotiw.engine.torch import pycaffe; "
    script += "import sys; print(torch.equal(a, torch.get_rng_state()), 'matplotlib' in sys.modules)"
    done = subprocess.run([sys.executable, "-W", "error", "-c", script], capture_output=True, text=True)
    assert done.stdout.split() == ["True", "False"], done.stderr


@pytest.fixture(params=["apart", pytest.param("cuda", marks=pytest.mark.gpu)])
def elsewhere(request, monkeypatch):
    """Open later nets on other memory than the user's: a GPU's, or merely separate memory."""

    def begin():
        if request.param == "cuda":
            caffe.set_mode_gpu()
        else:
            monkeypatch.setattr(blobs, "_is_host", lambda tensor: False)

    return begin


def test_passes_on_other_memory_than_the_users(opened, elsewhere):
    text = "force_backward: true " + NET
    here = opened(text)
    x, y = here.blobs["x"].data, here.blobs["y"].data
    elsewhere()
    there = opened(text)
    there.params["ip"][0].data[...] = here.params["ip"][0].data[...] = [[1, 2, 3], [-1, 0, 1]]
    there.params["ip"][1].data[...] = here.params["ip"][1].data[...] = 0.3
    for value in (1, -2):  # the second time with arrays that were synchronised before
        made = []
        for net in (here, there):
            net.blobs["x"].data[...] = np.float32([[value, 2, 3], [4, -5, value]])
            net.params["ip"][0].data[0] *= 2
            net.forward()
            net.backward(y=np.float32([[1, 2], [3, 4]]))
            each = [*net.blobs.values(), *net.params["ip"]]
            made.append([array.copy() for blob in each for array in (blob.data, blob.diff)])
        for one, other in zip(*made, strict=True):
            np.testing.assert_allclose(one, other, rtol=1e-5, atol=1e-6)
    assert np.abs(y).max() > 0
    assert np.abs(x).max() == 5
    there.save("there.caffemodel")
    here.params["ip"][0].data[...] = 0
    here.copy_from("there.caffemodel")
    np.testing.assert_array_equal(here.params["ip"][0].data, there.params["ip"][0].data)
    there.params["ip"][0].data[...] = 9
    there.copy_from("there.caffemodel")
    np.testing.assert_array_equal(here.params["ip"][0].data, there.params["ip"][0].data)
    there.clear_param_diffs()
    assert not there.params["ip"][0].diff.any()


def test_solvers_on_other_memory_than_the_users(opened, folder, elsewhere):
    opened(MEMORY)
    settings = 'net: "net.prototxt" base_lr: 0.1 momentum: 0.9 lr_policy: "fixed" test_iter: 1 test_interval: 9 '
    (folder / "solver.prototxt").write_text(settings + 'snapshot_prefix: "s"')
    recorded = []
    for place in (lambda: None, elsewhere):
        place()
        solver = caffe.SGDSolver("solver.prototxt")
        for net in (solver.net, *solver.test_nets):
            net.set_input_arrays(np.arange(12, dtype=np.float32).reshape(4, 1, 1, 3) / 9, np.float32([0, 1, 1, 0]))
        weights, bias = solver.net.params["ip"]
        weights.data[...] = [[1, 2, 3], [3, 2, 0]]
        bias.data[...] = 1
        solver.step(2)
        weights.data[0] += 1
        assert bias.diff.any()  # handed out, and so treated as written to
        solver.step(1)
        solver.snapshot()
        recorded.append([np.array(weights.data), np.array(weights.diff), np.array(solver.net.blobs["loss"].data)])
        weights.data[...] = 0
        weights.diff[...] = 1
        solver.restore("s_iter_3.solverstate")
        recorded[-1].append(np.array(weights.data))
        weights.diff[...] = 1
        bias.diff[...] = 0
        solver.apply_update()
        recorded[-1] += [
            np.array(weights.data),
            np.array(solver.test_nets[0].params["ip"][0].data),
            np.array(bias.data),
        ]
        recorded[-1].append(np.array(solver.test_nets[0].forward()["loss"]))
    for one, other in zip(*recorded, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-5, atol=1e-6)
    np.testing.assert_array_equal(recorded[0][0], recorded[0][3])
    np.testing.assert_array_equal(recorded[0][4], recorded[0][5])
