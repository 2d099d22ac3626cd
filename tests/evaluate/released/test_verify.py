"""Verification of fetched models, complete or not."""

import hashlib
import shutil
from dataclasses import replace

import numpy as np
import pytest

from emotiw.errors import EmotiwError
from emotiw.evaluate import model
from emotiw.evaluate.model import open_model
from emotiw.evaluate.released import verify as verifying
from emotiw.evaluate.released.catalog import DEPLOY, MEAN, WEIGHTS, Released, released
from emotiw.evaluate.released.stand_in import write_stand_in
from emotiw.evaluate.released.verify import state, verify
from emotiw.prototxt.formats.blobs import write_mean
from emotiw.prototxt.formats.messages import NetParameter, read_binary, write_binary

LBP, RGB = "VGG_S_lbp", "VGG_S_rgb"


def digest(path, kind):
    with path.open("rb") as file:
        return f"{kind}:{hashlib.file_digest(file, kind).hexdigest()}"


def test_the_states_of_a_model(small, authors):
    assert state(LBP) == "nothing"
    authors(small / LBP, LBP)
    assert state(LBP) == "whole"
    weights = (small / LBP / WEIGHTS).read_bytes()
    (small / LBP / WEIGHTS).write_bytes(weights[:1000])
    (small / LBP / MEAN).unlink()
    assert state(LBP) == f"{MEAN} is missing, {WEIGHTS} is cut off"
    write_stand_in(small / LBP, LBP)
    assert state(LBP) == "STAND-IN"
    (small / LBP / MEAN).unlink()
    assert state(LBP) == f"STAND-IN, {MEAN} is missing"


def test_unchecked_properties_are_reported(small, authors):
    authors(small / LBP, LBP)
    verdict = verify(LBP)
    assert verdict.wrong == ()
    assert verdict.checked.endswith(f"; no digest is known of {WEIGHTS}, {MEAN}, {DEPLOY}")
    write_stand_in(small / LBP, LBP)
    assert verify(LBP).checked.endswith("; random weights, so no digest is checked")


def test_digests_and_sizes_are_checked_where_known(small, authors, monkeypatch):
    folder = authors(small / RGB, RGB)
    assert [line.partition(": it has ")[2].partition(", ")[2] for line in verify(RGB).wrong] == [
        "the authors' has 498032193",
        "the authors' has 2632",
    ]
    sized = {
        file.name: replace(file, size=(folder / file.name).stat().st_size, digest=digest(folder / file.name, kind))
        for file, kind in zip(released()[RGB].files.values(), ("sha256", "sha1", "md5"), strict=True)
    }
    monkeypatch.setattr(verifying, "released", lambda: {RGB: Released(RGB, sized)})
    assert verify(RGB).wrong == ()
    assert verify(RGB).checked.endswith(f"; sha256 of {WEIGHTS} and sha1 of {MEAN} and md5 of {DEPLOY} as published")
    content = bytearray((folder / WEIGHTS).read_bytes())
    content[-1] ^= 1  # about the place of the last weight's sign
    (folder / WEIGHTS).write_bytes(content)
    (line,) = verify(RGB).wrong
    found, wanted = digest(folder / WEIGHTS, "sha256"), sized[WEIGHTS].digest
    assert line == f"{folder / WEIGHTS}: its sha256 is {found[7:]}, the authors' is {wanted[7:]}"


def test_every_fault_is_reported(small, authors):
    folder = authors(small / LBP, LBP)
    (folder / WEIGHTS).unlink()
    (folder / MEAN).write_text("<html>")
    (folder / DEPLOY).write_text((folder / DEPLOY).read_text().replace("kernel_size: 7", "kernel_size: 5"))
    assert verify(LBP).wrong == (
        f"{folder / WEIGHTS} is missing: emotiw models fetch {LBP}",
        f"{folder / MEAN}: is not a complete BlobProto of Caffe, but a web page: fetch or make it again",
        f"{folder / DEPLOY}: conv1's kernel_size is 5, expected: 7",
    )


