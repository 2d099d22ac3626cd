"""Caffe's protobuf messages under pycaffe's name for them: `caffe_pb2.NetParameter` and all others."""

from typing import Any

from emotiw.prototxt.formats.messages import TEST as TEST
from emotiw.prototxt.formats.messages import TRAIN as TRAIN
from emotiw.prototxt.formats.messages import message_class


def __getattr__(name: str) -> Any:
    """Return a message's class."""
    try:
        return message_class(name)
    except KeyError:
        raise AttributeError(f"Caffe has no message {name!r}") from None
