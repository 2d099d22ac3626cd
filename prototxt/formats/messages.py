"""Caffe's protobuf messages, and the files that hold them.

The messages are built at run time from `messages.csv` (field numbers, types and defaults of Caffe 1.0.0) in a
descriptor pool of their own, so no generated code ties the project to one protobuf release, and another package's
copy of Caffe's messages cannot clash with ours.
"""

import csv
from collections.abc import Mapping
from importlib import resources
from pathlib import Path
from typing import Any

from google.protobuf import descriptor_pb2, descriptor_pool, message_factory, text_format
from google.protobuf.message import DecodeError, Message

from emotiw.errors import EmotiwError
from emotiw.files import whole

_Field = descriptor_pb2.FieldDescriptorProto


def _file_descriptor(types: Mapping[tuple[str, str], str]) -> descriptor_pb2.FileDescriptorProto:
    """Return the description of the package `caffe` that `messages.csv` holds, with other `types` of some fields."""
    table = resources.files(__package__).joinpath("messages.csv").read_text(encoding="utf-8")
    rows = list(csv.DictReader(table.splitlines()))
    enums = {row["message"] for row in rows if row["label"] == "value"}
    file = descriptor_pb2.FileDescriptorProto(name="caffe.proto", package="caffe", syntax="proto2")
    made: dict[str, Any] = {}
    # Outer messages first: an enum of a message is nested in it.
    for name in sorted({row["message"] for row in rows}, key=lambda name: (name.count("."), name)):
        outer, _, inner = name.rpartition(".")
        place = made[outer] if outer else file
        made[name] = place.enum_type.add(name=inner) if name in enums else place.message_type.add(name=inner)
    for row in rows:
        if row["message"] in enums:
            made[row["message"]].value.add(name=row["name"], number=int(row["number"]))
        else:
            other = types.get((row["message"], row["name"]))
            changed = {"label": "optional", "type": other} if other else {}
            _add_field(made[row["message"]], row | changed, enums)
    return file


def _add_field(message: descriptor_pb2.DescriptorProto, row: dict[str, str], enums: set[str]) -> None:
    packed = row["label"] == "packed"
    label = "repeated" if packed else row["label"]
    field = message.field.add(name=row["name"], number=int(row["number"]))
    field.label = _Field.Label.Value(f"LABEL_{label.upper()}")
    if row["type"][0].islower():
        field.type = _Field.Type.Value(f"TYPE_{row['type'].upper()}")
    else:
        field.type = _Field.TYPE_ENUM if row["type"] in enums else _Field.TYPE_MESSAGE
        field.type_name = f".caffe.{row['type']}"
    if row["default"]:
        field.default_value = row["default"]
    if packed:
        field.options.packed = True


def _pool(types: Mapping[tuple[str, str], str]) -> descriptor_pool.DescriptorPool:
    pool = descriptor_pool.DescriptorPool()
    pool.AddSerializedFile(_file_descriptor(types).SerializeToString())
    return pool


POOL = _pool({})
# The same on the wire, but a blob's packed numbers are one string of bytes: a hundred million of them then pass between
# a file and an array as they are, not one Python float each.
PACKED = _pool({("BlobProto", "data"): "bytes", ("BlobProto", "double_data"): "bytes"})


def message_class(name: str, pool: descriptor_pool.DescriptorPool = POOL) -> Any:
    """Return the class of Caffe's message `name`, such as ``"NetParameter"``."""
    return message_factory.GetMessageClass(pool.FindMessageTypeByName(f"caffe.{name}"))


BlobProto = message_class("BlobProto")
Datum = message_class("Datum")
LayerParameter = message_class("LayerParameter")
NetParameter = message_class("NetParameter")
SolverParameter = message_class("SolverParameter")
SolverState = message_class("SolverState")
PackedBlob = message_class("BlobProto", PACKED)
PackedNet = message_class("NetParameter", PACKED)
PackedState = message_class("SolverState", PACKED)


TRAIN, TEST = (POOL.FindEnumTypeByName("caffe.Phase").values_by_name[name].number for name in ("TRAIN", "TEST"))


def parse_text(text: str, kind: Any, where: str) -> Any:
    """Return the message of class `kind` that prototxt `text` spells; `where` names it in the error."""
    try:
        return text_format.Parse(text, kind())
    except text_format.ParseError as error:
        raise EmotiwError(f"{where} is no {kind.DESCRIPTOR.name} in prototxt: {error}") from None


def read_text(path: Path, kind: Any) -> Any:
    """Return the message of class `kind` in the prototxt file `path`."""
    try:
        text = path.read_text(encoding="utf-8")
    except UnicodeDecodeError:
        raise EmotiwError(f"{path} is no prototxt: it is not text, but {looks(path)}") from None
    if looks(path) == _PAGE:
        raise EmotiwError(f"{path} is no prototxt, but {_PAGE}: fetch it anew")
    return parse_text(text, kind, str(path))


def format_text(message: Message) -> str:
    """Return `message` as prototxt."""
    return text_format.MessageToString(message)


def read_binary(path: Path, kind: Any) -> Any:
    """Return the message of class `kind` in the binary file `path` (a caffemodel, solverstate or binaryproto)."""
    try:
        return kind.FromString(path.read_bytes())
    except DecodeError:
        raise EmotiwError(
            f"{path} is no whole {kind.DESCRIPTOR.name} of Caffe, but {looks(path)}: fetch or make it anew"
        ) from None


_PAGE = "a web page"
_LOOKS = {b"<!doctype": _PAGE, b"<html": _PAGE, b"<?xml": _PAGE, b"pk\x03\x04": "a zip archive"}


def looks(path: Path) -> str:
    """Return what a file seems to be that is not what it should be: a web page, a zip archive, so many bytes."""
    with path.open("rb") as file:
        head = file.read(64).lstrip().lower()
    return next((words for begin, words in _LOOKS.items() if head.startswith(begin)), f"{path.stat().st_size} bytes")


def write_binary(path: Path, message: Message) -> None:
    """Write `message` in binary, whole or not at all."""
    with whole(path) as temporary:
        temporary.write_bytes(message.SerializeToString())
