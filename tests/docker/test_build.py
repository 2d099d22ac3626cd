"""The images, really built and run: buildah with chroot isolation needs neither a daemon nor a registry.

The base is bootstrapped from the machine's own Debian mirror; its pip's index and certificates are handed in.
"""

import os
import re
import shutil
import ssl
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest

from emotiw.engine.caffe.install.apt import sites
from emotiw.evaluate.scores import read_scores
from emotiw.lbp_mapping.mapping import map_image
from emotiw.lbp_mapping.representation import parse

from .conftest import LAYOUTS, lay_out

pytestmark = [pytest.mark.slow, pytest.mark.caffe]

ROOT = Path(__file__).parents[2]
BASE = re.search(r"^ARG DEBIAN=(debian:(\w+)-slim)$", (ROOT / "docker/Dockerfile").read_text(encoding="utf-8"), re.M)
# A user unknown to the image, which must work for any caller. (A builder that is not root has only its own user.)
USER = 12345 if os.geteuid() == 0 else 0
SCRIPT = "import sys, caffe, numpy as np\nprint(len(caffe.layer_type_list()), sys.argv[1:], np.__file__)\n"


class Builder:
    """buildah, with its own store."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def __call__(self, *args) -> str:
        store = ["--root", self.folder / "store", "--runroot", self.folder / "run"]
        done = subprocess.run(["buildah", *store, *args], capture_output=True, text=True, stdin=subprocess.DEVNULL)
        if done.returncode:
            pytest.fail(f"buildah {' '.join(map(str, args))}\n{done.stdout[-3000:]}{done.stderr[-3000:]}")
        return done.stdout.strip()

    def import_root(self, name: str, *content) -> None:
        """Make an image of a tar file's or a folder's content."""
        container = self("from", "scratch")
        self("add", "--quiet", container, *content, "/")
        self("commit", "--quiet", "--rm", container, name)

    def build(self, target: str, *args) -> None:
        options = ["--isolation", "chroot", "--layers", "--pull-never", *handed_in(self.folder), *args]
        self("bud", *options, "-f", ROOT / "docker/Dockerfile", "--target", target, "-t", f"emotiw:{target}", ROOT)

    def run(self, target: str, work: Path, *command) -> str:
        """Run a command in `work`, as a user unknown to the image."""
        container = self("from", "--pull-never", f"emotiw:{target}")
        options = ["--isolation", "chroot", "--user", f"{USER}:{USER}", "--workingdir", work]
        try:
            return self("run", *options, "--volume", f"{work}:{work}", container, "--", *command)
        finally:
            self("rm", container)


def handed_in(folder: Path) -> list[str]:
    """Return the secrets with which this machine's pip reaches its index."""
    listed = subprocess.run([sys.executable, "-m", "pip", "config", "list"], capture_output=True, text=True).stdout
    lines = re.findall(r"(?:^|\.)((?:extra-)?index-url|trusted-host|proxy|timeout)='(.+)'$", listed, re.M)
    settings = [f"{name} = {value}" for name, value in dict(lines).items() if "file:" not in value]
    certificates = os.environ.get("PIP_CERT") or ssl.get_default_verify_paths().cafile
    settings += ["cert = /run/secrets/certificates"] if certificates else []
    (folder / "pip.conf").write_text("\n".join(["[global]", *settings, ""]))
    secrets = {"pip": folder / "pip.conf", "certificates": certificates}
    return [word for name, file in secrets.items() if file for word in ("--secret", f"id={name},src={file}")]


@pytest.fixture(scope="module")
def builder(tmp_path_factory):
    """A builder that has the base image, under the name that the Dockerfile gives it, and `caffe`, built on it."""
    absent = [tool for tool in ("buildah", "mmdebstrap") if shutil.which(tool) is None]
    if absent:
        pytest.fail(f"images are really built here: apt-get install {' '.join(absent)}")
    folder = tmp_path_factory.mktemp("images")
    builder = Builder(folder)
    try:
        for mirror in sites():
            command = ["mmdebstrap", "--quiet", "--variant=minbase", BASE[2], folder / "base.tar", mirror]
            if subprocess.run(command, capture_output=True).returncode == 0:
                break
        else:
            pytest.fail(f"no mirror of this machine's apt serves {BASE[2]}: {sites()}")
        builder.import_root(f"docker.io/library/{BASE[1]}", folder / "base.tar")
        builder.build("caffe")
        yield builder
    finally:
        builder("rm", "--all")
        builder("rmi", "--all", "--force")
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="module")
def work(sets, tmp_path_factory):
    """A folder that the container's user owns, with drawn faces."""
    folder = tmp_path_factory.mktemp("work") / "a folder"
    shutil.copytree(sets / "faces", folder / "faces")
    (folder / "script.py").write_text(SCRIPT)
    for path in [folder, *folder.rglob("*")]:
        os.chown(path, USER or os.getuid(), USER or os.getgid())
    return folder


