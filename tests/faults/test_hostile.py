"""Hostile input: nothing is evaluated, nothing is read or written outside, and no given size is trusted."""

import ast
import csv
import hashlib
import io
import json
import shutil
import struct
import subprocess
import sys
import tarfile
import zipfile
import zlib
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch

import emotiw
from emotiw.__main__ import main
from emotiw.data_prep.prepared_set import open_set
from emotiw.engine.torch.graph import State, graph_of
from emotiw.engine.torch.net import Net
from emotiw.errors import EmotiwError
from emotiw.prototxt.formats.messages import NetParameter, parse_text

PACKAGE = Path(emotiw.__file__).parent
FACE = cv2.imencode(".png", np.random.default_rng(0).integers(0, 256, (20, 20, 3), np.uint8))[1].tobytes()


def calls():
    """Every call in the package: its position, the called name, and its keywords."""
    for path in PACKAGE.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call):
                keywords = {word.arg: ast.unparse(word.value) for word in node.keywords}
                yield f"{path.relative_to(PACKAGE)}:{node.lineno}", ast.unparse(node.func), keywords


def imports():
    for path in PACKAGE.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Import | ast.ImportFrom):
                of = [getattr(node, "module", None) or ""] + [alias.name for alias in node.names]
                yield from ((f"{path.relative_to(PACKAGE)}:{node.lineno}", name.partition(".")[0]) for name in of)


def test_nothing_is_unpickled_or_evaluated_and_there_is_no_shell():
    seen = list(calls())
    assert len(seen) > 1000
    never = {"eval", "exec", "compile", "__import__", "os.system", "os.popen", "subprocess.getoutput", "torch.load"}
    assert [call for call in seen if call[1] in never] == []
    assert [call for call in seen if "shell" in call[2]] == []
    assert [call for call in seen if call[2].get("allow_pickle", "False") != "False"] == []
    modules = {"pickle", "cPickle", "shelve", "marshal", "dill", "joblib", "yaml", "code", "runpy"}
    assert [found for found in imports() if found[1] in modules] == []


def test_pictures_are_decoded_in_one_place():
    """The limit on size is checked there."""
    decoders = {"imread", "imreadmulti", "imdecode", "imdecodemulti", "imreadWithMetadata", "imdecodeWithMetadata"}
    decoders |= {"VideoCapture", "ImageCollection", "imreadanimation", "imdecodeanimation"}
    places = {where.partition(":")[0] for where, name, _ in calls() if name.startswith("cv2.") and name[4:] in decoders}
    assert places == {"prototxt/formats/image_codec.py"}
    others = {where.partition(":")[0] for where, name in imports() if name in {"PIL", "skimage", "imageio", "tifffile"}}
    assert others == {"engine/torch/pycaffe/image_files.py"}, "holds its pictures to the limit itself"
    assert [call for call in calls() if call[1].endswith(("plt.imread", "image.imread"))] == []


def png(width, height, *others):
    """A small black PNG with a header that gives these sides."""
    chunks = [(b"IHDR", struct.pack(">IIBBBBB", width, height, 1, 0, 0, 0, 0)), *others]
    chunks += [(b"IDAT", zlib.compress(bytes(64))), (b"IEND", b"")]
    packed = [struct.pack(">I", len(data)) + (k + data) + struct.pack(">I", zlib.crc32(k + data)) for k, data in chunks]
    return b"\x89PNG\r\n\x1a\n" + b"".join(packed)


def tiff(*pages):
    """A grey TIFF with several pages: width, height, tile."""
    data, place = b"II*\0" + struct.pack("<I", 8), 8
    for number, (width, height, tile) in enumerate(pages):
        after = place + 2 + 12 * 10 + 4
        packed = zlib.compress(bytes(256))
        values = {256: width, 257: height, 258: 8, 259: 8, 262: 1, 277: 1}
        values |= {322: tile, 323: tile, 324: after, 325: len(packed)}
        data += struct.pack("<H", 10) + b"".join(
            struct.pack("<HHII", tag, 4, 1, value) for tag, value in values.items()
        )
        place = after + len(packed)
        data += struct.pack("<I", place if number + 1 < len(pages) else 0) + packed
    return data


