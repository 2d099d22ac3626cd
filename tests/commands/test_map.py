import subprocess
import sys

import cv2
import numpy as np
import pytest

from emotiw.__main__ import main
from emotiw.lbp_mapping import derivation
from emotiw.lbp_mapping.mapping import map_image
from emotiw.lbp_mapping.representation import MAPPED, parse


def face(height=40, width=33, seed=0):
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)


def write(path, rgb):
    path.write_bytes(cv2.imencode(path.suffix, rgb[..., ::-1])[1].tobytes())
    return str(path)


def read(path):
    return cv2.imdecode(np.frombuffer(path.read_bytes(), np.uint8), cv2.IMREAD_UNCHANGED)[..., ::-1]


def complaint(capsys, *arguments):
    """Run a command line that must fail; return its status and its one-line error."""
    try:
        status = main(["map", *map(str, arguments)])
    except SystemExit as stop:
        status = stop.code
    said = capsys.readouterr().err
    assert said.startswith("emotiw")
    assert said.count("\n") == 1
    return status, said


def test_the_four_mapped_forms_are_written_where_one_is(tmp_path, monkeypatch, capsys):
    write(tmp_path / "a face é.png", face())
    monkeypatch.chdir(tmp_path)
    assert main(["map", "a face é.png"]) == 0
    names = [f"a face é.{name}.png" for name in ("lbp", "cyclic_lbp", "cyclic_lbp_5", "cyclic_lbp_10")]
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(["a face é.png", *names])
    for name, representation in zip(names, MAPPED, strict=True):
        assert np.array_equal(read(tmp_path / name), map_image(face(), representation))
    assert capsys.readouterr().out.splitlines() == [
        f"{name}: {size}" for name, size in zip(names, ["31 x 38", "31 x 38", "23 x 30", "13 x 20"], strict=True)
    ]


def test_representations_and_threshold(tmp_path):
    image = write(tmp_path / "f.png", face())
    out = tmp_path / "not" / "there yet"
    call = ["map", image, "-r", "rgb", "lbp", "lbp:threshold=0", "-r", "cyclic_lbp:radius=3", "lbp", "-o", str(out)]
    assert main([*call, "--threshold", "-2.5"]) == 0
    names = ["rgb", "lbp_t-2.5", "lbp", "cyclic_lbp_r3_t-2.5"]
    assert {path.name for path in out.iterdir()} == {f"f.{name}.png" for name in names}
    for name in names:
        assert np.array_equal(read(out / f"f.{name}.png"), map_image(face(), parse(name)))


def test_a_photo_is_turned_by_its_exif_orientation(tmp_path):
    flat = np.full((24, 48, 3), 90, np.uint8)
    jpeg = cv2.imencode(".jpg", flat)[1].tobytes()
    exif = b"Exif\0\0II*\0\x08\0\0\0\x01\0\x12\x01\x03\0\x01\0\0\0\x06\0\0\0\0\0\0\0"
    path = tmp_path / "turned.jpg"
    path.write_bytes(jpeg[:2] + b"\xff\xe1" + (len(exif) + 2).to_bytes(2, "big") + exif + jpeg[2:])
    assert main(["map", str(path), "-r", "rgb", "-o", str(tmp_path)]) == 0
    assert read(tmp_path / "turned.rgb.png").shape == (48, 24, 3)


def test_figures(tmp_path, capsys):
    images = [write(tmp_path / f"{name}.png", face()) for name in "ab"]
    assert main(["map", *images, "-r", "lbp", "--figure", "-o", str(tmp_path / "out")]) == 0
    names = {"a.lbp.png", "b.lbp.png", "a.figure.png", "b.figure.png", "codes.figure.png"}
    assert {path.name for path in (tmp_path / "out").iterdir()} == names
    assert len(capsys.readouterr().out.splitlines()) == 5
    assert all(read(tmp_path / "out" / name).std() > 1 for name in names)


def test_nothing_is_replaced_without_force(tmp_path, capsys):
    image = write(tmp_path / "f.png", face())
    (tmp_path / "f.cyclic_lbp_10.png").write_text("mine")
    status, said = complaint(capsys, image, "-o", tmp_path)
    assert (status, "f.cyclic_lbp_10.png exists already" in said, "--force" in said) == (1, True, True)
    assert not (tmp_path / "f.lbp.png").exists()
    assert main(["map", image, "-o", str(tmp_path), "--force"]) == 0
    assert read(tmp_path / "f.cyclic_lbp_10.png").shape == (20, 13, 3)


def test_force_replaces_only_a_file(tmp_path, capsys):
    image = write(tmp_path / "f.png", face())
    (tmp_path / "f.lbp.png").mkdir()
    (tmp_path / "f.lbp.png/thesis.txt").write_text("mine")
    status, said = complaint(capsys, image, "-o", tmp_path, "--force")
    words = f"{tmp_path}/f.lbp.png is not a file, so it is not replaced: remove it, or name another output"
    assert (status, words in said) == (1, True)
    assert (tmp_path / "f.lbp.png/thesis.txt").read_text() == "mine"
    assert not (tmp_path / "f.cyclic_lbp_10.png").exists()


