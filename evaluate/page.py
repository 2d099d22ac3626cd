"""The page of `emotiw serve`: a face in, what the models say of it out. It needs Gradio, and nothing from outside."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import gradio as gr
from gradio.data_classes import ImageData

from emotiw.data_prep.images import UnreadableImageError
from emotiw.errors import EmotiwError

from .examining import Examination, Examiner
from .rendering import render, render_foot, render_message, render_title

HINT = "Drop a picture of a face on the left, choose one there, or take one with the camera."
_KEPT = 3600  # seconds that a picture stays in the temporary folder
_WAITING = 8  # requests that wait for an answer, at most
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
        Whether faces are looked for until the user says otherwise.
    """
    page: gr.Blocks = gr.Blocks(title="emotiw", analytics_enabled=False, fill_width=True, delete_cache=(_KEPT, _KEPT))
    with page:
        gr.HTML(render_title(), js_on_load=None, apply_default_css=False)
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

        def look(path: str | None, whole: bool, models: Sequence[int], face: int | None) -> tuple[str, Any]:
            html, found = answered(examiner, path, models, detect=not whole, number=face or 1)
            return html, _faces(found)

        def look_anew(path: str | None, whole: bool, models: Sequence[int]) -> tuple[str, Any]:
            return look(path, whole, models, 1)

        asked = [picture, aligned, chosen]
        gr.on([picture.change, aligned.input], look_anew, asked, [answer, number], **_ONE_AT_A_TIME)
        gr.on([chosen.input, number.input], look, [*asked, number], [answer, number], **_ONE_AT_A_TIME)
    page.queue(max_size=_WAITING)
    return page


def _upload() -> gr.Image:
    """Return the component that takes a picture and hands on the path of its file, as it came."""
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
            raise gr.Error("only uploaded files are looked at")
        return await move(url_or_file_path)

    # Otherwise Pillow would judge the file and change it, and an address in its place would be fetched. (A subclass
    # would have Gradio write a .pyi beside this module.)
    picture.preprocess = _path  # type: ignore[method-assign]
    picture.async_move_resource_to_block_cache = kept  # type: ignore[method-assign]
    return picture


def _path(payload: ImageData | None) -> str | None:
    return payload.path if payload else None


def answered(
    examiner: Examiner, path: str | None, chosen: Sequence[int], *, detect: bool, number: int
) -> tuple[str, Examination | None]:
    """Return what the page shows of an uploaded file, as HTML: the examination, or why there is none."""
    if path is None:
        return render_message(HINT, "hint"), None
    try:
        found = examiner.examine(Path(path).read_bytes(), sorted(chosen), detect=detect, number=number)
    except UnreadableImageError as error:
        return render_message(f"This file cannot be used: {error}."), None
    except OSError:
        return render_message("The picture is no longer here: give it again."), None
    except EmotiwError as error:
        return render_message(f"{error}."), None
    return render(found), found


def _faces(found: Examination | None) -> Any:
    """Return the choice between the faces of a picture, where it has several."""
    if found is None or len(found.faces) < 2:
        return gr.Radio([], visible=False)
    return gr.Radio([(f"{face.number}", face.number) for face in found.faces], value=found.number, visible=True)
