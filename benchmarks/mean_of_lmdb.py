"""The mean of an LMDB, for comparison with compute_image_mean, by the code that computes it while a set is written.

python mean_of_lmdb.py LMDB FILE

No verb does that for an existing LMDB: `emotiw prepare` writes both.
"""

import sys
from pathlib import Path

from emotiw.data_prep.lmdb_writer import LmdbWriter
from emotiw.prototxt.formats.lmdb import keys_of

if __name__ == "__main__":
    source, output = map(Path, sys.argv[1:])
    keys = keys_of(source)
    with LmdbWriter(source) as writer:
        writer.recount(keys)
        writer.write_mean(output)
