"""Fetching models from every source, with interruptions and wrong files."""

import filecmp
import importlib
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import threading
import zipfile
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import requests

from emotiw.__main__ import main
from emotiw.engine.caffe.scorer import CaffeScorer
from emotiw.evaluate.model import open_model
from emotiw.evaluate.released import download
from emotiw.evaluate.released.catalog import DEPLOY, MEAN, WEIGHTS, released
from emotiw.evaluate.released.stand_in import write_stand_in
from emotiw.evaluate.released.verify import state, verify
from emotiw.prototxt.formats.blobs import write_mean
from emotiw.prototxt.formats.messages import NetParameter, format_text, read_binary, write_binary
from emotiw.prototxt.surgery import committed

FILES = (WEIGHTS, MEAN, DEPLOY)
KEPT = 1 << 19  # of the 700,000 bytes sent: whole chunks of gdown
LBP, CYCLIC = "VGG_S_lbp", "VGG_S_cyclic_lbp"  # without a known digest


def said(capsys, *argv, status=0):
    """Run `emotiw models fetch`; return its output, or its one-line error."""
    capsys.readouterr()
    assert main(["models", "fetch", *map(str, argv)]) == status
    out, err = capsys.readouterr()
    if not status:
        return out
    complaints = [line for line in err.splitlines() if line.startswith("emotiw: ")]
    assert len(complaints) == 1
    assert "internal error" not in complaints[0]
    return complaints[0]


def same(here, there):
    return not any(filecmp.cmpfiles(here, there, FILES, shallow=False)[1:])


def left(models):
    """The entries next to the models' folders."""
    return sorted(path.name for path in models.iterdir() if path.name not in released())


@pytest.fixture
def two(authors, tmp_path, small):
    """A folder with two models, in the layout of the authors' demo with five."""
    for name in (LBP, CYCLIC):
        authors(tmp_path / "served/DemoDir" / name, name)
    return tmp_path / "served/DemoDir"


def pack(folder, archive, prefix=""):
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as packed:
        for file in sorted(folder.rglob("*")):
            packed.write(file, prefix + str(file.relative_to(folder)))
        packed.writestr(f"__MACOSX/{LBP}/{WEIGHTS}", "a Mac's own")
        packed.writestr("DemoDir/EmotiW_Demo.ipynb", "{}")
    return archive


@pytest.mark.parametrize("kind", ["folder", "zip", "site", "site of a zip"])
def test_models_are_fetched_from_everywhere(server, two, small, tmp_path, capsys, kind):
    source = {
        "folder": two,
        "zip": pack(two, tmp_path / "DemoDir.zip", "DemoDir/"),
        "site": f"{server.url}/DemoDir/",
        "site of a zip": f"{server.url}/all%20of.zip?download=1",
    }[kind]
    shutil.copy(tmp_path / "DemoDir.zip", tmp_path / "served/all of.zip")
    out = said(capsys, LBP, CYCLIC, "--from", source)
    assert out.startswith("6 files of 2 models from ")
    assert f"{LBP}: whole -> {small / LBP}\n" in out
    assert [state(name) for name in (LBP, CYCLIC)] == ["whole", "whole"]
    assert same(small / LBP, two / LBP)
    assert same(small / CYCLIC, two / CYCLIC)
    assert not left(small)
    assert verify(LBP).wrong == ()


def test_a_models_own_folder_and_its_files_one_by_one(two, small, tmp_path, capsys):
    said(capsys, CYCLIC, "--from", two / CYCLIC)
    assert same(small / CYCLIC, two / CYCLIC)
    saved = shutil.copy(two / LBP / WEIGHTS, tmp_path / "EmotiW_VGG_S (1).caffemodel")  # as browsers do
    out = said(capsys, LBP, "--from", saved)
    assert f"{LBP}: {MEAN} is missing, {DEPLOY} is missing -> " in out
    for file in (MEAN, DEPLOY):
        said(capsys, LBP, "--from", two / LBP / file)
    assert state(LBP) == "whole"
    assert same(small / LBP, two / LBP)


