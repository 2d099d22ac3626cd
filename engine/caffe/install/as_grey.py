"""Let Debian 11's scikit-image accept `as_grey`, the keyword that Debian 11's `caffe.io.load_image` passes to it.

scikit-image 0.16 removed this name of `as_gray`. `emotiw caffe install` copies this file into the dist-packages of the
unpacked Debian, together with a .pth file that imports it when Python starts. It changes only the scikit-image of that
folder, and only when a script imports it. It runs under Debian 11's Python 3.9.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from functools import wraps
from importlib.machinery import ModuleSpec, PathFinder
from types import ModuleType

MODULE = "skimage.io._io"  # defines `imread`; skimage.io and its collections import it from there
FOLDER = __file__.rpartition("/")[0]


class Finder:
    """An import hook that replaces `imread` of `MODULE`."""

    @staticmethod
    def find_spec(name: str, path: Sequence[str] | None = None, target: object = None) -> ModuleSpec | None:
        """Return the spec of `MODULE` if it is in our folder, else None, so that the usual import continues."""
        spec = PathFinder.find_spec(name, path) if name == MODULE else None
        if spec is None or spec.loader is None or not str(spec.origin).startswith(f"{FOLDER}/"):
            return None
        execute = spec.loader.exec_module

        def execute_and_replace(module: ModuleType) -> None:
            execute(module)
            vars(module)["imread"] = accept_as_grey(module.imread)

        spec.loader.exec_module = execute_and_replace  # type: ignore[method-assign]
        return spec


def accept_as_grey(imread: Callable[..., object]) -> Callable[..., object]:
    """Return `imread` with `as_grey` as another name of its `as_gray`."""

    @wraps(imread)
    def imread_as_grey(*args: object, **kwargs: object) -> object:
        if "as_grey" in kwargs:
            kwargs["as_gray"] = kwargs.pop("as_grey")
        return imread(*args, **kwargs)

    return imread_as_grey


sys.meta_path.insert(0, Finder)
