"""How the layers of a train_val learn: fillers, rates and decay, by the layers' names."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from .googlenet import CLASSIFIERS

# When fine-tuning a last layer is named anew, so that Caffe's copy by name leaves the identities' layer behind.
LAST_LAYERS = frozenset({"fc8", *CLASSIFIERS})

# (weight, bias) multipliers of base_lr; (1, 2) where not named. The authors' fine-tuning net speeds its last two layers
# up. How they pre-trained is not known: as usual, all layers alike.  # Deviation D9
# GoogLeNet has no hidden fully connected layer but in its auxiliary heads: these learn as fc7 does.  # Deviation D12
LR_MULT: Mapping[str, Mapping[str, tuple[float, float]]] = {
    "pretrain": {},
    "finetune": dict.fromkeys(("fc7", "loss1/fc", "loss2/fc"), (9, 18)) | dict.fromkeys(LAST_LAYERS, (12, 24)),
}


@dataclass(frozen=True)
class Fillers:
    """What the learned layers begin with.

    Attributes
    ----------
    std
        Standard deviation of the Gaussian weights of a layer; one not named is filled by `xavier`.
    bias
        Biases of a layer, all alike.
    other_bias
        Of a layer not named in `bias`.
    """

    std: Mapping[str, float] = field(default_factory=dict)
    bias: Mapping[str, float] = field(default_factory=dict)
    other_bias: float = 0

    def of(self, layer: str) -> dict[str, dict[str, Any]]:
        """Return the filler fields of a layer's parameters."""
        std, bias = self.std.get(layer), self.bias.get(layer, self.other_bias)
        weight = {"type": "xavier"} if std is None else {"type": "gaussian", "std": std}
        return {"weight_filler": weight, "bias_filler": {"type": "constant", "value": bias}}


def learn(layers: Sequence[Any], stage: str, fillers: Fillers) -> None:
    """Give every learned layer its fillers and the rates of a stage, and a last layer its name in that stage."""
    for layer in layers:
        if layer.type not in {"Convolution", "InnerProduct"}:
            continue
        parameters = layer.convolution_param if layer.type == "Convolution" else layer.inner_product_param
        parameters.MergeFrom(type(parameters)(**fillers.of(layer.name)))
        weight, bias = LR_MULT[stage].get(layer.name, (1, 2))
        layer.param.add(lr_mult=weight, decay_mult=1)
        layer.param.add(lr_mult=bias, decay_mult=0)
        if stage == "finetune" and layer.name in LAST_LAYERS:
            layer.name += "_cat"  # the authors' name of it
