"""Caffe's protobuf messages under pycaffe's name for them: `caffe_pb2.NetParameter` and all others."""

from google.protobuf.message import Message

from emotiw.prototxt.formats.descriptors import message_class
from emotiw.prototxt.formats.messages import TEST as TEST
from emotiw.prototxt.formats.messages import TRAIN as TRAIN


def __getattr__(name: str) -> type[Message]:
    """Return a message's class."""
    try:
        return message_class(name)
    except KeyError:
        raise AttributeError(f"Caffe has no message {name!r}") from None
