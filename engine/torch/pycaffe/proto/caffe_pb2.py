"""Caffe's protobuf messages under pycaffe's name for them: `caffe_pb2.NetParameter` and all others."""

from google.protobuf.internal.enum_type_wrapper import EnumTypeWrapper
from google.protobuf.message import Message

from emotiw.prototxt.formats.descriptors import POOL, message_class
from emotiw.prototxt.formats.messages import TEST as TEST
from emotiw.prototxt.formats.messages import TRAIN as TRAIN

DESCRIPTOR = POOL.FindFileByName("caffe.proto")
Phase = EnumTypeWrapper(POOL.FindEnumTypeByName("caffe.Phase"))


def __getattr__(name: str) -> type[Message]:
    """Return a message's class."""
    try:
        return message_class(name)
    except KeyError:
        raise AttributeError(f"Caffe has no message {name!r}") from None
