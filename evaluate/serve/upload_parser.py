"""Gradio's parser of uploads, limited to one file per request, because it keeps each file open."""

from collections.abc import AsyncGenerator
from typing import Any

from gradio import route_utils
from starlette.datastructures import Headers


class OneFileParser(route_utils.GradioMultiPartParser):
    """Gradio's parser, but it refuses a second file and any other field, whatever limits Gradio passes."""

    def __init__(self, headers: Headers, stream: AsyncGenerator[bytes, None], **settings: Any) -> None:
        super().__init__(headers, stream, **{**settings, "max_files": 1, "max_fields": 0})


def install() -> None:
    """Make Gradio use this parser."""
    route_utils.GradioMultiPartParser = OneFileParser  # type: ignore[misc]
