"""Lazy imports of packages' public names (PEP 562): a command imports only what it needs.

A package's `__init__` reads

    if TYPE_CHECKING:
        from .codes import lbp_codes
    else:
        __getattr__, __dir__ = attach(__name__)

    __all__ = ["lbp_codes"]

so that type checkers see ordinary imports, and `attach` reads the module of each name from the same lines.
"""

import sys

TYPE_CHECKING = False
"""True to type checkers, as `typing.TYPE_CHECKING` is, which takes far longer to import."""

if TYPE_CHECKING:
    from collections.abc import Callable


def attach(package: str) -> "tuple[Callable[[str], object], Callable[[], list[str]]]":
    """Return the `__getattr__` and the `__dir__` of a package that is being imported."""
    namespace = vars(sys.modules[package])

    def find(name: str) -> object:
        if name not in namespace.get("__all__", ()):
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        from importlib import import_module

        namespace[name] = getattr(import_module(_home(package, name), package), name)
        return namespace[name]

    def names() -> list[str]:
        return sorted({*namespace, *namespace["__all__"]})

    return find, names


def _home(package: str, name: str) -> str:
    """Return the module from which a package's `__init__` imports a name, for `import_module`."""
    from ast import ImportFrom, parse, walk
    from pkgutil import get_data

    for node in walk(parse(get_data(package, "__init__.py") or b"")):
        if isinstance(node, ImportFrom) and any(alias.name == name for alias in node.names):
            return "." * node.level + (node.module or "")
    raise AttributeError(f"{package} does not import {name}, which is in its __all__")
