"""The layers that run: Caffe's rules by hand, and every error with the layer's line."""

import pytest

from emotiw.engine.torch.graph import State, graph_of, layer_lines, read_graph
from emotiw.engine.torch.net import Net
from emotiw.errors import EmotiwError
from emotiw.prototxt.formats.messages import NetParameter, parse_text
from emotiw.prototxt.surgery import committed


def names(rules, state, net_state=""):
    """The layers of those named by letter, each with its rules, that run in a state."""
    text = net_state + "".join(f'layer {{ name: "{name}" type: "Silence" {rule} }}' for name, rule in rules.items())
    return "".join(layer.name for layer in graph_of(parse_text(text, NetParameter, "here"), state).layers)


@pytest.mark.parametrize(
    ("state", "kept"),
    [
        (State("TRAIN"), "acfh"),
        (State("TEST"), "abdfh"),
        (State("TEST", 2), "abdfgh"),
        (State("TEST", 5), "abdgh"),
        (State("TEST", 0, frozenset({"x"})), "abdef"),
        (State("TEST", 0, frozenset({"x", "y"})), "abdefi"),
    ],
)
def test_rules(state, kept):
    rules = {
        "a": "",
        "b": "include { phase: TEST }",
        "c": "exclude { phase: TEST }",
        "d": 'include { phase: TEST stage: "none" } include { phase: TEST }',
        "e": 'include { stage: "x" }',
        "f": "include { max_level: 2 }",
        "g": "include { min_level: 1 }",
        "h": 'include { not_stage: "x" }',
        "i": 'include { stage: "x" stage: "y" }',
    }
    assert names(rules, state) == kept


def test_the_state_that_a_prototxt_names_itself():
    rules = {"a": "include { min_level: 3 }", "b": 'include { stage: "x" }'}
    own = 'state { level: 3 stage: "x" }'
    assert names(rules, State("TEST"), own) == "ab"
    assert names(rules, State("TEST", 0), own) == "b"


def test_include_and_exclude_rules_in_one_layer():
    with pytest.raises(EmotiwError, match=r"^the net: layer 'a' \(Silence\) has include rules and exclude rules"):
        names({"a": "include { phase: TEST } exclude { phase: TRAIN }"}, State("TEST"))


def test_lines_of_layers():
    text = """# layer { in a comment
name: "layer { in a string"
layer { name: "a"
        include { phase: TEST } }

layers {
  name: 'b }'
} layer < name: "c" >"""
    assert layer_lines(text) == [3, 6, 8]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (
            'layer { name: "b" type: "Embed" }',
            r":3: layer 'b' \(Embed\): this engine has no such layer: it has AbsVal, ",
        ),
        ('layers { name: "b" type: MVN }', "two formats in one"),
        (
            'layer { name: "b" type: "ReLU" bottom: "x" top: "x" }',
            r":3: layer 'b' \(ReLU\): its bottom 'x' is the top of",
        ),
        ('layer { name: "b" type: "ReLU" bottom: "a" }', r":3: layer 'b' \(ReLU\): it takes 1 tops, not 0"),
        ('layer { name: "b" type: "TanH" bottom: "a" bottom: "a" top: "b" }', r"it takes 1 bottoms, not 2"),
        (
            'layer { name: "b" type: "Input" top: "a" input_param { shape { dim: 1 } } }',
            r":3: .* its top 'a' is made already",
        ),
        (
            'layer { name: "i" type: "Input" top: "i" input_param { shape { dim: 1 dim: 1 dim: 2 dim: 2 } } } '
            'layer { name: "b" type: "Convolution" bottom: "i" top: "b" top: "c" '
            "convolution_param { num_output: 1 kernel_size: 1 } }",
            r":3: .* it makes 1 tops, not 2",
        ),
        ('layer { name: "b" type: "Data" top: "b" }', r":3: .* it has no source of data"),
    ],
)
def test_a_net_that_cannot_be_built_names_the_layer_and_its_line(tmp_path, text, words):
    path = tmp_path / "net.prototxt"
    path.write_text(
        f'name: "n"\nlayer {{ name: "in" type: "Input" top: "a" input_param {{ shape {{ dim: 2 }} }} }}\n{text}\n'
    )
    with pytest.raises(EmotiwError, match=words) as caught:
        Net(read_graph(path, State("TEST")))
    assert str(caught.value).startswith(str(path))
    assert "\n" not in str(caught.value)


def test_v1_layers_and_named_inputs(tmp_path):
    path = tmp_path / "v1.prototxt"
    path.write_text(
        'input: "data"\ninput_dim: 2 input_dim: 3 input_dim: 4 input_dim: 4\n'
        'layers { name: "r" type: RELU bottom: "data" top: "r" }\nlayers { name: "m" type: MVN }'
    )
    with pytest.raises(EmotiwError, match=rf"^{path}:4: layer 'm' \(MVN\)"):
        Net(read_graph(path, State("TEST")))
    path.write_text(path.read_text().rpartition("layers")[0])
    net = Net(read_graph(path, State("TEST")))
    assert (net.inputs, net.outputs, net.shapes) == (["data"], ["r"], {"data": (2, 3, 4, 4), "r": (2, 3, 4, 4)})


def test_a_train_val_of_the_project_in_both_phases():
    net = committed("vgg_s_small", "train_val_finetune.prototxt")
    graphs = {phase: graph_of(net, State(phase)) for phase in ("TRAIN", "TEST")}
    layers = {phase: [layer.name for layer in graph.layers] for phase, graph in graphs.items()}
    assert set(layers["TEST"]) - set(layers["TRAIN"]) == {"accuracy"}
    assert layers["TRAIN"].count("data") == layers["TEST"].count("data") == 1
    assert {layer.phase for layer in graphs["TRAIN"].layers} == {0}
