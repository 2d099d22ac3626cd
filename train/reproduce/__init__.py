"""The paper's whole experiment as one Snakemake workflow; `reproduce.reproduce` runs it."""

from emotiw.lazy import TYPE_CHECKING, attach

if TYPE_CHECKING:
    from .cost import Cost, Task, costs
    from .snakemake import Step, steps
    from .workflow import Options, lay_out, splits_of
else:
    __getattr__, __dir__ = attach(__name__)

__all__ = ["Cost", "Options", "Step", "Task", "costs", "lay_out", "splits_of", "steps"]
