"""How the layers of a train_val learn: fillers, rates and decay, by the layers' names."""

from collections.abc import Mapping
from dataclasses import dataclass, field

# GoogLeNet's, of its two auxiliary heads and its own.
CLASSIFIERS = ("loss1/classifier", "loss2/classifier", "loss3/classifier")

# When fine-tuning a last layer is named anew, so that Caffe's copy by name leaves the identities' layer behind.
LAST_LAYERS = frozenset({"fc8", *CLASSIFIERS})

Rates = Mapping[str, Mapping[str, tuple[float, float]]]
"""For each stage (weight, bias) multipliers of base_lr by layer; (1, 2) where not named."""

ALIKE: Rates = {"pretrain": {}, "finetune": {}}
# The authors' fine-tuning net speeds its last two layers up. How they pre-trained is not known: as usual, all layers
# alike.  # Deviation D9
# GoogLeNet has no hidden fully connected layer but in its auxiliary heads: these learn as fc7 does.  # Deviation D12
LAST_FASTER: Rates = {
    **ALIKE,
    "finetune": dict.fromkeys(("fc7", "loss1/fc", "loss2/fc"), (9, 18)) | dict.fromkeys(LAST_LAYERS, (12, 24)),
}


@dataclass(frozen=True)
class Fillers:
    """What the learned layers begin with.

    Attributes
    ----------
    std
        Standard deviation of the Gaussian weights of a layer.
    bias
        Biases of a layer, all alike.
    other_bias
        Of a layer not named in `bias`.
    other_weight
        Type of the filler of a layer not named in `std`.
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
    """How the layers of a net learn in a stage.

    Attributes
    ----------
    stage
        `pretrain` or `finetune`.
    fillers
        What the layers begin with.
    rates
        At what multiples of `base_lr` they learn.
    """

    stage: str
    fillers: Fillers
    rates: Rates

    def of(self, layer: str) -> dict[str, object]:
        """Return what NetSpec is given for a learned layer: fillers, rates, and a last layer's name in the stage."""
        weight, bias = self.rates[self.stage].get(layer, (1, 2))
        rates = {"param": [{"lr_mult": weight, "decay_mult": 1}, {"lr_mult": bias, "decay_mult": 0}]}
        renamed = self.stage == "finetune" and layer in LAST_LAYERS
        name = {"name": f"{layer}_cat"} if renamed else {}  # the authors' name of it
        return {**self.fillers.of(layer), **rates, **name}
