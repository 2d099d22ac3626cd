"""A strict schema of the page's two requests for a prediction; pydantic comes with Gradio."""

from collections.abc import Callable
from typing import Annotated, Any, Literal
from urllib.parse import unquote

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, TypeAdapter, ValidationError, ValidationInfo

from .uploads import FullError, Uploads

GONE = "The picture has been deleted: upload it again."
_UNREAD = 8
_WRONG = "not a request of this page"

_Session = Annotated[str, Field(pattern=r"^[A-Za-z0-9]{1,64}$")]
_Small = Annotated[int, Field(ge=0, le=999)]


class _Strict(BaseModel):
    model_config = ConfigDict(strict=True, extra="forbid")


class _Meta(_Strict):
    kind: Literal["gradio.FileData"] = Field(alias="_type")


def _own(url: str, info: ValidationInfo) -> str:
    """Refuse an address other than the page's own address of that file."""
    host, path = (info.context or {}).get("host"), info.data.get("path")
    if not {url, unquote(url)} & {f"{scheme}://{host}/gradio_api/file={path}" for scheme in ("http", "https")}:
        raise ValueError("an address elsewhere")
    return url


class _Picture(_Strict):
    """An uploaded file; other fields than path and mark are checked, but not passed on."""

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


class _NewPicture(_Join):
    """A new picture, or a change of whether it is a face crop."""

    fn_index: Literal[0]
    data: tuple[_Picture | None, bool, _Models]


class _Look(_Join):
    """Other models, or another face of the same picture."""

    fn_index: Literal[1]
    data: tuple[_Picture | None, bool, _Models, _Small | None]


_REQUEST: TypeAdapter[Any] = TypeAdapter(Annotated[_NewPicture | _Look, Field(discriminator="fn_index")])


def checked(body: bytes, host: str, uploads: Uploads, unread: Callable[[str], int]) -> bytes:
    """Return the JSON of a request with only what the page needs.

    Parameters
    ----------
    body
        The request's body.
    host
        The host name that the browser uses, with its port.
    uploads
        The folder that must contain the pictures.
    unread
        Returns the number of a session's unread responses.

    Raises
    ------
    ValueError
        If it is not a request of the page.
    LookupError
        If its picture is not an upload, or has been deleted.
    FullError
        If its session has too many unread responses.
    """
    try:
        request = _REQUEST.validate_json(body, context={"host": host})
    except ValidationError:
        raise ValueError(_WRONG) from None
    picture = request.data[0]
    if picture is not None and not uploads.holds(picture.path):
        raise LookupError(GONE)
    if unread(request.session_hash) >= _UNREAD:
        raise FullError("Too many responses of this page are unread.")
    made: bytes = _REQUEST.dump_json(request, by_alias=True)
    return made