def liars():
    """Files with wrong headers, and the errors for them."""
    large = np.zeros((6000, 6000, 3), np.uint8)
    pictures = {".gif": large, ".webp": large, ".jp2": large[..., 0], ".jpg": large[:16, :16], ".avif": large[:16, :16]}
    made = {kind: cv2.imencode(kind, picture)[1].tobytes() for kind, picture in pictures.items()}
    jpeg = made[".jpg"]
    start = jpeg.find(b"\xff\xc0")
    end = start + 2 + int.from_bytes(jpeg[start + 2 : start + 4], "big")
    small = jpeg[start:end]
    scan, film = b"\xff\xda\0\x08\1\1\0\0\x3f\0", np.random.default_rng(0).bytes(10_000_000)
    big = small[:5] + struct.pack(">HH", 9000, 9000) + small[9:]
    box = made[".jp2"].find(b"ihdr") + 4
    canvas = b"VP8X" + struct.pack("<I", 10) + bytes(4) + 2 * (15).to_bytes(3, "little")
    none, many = "not an image that OpenCV reads", "more than 33554432 pixels: "
    return {
        "a PNG without a side": (png(0, 8), none),
        "a PNG of all there is": (png(2**31 - 1, 2**31 - 1), many + "2147483647 x 2147483647"),
        "two headers in a PNG": (png(8, 8, (b"IHDR", struct.pack(">IIBBBBB", 20000, 20000, 1, 0, 0, 0, 0))), none),
        "a large picture in an APNG": (
            png(8, 8, (b"acTL", struct.pack(">II", 1, 0)), (b"fcTL", struct.pack(">5I2H2B", 0, 9000, 9000, *[0] * 6))),
            none,
        ),
        "a small frame and a large one in a JPEG": (jpeg[:start] + small + big + jpeg[end:], none),
        "a large frame and a small one in a JPEG": (jpeg[:start] + big + small + jpeg[end:], many + "9000 x 9000"),
        "a GIF larger than its screen": (made[".gif"][:6] + struct.pack("<HH", 16, 16) + made[".gif"][10:], none),
        "a JPEG 2000 larger than its box": (
            made[".jp2"][:box] + struct.pack(">II", 16, 16) + made[".jp2"][box + 8 :],
            many + "6000 x 6000",
        ),
        "a WebP larger than its canvas": (made[".webp"][:12] + canvas + made[".webp"][12:], none),
        "a tile larger than its TIFF": (tiff((16, 16, 32768)), many + "32768 x 32768"),
        "a tile of 2^28 pixels": (tiff((16, 16, 16384)), many + "16384 x 16384"),
        "a JPEG of 1000 scans": (jpeg[:-2] + 1000 * scan + jpeg[-2:], "a JPEG of too many scans: save it as PNG"),
        "a JPEG with a film after it": (jpeg + film + jpeg[-2:], "16 x 16"),
        "a TIFF with a large second page": (tiff((16, 16, 16), (60000, 60000, 16)), "16 x 16"),
        "an AVIF": (made[".avif"], "an AVIF, which may have more pixels than its header says: convert it to PNG"),
        "a BMP of the least height": (b"BM" + bytes(16) + struct.pack("<ii", 16, -(2**31)), many + "16 x 2147483648"),
    }


def test_headers_that_lie_take_no_memory(tmp_path, measured):
    given = liars()
    for number, (data, _) in enumerate(given.values()):
        (tmp_path / f"{number:02d}").write_bytes(data)
    code = (
        "import sys\n"
        "from pathlib import Path\n"
        "from emotiw.data_prep.images import UnreadableImageError, read_image\n"
        "for path in sorted(Path(sys.argv[1]).iterdir()):\n"
        "    try: print(*read_image(path).shape[:2], sep=' x ')\n"
        "    except UnreadableImageError as error: print(str(error).partition(' (')[0])\n"
    )
    done, peak = measured([sys.executable, "-c", code, tmp_path])
    assert done.returncode == 0, done.stderr
    assert dict(zip(given, done.stdout.splitlines()[:-1], strict=True)) == {
        name: said for name, (_, said) in given.items()
    }
    assert peak < 400 << 20


