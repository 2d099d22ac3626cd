"""Dockerfile, .dockerignore and docs/docker.md agree with the rest; real builds are in test_build.py."""

import ast
import re
import shlex
from pathlib import Path

import pytest

from emotiw.__main__ import parse

ROOT = Path(__file__).parents[2]
DOCKERFILE = (ROOT / "docker/Dockerfile").read_text(encoding="utf-8")
PAGE = (ROOT / "docs/docker.md").read_text(encoding="utf-8")


def folders():
    """Return the folders of the package, as setup.py lists them."""
    tree = ast.parse((ROOT / "setup.py").read_text(encoding="utf-8"))
    (found,) = (n.value for n in tree.body if isinstance(n, ast.Assign) and n.targets[0].id == "FOLDERS")
    return {folder.partition("/")[0] for folder in ast.literal_eval(found).values()}


def test_an_image_is_built_from_the_package_and_its_tests_alone():
    lines = (ROOT / ".dockerignore").read_text(encoding="utf-8").splitlines()
    assert "*" in lines
    allowed = {line[1:] for line in lines if line.startswith("!")}
    files = {"docker/wrap.py", "pyproject.toml", "README.md", "requirements.lock", "setup.py"}
    assert allowed == folders() | files | {"tests"} | pages_of_its_tests()


def pages_of_its_tests():
    """Return the pages that the tests of an image read."""
    named = [ROOT / path for path in re.findall(r"(?<= )tests/[\w/.]+", DOCKERFILE)]
    files = [file for path in named for file in (path.rglob("*.py") if path.is_dir() else [path])]
    return {page for file in files for page in re.findall(r'"(docs/\w+\.md)"', file.read_text(encoding="utf-8"))}


def test_the_tests_of_an_image_are_there():
    named = re.findall(r"(?<= )tests/[\w/.]+", DOCKERFILE)
    assert len(named) > 3
    assert all((ROOT / path).exists() for path in named)


def test_images_are_named_once():
    assert re.findall(r"^ARG (\w+)=(.+)$", DOCKERFILE, re.M) == [
        ("DEBIAN", "debian:trixie-slim"),
        ("CUDA_CAFFE", "nvcr.io/nvidia/caffe:20.03-py3"),
    ]
    stages = re.findall(r"^FROM (\S+) AS (\S+)$", DOCKERFILE, re.M)
    earlier = {"${DEBIAN}", "${CUDA_CAFFE}"}
    for base, name in stages:
        assert base in earlier
        earlier.add(name)
    assert {"caffe", "caffe-cuda", "torch-cuda"} <= earlier
    # Docker builds only the requested stage and those that it needs, so the CUDA image is not fetched for the others.
    names = [name for _, name in stages]
    assert max(names.index("caffe"), names.index("torch-cuda")) < names.index("source")


def test_a_target_ships_the_tested_files():
    caffe = DOCKERFILE.split(" AS caffe\n")[1].split("\nFROM ")[0]
    copied = re.findall(r"^COPY (.+)$", caffe, re.M)
    assert copied == ["--from=tested /opt/caffe /opt/caffe", "--from=tested /opt/emotiw /opt/emotiw"]
    assert "--require-hashes -r /src/requirements.lock" in DOCKERFILE


def test_an_image_maps_by_the_compiled_module():
    """Otherwise the build stops; no shipped image has the compiler."""
    tested = DOCKERFILE.split(" AS tested\n")[1].split("\nFROM ")[0]
    assert "COPY --from=built /wheel /wheel" in tested
    assert "emotiw --version | grep -q '^mapping by the compiled module'" in tested
    assert DOCKERFILE.count("gcc") == DOCKERFILE.count("--from=built") == 1
    assert re.search(r"^FROM locked AS tested$", DOCKERFILE, re.M)


def test_torch_is_the_extras_and_as_tested():
    (extra,) = re.findall(r'"torch": \[(.+)\]', (ROOT / "setup.py").read_text(encoding="utf-8"))
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    for pinned in re.findall(r'"(.+?)"', extra):
        assert DOCKERFILE.count(f"'{pinned}'") == makefile.count(f"'{pinned}'") == 1
    target = DOCKERFILE.split(" AS torch-cuda\n")[1].split("\nFROM ")[0]
    assert re.findall(r"^COPY (.+)$", target, re.M) == ["--from=torch-tested /opt/torch /opt/torch"]
    assert "tests/engine/torch" in DOCKERFILE.split(" AS torch-tested\n")[1].split("\nFROM ")[0]


COMMANDS = [
    line.partition("docker/run ")[2].partition(" #")[0]
    for line in PAGE.splitlines()
    if re.match(r"\$ (?:\w+=\S+ )*docker/run ", line)
]


def test_the_page_shows_both_kinds_of_command():
    assert any(command.startswith("python ") for command in COMMANDS)
    assert any(not command.startswith("python ") for command in COMMANDS)


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_of_the_page_parses(command):
    words = shlex.split(command)
    parse(["caffe", *words] if words[0] == "python" else words)


def test_the_page_says_which_target_serves_which_gpu():
    for target in ("`caffe`", "`caffe-cuda`", "`torch-cuda`", "CUDA_CAFFE=bvlc/caffe:gpu`"):
        assert target in PAGE
    assert "not run on a GPU" in PAGE
