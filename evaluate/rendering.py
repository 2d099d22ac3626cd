"""An examination as a piece of HTML: the picture with its boxes, the representations, the posteriors as bars."""

import base64
from collections.abc import Sequence
from functools import cache
from importlib import resources
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from .examining import Examination

Rgb = NDArray[np.uint8]

_PICTURE, _TILE = 960, 320  # pixels of the longer side at most, shown at half of that and less
_JPEG = [cv2.IMWRITE_JPEG_QUALITY, 92]


def render(examination: Examination) -> str:
    """Return an examination as HTML that refers to nothing outside itself."""
    return _rendered("examination", found=examination)


def render_message(text: str, kind: str = "error") -> str:
    """Return a message, an `error` or a `hint`, as HTML; its characters mean themselves."""
    return _rendered("message", text=text, kind=kind)


def render_title() -> str:
    """Return the page's head as HTML."""
    return _rendered("title")


def render_foot(lines: Sequence[str]) -> str:
    """Return the page's foot as HTML: in `lines` what is run."""
    return _rendered("foot", lines=lines)


def style() -> str:
    """Return the CSS of the page."""
    return resources.files(__package__).joinpath("page.css").read_text(encoding="utf-8")


def _rendered(name: str, **values: object) -> str:
    return str(_templates().get_template(f"{name}.html").render(values))


@cache
def _templates() -> Any:
    from jinja2 import Environment, PackageLoader, StrictUndefined

    environment = Environment(
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=StrictUndefined,
        loader=PackageLoader(str(__package__), ""),
    )
    environment.filters["photograph"] = lambda rgb: data_url(rgb, _PICTURE, ".jpg", _JPEG)
    environment.filters["tile"] = lambda rgb: data_url(rgb, _TILE, ".png")
    return environment


def data_url(rgb: Rgb, side: int, ending: str, settings: list[int] | None = None) -> str:
    """Return a picture as a data URL.

    Parameters
    ----------
    rgb : (H, W, 3) uint8
        RGB, [0, 255].
    side
        Where its longer side has more pixels it is made as small as that.
    ending
        Of the format: `.png` keeps every value.
    settings
        As OpenCV's `imencode` takes them.
    """
    shrink = side / max(rgb.shape[:2])
    if shrink < 1:
        height, width = (max(1, round(length * shrink)) for length in rgb.shape[:2])
        rgb = np.asarray(cv2.resize(rgb, (width, height), interpolation=cv2.INTER_AREA), np.uint8)
    encoded = cv2.imencode(ending, rgb[..., ::-1], settings or [])[1].tobytes()
    kind = {".png": "png", ".jpg": "jpeg"}[ending]
    return f"data:image/{kind};base64,{base64.b64encode(encoded).decode()}"
