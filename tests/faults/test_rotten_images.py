"""2,100 damaged images among good ones: no crash, no hang; each is used, or listed with its reason."""

import struct
import sys
import zlib

import cv2
import numpy as np
import pytest

from emotiw.data_prep.prepared_set import open_set

KINDS = ("jpg", "png", "gif", "tif", "webp", "bmp")
OF_EACH = 350
SECONDS, BYTES = 120, 1 << 30  # limits for all of them: on 2 cores they take 10 seconds and 300 MB


def picture(kind, shape, rng):
    return bytearray(cv2.imencode(f".{kind}", rng.integers(0, 256, (*shape, 3), np.uint8))[1].tobytes())


def cut(data, rng):
    return data[: rng.integers(0, len(data))]


def flipped(data, rng):
    for _ in range(rng.integers(1, 30)):
        data[rng.integers(len(data))] ^= 1 << rng.integers(8)
    return data


def written_over(data, rng):
    first = rng.integers(len(data))
    data[first : first + 16] = rng.choice([0, 0x7F, 0xFF], 16).astype(np.uint8).tobytes()
    return data


def said_twice(data, rng):
    first, last = sorted(rng.integers(0, len(data), 2))
    return data[:last] + data[first:]


def bomb(data, rng):
    """The same bytes with a header that gives some thousand million pixels."""
    if data.startswith(b"\x89PNG"):
        data[16:24] = struct.pack(">II", 60_000, 60_000)
        data[29:33] = struct.pack(">I", zlib.crc32(data[12:29]))
    elif data.startswith(b"\xff\xd8"):
        frame = data.find(b"\xff\xc0")
        data[frame + 5 : frame + 9] = struct.pack(">HH", 65_500, 65_500)
    elif data.startswith(b"GIF"):
        data[6:10] = struct.pack("<HH", 65_535, 65_535)
    elif data.startswith(b"II*\0"):
        (place,) = struct.unpack_from("<I", data, 4)
        (count,) = struct.unpack_from("<H", data, place)
        for entry in range(place + 2, place + 2 + 12 * count, 12):
            tag, kind = struct.unpack_from("<HH", data, entry)
            if tag in (256, 257):
                struct.pack_into("<I" if kind == 4 else "<H", data, entry + 8, 65_000)
    elif data.startswith(b"RIFF"):
        bits = data.find(b"VP8L") + 9
        data[bits : bits + 4] = struct.pack("<I", 16_382 | 16_382 << 14)
    elif data.startswith(b"BM"):
        data[18:26] = struct.pack("<ii", 60_000, 60_000)
    return data


def other(data, rng):
    """A file that is not an image."""
    return [b"", b"\0", b"GIF89a", b"\xff\xd8\xff", b"no image at all", bytes(5000), b"<svg/>"][rng.integers(7)]


FAULTS = (cut, flipped, written_over, said_twice, bomb, other)


@pytest.fixture(scope="module")
def faces(tmp_path_factory):
    """A folder of good and damaged pictures, and the number of damaged ones."""
    folder, rng = tmp_path_factory.mktemp("rotten") / "faces", np.random.default_rng(0)
    good = []
    for label in ("Happy", "Sad"):
        (folder / label).mkdir(parents=True)
    for number, kind in enumerate(KINDS):
        other_kind = KINDS[(number + 1) % len(KINDS)]
        # One of each kind, and one with the suffix of another kind, because the content decides.
        for name in (f"Happy/good.{kind}", f"Sad/good_{kind}.{other_kind}"):
            (folder / name).write_bytes(picture(kind, (40, 50), rng))
            good.append(name)
        for k in range(OF_EACH):
            shape = [(40, 50), (1, 3000), (3000, 1), (12, 12)][k % 4 if k % 3 == 0 else 0]
            data = FAULTS[k % len(FAULTS)](picture(kind, shape, rng), rng)
            (folder / f"{('Happy', 'Sad')[k % 2]}/{k:03d}_{FAULTS[k % len(FAULTS)].__name__}.{kind}").write_bytes(data)
    return folder, good, len(KINDS) * OF_EACH


def test_rotten_ones_are_listed_and_good_ones_are_there(faces, tmp_path, measured):
    folder, good, rotten = faces
    assert rotten >= 2000
    command = [sys.executable, "-P", "-m", "emotiw", "prepare", folder, "-o", tmp_path / "set", "--labels", "emotions"]
    command += ["--size", "32", "-r", "rgb", "cyclic_lbp_5", "--jobs", "2"]
    done, peak = measured(command, SECONDS)
    assert done.returncode == 0, done.stderr[-2000:]
    assert peak < BYTES
    used = {row["path"] for row in open_set(tmp_path / "set").manifest}
    assert set(good) <= used
    report = (tmp_path / "set/report.txt").read_text().splitlines()
    listed = dict(line.strip().split(": ", 1) for line in report if line.startswith("  "))
    every = {str(path.relative_to(folder)) for path in folder.rglob("*.*")}
    assert len(every) == rotten + len(good)
    assert used.isdisjoint(listed)
    assert used | set(listed) == every
    assert all(listed.values())
    bombs = {path: reason for path, reason in listed.items() if "bomb" in path and "jpg" not in path}
    reasons = {reason.split("(")[0] for reason in listed.values()}
    print(
        f"\n{rotten} rotten: {len(used) - len(good)} usable all the same, {len(listed)} listed; {peak / 1e6:.0f} MB;",
        *sorted(reasons),
        sep="\n  ",
    )
    assert bombs
