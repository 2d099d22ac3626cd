"""Thirty random nets, of any layers in any order: every blob and gradient equals the real Caffe's."""

import numpy as np
import pytest

from emotiw.engine.torch.graph import State, graph_of
from emotiw.engine.torch.net import Net
from emotiw.prototxt.formats.messages import NetParameter, parse_text

pytestmark = pytest.mark.caffe

SEEDS = range(30)
FILLER = 'weight_filler { type: "gaussian" std: 0.3 } bias_filler { type: "uniform" min: -0.2 max: 0.2 }'


class Drawn:
    """A net that grows: the blobs that can be read, with their shapes, as torch infers them."""

    def __init__(self, seed):
        self.rng = np.random.default_rng(seed)
        self.text = ""
        self.count = 0
        self.open = ["x"]
        self.shape = tuple(int(self.rng.integers(*bounds)) for bounds in ((1, 4), (1, 6), (7, 13), (7, 13)))
        self.text = f'layer {{ name: "x" type: "Input" top: "x" input_param {{ shape {{ {dims(self.shape)} }} }} }}\n'

    def any(self, *choices):
        return choices[self.rng.integers(len(choices))]

    def below(self, end, begin=0):
        return int(self.rng.integers(begin, end))

    def shapes(self):
        return net_of(self.text).shapes

    def add(self, kind, said="", bottoms=None, in_place=False):
        """A layer on the last blob, or on others."""
        bottoms = bottoms or [self.open[-1]]
        self.count += 1
        top = bottoms[0] if in_place else f"b{self.count}"
        reads = " ".join(f'bottom: "{bottom}"' for bottom in bottoms)
        self.text += f'layer {{ name: "l{self.count}" type: "{kind}" {reads} top: "{top}" {said} }}\n'
        if not in_place:
            self.open.append(top)

    def grow(self):
        """A layer of any type that can follow the last blob."""
        height, width = self.shapes()[self.open[-1]][2:]
        kernel = self.below(min(4, height + 1, width + 1), 1)
        geometry = f"kernel_size: {kernel} stride: {self.below(kernel + 1, 1)} pad: {self.below(kernel)}"
        match self.below(8):
            case 0:
                group = self.any(1, 1, 2) if self.shapes()[self.open[-1]][1] % 2 == 0 else 1
                outputs = group * self.below(4, 1)
                said = f"num_output: {outputs} group: {group} {geometry} {FILLER}"
                self.add("Convolution", f"convolution_param {{ {said} }}")
            case 1:
                kind, mode = self.any("MAX", "AVE"), self.any("CEIL", "FLOOR")
                self.add("Pooling", f"pooling_param {{ pool: {kind} {geometry} round_mode: {mode} }}")
            case 2:
                region = self.any("ACROSS_CHANNELS", "WITHIN_CHANNEL")
                said = f"local_size: {self.any(1, 3, 5)} alpha: 0.5 norm_region: {region}"
                self.add("LRN", f"lrn_param {{ {said} }}")
            case 3:
                self.add("ReLU", f"relu_param {{ negative_slope: {self.any(0, 0.1)} }}", in_place=self.fresh())
            case 4:
                self.add(self.any("TanH", "Sigmoid"))
            case 5:
                self.join("Eltwise", f"eltwise_param {{ operation: {self.any('SUM', 'MAX')} }}", same=True)
            case 6:
                self.join("Concat", "", same=False)
            case 7:
                bias = f'bias_term: {self.any("true", "false")} filler {{ type: "uniform" min: 0.5 }}'
                self.add("Scale", f"scale_param {{ {bias} }}")

    def fresh(self):
        """Whether the last blob has no reader yet and its layer's gradient needs no value of it."""
        last = self.text.splitlines()[-1]
        return any(kind in last for kind in ('"Convolution"', '"Scale"', '"Concat"'))

    def join(self, kind, said, same):
        """The last blob with an earlier one that fits it."""
        shapes = self.shapes()
        last = shapes[self.open[-1]]
        others = [b for b in self.open[:-1] if shapes[b][2:] == last[2:] and (not same or shapes[b] == last)]
        if others:
            self.add(kind, said, [self.open[-1], self.any(*others)])

    def finish(self):
        """Classes, a loss in the middle where there is one, labels."""
        outputs = 5
        self.text += (
            f'layer {{ name: "t" type: "Input" top: "t" input_param {{ shape {{ dim: {self.shape[0]} }} }} }}\n'
        )
        for blob, weight in ((self.any(*self.open[1:]), 0.3), (self.open[-1], 1)):
            said = f"inner_product_param {{ num_output: {outputs} {FILLER} }}"
            self.add("InnerProduct", said, [blob])
            self.add("SoftmaxWithLoss", f"loss_weight: {weight}", [self.open.pop(), "t"])
            self.open.pop()
        return self.text


def dims(shape):
    return " ".join(f"dim: {dim}" for dim in shape)


def net_of(text):
    return Net(graph_of(parse_text(text, NetParameter, "drawn"), State("TRAIN")), seed=0)


def draw(seed):
    drawn = Drawn(seed)
    for _ in range(9):
        drawn.grow()
    while len(drawn.open) < 2:
        drawn.grow()
    return drawn.finish()


@pytest.fixture(scope="module")
def cases(make_case):
    cases = {}
    for seed in SEEDS:
        text, rng = draw(seed), np.random.default_rng(100 + seed)
        net = net_of(text)
        given = {"blob:x": rng.standard_normal(net.shapes["x"]), "blob:t": rng.integers(0, 5, net.shapes["t"])}
        for layer, blobs in net.params.items():
            given |= {f"param:{layer}:{k}": blob.detach().numpy() for k, blob in enumerate(blobs)}
        cases[str(seed)] = make_case(text, {name: np.float32(array) for name, array in given.items()})
    return cases


@pytest.fixture(scope="module")
def by_caffe(cases, in_caffe):
    return in_caffe(cases)


def test_the_drawn_nets_have_all_kinds_of_layers(cases):
    text = " ".join(case.prototxt for case in cases.values())
    kinds = ("Convolution", "Pooling", "LRN", "ReLU", "TanH", "Sigmoid", "Eltwise", "Concat", "Scale", "InnerProduct")
    for kind in kinds:
        assert text.count(f'"{kind}"') >= 5, kind


def scale_of(key, theirs):
    """The largest number of a blob; of a gradient its layer's: a lone bias may be a sum that all but vanishes."""
    blobs = [key] if not key.startswith("gradient:") else [k for k in theirs if k[:-1] == key[:-1]]
    return max(np.abs(theirs[blob]).max() for blob in blobs) or 1


@pytest.mark.parametrize("seed", SEEDS)
def test_a_drawn_net(cases, by_caffe, in_torch, seed, device):
    ours, theirs = in_torch(cases[str(seed)], device), by_caffe[str(seed)]
    assert {key for key in theirs if key.startswith("blob:") and "_split_" not in key} <= ours.keys()
    errors = {key: np.abs(ours[key] - theirs[key]).max() / scale_of(key, theirs) for key in ours}
    wrong = {key: error for key, error in errors.items() if error > 1e-5}
    assert not wrong, f"{wrong}\n{cases[str(seed)].prototxt}"