def refused(capsys, *argv):
    """The one-line error of emotiw."""
    capsys.readouterr()
    assert main([str(word) for word in argv]) == 1
    (line,) = [line for line in capsys.readouterr().err.splitlines() if line.startswith("emotiw: ")]
    assert "internal error" not in line
    return line


def files(folder):
    return {str(path.relative_to(folder)) for path in folder.rglob("*")}


ESCAPES = ["../out.png", "/{elsewhere}/out.png", "happy/../../out.png", "C:\\out.png", "..\\out.png"]


@pytest.mark.parametrize("name", ESCAPES)
def test_a_zip_of_faces_that_leads_out(tmp_path, tmp_path_factory, capsys, name):
    elsewhere = tmp_path_factory.mktemp("elsewhere")
    name = name.replace("/{elsewhere}", str(elsewhere))
    with zipfile.ZipFile(tmp_path / "faces.zip", "w") as archive:
        archive.writestr("happy/a.png", FACE)
        archive.writestr(name, FACE)
    before = files(tmp_path)
    status = main(["prepare", str(tmp_path / "faces.zip"), "-o", str(tmp_path / "set"), "--labels", "emotions"])
    made = {name for name in files(tmp_path) - before if not name.startswith("set")}
    assert not {name for name in made if not name.startswith(".set.partial")}
    assert not files(elsewhere)
    if status == 0:  # a backslash is a letter like others
        assert "\\" in name
        assert {row["path"] for row in open_set(tmp_path / "set").manifest} == {"happy/a.png"}


@pytest.mark.parametrize("name", ["../VGG_S_rgb/x", "/{elsewhere}/VGG_S_rgb/x", "VGG_S_rgb/../../x"])
def test_a_zip_of_models_that_leads_out(tmp_path, tmp_path_factory, monkeypatch, capsys, name):
    elsewhere = tmp_path_factory.mktemp("elsewhere")
    monkeypatch.setenv("EMOTIW_MODELS", str(tmp_path / "place/models"))
    with zipfile.ZipFile(tmp_path / "models.zip", "w") as archive:
        for file in ("EmotiW_VGG_S.caffemodel", "mean.binaryproto", "deploy.txt"):
            archive.writestr(name.replace("/{elsewhere}", str(elsewhere)).replace("x", file), b"x" * 1000)
    refused(capsys, "models", "fetch", "VGG_S_rgb", "--from", tmp_path / "models.zip")
    assert not {name for name in files(tmp_path) if name.endswith((".caffemodel", ".binaryproto", "deploy.txt"))}
    assert not files(elsewhere)


@pytest.mark.parametrize("member", ["../out.png", "/out.png", "link"])
def test_a_tar_is_refused_unread(tmp_path, capsys, member):
    with tarfile.open(tmp_path / "faces.tar.gz", "w:gz") as archive:
        entry = tarfile.TarInfo(member)
        entry.size = len(FACE)
        if member == "link":
            entry.type, entry.linkname, entry.size = tarfile.SYMTYPE, "/etc/passwd", 0
        archive.addfile(entry, io.BytesIO(FACE))
    before = files(tmp_path)
    refused(capsys, "prepare", tmp_path / "faces.tar.gz", "-o", tmp_path / "set", "--labels", "emotions")
    assert files(tmp_path) <= before | {".set.partial"}


def test_a_table_that_names_files_outside_its_folder(tmp_path):
    (tmp_path / "secret.png").write_bytes(FACE)
    (tmp_path / "faces").mkdir()
    (tmp_path / "faces/a.png").write_bytes(FACE)
    rows = [
        "path,label",
        "a.png,Happy",
        "../secret.png,Happy",
        f"{tmp_path}/secret.png,Happy",
        "a/../../secret.png,Sad",
    ]
    (tmp_path / "faces/table.csv").write_text("\n".join(rows) + "\n")
    argv = ["prepare", tmp_path / "faces", "-o", tmp_path / "set", "--labels", "emotions", "--size", "16", "-r", "rgb"]
    assert main([str(word) for word in argv]) == 0
    assert [row["path"] for row in open_set(tmp_path / "set").manifest] == ["a.png"]
    listed = [line for line in (tmp_path / "set/report.txt").read_text().splitlines() if "secret.png: " in line]
    assert len(listed) == 3


