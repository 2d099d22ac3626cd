"""Caffe's protobuf messages under pycaffe's name for them: `caffe_pb2.NetParameter` and all others."""

from typing import Any

from emotiw.prototxt.formats.messages import POOL, message_class

TRAIN, TEST = (POOL.FindEnumTypeByName("caffe.Phase").values_by_name[name].number for name in ("TRAIN", "TEST"))


def __getattr__(name: str) -> Any:
    """Return a message's class."""
    try:
        return message_class(name)
    except KeyError:
        raise AttributeError(f"Caffe has no message {name!r}") from None