def test_what_is_here_and_whole_is_not_fetched_again(server, two, small, capsys):
    said(capsys, LBP, "--from", f"{server.url}/DemoDir")
    (small / LBP / MEAN).unlink()
    server.asked.clear()
    assert said(capsys, LBP, "--from", f"{server.url}/DemoDir").startswith("1 file of 1 model from ")
    assert {path for path, _ in server.asked} == {f"/DemoDir/{LBP}/{MEAN}"}
    server.asked.clear()
    for source in ("DemoDir", "DemoDir.zip"):
        assert said(capsys, LBP, "--from", f"{server.url}/{source}") == f"{LBP}: whole -> {small / LBP}\n"
    assert server.asked == []


def test_a_different_file_is_not_replaced_without_force(two, small, capsys):
    said(capsys, LBP, "--from", two)
    (small / LBP / DEPLOY).write_text("name: 'mine'")
    line = said(capsys, LBP, "--from", two, status=1)
    assert f"{small / LBP / DEPLOY} is here and is not the authors' (layer input is missing): give --force" in line
    assert (small / LBP / DEPLOY).read_text() == "name: 'mine'"
    said(capsys, LBP, "--from", two, "--force")
    assert same(small / LBP, two / LBP)


def test_a_stand_in_is_never_mistaken_for_the_model(two, small, capsys):
    assert said(capsys, LBP, "--stand-in") == f"{LBP}: STAND-IN, random weights of seed 0 -> {small / LBP}\n"
    assert "is not the authors' (a STAND-IN's): give --force" in said(capsys, LBP, "--from", two, status=1)
    said(capsys, LBP, "--from", two / LBP / WEIGHTS, "--force")
    assert state(LBP) == "STAND-IN"  # the mean is random still
    assert "mean.binaryproto, deploy.prototxt of a STAND-IN among files that are not" in verify(LBP).wrong[0]
    said(capsys, LBP, "--from", two, "--force")
    assert state(LBP) == "whole"
    assert "exists already (whole): give --force" in said(capsys, LBP, "--stand-in", status=1)
    assert same(small / LBP, two / LBP)


def test_a_stand_in_of_the_same_seed_is_there_already(small, capsys):
    said(capsys, LBP, "--stand-in", "--seed", 3)
    time = (small / LBP / WEIGHTS).stat().st_mtime_ns
    said(capsys, LBP, "--stand-in", "--seed", 3)
    assert (small / LBP / WEIGHTS).stat().st_mtime_ns == time
    assert "exists already (STAND-IN)" in said(capsys, LBP, "--stand-in", "--seed", 4, status=1)
    assert "seed 4" in said(capsys, LBP, "--stand-in", "--seed", 4, "--force")


# Interruptions.


def test_an_interrupted_download_is_resumed(server, two, small, capsys):
    server.breaks = [700_000]
    line = said(capsys, LBP, "--from", f"{server.url}/DemoDir", status=1)
    assert f"{server.url}/DemoDir/{LBP}/{WEIGHTS} broke off" in line
    assert line.endswith(": run the same command again to continue")
    assert state(LBP) == "nothing"
    server.asked.clear()
    said(capsys, LBP, "--from", f"{server.url}/DemoDir")
    assert (f"/DemoDir/{LBP}/{WEIGHTS}", f"bytes={KEPT}-") in server.asked
    assert same(small / LBP, two / LBP)
    assert not left(small)


def test_a_broken_connection_is_retried(server, two, small, capsys, monkeypatch):
    monkeypatch.setattr(download, "RETRIES", 1)
    server.breaks = [700_000]
    said(capsys, LBP, "--from", f"{server.url}/DemoDir")
    assert (f"/DemoDir/{LBP}/{WEIGHTS}", f"bytes={KEPT}-") in server.asked
    assert same(small / LBP, two / LBP)


