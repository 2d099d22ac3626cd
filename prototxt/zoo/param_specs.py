"""Fillers, learning rates and weight decay of the layers of a train_val, by the layers' names."""

from collections.abc import Mapping
from dataclasses import dataclass, field

# The classifiers of GoogLeNet: two auxiliary ones and the last.
CLASSIFIERS = ("loss1/classifier", "loss2/classifier", "loss3/classifier")

# In fine-tuning the last layers get another name, so that Caffe's copy by name skips the identities' layer.
LAST_LAYERS = frozenset({"fc8", *CLASSIFIERS})

Rates = Mapping[str, Mapping[str, tuple[float, float]]]
"""For each stage, (weight, bias) multipliers of base_lr by layer; (1, 2) for layers that are not named."""

ALIKE: Rates = {"pretrain": {}, "finetune": {}}
# The authors' fine-tuning net has higher rates in its last two layers. Their pre-training is not known; here all layers
# have one rate.  # Deviation D9
# GoogLeNet has hidden fully connected layers only in its auxiliary heads; they have the rates of fc7.  # Deviation D12
LAST_FASTER: Rates = {
    **ALIKE,
    "finetune": dict.fromkeys(("fc7", "loss1/fc", "loss2/fc"), (9, 18)) | dict.fromkeys(LAST_LAYERS, (12, 24)),
}


@dataclass(frozen=True)
class Fillers:
    """The fillers of weights and biases.

    Attributes
    ----------
    std
        The standard deviations of Gaussian weights, by layer.
    bias
        The constant bias, by layer.
    other_bias
        The bias of a layer that is not in `bias`.
    other_weight
        The type of the weight filler of a layer that is not in `std`.
    """

    std: Mapping[str, float] = field(default_factory=dict)
    bias: Mapping[str, float] = field(default_factory=dict)
    other_bias: float = 0
    other_weight: str = "xavier"

    def of(self, layer: str) -> dict[str, object]:
        """Return the filler fields of a layer's parameters."""
        std, bias = self.std.get(layer), self.bias.get(layer, self.other_bias)
        weight: dict[str, object] = {"type": self.other_weight} if std is None else {"type": "gaussian", "std": std}
        return {"weight_filler": weight, "bias_filler": {"type": "constant", "value": bias}}


@dataclass(frozen=True)
class ParamSpecs:
    """The learning settings of a net's layers in a stage.

    Attributes
    ----------
    stage
        `pretrain` or `finetune`.
    fillers
        The layers' fillers.
    rates
        The layers' multiples of `base_lr`.
    """

    stage: str
    fillers: Fillers
    rates: Rates

    def of(self, layer: str) -> dict[str, object]:
        """Return the arguments of NetSpec for a learned layer: fillers, rates, and a last layer's name in the stage."""
        weight, bias = self.rates[self.stage].get(layer, (1, 2))
        rates = {"param": [{"lr_mult": weight, "decay_mult": 1}, {"lr_mult": bias, "decay_mult": 0}]}
        renamed = self.stage == "finetune" and layer in LAST_LAYERS
        name = {"name": f"{layer}_cat"} if renamed else {}  # the authors' name
        return {**self.fillers.of(layer), **rates, **name}