@pytest.fixture(scope="module")
def trained(builder, work):
    """All steps in the container; what each printed."""
    faces = ["--size", "64", "-r", "rgb", "cyclic_lbp_5"]
    return [
        builder.run("caffe", work, "emotiw", *command)
        for command in (
            ["map", next((work / "faces/people").rglob("*.png")), "--figure", "-o", "mapped"],
            ["prepare", "faces/people", "-o", "sets/people", "--labels", "identities", *faces],
            ["prepare", "faces/expressions", "-o", "sets/faces", "--labels", "emotions", "--val", "0.34", *faces],
            ["pretrain", "vgg_s_small-cyclic_lbp_5", "--set", "sets/people", "--iterations", "4"],
            ["finetune", "vgg_s_small-cyclic_lbp_5", "--set", "sets/faces", "--iterations", "4"],
            ["evaluate", "runs/vgg_s_small-cyclic_lbp_5/finetune", "--set", "sets/faces"],
            ["table", "runs", "-o", "table"],
        )
    ]


def test_an_image_holds_the_package_and_no_leftovers(builder, work):
    entrypoint = ["--format", "{{.OCIv1.Config.Entrypoint}}"]
    assert builder("inspect", "--type", "image", *entrypoint, "emotiw:caffe") == "[emotiw]"
    folders = ["/src", "/run/secrets", "/tmp", "/var/lib/apt/lists", "/var/cache/apt", "/etc/pip.conf"]
    files = 'for f; do [ ! -e "$f" ] || find "$f" -xdev -type f; done'
    left = builder.run("caffe", work, "sh", "-c", files, "sh", *folders)
    assert left == ""
    everywhere = "find / -xdev '(' -name test_codes.py -o -name '*.deb' ')' 2>/dev/null || :"  # some folders are closed
    assert builder.run("caffe", work, "sh", "-c", everywhere) == ""


def test_an_image_has_the_compiled_module_and_no_compiler(builder, work):
    assert "\nmapping by the compiled module (" in builder.run("caffe", work, "emotiw", "--version") + "\n"
    assert builder.run("caffe", work, "sh", "-c", "command -v gcc || ls -d /wheel || echo none") == "none"


def test_the_debian_caffe_is_the_one_used(builder, work):
    info = builder.run("caffe", work, "emotiw", "caffe", "info")
    assert re.search(r"^program +/opt/caffe/bin/caffe$", info, re.M)
    assert re.search(r"^BLAS .*libopenblas", info, re.M)
    assert builder.run("caffe", work, "emotiw", "caffe", "python", "script.py", "a b").startswith(
        "61 ['a b'] /opt/caffe/"
    )


def test_faces_to_a_table(trained, work):
    assert "accuracy" in trained[5]
    assert "vgg_s_small" in trained[6]
    assert "warning" not in trained[0].lower()
    assert all(path.lstat().st_uid == (USER or os.getuid()) for path in work.rglob("*"))
    (mapped,) = (work / "mapped").glob("*.cyclic_lbp_5.png")
    face = cv2.imread(str(next((work / "faces/people").rglob("*.png"))))[..., ::-1]
    assert np.array_equal(cv2.imread(str(mapped))[..., ::-1], map_image(face, parse("cyclic_lbp_5")))


@pytest.mark.parametrize("layout", sorted(set(LAYOUTS) - {"debian"}))
def test_the_caffe_of_another_image_is_driven_alike(builder, trained, work, caffe, tmp_path, layout):
    """The real Caffe, laid out as a published image, stands in for that; there is no GPU here."""
    lay_out(caffe, tmp_path / "root", layout)
    builder.import_root(f"localhost/{layout}:latest", tmp_path / "root")
    builder.build("caffe-cuda", "--build-arg", f"CUDA_CAFFE=localhost/{layout}:latest")
    info = builder.run("caffe-cuda", work, "emotiw", "caffe", "info")
    assert re.search(r"^program +/opt/caffe-cuda/bin/caffe$", info, re.M)
    said = builder.run("caffe-cuda", work, "emotiw", "caffe", "python", "script.py")
    assert said == "61 [] /opt/caffe-cuda/root/usr/lib/python3/dist-packages/numpy/__init__.py"
    run = work / "runs/vgg_s_small-cyclic_lbp_5/finetune"
    before = read_scores(run / "scores_val.csv").posteriors
    command = ["emotiw", "evaluate", run.relative_to(work), "--set", "sets/faces", "--force"]
    builder.run("caffe-cuda", work, *command)
    assert np.array_equal(read_scores(run / "scores_val.csv").posteriors, before)
    again = ["finetune", "vgg_s_small-rgb", "--from", "scratch", "--set", "sets/faces", "--iterations", "3", "--force"]
    assert "model: runs/vgg_s_small-rgb/finetune/model.caffemodel" in builder.run("caffe-cuda", work, "emotiw", *again)


def test_torch_trains_in_the_image_with_debians_caffe(builder, trained, work):
    """The wheel from this machine's index; there is no GPU here, so the CPU computes."""
    builder.build("torch-cuda")
    assert re.search(
        r"^program +/opt/caffe/bin/caffe$", builder.run("torch-cuda", work, "emotiw", "caffe", "info"), re.M
    )
    command = ["finetune", "vgg_s_small-cyclic_lbp_5", "--set", "sets/faces", "--iterations", "6", "--engine", "torch"]
    assert "by torch 2." in builder.run("torch-cuda", work, "emotiw", *command)
    run = work / "runs/vgg_s_small-cyclic_lbp_5/finetune"
    evaluate = ["emotiw", "evaluate", run.relative_to(work), "--set", "sets/faces", "--force"]
    found = []
    for engine in ("caffe", "torch"):
        builder.run("torch-cuda", work, *evaluate, "--engine", engine)
        found.append(read_scores(run / "scores_val.csv").posteriors)
    np.testing.assert_allclose(*found, rtol=0, atol=1e-5)