def test_an_interrupted_zip_download_is_resumed(server, two, small, tmp_path, capsys):
    pack(two, tmp_path / "served/DemoDir.zip")
    server.breaks = [700_000]
    assert "broke off" in said(capsys, LBP, "--from", f"{server.url}/DemoDir.zip", status=1)
    said(capsys, LBP, "--from", f"{server.url}/DemoDir.zip")
    assert ("/DemoDir.zip", f"bytes={KEPT}-") in server.asked
    assert same(small / LBP, two / LBP)
    assert not left(small)


def test_a_server_without_resume_gives_the_whole_file(server, two, small, capsys):
    server.ranges, server.breaks = False, [700_000]
    assert "broke off" in said(capsys, LBP, "--from", f"{server.url}/DemoDir", status=1)
    said(capsys, LBP, "--from", f"{server.url}/DemoDir")
    assert same(small / LBP, two / LBP)


def test_a_partial_file_of_another_origin_is_not_resumed(server, two, small, authors, tmp_path, capsys):
    write_stand_in(tmp_path / "served/other" / LBP, LBP, seed=9)
    server.breaks = [700_000]
    assert "broke off" in said(capsys, LBP, "--from", f"{server.url}/other", status=1)
    said(capsys, LBP, "--from", f"{server.url}/DemoDir")
    assert same(small / LBP, two / LBP)


SAID = {"ETag": '"1"', "Last-Modified": "Sat, 28 Nov 2015 10:00:00 GMT"}


@pytest.mark.parametrize(
    "change",
    [{"ETag": '"2"'}, {"Last-Modified": "Sun, 29 Nov 2015 10:00:00 GMT"}, {"ETag": ""}, {}],
    ids=["ETag", "date", "no ETag any more", "length"],
)
def test_a_file_changed_on_the_server_is_fetched_again(server, two, small, capsys, change):
    """Otherwise its end would be appended to the beginning of another file; this model has no published digest."""
    new = (two / LBP / WEIGHTS).read_bytes()
    old = bytes(len(new) - bool(not change))
    (two / LBP / WEIGHTS).write_bytes(old)
    server.headers, server.breaks = SAID, [700_000]
    assert "broke off" in said(capsys, LBP, "--from", f"{server.url}/DemoDir", status=1)
    (two / LBP / WEIGHTS).write_bytes(new)
    server.headers = SAID | change
    server.asked.clear()
    out = said(capsys, LBP, "--from", f"{server.url}/DemoDir")
    assert f"{LBP}/{WEIGHTS} is not the file of the partial download: fetching it from its beginning\n" in out
    assert same(small / LBP, two / LBP)
    assert not left(small)
    assert {begin for _, begin in server.asked} == {None}


def test_an_unchanged_file_is_resumed(server, two, small, capsys):
    server.headers, server.breaks = SAID, [700_000]
    assert "broke off" in said(capsys, LBP, "--from", f"{server.url}/DemoDir", status=1)
    server.asked.clear()
    said(capsys, LBP, "--from", f"{server.url}/DemoDir")
    assert (f"/DemoDir/{LBP}/{WEIGHTS}", f"bytes={KEPT}-") in server.asked
    assert same(small / LBP, two / LBP)


def test_a_partial_file_without_a_record_is_not_resumed(server, two, small, capsys):
    """Older versions left such a file."""
    server.breaks = [700_000]
    assert "broke off" in said(capsys, LBP, "--from", f"{server.url}/DemoDir", status=1)
    (noted,) = small.glob(".fetching/*/*/*.server.json")
    noted.unlink()
    said(capsys, LBP, "--from", f"{server.url}/DemoDir")
    assert same(small / LBP, two / LBP)


CHILD = """
import sys
from emotiw.evaluate.released import verify as checking, stand_in
from emotiw.__main__ import main
checking.NET = stand_in.NET = "vgg_s_small"
sys.exit(main(sys.argv[1:]))
"""


