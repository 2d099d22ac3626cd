"""Files that pycaffe scripts need beyond Debian's packages; `emotiw caffe install` adds them to the unpacked Debian.

Debian's matplotlib expects its data in /usr/share/matplotlib, and its `caffe.io.load_image` calls scikit-image with a
keyword that scikit-image no longer has. No packaged file is changed. (`run` sets matplotlib's environment.)
"""

from pathlib import Path

_PACKAGES = "usr/lib/python3/dist-packages"

FILES = {
    f"{_PACKAGES}/emotiw_as_grey.py": Path(__file__).with_name("as_grey.py").read_text(encoding="utf-8"),
    # Python imports it at startup. (Not a sitecustomize, because there can be only one.)
    f"{_PACKAGES}/emotiw_as_grey.pth": "import emotiw_as_grey\n",
}
"""Text of each added file by its path below the root."""

LINKS = {f"{_PACKAGES}/matplotlib/mpl-data": "../../../../share/matplotlib/mpl-data"}
"""Target of each added link by its path below the root: where matplotlib looks before /usr/share."""

PROOF = """
import os, tempfile
import matplotlib.pyplot as plt
import caffe, lmdb
with tempfile.TemporaryDirectory() as folder:
    picture = os.path.join(folder, "picture.png")
    plt.title("title")
    plt.savefig(picture)
    assert caffe.io.load_image(picture, color=False).max() == 1
"""
"""A script that tests these additions."""


def complete(root: Path) -> None:
    """Add `FILES` and `LINKS` to an unpacked Debian 11."""
    for name in (*FILES, *LINKS):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
    for name, text in FILES.items():
        (root / name).write_text(text, encoding="utf-8")
    for name, target in LINKS.items():
        (root / name).symlink_to(target)
