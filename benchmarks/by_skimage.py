"""The peer of our mapping: the mapped representations and the five sets, as a careful user would write them.

python by_skimage.py SOURCE LIST OUTPUT                 LMDBs and means of the five; LIST is convert_imageset's
python by_skimage.py SOURCE LIST OUTPUT --separately    the same in five passes, a representation each

It uses scikit-image's codes; in a pass each image is read once, converted to grey once, and encoded once for each
radius.
"""

import sys
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path

import cv2
import lmdb
import numpy as np
from numpy.typing import NDArray
from skimage.feature import local_binary_pattern

from emotiw.lbp_mapping.codes import NEIGHBOURS, grey
from emotiw.lbp_mapping.representation import MAPPED, PAPER, Representation
from emotiw.lbp_mapping.tables import palette
from emotiw.prototxt.formats.blobs import write_mean
from emotiw.prototxt.formats.messages import Datum

Image = NDArray[np.uint8]
SIZE = 256


def mapped(rgb: Image, representations: Sequence[Representation] = MAPPED) -> dict[str, Image]:
    """Return an image in mapped representations, by name."""
    if not representations:
        return {}
    image = grey(rgb)
    codes = {R: _codes(image, R) for R in {each.radius for each in representations}}
    return {each.name: palette(each.mapping)[codes[each.radius]] for each in representations}


def _codes(image: Image, R: int) -> Image:
    """Return scikit-image's codes of a grey image, (H - 2 R, W - 2 R): without the border."""
    return np.asarray(local_binary_pattern(image, NEIGHBOURS, R).astype(np.uint8)[R:-R, R:-R])


def write_sets(source: Path, images: Path, output: Path, representations: Sequence[Representation] = PAPER) -> None:
    """Write LMDBs, a transaction each, and their means, into `<output>/<representation>`, in one pass."""
    lines = images.read_text(encoding="utf-8").splitlines()
    names = [representation.name for representation in representations]
    wanted = [each for each in representations if each in MAPPED]
    sums = {name: np.zeros((3, SIZE, SIZE), np.float32) for name in names}
    with ExitStack() as stack:
        transactions = {name: stack.enter_context(_transaction(stack, output / name)) for name in names}
        for number, line in enumerate(lines):
            path, _, label = line.rpartition(" ")
            rgb = np.asarray(cv2.imread(str(source / path))[..., ::-1], np.uint8)
            pictures = {"rgb": rgb, **mapped(rgb, wanted)}
            for name in names:
                picture = pictures[name]
                bgr = cv2.resize(picture, (SIZE, SIZE))[..., ::-1].transpose(2, 0, 1)
                datum = Datum(channels=3, height=SIZE, width=SIZE, data=bgr.tobytes(), label=int(label), encoded=False)
                transactions[name].put(f"{number:08d}_{path}".encode(), datum.SerializeToString())
                sums[name] += bgr
    for name, summed in sums.items():
        write_mean(output / name / "mean.binaryproto", summed / np.float32(len(lines)))


def _transaction(stack: ExitStack, path: Path) -> lmdb.Transaction:
    """Open a new LMDB, which the stack closes; return a transaction that writes to it."""
    path.mkdir(parents=True)
    return stack.enter_context(lmdb.open(str(path), map_size=1 << 40)).begin(write=True)


if __name__ == "__main__":
    *places, how = sys.argv[1:] if sys.argv[-1] == "--separately" else [*sys.argv[1:], ""]
    for together in [[each] for each in PAPER] if how else [PAPER]:
        write_sets(*map(Path, places), together)
