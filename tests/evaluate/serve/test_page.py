"""The page's functions; tests/commands/test_serve.py uses the page in a browser."""

import asyncio

import pytest

from emotiw.errors import EmotiwError
from emotiw.evaluate.serve.page import HINT, _upload, answered


class Refusing:
    """An examiner that raises an error."""

    def examine(self, data, chosen, *, detect, number):
        raise EmotiwError("Caffe stopped: killed (out of memory?)")


def test_messages_are_readable(tmp_path):
    def said(path):
        html, found = answered(Refusing(), path, [0], detect=True, number=1)
        assert found is None
        return html

    (tmp_path / "face.png").write_bytes(b"x")
    assert HINT in said(None)
    assert "The picture has been deleted: upload it again." in said(str(tmp_path / "gone.png"))
    assert "Caffe stopped: killed (out of memory?)." in said(str(tmp_path / "face.png"))


def test_the_file_is_passed_on_and_an_address_is_not_fetched(tmp_path, monkeypatch):
    import gradio as gr
    from gradio.data_classes import ImageData

    def fetched(*_args, **_kwargs):
        raise AssertionError("asked for it")

    monkeypatch.setattr("gradio.processing_utils.async_ssrf_protected_download", fetched)
    (tmp_path / "face.png").write_text("no picture, which Pillow would say")
    picture = _upload()
    assert picture.preprocess(ImageData(path=str(tmp_path / "face.png"))) == str(tmp_path / "face.png")
    assert picture.preprocess(None) is None
    for path in ("https://example.org/face.png", "http://127.0.0.1/face.png"):
        with pytest.raises(gr.Error, match="only uploaded files"):
            asyncio.run(picture.async_move_resource_to_block_cache(path))
