"""docker/run, with a stand-in for docker that records its arguments."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
RUN = ROOT / "docker/run"
# The image exists, unless there is a certain file.
STAND_IN = """\
#!/bin/sh
if [ "$1" = image ]; then [ ! -e "{folder}/no image" ]; exit; fi
printf '%s\\0' "$@" > "{folder}/said"
"""


@pytest.fixture
def docker(tmp_path, monkeypatch):
    """A function that runs docker/run in a folder with a space, and returns the container tool's arguments."""
    programs, work = tmp_path / "programs", tmp_path / "my work"
    programs.mkdir()
    work.mkdir()
    for name in ("sh", "id", "readlink"):
        (programs / name).symlink_to(shutil.which(name))

    def run(*args, tool="docker", **environment):
        if tool:
            (programs / tool).write_text(STAND_IN.format(folder=tmp_path))
            (programs / tool).chmod(0o755)
        (tmp_path / "said").unlink(missing_ok=True)
        env = {"PATH": str(programs), **environment}
        run.done = subprocess.run([RUN, *args], cwd=work, env=env, capture_output=True, text=True)
        said = tmp_path / "said"
        return said.read_text().split("\0")[:-1] if said.exists() else None

    run.work = work
    return run


def options(said, image="emotiw:caffe"):
    """Return the options before the image as a set of strings, and what the container is to run."""
    at = said.index(image)
    assert said[0] == "run"
    return " ".join(said[1:at]), said[at + 1 :]


def test_a_verb(docker):
    before, command = options(docker("map", "a face.png", "--figure", "-o", "$HOME; x"))
    assert command == ["map", "a face.png", "--figure", "-o", "$HOME; x"]
    assert f"--user {os.getuid()}:{os.getgid()}" in before
    assert f"--volume {docker.work}:{docker.work} --workdir {docker.work}" in before
    assert "--rm" in before
    assert "--init" in before
    assert "gpu" not in before
    assert "--tty" not in before


def test_python_is_a_pycaffe_script(docker):
    assert options(docker("python", "my script.py", "--help"))[1] == ["caffe", "python", "my script.py", "--help"]
    assert options(docker())[1] == []


@pytest.mark.parametrize("target", ["caffe-cuda", "torch-cuda"])
def test_the_gpus_are_for_the_targets_with_cuda(docker, target):
    before, _ = options(docker("map", EMOTIW_TARGET=target), f"emotiw:{target}")
    assert "--gpus all" in before
    assert "--shm-size 1g" in before
    before, _ = options(docker("map", EMOTIW_TARGET=target, EMOTIW_IMAGE="mine"), "mine")
    assert "--gpus all" in before


def test_linked_sets_and_runs_are_mounted_under_their_own_names(docker, tmp_path):
    for name in ("the sets", "the runs", "more"):
        (tmp_path / name).mkdir()
    (docker.work / "sets").symlink_to(tmp_path / "the sets")
    (docker.work / "runs").symlink_to("../the runs")
    said = docker("table", "runs", EMOTIW_FOLDERS=f"{tmp_path}/more:{docker.work}:{tmp_path}/the sets")
    volumes = [said[at + 1] for at, word in enumerate(said) if word == "--volume"]
    folders = [docker.work, tmp_path / "the sets", tmp_path / "the runs", tmp_path / "more"]
    assert sorted(volumes) == sorted(f"{folder}:{folder}" for folder in folders)  # each once, or docker refuses


def test_a_colon_in_a_folders_name_is_reported(docker, tmp_path):
    (tmp_path / "a:b").mkdir()
    (docker.work / "runs").symlink_to(tmp_path / "a:b")
    assert docker("table", "runs") is None
    assert docker.done.stderr.startswith(f"docker/run: {tmp_path}/a:b: a colon")
    assert docker.done.returncode == 2


def test_podman_without_docker(docker):
    before, _ = options(docker("map", tool="podman", EMOTIW_TARGET="caffe-cuda"), "emotiw:caffe-cuda")
    assert "--device nvidia.com/gpu=all" in before
    assert ("--userns keep-id" in before) == (os.getuid() != 0)
    docker("map")
    said = docker("map", tool="podman", EMOTIW_ENGINE="podman")
    assert ("--userns" in said) == (os.getuid() != 0)
    assert "--init" not in said


@pytest.mark.parametrize(
    ("environment", "tool", "status", "complaint"),
    [
        ({}, None, 1, "docker/run: neither docker nor podman is on the PATH: install one, or run emotiw without"),
        ({"EMOTIW_TARGET": "cpu"}, "docker", 2, "docker/run: EMOTIW_TARGET=cpu: it is caffe, caffe-cuda or torch-cuda"),
        ({"EMOTIW_FOLDERS": "/nowhere"}, "docker", 1, "docker/run: /nowhere ($EMOTIW_FOLDERS): no such folder"),
    ],
)
def test_errors_are_one_line(docker, environment, tool, status, complaint):
    assert docker("map", tool=tool, **environment) is None
    assert docker.done.returncode == status
    (line,) = docker.done.stderr.splitlines()
    assert line.startswith(complaint)


def test_a_missing_image_is_not_pulled_from_a_registry(docker, tmp_path):
    (tmp_path / "no image").touch()
    assert docker("map", EMOTIW_TARGET="caffe-cuda") is None
    assert docker.done.returncode == 1
    command = (
        f"{docker.work.parent}/programs/docker build -f docker/Dockerfile --target caffe-cuda -t emotiw:caffe-cuda ."
    )
    assert docker.done.stderr == f"docker/run: no image emotiw:caffe-cuda: {command}\n"


def test_the_exit_status_is_the_containers(docker, tmp_path):
    programs = tmp_path / "programs"
    (programs / "podman").write_text("#!/bin/sh\n[ $1 = image ] || exit 130\n")
    (programs / "podman").chmod(0o755)
    docker("map", tool=None, EMOTIW_ENGINE="podman")
    assert docker.done.returncode == 130
