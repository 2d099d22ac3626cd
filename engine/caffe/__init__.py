"""The real Caffe, as a separate process."""

from emotiw.lazy import TYPE_CHECKING, attach

if TYPE_CHECKING:
    from .engine import CaffeEngine
    from .find import Caffe, find_caffe
    from .info import about, version
    from .programs import start
    from .scorer import CaffeScorer
else:
    __getattr__, __dir__ = attach(__name__)

__all__ = ["Caffe", "CaffeEngine", "CaffeScorer", "about", "find_caffe", "start", "version"]
