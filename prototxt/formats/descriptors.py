"""The descriptors of Caffe's protobuf messages, built at run time from `messages.csv`.

The table has the field numbers, types and defaults of Caffe 1.0.0. They fill a descriptor pool of their own, so no
generated code ties the project to one protobuf release, and another package's copy of Caffe's messages cannot clash
with ours.
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
    """Return the description of the package `caffe` that `messages.csv` holds, with other `types` of some fields."""
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
# The same on the wire, but a blob's packed numbers are one string of bytes: a hundred million of them then pass between
# a file and an array as they are, not one Python float each.
PACKED = _pool({("BlobProto", "data"): "bytes", ("BlobProto", "double_data"): "bytes"})


def message_class(name: str, pool: descriptor_pool.DescriptorPool = POOL) -> type[Message]:
    """Return the class of Caffe's message `name`, such as ``"NetParameter"``."""
    return message_factory.GetMessageClass(pool.FindMessageTypeByName(f"caffe.{name}"))


def built(declared: type[M]) -> type[M]:
    """Return the message of a declaration's name, in place of it: the declaration is for type checkers."""
    return cast("type[M]", message_class(declared.__name__))


def packed(name: str) -> Callable[[type[M]], type[M]]:
    """Return what puts the message `name`, with packed blobs, in place of a declaration."""

    def built_packed(declared: type[M]) -> type[M]:
        return cast("type[M]", message_class(name, PACKED))

    return built_packed


def enum_name(message: Message, field: str) -> str:
    """Return the name of the value that an enum field of a message has, such as ``"TEST"``."""
    kind = message.DESCRIPTOR.fields_by_name[field].enum_type
    assert kind is not None, f"{field} is no enum"
    return kind.values_by_number[getattr(message, field)].name
