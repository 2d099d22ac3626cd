"""Caffe's file formats: protobuf messages, blobs, Datums, LMDBs."""

from emotiw.lazy import TYPE_CHECKING, attach

if TYPE_CHECKING:
    from .blobs import array_of, blob_of, read_mean, read_weights, write_mean
    from .datum import Encoded, decode, encode
    from .image_codec import imdecode
    from .lmdb import environment, keys_of, reading
    from .messages import (
        format_text,
        parse_text,
        read_binary,
        read_text,
        write_binary,
    )
    from .upgrade import downgrade, read_net
else:
    __getattr__, __dir__ = attach(__name__)

__all__ = [
    "Encoded",
    "array_of",
    "blob_of",
    "decode",
    "downgrade",
    "encode",
    "environment",
    "format_text",
    "imdecode",
    "keys_of",
    "parse_text",
    "read_binary",
    "read_mean",
    "read_net",
    "read_text",
    "read_weights",
    "reading",
    "write_binary",
    "write_mean",
]
