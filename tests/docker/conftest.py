import os
import shutil
from pathlib import Path

import pytest

TRIPLET = "usr/lib/x86_64-linux-gnu"


def link_or_copy(source, target):
    try:
        os.link(source, target)
    except OSError:  # another disk
        shutil.copy2(source, target)


def move(root, source, target):
    (root / target).parent.mkdir(parents=True, exist_ok=True)
    (root / source).rename(root / target)


def as_debian(root):
    """Programs and libraries where the packages put them, and the alternatives that dpkg would have made: absolute
    links, which lead out of a copied image."""
    for name in ("libblas.so.3", "liblapack.so.3"):
        (root / "etc/alternatives" / name).symlink_to(f"/{TRIPLET}/openblas-pthread/{name}")
        (root / TRIPLET / name).symlink_to(f"/etc/alternatives/{name}")


def as_bvlc(root):
    """In the layout of BVLC's docker/gpu/Dockerfile: all in /opt/caffe, its library folder named in ld.so.conf.d."""
    as_debian(root)
    for name in ("caffe", "compute_image_mean", "convert_imageset"):
        move(root, f"usr/bin/{name}", f"opt/caffe/build/tools/{name}")
    move(root, "usr/lib/python3/dist-packages/caffe", "opt/caffe/python/caffe")
    for path in (root / TRIPLET).glob("libcaffe.so*"):
        move(root, path.relative_to(root), f"opt/caffe/build/lib/{path.name}")
    (root / "etc/ld.so.conf").write_text("include /etc/ld.so.conf.d/*.conf\n\n")
    (root / "etc/ld.so.conf.d/caffe.conf").write_text("/opt/caffe/build/lib\n")


def as_installed(root):
    """As `make install` lays Caffe out under /usr/local, a library in a folder that only $LD_LIBRARY_PATH named."""
    as_debian(root)
    for name in ("caffe", "compute_image_mean", "convert_imageset"):
        move(root, f"usr/bin/{name}", f"usr/local/bin/{name}")
    move(root, "usr/lib/python3/dist-packages/caffe", "usr/local/python/caffe")
    for path in (root / TRIPLET).glob("libcaffe.so*"):
        move(root, path.relative_to(root), f"usr/local/lib/{path.name}")
    for path in (root / TRIPLET).glob("libglog.so*"):
        move(root, path.relative_to(root), f"usr/local/cuda/lib64/{path.name}")


LAYOUTS = {layout.__name__.removeprefix("as_"): layout for layout in (as_debian, as_bvlc, as_installed)}


def lay_out(caffe, root: Path, layout: str) -> None:
    """Make `root` the real, unpacked Caffe, laid out as an image was."""
    unpacked = caffe.program.resolve().parents[1] / "root"
    assert unpacked.is_dir(), "these tests need the Caffe of `emotiw caffe install`"
    shutil.copytree(unpacked, root, symlinks=True, copy_function=link_or_copy)
    LAYOUTS[layout](root)


@pytest.fixture
def image(caffe, tmp_path):
    """A function that lays out an image in FOLDER/root, and returns FOLDER."""

    def make(layout: str) -> Path:
        folder = tmp_path / f"{layout} image"
        lay_out(caffe, folder / "root", layout)
        return folder

    return make
