"""Caffe's file formats: protobuf messages, blobs, Datums, LMDBs."""
