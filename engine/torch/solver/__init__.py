"""Caffe's solvers: the training loop, update rules, learning rates, snapshots."""

from emotiw.lazy import TYPE_CHECKING, attach

if TYPE_CHECKING:
    from .lr_policies import RATES
    from .snapshots import read_snapshot, read_state, write_snapshot, write_state
    from .solver import Solver
    from .solver_param import read_solver
    from .update_rules import RULES, Rule
    from .updates import Update
else:
    __getattr__, __dir__ = attach(__name__)

__all__ = [
    "RATES",
    "RULES",
    "Rule",
    "Solver",
    "Update",
    "read_snapshot",
    "read_solver",
    "read_state",
    "write_snapshot",
    "write_state",
]
