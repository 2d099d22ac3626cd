"""Learning rates by hand."""

import pytest

from emotiw.engine.torch.solver.lr_policies import RATES, Policy
from emotiw.errors import EmotiwError
from emotiw.prototxt.formats.messages import SolverParameter

# base_lr is 8, so that halves and quarters are floats.
BY_HAND = {
    "fixed": ({}, {0: 8, 1: 8, 100: 8}),
    "step": ({"gamma": 0.5, "stepsize": 10}, {0: 8, 9: 8, 10: 4, 19: 4, 20: 2}),
    "exp": ({"gamma": 0.5}, {0: 8, 1: 4, 3: 1}),
    "inv": ({"gamma": 1, "power": 2}, {0: 8, 1: 2, 3: 0.5}),
    "multistep": ({"gamma": 0.5, "stepvalue": [2, 5]}, {0: 8, 1: 8, 2: 4, 3: 4, 4: 4, 5: 2, 6: 2}),
    "poly": ({"power": 2, "max_iter": 4}, {0: 8, 1: 4.5, 2: 2, 4: 0}),
    "sigmoid": ({"gamma": 0.5, "stepsize": 10}, {10: 4, 0: 8 / (1 + 148.4131591), 14: 8 / (1 + 0.1353352832)}),
}


def policy(name, **settings):
    return Policy(SolverParameter(lr_policy=name, base_lr=8, **settings))


@pytest.mark.parametrize("name", RATES)
def test_by_hand(name):
    settings, rates = BY_HAND[name]
    one = policy(name, **settings)
    assert [one.rate(iteration) for iteration in rates] == pytest.approx(list(rates.values()))


def test_step_follows_the_iteration():
    one = policy("step", gamma=0.5, stepsize=10)
    assert (one.rate(35), one.step) == (1, 3)
    assert (one.rate(5), one.step) == (8, 0)


def test_multistep_remembers_and_advances_one_step_per_call():
    one = policy("multistep", gamma=0.5, stepvalue=[3, 3, 10])
    assert [one.rate(iteration) for iteration in (2, 3, 4, 5)] == [8, 4, 2, 2]
    assert one.step == 2
    one.step = 0  # as from a solverstate with an older step
    assert [one.rate(20) for _ in range(4)] == [4, 2, 1, 1]


def test_a_sigmoid_far_from_its_middle_is_flat():
    one = policy("sigmoid", gamma=1, stepsize=100_000)
    assert (one.rate(0), one.rate(200_000)) == (0, 8)


@pytest.mark.parametrize(
    ("name", "settings", "words"),
    [
        ("cosine", {}, "no lr_policy 'cosine': there are fixed, step, exp"),
        ("", {}, "no lr_policy ''"),
        ("step", {"gamma": 0.1}, "lr_policy 'step' needs a stepsize of 1 or more, not 0"),
        ("multistep", {"gamma": -1}, "needs a gamma of 0 or more, not -1"),
        ("poly", {"power": 1}, "needs a max_iter of 1 or more"),
    ],
)
def test_what_caffe_refuses_is_refused(name, settings, words):
    with pytest.raises(EmotiwError, match=words):
        policy(name, **settings)


def test_beyond_the_end_poly_has_no_rate():
    one = policy("poly", power=0.5, max_iter=4)
    with pytest.raises(EmotiwError, match="lr_policy 'poly' has no rate at iteration 5"):
        one.rate(5)
