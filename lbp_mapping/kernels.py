"""Choose the implementation: the compiled `_kernels` (kernels.c) if it was built, else NumPy; the bytes are equal."""

import os
from functools import cache
from importlib import import_module
from typing import TYPE_CHECKING, Protocol, cast

from emotiw.errors import EmotiwError

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    Bytes = npt.NDArray[np.uint8]

VARIABLE = "EMOTIW_MAPPING"
"""The environment variable that names one of `implementations()`."""

NUMPY = "numpy"


class Kernels(Protocol):
    """The compiled module. Its arrays must be contiguous; each function fills its last argument.

    Attributes
    ----------
    LEVELS
        The instruction sets that the code was compiled for and this processor has, the fastest first: any of `avx512`
        and `avx2`, then `plain`, the compiler's default.
    """

    LEVELS: tuple[str, ...]

    def use(self, level: str, /) -> None:
        """Select the copy of the code for one of `LEVELS`."""

    def grey(self, rgb: "Bytes", weights: tuple[int, ...], grey: "Bytes", /) -> None:
        """Compute the grey of (n, 3) R, G, B values with three weights in units of 2^-23, halves rounded up."""

    def codes(
        self,
        grey: "Bytes",
        width: int,
        radius: int,
        samples: "tuple[npt.NDArray[np.float64], npt.NDArray[np.int64]]",
        thresholds: tuple[float, int],
        codes: "Bytes",
        /,
    ) -> None:
        """Compute codes.

        Parameters
        ----------
        grey : (H, W) uint8
            The image.
        samples : (8, 4) float64, (8, 4, 2) int64
            Weights, and rows and columns, as in `codes.sample_terms`; for neighbours 0, 2, 4, 6 only the first is used.
        thresholds : float, int
            For interpolated neighbours, and, as a 16-bit integer, for those that are pixels.
        codes : (H - 2R, W - 2R) uint8
            The output.
        """

    def colours(self, codes: "Bytes", palette: "Bytes", rgb: "Bytes", /) -> None:
        """Look up the (n, 3) colours of n codes in a (256, 3) palette."""


def implementations() -> tuple[str, ...]:
    """Return the names of the available implementations, the fastest first; the last is `numpy`, the reference."""
    module = _module()
    return (*(module.LEVELS if module else ()), NUMPY)


def implementation() -> str:
    """Return the name of the implementation in use: the fastest, or the one that $EMOTIW_MAPPING names.

    Raises
    ------
    EmotiwError
        If the variable names none of `implementations()`.
    """
    return _chosen()[0]


def compiled() -> Kernels | None:
    """Return the compiled module, or None if NumPy is in use.

    Raises
    ------
    EmotiwError
        If the variable names none of `implementations()`.
    """
    return _chosen()[1]


def describe() -> str:
    """Return a phrase that names the implementation in use."""
    name = implementation()
    if name != NUMPY:
        return f"by the compiled module ({name})"
    return f"by NumPy ({f'as ${VARIABLE} says' if _module() else 'the compiled module is not installed'})"


@cache
def _module() -> Kernels | None:
    try:
        return cast(Kernels, import_module("._kernels", __package__))
    except ImportError:  # not built, or for another system
        return None


@cache
def _chosen() -> tuple[str, Kernels | None]:
    possible = implementations()
    name = os.environ.get(VARIABLE) or possible[0]
    if name not in possible:
        raise EmotiwError(f"${VARIABLE} is {name[:40]!r}: set it to one of {', '.join(possible)}, or unset it")
    module = None if name == NUMPY else _module()
    if module:
        module.use(name)
    return name, module
