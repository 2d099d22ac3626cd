"""InnerProduct: Caffe's inner_product_layer.cpp."""

from collections.abc import Sequence
from math import prod

from torch import Tensor
from torch.nn import functional

from emotiw.errors import EmotiwError

from .layer import Layer, Learned, Shape, canonical


class InnerProduct(Layer):
    """Fully connected from `axis` on, flattened in CHW order; weights (N, K), or (K, N) with `transpose`."""

    def learned(self, shapes: Sequence[Shape]) -> list[Learned]:
        """Return the weights, and the biases if there are any."""
        p = self.param.inner_product_param
        self._axis = canonical(p.axis, len(shapes[0]))
        self._inputs = prod(shapes[0][self._axis :])
        if not p.num_output:
            raise EmotiwError("num_output is missing")
        shape = (self._inputs, p.num_output) if p.transpose else (p.num_output, self._inputs)
        bias = [Learned((p.num_output,), p.bias_filler)] if p.bias_term else []
        return [Learned(shape, p.weight_filler), *bias]

    def forward(self, *bottoms: Tensor) -> list[Tensor]:
        """Return a blob with the axes before `axis`, then N."""
        inputs = bottoms[0].shape[self._axis :].numel()
        if inputs != self._inputs:
            raise EmotiwError(f"it has weights for {self._inputs} inputs, not {inputs}")
        weight, *bias = self.weights(bottoms[0])
        if self.param.inner_product_param.transpose:
            weight = weight.t()
        return [functional.linear(bottoms[0].flatten(self._axis), weight, *bias)]
