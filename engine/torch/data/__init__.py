"""What feeds a net: LMDBs, their Datums, and Caffe's data transformer."""
