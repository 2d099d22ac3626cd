"""The authors' five released models: catalog, download, verification, stand-ins."""

from emotiw.lazy import TYPE_CHECKING, attach

if TYPE_CHECKING:
    from .catalog import Released, is_stand_in, models_folder, released
    from .fetch import make_stand_ins
    from .stand_in import write_stand_in
    from .verify import Verdict, state
else:
    __getattr__, __dir__ = attach(__name__)

__all__ = [
    "Released",
    "Verdict",
    "is_stand_in",
    "make_stand_ins",
    "models_folder",
    "released",
    "state",
    "write_stand_in",
]
