"""The local page of `emotiw serve`: examination, page, server and guard."""

from emotiw.lazy import TYPE_CHECKING, attach

if TYPE_CHECKING:
    from .examine import Examination, Examiner
    from .server import application, listen, serve
else:
    __getattr__, __dir__ = attach(__name__)

__all__ = ["Examination", "Examiner", "application", "listen", "serve"]
