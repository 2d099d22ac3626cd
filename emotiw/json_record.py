"""Records in JSON files: dataclasses, checked against the types of their fields (by msgspec)."""

import json
import re
import sys
from collections.abc import Mapping
from dataclasses import MISSING, Field, fields, is_dataclass
from functools import cache, reduce
from operator import or_
from pathlib import Path
from types import UnionType
from typing import TYPE_CHECKING, Annotated, TypeVar, Union, get_args, get_origin, get_type_hints

import msgspec

from emotiw.files import read_text, write_text

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

Record = TypeVar("Record", bound="DataclassInstance")

_LARGEST = sys.float_info.max
Count = Annotated[int, msgspec.Meta(ge=0, le=2**31 - 1)]
"""A count or a size within Caffe's int32."""
Int64 = Annotated[int, msgspec.Meta(ge=-(2**63), le=2**63 - 1)]
"""A number within Caffe's int64, such as a seed."""
Share = Annotated[float, msgspec.Meta(ge=0, le=1)]
"""A fraction, 0 to 1; not NaN."""
Finite = Annotated[float, msgspec.Meta(ge=-_LARGEST, le=_LARGEST)]
"""Any number."""
Sha256 = Annotated[str, msgspec.Meta(pattern="^[0-9a-f]{64}$")]
"""A sha256 in hexadecimal."""


def read_record(path: Path, kind: type[Record], *, others: bool = False) -> Record:
    """Return the record of a dataclass in a JSON file.

    Parameters
    ----------
    kind
        The dataclass; its fields are of JSON's own types or unions of these, lists or tuples, or such dataclasses.
        Numbers are finite; `Count`, `Share`, `Int64` and `Sha256` say more.
    others
        Whether the file may have other fields, which are then ignored.

    Raises
    ------
    OSError
        If the file cannot be read.
    EmotiwError
        If it is not text in UTF-8.
    ValueError
        If it is not JSON, lacks a field, has an extra one, or one of another type or out of range; the message names
        the field.
    """
    return record_of(read_json(path), kind, others=others)


def read_json(path: Path) -> object:
    """Return the value in a JSON file; see `read_record`."""
    return json_of(read_text(path))


def json_of(text: str | bytes) -> object:
    """Return a value from its JSON.

    Raises
    ------
    ValueError
        If it is not JSON (NaN is not), or nested too deep.
    """
    try:
        value: object = msgspec.json.decode(text)
    except RecursionError:
        raise ValueError("nested too deep") from None
    except UnicodeDecodeError:
        raise ValueError("not UTF-8 text") from None
    except msgspec.DecodeError as error:
        said = re.sub(r"\(byte (\d+)\)", lambda found: f"in line {_line_of(text, int(found[1]))}", _plain(error))
        raise ValueError(said) from None
    return value


def _line_of(text: str | bytes, byte: int) -> int:
    return (text.encode() if isinstance(text, str) else text).count(b"\n", 0, byte) + 1


def record_of(value: object, kind: type[Record], *, others: bool = False, text: bool = False) -> Record:
    """Return a JSON value as a record of a dataclass; see `read_record`.

    With `text`, numbers may be strings, as in a table's cells.
    """
    try:
        checked = msgspec.convert(value, _schema(kind, others), strict=not text)
        return msgspec.convert(checked, kind, from_attributes=True)
    except msgspec.ValidationError as error:
        raise ValueError(_plain(error)) from None


@cache
def _schema(kind: type["DataclassInstance"], others: bool) -> type[msgspec.Struct]:
    """Return the msgspec struct for a dataclass; it refuses unknown fields."""
    types = get_type_hints(kind, include_extras=True)
    declared = [(field.name, _declared(types[field.name]), _default(field)) for field in fields(kind)]
    return msgspec.defstruct(kind.__name__, declared, kw_only=True, forbid_unknown_fields=not others)


def _declared(hint: object) -> object:
    """Return a field's type with the schemas of the dataclasses inside it, and floats finite."""
    if isinstance(hint, type) and is_dataclass(hint):
        return _schema(hint, False)
    origin, inner = get_origin(hint), tuple(map(_declared, get_args(hint)))
    if origin in (Union, UnionType):
        return reduce(or_, inner)
    if origin in (list, dict, tuple):
        return origin[inner]
    return Finite if hint is float else hint


def _default(field: "Field[object]") -> object:
    """Return a field's default for `msgspec.defstruct`."""
    if field.default_factory is not MISSING:
        return msgspec.field(default_factory=field.default_factory)
    return msgspec.field() if field.default is MISSING else msgspec.field(default=field.default)


def _plain(error: Exception) -> str:
    """Return msgspec's message, with the field first: "part.share: expected float, got null"."""
    what, _, where = str(error).replace("`", "").partition(" - at $")
    what = what.replace("Object ", "")
    return f"{where.lstrip('.')}: {what[:1].lower()}{what[1:]}" if where else what[:1].lower() + what[1:]


def write_json(path: Path, values: Mapping[str, object]) -> None:
    """Write a JSON object, with a line for each value."""
    write_text(path, json.dumps(dict(values), indent=1) + "\n")
