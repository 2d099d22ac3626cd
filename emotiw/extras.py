"""The optional packages, each with the extra that installs it."""

from importlib.util import find_spec

from .errors import EmotiwError

EXTRAS = {
    "gradio": ("Gradio", "serve"),
    "h5py": ("h5py", "torch"),
    "onnx": ("the package onnx", "export"),
    "snakemake": ("Snakemake", "reproduce"),
    "torch": ("PyTorch", "torch"),
}
"""Name and extra of each optional package, by its module."""


def require(module: str, user: str) -> None:
    """Raise if an optional package is not installed.

    Parameters
    ----------
    module
        A key of `EXTRAS`.
    user
        What needs it, at the start of the error.

    Raises
    ------
    EmotiwError
        If the module cannot be found; the package is on no index, so the line to run names the clone.
    """
    if find_spec(module) is None:
        name, extra = EXTRAS[module]
        raise EmotiwError(f"{user} needs {name}: in the clone, pip install '.[{extra}]'")