# The same before a model is run.


@pytest.mark.parametrize(
    ("file", "content", "words"),
    [
        (WEIGHTS, b"<html>", "EmotiW_VGG_S.caffemodel is not a complete NetParameter of Caffe, but a web page"),
        (WEIGHTS, b"", "EmotiW_VGG_S.caffemodel does not belong to deploy.prototxt: conv1 has no weights"),
        (MEAN, b"\x08", "mean.binaryproto is not a complete BlobProto of Caffe, but 1 bytes"),
        (DEPLOY, b"<!DOCTYPE html>", "deploy.prototxt is not a prototxt, but a web page"),
        (DEPLOY, b"name: 'x'", "deploy.prototxt is not the authors' net: layer input is missing"),
    ],
)
def test_a_model_that_is_not_whole_is_not_opened(small, authors, file, content, words):
    folder = authors(small / LBP, LBP)
    (folder / file).write_bytes(content)
    with pytest.raises(EmotiwError, match=words):
        open_model(LBP)


def test_files_of_two_nets_are_not_opened(small, authors, monkeypatch, tmp_path):
    folder = authors(small / LBP, LBP)
    monkeypatch.setattr("emotiw.evaluate.released.stand_in.NET", "vgg_m_2048_small")
    authors(tmp_path / "other", LBP)
    shutil.copy(tmp_path / "other" / WEIGHTS, folder)
    with pytest.raises(EmotiwError, match=r"does not belong to deploy\.prototxt: .* in the weights, .* in the net"):
        model.open_model(LBP)
    assert any("expected" in line or "on the card" in line for line in verify(LBP).wrong)


def test_a_mean_of_another_size_is_not_opened(small, authors):
    folder = authors(small / LBP, LBP)
    write_mean(folder / MEAN, np.full((3, 56, 56), 120, np.float32))
    with pytest.raises(EmotiwError, match=r"a mean of 3 x 56 x 56: a net .* has one of 3 x 64 x 64"):
        open_model(LBP)


def test_weights_that_are_no_numbers_are_not_opened(small, authors):
    """One NaN is enough; Caffe's MAX pooling would drop it."""
    folder = authors(small / LBP, LBP)
    weights = read_binary(folder / WEIGHTS, NetParameter)
    weights.layers[0].blobs[0].data[5] = float("nan")
    write_binary(folder / WEIGHTS, weights)
    with pytest.raises(EmotiwError, match="conv1 holds weights that are not numbers"):
        open_model(LBP)


def test_another_net_under_the_authors_name_is_not_opened(small, authors):
    folder = authors(small / LBP, LBP)
    (folder / DEPLOY).write_text((folder / DEPLOY).read_text().replace("pool: MAX", "pool: AVE", 1))
    with pytest.raises(
        EmotiwError, match=r"is not the authors' net: pool1's pool is AVE, expected: .*: fetch it again"
    ):
        open_model(LBP)


def test_how_much_a_dropout_drops_changes_no_answer(small, authors):
    folder = authors(small / LBP, LBP)
    (folder / DEPLOY).write_text((folder / DEPLOY).read_text().replace("dropout_ratio: 0.25", "dropout_ratio: 0.5"))
    assert not verify(LBP).wrong


def test_weights_of_another_model_are_reported(small, authors, monkeypatch):
    folder = authors(small / LBP, LBP)
    file = folder / WEIGHTS
    ours = replace(released()[RGB].files[WEIGHTS], size=file.stat().st_size, digest=digest(file, "sha256"))
    known = {**released(), RGB: Released(RGB, {**released()[RGB].files, WEIGHTS: ours})}
    monkeypatch.setattr("emotiw.evaluate.released.verify.released", lambda: known)
    assert any("it is VGG_S_rgb's, by its sha256" in line for line in verify(LBP).wrong)
