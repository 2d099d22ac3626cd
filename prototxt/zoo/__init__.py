"""The nets of the paper as data, from which `prototxt/generate.py` makes the committed files."""

from emotiw.lazy import TYPE_CHECKING, attach

if TYPE_CHECKING:
    from .googlenet import GoogLeNet
    from .model_cards import ORIGINS, Origin, card
    from .nets import NETS, Net
    from .param_specs import Fillers, ParamSpecs
    from .vgg import Vgg, vgg_m, vgg_s
else:
    __getattr__, __dir__ = attach(__name__)

__all__ = ["NETS", "ORIGINS", "Fillers", "GoogLeNet", "Net", "Origin", "ParamSpecs", "Vgg", "card", "vgg_m", "vgg_s"]
