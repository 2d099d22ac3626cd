"""The layers and shapes of weights in HDF5; Caffe copies these by layer name, as it does those of a caffemodel."""

from pathlib import Path

from emotiw.errors import EmotiwError
from emotiw.extras import require

from .messages import PackedBlob, PackedLayer, PackedNet

_SIGNATURE = b"\x89HDF\r\n\x1a\n"


def is_hdf5(path: Path) -> bool:
    """Return whether a file is HDF5, by its first bytes, as Caffe does."""
    with path.open("rb") as file:
        return file.read(len(_SIGNATURE)) == _SIGNATURE


def read_hdf5_layers(path: Path) -> PackedNet:
    """Return the layers of weights in HDF5: their names and their blobs' shapes, without their values.

    Raises
    ------
    EmotiwError
        If h5py, an optional dependency, is not installed, or the file holds no Caffe weights.
    """
    require("h5py", f"{path} is HDF5, which")
    import h5py

    net = PackedNet()
    try:
        with h5py.File(path, "r") as file:
            data = file.get("data")
            if not isinstance(data, h5py.Group):
                raise EmotiwError(f"{path}: no group `data` in it: Caffe's weights have one")
            found: dict[str, list[tuple[int, tuple[int, ...]]]] = {}

            def note(name: str, entry: object) -> None:  # a layer's name may contain slashes, and so may the groups
                layer, _, number = name.rpartition("/")
                if isinstance(entry, h5py.Dataset) and number.isdigit():
                    found.setdefault(layer, []).append((int(number), entry.shape))

            data.visititems(note)
    except OSError as error:
        raise EmotiwError(f"{path} is no HDF5 file that can be read: {error}") from None
    for name, blobs in found.items():
        shapes = [PackedBlob(shape={"dim": shape}) for _, shape in sorted(blobs)]
        net.layer.append(PackedLayer(name=name, blobs=shapes))
    return net
