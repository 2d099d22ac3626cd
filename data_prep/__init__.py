"""What people hold to LMDBs, mean and manifest, one pass for all representations."""
