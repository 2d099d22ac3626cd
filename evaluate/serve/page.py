"""The page of `emotiw serve`: predictions for an uploaded face. It needs Gradio, and nothing from other machines."""

import base64
from collections.abc import Sequence
from functools import cache
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING

import cv2
import gradio as gr
import numpy as np
from gradio.data_classes import ImageData
from numpy.typing import NDArray

from emotiw.data_prep.emotions import EMOTIONS
from emotiw.data_prep.images import UnreadableImageError
from emotiw.errors import EmotiwError

from .examine import Examination, Examiner

if TYPE_CHECKING:
    from jinja2 import Environment

Rgb = NDArray[np.uint8]

_PICTURE, _TILE = 960, 320  # pixels of the longer side at most, displayed at half that size or less
_JPEG = [cv2.IMWRITE_JPEG_QUALITY, 92]


def render(examination: Examination) -> str:
    """Return an examination as self-contained HTML."""
    return _rendered("examination", found=examination)


def render_message(text: str, kind: str = "error") -> str:
    """Return a message, an `error` or a `hint`, as HTML; the text is escaped."""
    return _rendered("message", text=text, kind=kind)


def render_title(classes: Sequence[str]) -> str:
    """Return the page's head as HTML."""
    return _rendered("title", what="emotion" if tuple(classes) == EMOTIONS else "class")


def render_foot(lines: Sequence[str]) -> str:
    """Return the page's foot as HTML, with descriptions of the models in `lines`."""
    return _rendered("foot", lines=lines)


def style() -> str:
    """Return the CSS of the page."""
    return resources.files(__package__).joinpath("page.css").read_text(encoding="utf-8")


def _rendered(name: str, **values: object) -> str:
    return str(_templates().get_template(f"{name}.html").render(values))


@cache
def _templates() -> "Environment":
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
        A larger picture is reduced to this length of its longer side.
    ending
        The file suffix of the format: `.png` is lossless.
    settings
        As for OpenCV's `imencode`.
    """
    shrink = side / max(rgb.shape[:2])
    if shrink < 1:
        height, width = (max(1, round(length * shrink)) for length in rgb.shape[:2])
        rgb = np.asarray(cv2.resize(rgb, (width, height), interpolation=cv2.INTER_AREA), np.uint8)
    encoded = cv2.imencode(ending, rgb[..., ::-1], settings or [])[1].tobytes()
    kind = {".png": "png", ".jpg": "jpeg"}[ending]
    return f"data:image/{kind};base64,{base64.b64encode(encoded).decode()}"


HINT = "Drop a picture of a face on the left, choose one there, or take one with the camera."
_KEPT = 3600  # seconds that a picture stays in the temporary folder
_WAITING = 8  # the largest number of waiting requests
_ONE_AT_A_TIME = {
    "concurrency_limit": 1,
    "concurrency_id": "caffe",
    "show_progress": "minimal",
    "api_visibility": "private",
}


def build(examiner: Examiner, *, detect: bool) -> gr.Blocks:
    """Return the page.

    Parameters
    ----------
    examiner
        The models, ready.
    detect
        Whether faces are detected by default.
    """
    page: gr.Blocks = gr.Blocks(title="emotiw", analytics_enabled=False, fill_width=True, delete_cache=(_KEPT, _KEPT))
    with page:
        gr.HTML(render_title(examiner.classes), js_on_load=None, apply_default_css=False)
        with gr.Row(equal_height=False, elem_id="columns"):
            with gr.Column(scale=4, min_width=300):
                picture = _upload()
                aligned = gr.Checkbox(not detect, label="The picture is a face crop already", elem_id="aligned")
                number = gr.Radio([], label="Face", visible=False, elem_id="face")
                names = [(model.title, at) for at, model in enumerate(examiner.models)]
                chosen = gr.CheckboxGroup(
                    names,
                    value=[at for _, at in names],
                    label="Models",
                    elem_id="models",
                    show_select_all=len(names) > 2,
                )
            with gr.Column(scale=9, min_width=320, elem_id="right"):
                answer = gr.HTML(
                    render_message(HINT, "hint"), js_on_load=None, apply_default_css=False, elem_id="answer"
                )
        gr.HTML(render_foot(examiner.describe()), js_on_load=None, apply_default_css=False)

        def examine(path: str | None, whole: bool, models: Sequence[int], face: int | None) -> tuple[str, gr.Radio]:
            html, found = answered(examiner, path, models, detect=not whole, number=face or 1)
            return html, _faces(found)

        def examine_new(path: str | None, whole: bool, models: Sequence[int]) -> tuple[str, gr.Radio]:
            return examine(path, whole, models, 1)

        asked = [picture, aligned, chosen]
        gr.on([picture.change, aligned.input], examine_new, asked, [answer, number], **_ONE_AT_A_TIME)
        gr.on([chosen.input, number.input], examine, [*asked, number], [answer, number], **_ONE_AT_A_TIME)
    page.queue(max_size=_WAITING)
    return page


def _upload() -> gr.Image:
    """Return the component for a picture, which passes on the path of the unchanged file."""
    picture = gr.Image(
        sources=["upload", "webcam"],
        webcam_options=gr.WebcamOptions(mirror=False),  # a mirrored face has other codes
        label="Picture",
        height=300,
        buttons=[],
        elem_id="picture",
    )
    move = picture.async_move_resource_to_block_cache

    async def kept(url_or_file_path: str | Path | None) -> str | None:
        if "://" in str(url_or_file_path):
            raise gr.Error("only uploaded files are accepted")
        return await move(url_or_file_path)

    # Otherwise Pillow would check and change the file, and a URL in its place would be fetched. (With a subclass,
    # Gradio would write a .pyi beside this module.)
    picture.preprocess = _path  # type: ignore[method-assign]
    picture.async_move_resource_to_block_cache = kept  # type: ignore[method-assign]
    return picture


def _path(payload: ImageData | None) -> str | None:
    return payload.path if payload else None


def answered(
    examiner: Examiner, path: str | None, chosen: Sequence[int], *, detect: bool, number: int
) -> tuple[str, Examination | None]:
    """Return the page's HTML for an uploaded file, and the examination; None and an error message if it failed."""
    if path is None:
        return render_message(HINT, "hint"), None
    try:
        found = examiner.examine(Path(path).read_bytes(), sorted(chosen), detect=detect, number=number)
    except UnreadableImageError as error:
        return render_message(f"This file cannot be used: {error}."), None
    except OSError:
        return render_message("The picture has been deleted: upload it again."), None
    except EmotiwError as error:
        return render_message(f"{error}."), None
    return render(found), found


def _faces(found: Examination | None) -> gr.Radio:
    """Return the choice between the faces of a picture, if it has several."""
    if found is None or len(found.faces) < 2:
        return gr.Radio([], visible=False)
    return gr.Radio([(f"{face.number}", face.number) for face in found.faces], value=found.number, visible=True)
