import os
import subprocess

import pytest
from google.protobuf import descriptor_pb2

from emotiw.errors import EmotiwError
from emotiw.prototxt.formats import descriptors, messages
from emotiw.prototxt.formats.messages import (
    NetParameter,
    SolverParameter,
    format_text,
    parse_text,
    read_binary,
    read_text,
)

# Caffe's own description of its messages, from its generated module.
DUMP = """
import sys
from caffe.proto import caffe_pb2
open(sys.argv[1], "wb").write(caffe_pb2.DESCRIPTOR.serialized_pb)
"""


@pytest.fixture(scope="module")
def caffes(caffe, tmp_path_factory):
    path = tmp_path_factory.mktemp("descriptor") / "caffe.binary"
    env = {**os.environ, **caffe.environment}
    done = subprocess.run([caffe.python, "-c", DUMP, path], env=env, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return descriptor_pb2.FileDescriptorProto.FromString(path.read_bytes())


def facts(file):
    """Every field and enum value of a file: (message, name) -> everything that decides bytes and text."""
    found = {}

    def enums(owner, prefix):
        for enum in owner.enum_type:
            found.update({(prefix + enum.name, value.name): value.number for value in enum.value})

    def message(kind, name):
        enums(kind, f"{name}.")
        for field in kind.field:
            decides = field.number, field.label, field.type, field.type_name, field.default_value, field.options.packed
            found[name, field.name] = decides
        for inner in kind.nested_type:
            message(inner, f"{name}.{inner.name}")

    enums(file, "")
    for kind in file.message_type:
        message(kind, kind.name)
    return found


@pytest.mark.caffe
def test_every_field_and_enum_is_caffes_own(caffes):
    ours, theirs = facts(descriptors._file_descriptor({})), facts(caffes)
    assert len(ours) > 450
    assert ours == theirs


def test_our_pool_is_our_own():
    from google.protobuf import descriptor_pool

    with pytest.raises(KeyError):
        descriptor_pool.Default().FindMessageTypeByName("caffe.NetParameter")


def test_text_is_read_and_written():
    text = 'name: "n"\nlayer {\n  name: "p"\n  type: "Pooling"\n  pooling_param {\n    pool: AVE\n  }\n}\n'
    net = parse_text(text, NetParameter, "here")
    assert net.layer[0].pooling_param.pool == 1
    assert format_text(net) == text


def test_the_v1_format_of_the_authors_files_is_read():
    text = (
        'layers { name: "fc7" type: INNER_PRODUCT blobs_lr: 9 blobs_lr: 18 inner_product_param { num_output: 4048 } }'
    )
    (layer,) = parse_text(text, NetParameter, "here").layers
    kind = layer.DESCRIPTOR.fields_by_name["type"].enum_type.values_by_number[layer.type].name
    assert (kind, list(layer.blobs_lr), layer.inner_product_param.num_output) == ("INNER_PRODUCT", [9, 18], 4048)


def test_defaults_are_caffes():
    assert (SolverParameter().momentum, SolverParameter().snapshot_after_train) == (0, True)
    assert messages.LayerParameter().lrn_param.beta == 0.75
    assert descriptors.message_class("DataParameter")().backend == 0  # LEVELDB


def test_unreadable_messages_are_reported_with_their_place(tmp_path):
    misspelt = r"^there is not a NetParameter in prototxt format: line 1, column 1: .*no field named \"nmae\""
    with pytest.raises(EmotiwError, match=misspelt):
        parse_text('nmae: "n"', NetParameter, "there")
    (tmp_path / "net.caffemodel").write_bytes(b"\x0a\xff")
    with pytest.raises(EmotiwError, match=r"net\.caffemodel is not a complete NetParameter of Caffe"):
        read_binary(tmp_path / "net.caffemodel", NetParameter)
    (tmp_path / "net.caffemodel").write_bytes(b"\xff\xfe")
    with pytest.raises(EmotiwError, match=r"net\.caffemodel is not a prototxt: it is not text"):
        read_text(tmp_path / "net.caffemodel", NetParameter)


@pytest.mark.parametrize("comment", ["é".encode("latin-1"), "中文数据".encode("gbk"), "中文".encode()])
def test_a_prototxt_is_read_whatever_the_encoding_of_its_comments(tmp_path, comment):
    (tmp_path / "net.prototxt").write_bytes(b"# " + comment + b'\nname: "n" # ' + comment + b'\r\ninput: "x"\n')
    net = read_text(tmp_path / "net.prototxt", NetParameter)
    assert (net.name, list(net.input)) == ("n", ["x"])


def test_utf_16_is_no_prototxt(tmp_path):
    (tmp_path / "net.prototxt").write_text('name: "n"', encoding="utf-16")
    with pytest.raises(EmotiwError, match=r"net\.prototxt is not a prototxt: it is not text, but 20 bytes"):
        read_text(tmp_path / "net.prototxt", NetParameter)


def test_the_mark_that_windows_puts_before_utf_8_is_skipped(tmp_path):
    (tmp_path / "net.prototxt").write_text('name: "n"', encoding="utf-8-sig")
    assert read_text(tmp_path / "net.prototxt", NetParameter).name == "n"
