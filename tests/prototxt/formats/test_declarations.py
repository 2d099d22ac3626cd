"""The declarations of Caffe's messages for type checkers: each field exists at run time with its type."""

import ast
from pathlib import Path

import pytest
from google.protobuf.descriptor import FieldDescriptor

from emotiw.prototxt.formats import layer_parameters, messages

SCALARS = {
    FieldDescriptor.CPPTYPE_BOOL: "bool",
    FieldDescriptor.CPPTYPE_DOUBLE: "float",
    FieldDescriptor.CPPTYPE_ENUM: "int",
    FieldDescriptor.CPPTYPE_FLOAT: "float",
    FieldDescriptor.CPPTYPE_INT32: "int",
    FieldDescriptor.CPPTYPE_INT64: "int",
    FieldDescriptor.CPPTYPE_UINT32: "int",
}


def declarations(module):
    """Each declared class: its name, and its fields with their types as text."""
    for node in ast.parse(Path(module.__file__).read_text(encoding="utf-8")).body:
        if isinstance(node, ast.ClassDef):
            yield (
                node.name,
                {
                    field.target.id: ast.unparse(field.annotation)
                    for field in node.body
                    if isinstance(field, ast.AnnAssign)
                },
            )


def written(kind, name):
    """The declaration's spelling of the type of a field of the class at run time."""
    field = kind.DESCRIPTOR.fields_by_name[name]
    repeated = hasattr(getattr(kind(), name), "extend")
    if field.message_type:
        return {f"Messages[{each}]" if repeated else each for each in same(field.message_type)}
    scalar = SCALARS.get(field.cpp_type) or ("bytes" if field.type == FieldDescriptor.TYPE_BYTES else "str")
    return {f"Scalars[{scalar}]" if repeated else scalar}


def same(descriptor):
    """The names that declarations may use for a message: of its own pool, else of the other one."""
    places = ((messages, ""), (layer_parameters, ""), (layer_parameters, "layer_parameters."))
    found = [
        (getattr(module, name).DESCRIPTOR, prefix + name)
        for module, prefix in places
        for name, _ in declarations(module)
    ]
    own = [name for each, name in found if each is descriptor]
    return own or [name for each, name in found if each.full_name == descriptor.full_name]


@pytest.mark.parametrize("module", [messages, layer_parameters])
def test_every_declared_field_is_there_and_of_its_type(module):
    found = dict(declarations(module))
    assert len(found) > 10
    for name, fields in found.items():
        kind = getattr(module, name)
        assert kind is not None
        for field, annotation in fields.items():
            assert annotation in written(kind, field), f"{name}.{field}"
