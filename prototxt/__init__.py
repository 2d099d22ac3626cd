"""The nets, and how each stage trains them: train_val, solver and deploy, generated and committed.

There is a folder for each net; the modules here read and change nets, and `formats` has Caffe's file formats.
"""

from emotiw.lazy import TYPE_CHECKING, attach

if TYPE_CHECKING:
    from .net_diff import differences
    from .net_spec import NetSpec, to_proto
    from .shapes import parameters
    from .surgery import committed, crop_size, deploy, input_side, set_size, use_classes, use_set
    from .weight_transfer import Copy, compare
else:
    __getattr__, __dir__ = attach(__name__)

__all__ = [
    "Copy",
    "NetSpec",
    "committed",
    "compare",
    "crop_size",
    "deploy",
    "differences",
    "input_side",
    "parameters",
    "set_size",
    "to_proto",
    "use_classes",
    "use_set",
]
