"""Updates by hand, in numbers that floats hold exactly where that can be."""

import pytest
import torch

from emotiw.engine.torch.params import Learnable
from emotiw.engine.torch.solver.update_rules import RULES
from emotiw.engine.torch.solver.updates import Update
from emotiw.errors import EmotiwError
from emotiw.prototxt.formats.messages import ParamSpec, SolverParameter


def blob(values, lr_mult=1.0, decay_mult=1.0):
    parameter = torch.nn.Parameter(torch.tensor(values))
    return Learnable(parameter, ParamSpec(lr_mult=lr_mult, decay_mult=decay_mult), "it")


def updated(settings, steps, learnable):
    """Weights after each of `steps`: a rate, and the gradient of each blob."""
    update, after = Update(SolverParameter(**settings), learnable), []
    for iteration, (rate, *gradients) in enumerate(steps):
        for one, gradient in zip(learnable, gradients, strict=True):
            one.blob.grad = None if gradient is None else torch.tensor(gradient)
        update.apply(rate, iteration)
        after.append([one.blob.detach().tolist() for one in learnable])
    return after, update


def test_the_rate_is_inside_the_momentum():
    # V = 0.5, then 0.5 V + 0.25 * 1 = 0.5: the first gradient keeps its own rate. With the rate outside V it would be
    # 0.375.
    after, update = updated({"momentum": 0.5}, [(0.5, [1.0]), (0.25, [1.0])], [blob([2.0])])
    assert after == [[[1.5]], [[1.0]]]
    assert update.history[0].tolist() == [0.5]


def test_without_momentum_the_history_is_the_last_update():
    after, update = updated({"weight_decay": 0.5}, [(0.5, [1.0]), (0.25, [1.0])], [blob([2.0])])
    assert after == [[[1.0]], [[0.625]]]
    assert update.history[0].tolist() == [0.375]


def test_nesterov_steps_back_and_over():
    # V' = 0.5; w -= 1.5 * 0.5 - 0.5 * 0. Then V' = 0.5 * 0.5 + 0.5 * 1 = 0.75; w -= 1.5 * 0.75 - 0.5 * 0.5.
    after, _ = updated({"type": "Nesterov", "momentum": 0.5}, [(0.5, [1.0]), (0.5, [1.0])], [blob([2.0])])
    assert after == [[[1.25]], [[0.375]]]


def test_adagrad():
    # H = 9, then 25: w -= 3 / (3 + 1), then 4 / (5 + 1).
    after, _ = updated({"type": "AdaGrad", "delta": 1}, [(1.0, [3.0]), (1.0, [4.0])], [blob([2.0])])
    assert after[0] == [[1.25]]
    assert after[1][0] == pytest.approx([1.25 - 4 / 6])


def test_rmsprop():
    # H = 0.75 * 16 = 12, then 0.25 * 12 + 12 = 15.
    settings = {"type": "RMSProp", "rms_decay": 0.25, "delta": 0.5}
    after, _ = updated(settings, [(1.0, [4.0]), (2.0, [4.0])], [blob([2.0])])
    first = 2 - 4 / (12**0.5 + 0.5)
    assert [row[0][0] for row in after] == pytest.approx([first, first - 8 / (15**0.5 + 0.5)])


def test_adadelta():
    # H = 0.75 * 4 = 3, U = 0: u = 2 sqrt(1 / 4) = 1, and U = 0.75 * 1. Then H = 0.75 + 3, u = 2 sqrt(1.75 / 4.75).
    settings = {"type": "AdaDelta", "momentum": 0.25, "delta": 1}
    after, update = updated(settings, [(0.5, [2.0]), (0.5, [2.0])], [blob([2.0])])
    second = 2 * (1.75 / 4.75) ** 0.5
    assert [row[0][0] for row in after] == pytest.approx([1.5, 1.5 - second / 2])
    assert [tensor.item() for tensor in update.history] == pytest.approx([3.75, 0.75 / 4 + 0.75 * second**2])


def test_adam():
    # M = 0.5 * 2, V = 0.25 * 4; w -= sqrt(0.25) / 0.5 * 1 / (1 + 1). Then M = 1.5, V = 1.75, t = 2.
    settings = {"type": "Adam", "momentum": 0.5, "momentum2": 0.75, "delta": 1}
    after, _ = updated(settings, [(1.0, [2.0]), (1.0, [2.0])], [blob([2.0])])
    second = (1 - 0.75**2) ** 0.5 / (1 - 0.5**2) * 1.5 / (1.75**0.5 + 1)
    assert [row[0][0] for row in after] == pytest.approx([1.5, 1.5 - second])