def test_outputs_that_would_collide(tmp_path, capsys):
    images = [write(tmp_path / name, face()) for name in ("f.png", "f.bmp")]
    status, said = complaint(capsys, *images, "-o", tmp_path)
    assert (status, "f.lbp.png" in said) == (2, True)
    status, said = complaint(capsys, images[0], images[0], "-o", tmp_path)
    assert status == 2
    codes = write(tmp_path / "codes.png", face())
    status, said = complaint(capsys, codes, "--figure", "-o", tmp_path)
    assert (status, "codes.figure.png" in said) == (2, True)
    mapped = write(tmp_path / "f.lbp.png", face())
    status, said = complaint(capsys, images[0], mapped, "-o", tmp_path, "--force")
    assert (status, "is an input itself" in said) == (2, True)
    assert len(list(tmp_path.iterdir())) == 4


@pytest.mark.parametrize(
    "arguments",
    [["-r", "lpb"], ["-r", "rgb:radius=2"], ["-r", "lbp:radius=0"], ["--threshold", "nan"], ["--threshold", "much"]],
)
def test_bad_spellings_are_usage_errors(tmp_path, capsys, arguments):
    image = write(tmp_path / "f.png", face())
    status, said = complaint(capsys, image, "-o", tmp_path, *arguments)
    assert (status, arguments[1] in said) == (2, True)


def test_a_radius_is_for_those_that_do_not_spell_their_own(tmp_path):
    out, image = tmp_path / "out", write(tmp_path / "f.png", face())
    assert (
        main(["map", str(image), "-r", "rgb", "lbp", "cyclic_lbp_5", "cyclic_lbp_3", "-o", str(out), "--radius", "2"])
        == 0
    )
    names = sorted(path.name.split(".")[1] for path in out.iterdir())
    assert names == ["cyclic_lbp_5", "cyclic_lbp_r3", "lbp_r2", "rgb"]


def test_a_radius_for_nothing_is_a_usage_error(tmp_path, capsys):
    image = write(tmp_path / "f.png", face())
    status, said = complaint(capsys, image, "-o", tmp_path, "-r", "rgb", "cyclic_lbp_5", "--radius", "2")
    assert (status, "--radius 2 applies to none of rgb, cyclic_lbp_5: leave it out" in said) == (2, True)
    status, said = complaint(capsys, image, "-o", tmp_path, "--radius", "0")
    assert (status, "give a whole number of pixels, 1 to 100" in said) == (2, True)


@pytest.mark.parametrize("names", [["rgb"], ["lbp:threshold=3"], ["rgb", "lbp:threshold=3"]])
def test_a_threshold_for_nothing_is_a_usage_error(tmp_path, capsys, names):
    image = write(tmp_path / "f.png", face())
    status, said = complaint(capsys, image, "-o", tmp_path, "-r", *names, "--threshold", "5")
    assert (status, "--threshold 5 applies to none of " in said) == (2, True)
    assert len(list(tmp_path.iterdir())) == 1


def test_no_image_is_a_usage_error(capsys):
    assert complaint(capsys)[0] == 2


def test_a_file_that_is_not_an_image(tmp_path, capsys):
    (tmp_path / "text.png").write_text("not an image")
    (tmp_path / "empty.png").touch()
    for name, reason in {
        "text.png": "not an image",
        "empty.png": "empty",
        "none.png": "no such file",
        ".": "folder",
    }.items():
        status, said = complaint(capsys, tmp_path / name, "-o", tmp_path)
        assert (status, str(tmp_path / name) in said, reason in said) == (1, True, True)
    assert len(list(tmp_path.iterdir())) == 2


def test_too_small_for_the_radius(tmp_path, capsys):
    image = write(tmp_path / "f.png", face(20, 30))
    status, said = complaint(capsys, image, "-o", tmp_path)
    assert (status, "30 x 20" in said, "at least 21 x 21" in said) == (1, True, True)
    assert main(["map", image, "-o", str(tmp_path), "-r", "cyclic_lbp_5"]) == 0


def test_derive_prints_a_line_a_table(capsys):
    assert main(["map", "--derive"]) == 0
    lbp, cyclic, hamming = capsys.readouterr().out.splitlines()
    assert lbp.startswith("lbp: 60 iterations, stress 0.0226353")
    assert cyclic.startswith("cyclic_lbp: 41 iterations, stress 0.0851643")
    assert hamming.startswith("hamming_lbp: ")
    assert all("256 of 256 rows equal the shipped table" in line for line in (lbp, cyclic, hamming))
    assert all("6307 of 6307 distances" in line for line in (lbp, cyclic))
    assert "(210 of them read from the authors' pictures)" in lbp
    assert "(255 of them read from the authors' pictures)" in cyclic
    assert "pictures" not in hamming


def test_derive_fails_where_a_table_differs(monkeypatch, capsys):
    table = np.zeros((256, 3), np.uint8)
    monkeypatch.setattr(derivation, "derive", lambda mapping: derivation.Derivation(table, 1, 0.5))
    status, said = complaint(capsys, "--derive")
    assert (status, "lbp, cyclic_lbp, hamming_lbp" in said) == (1, True)


def test_mapping_loads_no_figure_and_no_scaling_library(tmp_path):
    image = write(tmp_path / "f.png", face())
    code = (
        f"import sys; from emotiw.__main__ import main; main(['map', {image!r}, '-o', {str(tmp_path)!r}]); "
        "print([name for name in ('matplotlib', 'scipy', 'sklearn', 'ot') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.stdout.splitlines()[-1] == "[]"
