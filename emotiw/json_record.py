"""Records in JSON files: dataclasses whose fields' types are checked when they are read."""

import json
from collections.abc import Mapping
from dataclasses import is_dataclass
from pathlib import Path
from types import UnionType
from typing import TYPE_CHECKING, TypeVar, get_args, get_origin, get_type_hints

from emotiw.files import write_text

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

Record = TypeVar("Record", bound="DataclassInstance")


def read_record(path: Path, kind: type[Record], *, others: bool = False) -> Record:
    """Return the record of a dataclass that a JSON file holds.

    Parameters
    ----------
    kind
        The dataclass; its fields are of JSON's own types or unions of these, lists or tuples, or such dataclasses.
    others
        Whether the file may hold more fields, which are then passed over.

    Raises
    ------
    OSError
        If the file cannot be read.
    ValueError
        If it is no JSON, lacks a field, has one too many, or one of another type.
    """
    return record_of(json.loads(path.read_text(encoding="utf-8")), kind, others=others)


def record_of(value: object, kind: type[Record], *, others: bool = False) -> Record:
    """Return a value of JSON as a record of a dataclass; see `read_record`."""
    if not isinstance(value, dict):
        raise ValueError(f"{kind.__name__}: no JSON object")
    types = get_type_hints(kind)
    strangers = value.keys() - types.keys()
    if strangers and not others:
        raise ValueError(f"{kind.__name__} has no field {min(strangers)}")
    found = {name: _checked(value[name], types[name], name) for name in types if name in value}
    try:
        return kind(**found)
    except TypeError as error:
        raise ValueError(str(error)) from None  # it names the fields that are missing


def _checked(value: object, kind: object, name: str) -> object:
    """Return a field's value as what the field is; a whole number is no float, and true is no number."""
    if isinstance(kind, type) and is_dataclass(kind):
        return record_of(value, kind)
    if (several := get_origin(kind)) in (list, tuple) and isinstance(value, list):
        inner, *_ = get_args(kind)
        return several(_checked(each, inner, name) for each in value)
    if isinstance(kind, UnionType) and type(value) in get_args(kind):
        return value
    if type(value) is not kind:
        raise ValueError(f"{name} is {value!r:.40}, expected: {kind}")
    return value


def write_json(path: Path, values: Mapping[str, object]) -> None:
    """Write a JSON object, a line for each of its values."""
    write_text(path, json.dumps(dict(values), indent=1) + "\n")
