"""LRN in parts that a processor's cache holds."""

import pytest
import torch

from emotiw.engine.torch.layers import lrn

SHAPE = (5, 7, 6, 9)


def both_passes(x, dy):
    x = x.detach().requires_grad_()
    y = lrn._AcrossChannels.apply(x, 5, 0.0005, 0.75, 2)
    y.backward(dy)
    return y.detach(), x.grad


def whole(x, dy):
    """The same without parts, in the order of the module's formulas."""
    s = lrn._over_channels(x * x, 5) * (0.0005 / 5) + 2
    factor = lrn._power(s, 0.75)
    direct = dy * factor
    through_sum = lrn._over_channels(direct * x / s, 5)
    return x * factor, direct - through_sum * x * (2 * 0.0005 * 0.75 / 5)


@pytest.mark.parametrize("images", [1, 2, 5, 50])
@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
def test_parts_change_no_bit(monkeypatch, images, layout):
    monkeypatch.setattr(lrn, "_AT_ONCE", images * 7 * 6 * 9)
    generator = torch.Generator().manual_seed(0)
    x, dy = (100 * torch.randn(SHAPE, generator=generator) for _ in range(2))
    x = x.contiguous(memory_format=layout)
    expected, found = whole(x, dy), both_passes(x, dy)
    assert expected[0].std() > 1
    assert all(map(torch.equal, found, expected))


def test_parts_are_of_few_images_and_of_one_at_least(monkeypatch):
    def parts(at_once):
        monkeypatch.setattr(lrn, "_AT_ONCE", at_once)
        return [len(part) for part, _ in lrn._parts(torch.zeros(SHAPE), torch.zeros(SHAPE))]

    assert parts(1000) == [2, 2, 1]
    assert parts(1) == [1] * 5
    assert parts(10**6) == [5]
