"""A strict schema of the two requests for an answer that the page makes; pydantic comes with Gradio."""

from collections.abc import Callable
from typing import Annotated, Any, Literal
from urllib.parse import unquote

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, TypeAdapter, ValidationError, ValidationInfo

from .uploads import FullError, Uploads

GONE = "The picture is no longer here: give it again."
_UNREAD = 8
_WRONG = "not a request of this page"

_Session = Annotated[str, Field(pattern=r"^[A-Za-z0-9]{1,64}$")]
_Small = Annotated[int, Field(ge=0, le=999)]


class _Strict(BaseModel):
    model_config = ConfigDict(strict=True, extra="forbid")


class _Meta(_Strict):
    kind: Literal["gradio.FileData"] = Field(alias="_type")


def _own(url: str, info: ValidationInfo) -> str:
    """Refuse an address other than the page's own of that file."""
    host, path = (info.context or {}).get("host"), info.data.get("path")
    if not {url, unquote(url)} & {f"{scheme}://{host}/gradio_api/file={path}" for scheme in ("http", "https")}:
        raise ValueError("an address elsewhere")
    return url


class _Picture(_Strict):
    """An uploaded file; what is not its path or its mark is checked, but not handed on."""

    path: Annotated[str, Field(max_length=4096)]
    url: Annotated[str, AfterValidator(_own)] | None = Field(None, exclude=True)
    orig_name: Annotated[str, Field(pattern=r"^[^/]{0,255}$")] | None = Field(None, exclude=True)
    size: int | None = Field(None, exclude=True)
    mime_type: Annotated[str, Field(pattern=r"^[\w.+-]{0,99}/?[\w.+-]{0,99}$")] | None = Field(None, exclude=True)
    is_stream: Literal[False] = Field(False, exclude=True)
    meta: _Meta


_Models = Annotated[list[_Small], Field(max_length=999)]


class _Join(_Strict):
    session_hash: _Session
    trigger_id: _Small | None = None
    event_data: None = None


class _LookAnew(_Join):
    """A new picture, or another answer to whether it is a face crop."""

    fn_index: Literal[0]
    data: tuple[_Picture | None, bool, _Models]


class _Look(_Join):
    """Other models, or another face of the same picture."""

    fn_index: Literal[1]
    data: tuple[_Picture | None, bool, _Models, _Small | None]


_REQUEST: TypeAdapter[Any] = TypeAdapter(Annotated[_LookAnew | _Look, Field(discriminator="fn_index")])


def checked(body: bytes, host: str, uploads: Uploads, unread: Callable[[str], int]) -> bytes:
    """Return the JSON of a request with nothing in it but what the page needs.

    Parameters
    ----------
    body
        As it came.
    host
        The name by which the browser asks for the page, with its port.
    uploads
        Where pictures may lie.
    unread
        Returns how many requests of a session have answers that are not read yet.

    Raises
    ------
    ValueError
        If it is not a request of the page.
    LookupError
        If its picture is not an upload, or is one no longer.
    FullError
        If its session has too many answers to read.
    """
    try:
        request = _REQUEST.validate_json(body, context={"host": host})
    except ValidationError:
        raise ValueError(_WRONG) from None
    picture = request.data[0]
    if picture is not None and not uploads.holds(picture.path):
        raise LookupError(GONE)
    if unread(request.session_hash) >= _UNREAD:
        raise FullError("Too many answers of this page wait to be read.")
    made: bytes = _REQUEST.dump_json(request, by_alias=True)
    return made
