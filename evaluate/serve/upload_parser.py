"""Gradio's parser of uploads, held to one file a request: it keeps a file open for each."""

from collections.abc import AsyncGenerator
from typing import Any

from gradio import route_utils
from starlette.datastructures import Headers


class OneFileParser(route_utils.GradioMultiPartParser):
    """Gradio's parser, which refuses a second file and any other field, whatever Gradio allows."""

    def __init__(self, headers: Headers, stream: AsyncGenerator[bytes, None], **settings: Any) -> None:
        super().__init__(headers, stream, **{**settings, "max_files": 1, "max_fields": 0})


def install() -> None:
    """Make Gradio use it."""
    route_utils.GradioMultiPartParser = OneFileParser  # type: ignore[misc]