@pytest.mark.parametrize(("sent", "status"), [(signal.SIGINT, 130), (signal.SIGKILL, -9)])
def test_a_killed_download_is_resumed(server, two, small, capsys, sent, status):
    server.stall, server.breaks = True, [700_000]
    argv = ["models", "fetch", LBP, "--from", f"{server.url}/DemoDir"]
    child = subprocess.Popen([sys.executable, "-c", CHILD, *argv], stderr=subprocess.PIPE, text=True)
    assert server.stalled.wait(60)
    (part,) = await_part(small)
    child.send_signal(sent)
    _, err = child.communicate()
    assert child.returncode == status
    if sent == signal.SIGINT:
        assert err.endswith("emotiw: interrupted: run the same command again to continue\n")
    came = part.stat().st_size
    assert state(LBP) == "nothing"
    server.asked.clear()
    said(capsys, *argv[2:])
    assert (f"/DemoDir/{LBP}/{WEIGHTS}", f"bytes={came}-") in server.asked
    assert same(small / LBP, two / LBP)
    assert not left(small)


def await_part(models):
    """Wait until the first half MiB is on the disk."""
    for _ in range(600):
        found = [part for part in models.glob(".fetching/*/*/*.part") if part.stat().st_size >= 1 << 19]
        if found:
            return found
        threading.Event().wait(0.1)
    return []


