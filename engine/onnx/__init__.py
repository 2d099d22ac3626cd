"""Nets as ONNX models, written from the prototxt: preprocessing, layers, softmax.

The graph holds all that a net needs from a picture on: crop, channel order, mean, scale; and, if wanted, the resize of
a face and the mapping of its LBP codes. It needs the package `onnx` to be written, and any ONNX runtime to be run.
"""

from emotiw.lazy import TYPE_CHECKING, attach

if TYPE_CHECKING:
    from .mapping import CodeMapping
    from .model import ImageInput, model_of
else:
    __getattr__, __dir__ = attach(__name__)

__all__ = ["CodeMapping", "ImageInput", "model_of"]