def test_decay_is_added_after_clipping_and_normalising():
    # Gradients 3 and 4 have the norm 5: times 2.5 / 5 by clipping, times 1 / 2 by iter_size; then 0.5 w.
    settings = {"clip_gradients": 2.5, "iter_size": 2, "weight_decay": 0.5}
    after, _ = updated(settings, [(1.0, [3.0], [4.0])], [blob([2.0]), blob([-4.0])])
    assert after == [[[2 - (0.75 + 1)], [-4 - (1 - 2)]]]


def test_a_small_gradient_is_not_clipped_up():
    after, _ = updated({"clip_gradients": 10}, [(1.0, [3.0])], [blob([2.0])])
    assert after == [[[-1.0]]]
    after, _ = updated({"clip_gradients": 0}, [(1.0, [0.0])], [blob([2.0])])
    assert after == [[[2.0]]]


def test_l1_adds_the_sign():
    settings = {"weight_decay": 0.5, "regularization_type": "L1"}
    after, _ = updated(settings, [(1.0, [0.0, 0.0, 0.0])], [blob([2.0, -4.0, 0.0])])
    assert after == [[[1.5, -3.5, 0.0]]]


def test_multipliers():
    learnable = [blob([2.0], lr_mult=2), blob([2.0], decay_mult=0), blob([2.0], lr_mult=0), blob([2.0], decay_mult=3)]
    after, _ = updated({"weight_decay": 0.5}, [(0.25, [1.0], [1.0], [1.0], [1.0])], learnable)
    assert after == [[[1.0], [1.75], [2.0], [1.0]]]


def test_without_a_gradient_there_is_still_the_decay():
    after, _ = updated({"weight_decay": 0.5}, [(1.0, None)], [blob([2.0])])
    assert after == [[[1.0]]]


def three_updates(kind, regularization, layout=torch.contiguous_format, device="cpu"):
    """Weights and histories after random gradients of another layout: contiguous."""
    settings = {"weight_decay": 0.1, "clip_gradients": 3, "regularization_type": regularization}
    momentum = {} if kind in ("AdaGrad", "RMSProp") else {"momentum": 0.5}
    generator = torch.Generator().manual_seed(0)
    learnable = []
    for shape in ((3, 4, 2, 5), (5,), (), (2, 6, 1, 1), (0, 3)):
        value = torch.empty(shape).normal_(generator=generator).to(device)
        value = value.contiguous(memory_format=layout) if value.dim() == 4 else value
        learnable.append(Learnable(torch.nn.Parameter(value), ParamSpec(lr_mult=1 + value.dim()), "it"))
    update = Update(SolverParameter(type=kind, **settings, **momentum), learnable)
    for iteration in range(3):
        for one in learnable:
            one.blob.grad = torch.empty(one.blob.shape).normal_(generator=generator).to(device)
        update.apply(0.1, iteration)
    return [tensor.detach().cpu() for tensor in (*(one.blob for one in learnable), *update.history)]


@pytest.mark.parametrize("kind", RULES)
@pytest.mark.parametrize("regularization", ["L1", "L2"])
def test_the_layout_in_memory_changes_nothing(kind, regularization):
    results = [three_updates(kind, regularization, layout) for layout in (torch.contiguous_format, torch.channels_last)]
    for first, second in zip(*results, strict=True):
        torch.testing.assert_close(first, second)


@pytest.mark.gpu
@pytest.mark.parametrize("kind", RULES)
@pytest.mark.parametrize("regularization", ["L1", "L2"])
def test_a_gpu_computes_the_same(kind, regularization):
    results = [three_updates(kind, regularization, torch.channels_last, device) for device in ("cpu", "cuda")]
    for first, second in zip(*results, strict=True):
        torch.testing.assert_close(first, second)


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"type": "LBFGS"}, "no solver of type 'LBFGS': there are SGD, Nesterov, AdaGrad, RMSProp, AdaDelta, Adam"),
        ({"type": "AdaGrad", "momentum": 0.9}, "a solver of type AdaGrad takes no momentum"),
        ({"type": "RMSProp", "rms_decay": 1}, "rms_decay is 1: it is at least 0 and less than 1"),
        ({"type": "Adam", "momentum": 1}, "momentum is 1: it is at least 0 and less than 1"),
        ({"regularization_type": "L3"}, "no regularization_type 'L3': there are L1, L2"),
        ({"iter_size": 0}, "iter_size is 0"),
    ],
)
def test_what_caffe_refuses_is_refused(settings, words):
    with pytest.raises(EmotiwError, match=words):
        Update(SolverParameter(**settings), [blob([1.0])])
