"""The descriptors of Caffe's protobuf messages, built at run time from `messages.csv`.

The table has the field numbers, types and defaults of Caffe 1.0.0. They go into a separate descriptor pool, so no
generated code ties the project to one protobuf release, and our messages do not conflict with another package's copy of
Caffe's.
"""

import csv
from collections.abc import Callable, Collection, Mapping
from importlib import resources
from typing import TypeVar, cast

from google.protobuf import descriptor_pb2, descriptor_pool, message_factory
from google.protobuf.message import Message

M = TypeVar("M", bound=Message)

_Field = descriptor_pb2.FieldDescriptorProto


def _file_descriptor(types: Mapping[tuple[str, str], str]) -> descriptor_pb2.FileDescriptorProto:
    """Return the package `caffe` as described by `messages.csv`, with the types of some fields replaced by `types`."""
    table = resources.files(__package__).joinpath("messages.csv").read_text(encoding="utf-8")
    rows = list(csv.DictReader(table.splitlines()))
    of_enums = {row["message"] for row in rows if row["label"] == "value"}
    file = descriptor_pb2.FileDescriptorProto(name="caffe.proto", package="caffe", syntax="proto2")
    names = sorted({row["message"] for row in rows} - of_enums)
    messages = {name: file.message_type.add(name=name) for name in names}
    enums: dict[str, descriptor_pb2.EnumDescriptorProto] = {}
    for name in sorted(of_enums):
        outer, _, inner = name.rpartition(".")
        enums[name] = (messages[outer] if outer else file).enum_type.add(name=inner)
    for row in rows:
        if row["message"] in enums:
            enums[row["message"]].value.add(name=row["name"], number=int(row["number"]))
        else:
            other = types.get((row["message"], row["name"]))
            changed = {"label": "optional", "type": other} if other else {}
            _add_field(messages[row["message"]], row | changed, enums)
    return file


def _add_field(message: descriptor_pb2.DescriptorProto, row: dict[str, str], enums: Collection[str]) -> None:
    label = row["label"]
    field = message.field.add(name=row["name"], number=int(row["number"]))
    field.label = _Field.Label.Value(f"LABEL_{'REPEATED' if label == 'packed' else label.upper()}")
    if row["type"][0].islower():
        field.type = _Field.Type.Value(f"TYPE_{row['type'].upper()}")
    else:
        field.type = _Field.TYPE_ENUM if row["type"] in enums else _Field.TYPE_MESSAGE
        field.type_name = f".caffe.{row['type']}"
    if row["default"]:
        field.default_value = row["default"]
    if label == "packed":
        field.options.packed = True


def _pool(types: Mapping[tuple[str, str], str]) -> descriptor_pool.DescriptorPool:
    pool = descriptor_pool.DescriptorPool()
    pool.AddSerializedFile(_file_descriptor(types).SerializeToString())
    return pool


POOL = _pool({})
# The same on the wire, but a blob's packed numbers are one string of bytes: a hundred million of them are then copied
# between file and array in one piece, without a Python float each.
PACKED = _pool({("BlobProto", "data"): "bytes", ("BlobProto", "double_data"): "bytes"})


def message_class(name: str, pool: descriptor_pool.DescriptorPool = POOL) -> type[Message]:
    """Return the class of Caffe's message `name`, such as ``"NetParameter"``."""
    return message_factory.GetMessageClass(pool.FindMessageTypeByName(f"caffe.{name}"))


def built(declared: type[M]) -> type[M]:
    """Replace a declaration, which is for type checkers, by the built message of the same name."""
    return cast("type[M]", message_class(declared.__name__))


def packed(name: str) -> Callable[[type[M]], type[M]]:
    """Return a decorator that replaces a declaration by the message `name` with packed blobs."""

    def built_packed(declared: type[M]) -> type[M]:
        return cast("type[M]", message_class(name, PACKED))

    return built_packed


def enum_name(message: Message, field: str) -> str:
    """Return the name of the value that an enum field of a message has, such as ``"TEST"``."""
    kind = message.DESCRIPTOR.fields_by_name[field].enum_type
    assert kind is not None, f"{field} is not an enum"
    return kind.values_by_number[getattr(message, field)].name