def test_links_that_lead_round_in_a_source(tmp_path):
    """A user's links to pictures and folders are followed, but never in a circle."""
    (tmp_path / "faces/happy").mkdir(parents=True)
    (tmp_path / "faces/happy/a.png").write_bytes(FACE)
    (tmp_path / "faces/sad").symlink_to(tmp_path / "faces")
    (tmp_path / "faces/happy/b.png").symlink_to("b.png")
    argv = ["prepare", tmp_path / "faces", "-o", tmp_path / "set", "--labels", "emotions", "--size", "16", "-r", "rgb"]
    assert main([str(word) for word in argv]) == 0
    assert "happy/a.png" in [row["path"] for row in open_set(tmp_path / "set").manifest]


WATCHED = """
import sys
seen = []
sys.addaudithook(lambda event, args: seen.append(str(args[0])) if event == "open" else None)
from emotiw.__main__ import main
status = main(sys.argv[1:])
print("opened:", *(path for path in seen if path.endswith("secret.png")), flush=True)
sys.exit(status)
"""


@pytest.fixture
def hostile_set(sets, tmp_path):
    """A set with a manifest that names images elsewhere, with the matching digest."""
    folder = tmp_path / "set"
    shutil.copytree(sets / "expressions", folder)
    with (folder / "manifest.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    for row in rows[:10]:
        row["path"] = "../../../../secret.png"
    text = io.StringIO()
    writer = csv.DictWriter(text, list(rows[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    (folder / "manifest.csv").write_text(text.getvalue())
    facts = json.loads((folder / "set.json").read_text())
    facts["manifest_sha256"] = hashlib.sha256(text.getvalue().encode()).hexdigest()
    del facts["seal"], facts["inputs"]  # as for an older set, which has no digests
    (folder / "set.json").write_text(json.dumps(facts))
    return folder


@pytest.mark.caffe
def test_the_names_in_a_set_are_never_opened(hostile_set, runs, tmp_path):
    shutil.copytree(runs / "vgg_s_small-rgb", tmp_path / "runs/vgg_s_small-rgb")
    (tmp_path / "secret.png").write_bytes(FACE)
    for status, *argv in (
        (1, "evaluate", "runs/vgg_s_small-rgb/finetune", "--set", "set", "--force"),  # not the images of the manifest
        (1, "baseline", "--set", "set", "-o", "runs"),  # the same
        (0, "table", "runs", "-o", "table"),  # it reads only the existing scores
    ):
        done = subprocess.run(
            [sys.executable, "-P", "-c", WATCHED, *argv], cwd=tmp_path, capture_output=True, text=True
        )
        assert done.returncode == status, done.stderr
        assert "internal error" not in done.stderr, done.stderr
        assert str(tmp_path / "secret.png") not in done.stdout
        assert "opened:\n" in done.stdout


OTHER_FACTS = [
    {"representation": "../../secret"},
    {"representation": "rgb/../../../secret"},
    {"representation": ["rgb"]},
    {"row": "../../../x"},
    {"net": "../../x"},
    {"stage": "../../x"},
    {"weights": "/etc/passwd"},
    {"set_folder": "/etc"},
    {"classes": [1, 2]},
    {"classes": "abcdefg"},
    {"iterations": "many"},
    {"seed": None},
]


@pytest.mark.caffe
@pytest.mark.parametrize("facts", OTHER_FACTS, ids=str)
def test_a_run_folder_that_points_outside(sets, runs, tmp_path, capsys, facts):
    """It is read or refused; nothing is written outside the given folder."""
    place = tmp_path / "deep/er/runs"
    run = place / "vgg_s_small-rgb/finetune"
    shutil.copytree(runs / "vgg_s_small-rgb", run.parent, ignore=shutil.ignore_patterns("*s_val.*", "confusion_*"))
    known = json.loads((run / "run.json").read_text())
    (run / "run.json").write_text(json.dumps(known | facts))
    before, damaged = files(tmp_path), any(not isinstance(facts[name], type(known[name])) for name in facts)
    for verb in (["evaluate", run, "--set", sets / "expressions"], ["table", place, "-o", place / "table"]):
        status = main([str(word) for word in verb])
        said = capsys.readouterr().err
        assert "internal error" not in said
        assert status == 1 or not (damaged or "representation" in facts)
        assert len([line for line in said.splitlines() if line.startswith("emotiw: ")]) == status
    made = files(tmp_path) - before
    assert all(name.startswith(("deep/er/runs/vgg_s_small-rgb/finetune", "deep/er/runs/table")) for name in made), made


@pytest.mark.parametrize("name", ["../../secret", "rgb/../../secret", "/etc", "", 7])
def test_a_set_with_paths_of_images_outside(sets, tmp_path, capsys, name):
    shutil.copytree(sets / "expressions", tmp_path / "set")
    facts = json.loads((tmp_path / "set/set.json").read_text())
    facts["representations"] = [*facts["representations"], name]
    (tmp_path / "set/set.json").write_text(json.dumps(facts))
    said = refused(capsys, "baseline", "--set", tmp_path / "set", "-o", tmp_path / "runs")
    assert said.startswith(f"emotiw: {tmp_path / 'set/set.json'} is damaged (")
    assert said.endswith("): prepare the set again")


@pytest.mark.parametrize("row", ["../../x-rgb", "/tmp/x-rgb", "vgg_s_small-../../x", "vgg_s_small-rgb/../../x", "-rgb"])
def test_a_row_that_points_outside_is_a_usage_error(sets, tmp_path, capsys, row):
    with pytest.raises(SystemExit) as ended:
        sys.exit(main(["pretrain", "--set", str(sets / "people"), "-o", str(tmp_path / "runs"), "--", row]))
    assert ended.value.code == 2
    assert not (tmp_path / "runs").exists()


INPUT = 'layer { name: "data" type: "Input" top: "data" input_param { shape { dim: 1 dim: 3 dim: 9 dim: 9 } } }'
LRN = 'layer { name: "l" type: "LRN" bottom: "data" top: "l" lrn_param { local_size: %d alpha: %d } }'
ABSURD = {
    "input": 'layer { name: "data" type: "Input" top: "data" input_param { shape { dim: 99999999999 dim: 3 } } }',
    "negative": 'layer { name: "data" type: "Input" top: "data" input_param { shape { dim: -5 dim: 3 } } }',
    "overflow": 'layer { name: "d" type: "Input" top: "d" input_param { shape { dim: 4294967296 dim: 4294967296 } } }',
    **{
        what: f'{INPUT} layer {{ name: "l" type: "{kind}" bottom: "data" top: "l" {param} }}'
        for what, kind, param in (
            ("outputs", "InnerProduct", "inner_product_param { num_output: 4294967295 }"),
            ("filters", "Convolution", "convolution_param { num_output: 4000000000 kernel_size: 9 }"),
            ("kernel", "Convolution", "convolution_param { num_output: 2 kernel_size: 4000000000 }"),
            ("pad", "Convolution", "convolution_param { num_output: 2 kernel_size: 3 pad: 400000000 }"),
            ("window", "Pooling", "pooling_param { kernel_size: 4000000000 }"),
            ("stride", "Pooling", "pooling_param { kernel_size: 2 stride: 0 }"),
        )
    },
}


@pytest.mark.parametrize("what", ABSURD)
def test_absurd_sizes_in_a_prototxt_are_one_line(what):
    with pytest.raises(EmotiwError) as caught:
        Net(graph_of(parse_text(ABSURD[what], NetParameter, "it"), State("TEST")))()
    assert "\n" not in str(caught.value)


def test_lrn_over_more_channels_than_there_are_takes_no_longer():
    x = torch.arange(243.0).reshape(1, 3, 9, 9)
    by_hand = x / (1 + (x * x).sum(1, keepdim=True)) ** 0.75
    for n in (5, 4_294_967_295):  # alpha is divided by n
        net = Net(graph_of(parse_text(f"{INPUT}{LRN % (n, n)}", NetParameter, "it"), State("TEST")))
        net({"data": x})
        torch.testing.assert_close(net.blobs["l"], by_hand)
