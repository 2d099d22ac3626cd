"""Install a real Caffe without root: Debian 11's packages, pinned and checked."""

from emotiw.lazy import TYPE_CHECKING, attach

if TYPE_CHECKING:
    from .debian import install, installed, prove, superseded
    from .lockfile import Package, checked, missing, read_lock
    from .openblas import kernel
else:
    __getattr__, __dir__ = attach(__name__)

__all__ = ["Package", "checked", "install", "installed", "kernel", "missing", "prove", "read_lock", "superseded"]
