"""The second engine: the same prototxt files on PyTorch."""

from emotiw.lazy import TYPE_CHECKING, attach

if TYPE_CHECKING:
    from .engine import TorchEngine
    from .graph import Graph, State, graph_of, read_graph
    from .net import Net
    from .scorer import TorchScorer
    from .weights import copy_from, share_weights, write_weights
else:
    __getattr__, __dir__ = attach(__name__)

__all__ = [
    "Graph",
    "Net",
    "State",
    "TorchEngine",
    "TorchScorer",
    "copy_from",
    "graph_of",
    "read_graph",
    "share_weights",
    "write_weights",
]
