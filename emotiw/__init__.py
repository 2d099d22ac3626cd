"""A reproduction of Levi & Hassner (ICMI 2015): face images in, the paper's accuracy table out.

Map an image, (H, W, 3) uint8 RGB, [0, 255]; this needs no data and no Caffe:

>>> import emotiw
>>> mapped = emotiw.map_image(rgb, "cyclic_lbp_5")

Open a model (a released one by its name, or one trained here by its run folder) and predict with it:

>>> model = emotiw.open_model("runs/vgg_s_small-rgb/finetune")
>>> for found in emotiw.predict("face.png", [model], detect=False):
...     print(found.face.where, model.classes[found.average.argmax()])

Read a prepared set:

>>> prepared = emotiw.open_set("sets/expressions")
>>> for record in prepared.records("rgb", "val"):
...     print(record.path, prepared.classes[record.label], record.blob.shape)
"""

import os

from emotiw import pixel_limit
from emotiw.lazy import TYPE_CHECKING, attach

if TYPE_CHECKING:
    from emotiw.data_prep.prepared_set import open_set
    from emotiw.engine.registry import open_engine
    from emotiw.engine.settings import EngineSettings
    from emotiw.errors import EmotiwError
    from emotiw.evaluate.model import open_model, open_models
    from emotiw.interface import map_image, predict
    from emotiw.version import __version__
else:
    __getattr__, __dir__ = attach(__name__)

__all__ = [
    "EmotiwError",
    "EngineSettings",
    "__version__",
    "map_image",
    "open_engine",
    "open_model",
    "open_models",
    "open_set",
    "predict",
]

pixel_limit.set_default()  # before any other import of this package: OpenCV reads it once

# In a checkout the other folders of the package are next to this one; in an installation they are inside it.
_root = __path__[0].rpartition(os.sep)[0]
if all(os.access(f"{_root}/{file}", os.R_OK) for file in ("setup.py", "lbp_mapping/__init__.py")):
    __path__.append(_root)