def test_two_at_a_time(small, two, capsys):
    hold = "import fcntl, os, sys; f = os.open(sys.argv[1], os.O_RDONLY); fcntl.flock(f, fcntl.LOCK_EX); print(); "
    (small / ".fetching").mkdir(parents=True)
    other = subprocess.Popen(
        [sys.executable, "-uc", hold + "sys.stdin.read()", small / ".fetching"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    other.stdout.readline()
    assert f"another emotiw models fetch is running in {small}: wait" in said(capsys, LBP, "--from", two, status=1)
    other.communicate()


def test_a_full_disk_is_reported_before_anything_is_fetched(server, two, small, capsys, monkeypatch):
    monkeypatch.setattr(shutil, "disk_usage", lambda folder: SimpleNamespace(free=1_000_000))
    line = said(capsys, LBP, "--from", f"{server.url}/DemoDir", status=1)
    assert "the download needs 0.00 GB" in line
    assert "free some" in line
    assert server.asked == []


# Files that are not the model's.


def html(path):
    path.write_text("<!DOCTYPE html>\n<html><body>Sign in</body></html>")


def noise(path):
    path.write_bytes(np.random.default_rng(0).bytes(5000))


def cut(path):
    path.write_bytes(path.read_bytes()[:-1000])


def empty(path):
    path.write_bytes(b"")


def another_net(path):
    net = committed("vgg_m_2048_small", DEPLOY)
    if path.name == DEPLOY:
        path.write_text(format_text(net))
    else:
        weights = read_binary(path, NetParameter)
        weights.layers[1].name, weights.layers[0].name = "norm9", "conv9"
        weights.layers[-2].blobs[0].width = 1
        write_binary(path, weights)


def another_type(path):
    weights = read_binary(path, NetParameter)
    weights.layers[0].type = weights.layers[-2].type
    write_binary(path, weights)


def small_mean(path):
    write_mean(path, np.zeros((3, 64, 64), np.float32))


def nan(path):
    if path.name == MEAN:
        write_mean(path, np.full((3, 256, 256), np.nan, np.float32))
    else:
        weights = read_binary(path, NetParameter)
        weights.layers[0].blobs[1].data[3] = float("inf")
        weights.layers[0].blobs[1].data[4] = float("nan")
        write_binary(path, weights)


def bright_mean(path):
    write_mean(path, np.full((3, 256, 256), 300, np.float32))


BAD = [
    (
        WEIGHTS,
        html,
        "not a complete NetParameter of Caffe, but a web page: .* expected: a caffemodel of [0-9]+ bytes or more",
    ),
    (WEIGHTS, noise, "not a complete NetParameter of Caffe, but 5000 bytes: .* expected: a caffemodel"),
    (
        WEIGHTS,
        cut,
        "not a complete NetParameter of Caffe, but [0-9]+ bytes: .* expected: a caffemodel of [0-9]+ bytes or more",
    ),
    (WEIGHTS, empty, "it holds no layer with weights; expected: conv1, conv2"),
    (
        WEIGHTS,
        another_net,
        "conv1 is missing; expected: 24x3x7x7 \\+ 24; fc8_cat is 1x1x7x1 .* on the card; conv9 is one too many",
    ),
    (WEIGHTS, another_type, "conv1 is of type InnerProduct, expected: Convolution"),
    (WEIGHTS, nan, r"conv1 holds 2 values that are not numbers \(NaN, infinity\)"),
    (MEAN, html, "not a complete BlobProto of Caffe, but a web page"),
    (MEAN, cut, "not a complete BlobProto of Caffe, but [0-9]+ bytes"),
    (MEAN, empty, "not a mean image"),
    (MEAN, small_mean, "it is a mean of 3 x 64 x 64, expected: 3 x 256 x 256"),
    (MEAN, nan, "it holds values that are not numbers"),
    (MEAN, bright_mean, "its values reach from 300 to 300, expected: within 0 to 255"),
    (DEPLOY, html, "not a prototxt, but a web page"),
    (DEPLOY, noise, "not a prototxt: it is not text, but 5000 bytes"),
    (DEPLOY, empty, "layer input is missing; layer conv1 is missing; .* things more"),
    (DEPLOY, another_net, "conv2's pad is 1, expected: 2"),
]


@pytest.mark.parametrize(("file", "spoil", "words"), BAD, ids=[f"{spoil.__name__} {file}" for file, spoil, _ in BAD])
def test_a_file_that_is_not_the_models_is_refused(server, two, small, capsys, file, spoil, words):
    spoil(two / LBP / file)
    for source in (f"{server.url}/DemoDir", two):
        line = said(capsys, LBP, "--from", source, status=1)
        assert f"{source} gives a {LBP}/{file} that is not the model's: " in line
        assert re.search(words, line), line
        assert not (small / LBP / file).exists()
        assert not left(small)


def test_a_download_that_is_cut_off_and_does_not_say_so(server, two, small, capsys):
    server.lengths, server.breaks = False, [700_000]
    line = said(capsys, LBP, "--from", f"{server.url}/DemoDir", status=1)
    assert "not a complete NetParameter of Caffe, but 700000 bytes" in line
    said(capsys, LBP, "--from", f"{server.url}/DemoDir")  # from the beginning
    assert same(small / LBP, two / LBP)


def test_a_file_other_than_the_published_one_is_detected(authors, small, tmp_path, capsys):
    authors(tmp_path / "VGG_S_rgb", "VGG_S_rgb")
    line = said(capsys, "VGG_S_rgb", "--from", tmp_path, status=1)
    assert re.search(
        r"VGG_S_rgb/EmotiW_VGG_S.caffemodel that .*: it has [0-9]+ bytes, the authors' has 498032193$", line
    )


def test_errors_of_a_host(server, small, capsys):
    line = said(capsys, LBP, "--from", f"{server.url}/nowhere", status=1)
    assert line == f"emotiw: {server.url}/nowhere/{LBP}/{WEIGHTS} is not given: 404 Client Error: Not Found"
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    line = said(capsys, LBP, "--from", f"http://127.0.0.1:{port}/x", status=1)
    assert line.endswith("cannot be reached (Connection refused): run the same command again to retry")


def test_a_file_that_is_not_a_zip_or_lacks_the_model(server, two, small, tmp_path, capsys):
    shutil.rmtree(two / CYCLIC)
    archive = pack(two, tmp_path / "served/a.zip")
    line = said(capsys, CYCLIC, "--from", archive, status=1)
    assert line == f"emotiw: {archive} holds 0 files {CYCLIC}/{WEIGHTS}, expected 1; models in it: {LBP}"
    archive.write_bytes(archive.read_bytes()[:-100])
    assert "a.zip is not a complete zip archive" in said(capsys, LBP, "--from", archive, status=1)
    html(archive)
    line = said(capsys, LBP, "--from", f"{server.url}/a.zip", status=1)
    assert "a.zip is not a complete zip archive" in line
    pack(two, archive)
    said(capsys, LBP, "--from", f"{server.url}/a.zip")  # it was not kept
    assert same(small / LBP, two / LBP)


def test_a_zip_that_leads_out_is_not_read(two, small, tmp_path, capsys):
    archive = pack(two, tmp_path / "a.zip")
    with zipfile.ZipFile(archive, "a") as packed:
        packed.writestr(f"../{LBP}/{WEIGHTS}", "x")
    assert "a path that leads out of the archive: it is not read" in said(capsys, LBP, "--from", archive, status=1)
    assert not left(small)


def test_a_damaged_member(two, small, tmp_path, capsys):
    archive = pack(two, tmp_path / "a.zip", "DemoDir/")
    content = bytearray(archive.read_bytes())
    for place in range(500_000, 500_100):
        content[place] ^= 255
    archive.write_bytes(content)
    line = said(capsys, CYCLIC, LBP, "--from", archive, status=1)
    assert "damaged in its archive" in line
    assert not left(small)


@pytest.mark.parametrize(
    ("argv", "words"),
    [
        (["VGG_S"], "no released model 'VGG_S': there are VGG_S_rgb, "),
        (["all", "--stand-in", "--from", "x.zip"], "give one of the two"),
        (["all", "--seed", "3"], "--seed needs --stand-in"),
        (["all", "--stand-in", "--seed", "-1"], "at least 0"),
        (["all", "--from", "nothing.zip"], "nothing.zip: no such file or folder"),
        (["all", "--from", "ftp://host/x.zip"], "expected a URL of http or https"),
        (["all", "--from", "file:///etc/passwd"], "expected a URL of http or https"),
        (["all", "--from", "x.caffemodel"], "x.caffemodel is a file of one model, and 5 are asked for"),
        ([LBP, "--from", "x.png"], "x.png: expected a .zip, a .caffemodel, a .binaryproto, a .prototxt, a folder"),
    ],
)
def test_usage_errors(small, tmp_path, monkeypatch, capsys, argv, words):
    monkeypatch.chdir(tmp_path)
    for name in ("x.caffemodel", "x.png"):
        (tmp_path / name).touch()
    assert words in said(capsys, *argv, status=2)


# Google Drive, with its addresses redirected to the file server: this runs the real gdown.

FORM = (
    '<html><body><form id="download-form" action="https://drive.usercontent.google.com/{}" method="get">'
    '<input type="hidden" name="id" value="x"><input type="hidden" name="confirm" value="t"></form></body></html>'
)
QUOTA = """<html><p class="uc-error-subcaption">Too many users have viewed or downloaded this file recently. Please
try accessing the file again later.</p></html>""".replace("\n", " ")


@pytest.fixture
def drive(server, authors, small, monkeypatch, tmp_path):
    """The file server as Google Drive, with one model on it; return its folder, in which files are named `uc` by id."""
    get = requests.Session.get
    monkeypatch.setattr(
        requests.Session,
        "get",
        lambda self, url, **how: get(self, re.sub(r"^https://[a-z.]+\.google\.com", server.url, url), **how),
    )
    kept = str(tmp_path / "home/cookies.txt")
    monkeypatch.setattr(importlib.import_module("gdown.download"), "DEFAULT_COOKIES_FILE", kept)
    authors(tmp_path / "served" / LBP, LBP)
    return tmp_path / "served" / LBP


def uc(file):
    return f"/uc?id={released()[LBP].files[file].drive}"


def test_drives_page_before_a_large_file_is_passed_through(server, drive, small, tmp_path, capsys):
    for file in FILES:
        server.pages[uc(file)] = (200, FORM.format(f"{LBP}/{file}"))
    out = said(capsys, LBP)
    assert out.startswith("3 files of 1 model from Google Drive: ")
    assert same(small / LBP, drive)
    assert {path for path, _ in server.asked} >= {f"/{LBP}/{file}?id=x&confirm=t" for file in FILES}
    assert not (tmp_path / "home").exists()  # no cookies


@pytest.mark.parametrize(
    ("status", "page", "words"),
    [
        (200, QUOTA, "Too many users have viewed or downloaded this file recently"),
        (200, "<html>Sign in</html>", "Cannot retrieve the public link of the file"),
        (403, "<html>no</html>", "Cannot retrieve the public link of the file"),
        (404, "<html>no</html>", "Cannot retrieve the public link of the file"),
    ],
)
def test_what_drive_refuses_is_to_be_fetched_by_hand(server, drive, small, capsys, status, page, words):
    server.pages[uc(WEIGHTS)] = (status, page)
    line = said(capsys, LBP, status=1)
    assert f"Google Drive does not give {LBP}/{WEIGHTS} (" in line
    assert words in line
    number = released()[LBP].files[WEIGHTS].drive
    assert line.endswith(
        f": open https://drive.google.com/file/d/{number}/view in a browser, save the file, then: "
        f"emotiw models fetch {LBP} --from FILE"
    )
    assert state(LBP) == "nothing"
    assert not left(small)


def test_a_download_from_drive_is_resumed_too(server, drive, small, capsys):
    for file in FILES:
        server.pages[uc(file)] = (200, FORM.format(f"{LBP}/{file}"))
    form = len(server.pages[uc(WEIGHTS)][1])
    server.breaks = [form, 700_000]
    assert "broke off" in said(capsys, LBP, status=1)
    server.asked.clear()
    said(capsys, LBP)
    assert (f"/{LBP}/{WEIGHTS}?id=x&confirm=t", f"bytes={KEPT}-") in server.asked
    assert same(small / LBP, drive)


# The real size: stand-ins of all five.


def at_full_size(source, stand_ins, capsys):
    """Fetch all five stand-ins from a URL, and verify them."""
    out = said(capsys, "all", "--from", source)
    assert out.startswith(f"15 files of 5 models from {source}: 2.49 GB, and ")
    models = Path(os.environ["EMOTIW_MODELS"])
    for name in released():
        assert f"{name}: STAND-IN -> {models / name}\n" in out
        assert same(models / name, stand_ins / name)
    assert main(["models", "verify"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.partition(": ")[0] for line in lines] == [*released()]
    assert all(": STAND-IN: 124,507,607 parameters in 8 layers as on the card" in line for line in lines)
    return models


@pytest.mark.caffe
def test_all_five_from_a_server_to_the_real_caffe(server, stand_ins, caffe, tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("EMOTIW_MODELS", str(tmp_path / "models"))
    server.folder = stand_ins
    models = at_full_size(server.url, stand_ins, capsys)
    model = open_model("VGG_S_cyclic_lbp_10")
    assert model.title == "VGG_S_cyclic_lbp_10 (STAND-IN: random weights)"
    with CaffeScorer(caffe, model.deploy, model.weights) as scorer:
        (posteriors,) = scorer.scores(np.random.default_rng(0).uniform(-99, 99, (1, 3, 224, 224)).astype(np.float32))
    assert posteriors.shape == (7,)
    assert posteriors.sum() == pytest.approx(1)
    shutil.rmtree(models)


@pytest.mark.slow
def test_all_five_from_a_zip_on_a_server(server, stand_ins, tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("EMOTIW_MODELS", str(tmp_path / "models"))
    with zipfile.ZipFile(tmp_path / "served/DemoDir.zip", "w") as packed:
        for file in sorted(stand_ins.rglob("*.*")):
            packed.write(file, f"DemoDir/{file.relative_to(stand_ins)}")
    shutil.rmtree(at_full_size(f"{server.url}/DemoDir.zip", stand_ins, capsys))
    (tmp_path / "served/DemoDir.zip").unlink()
