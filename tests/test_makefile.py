"""The commands of each Makefile target, by `make -n` with another environment: nothing is installed."""

import os
import subprocess
import time
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]


def around() -> dict[str, str]:
    """Return our environment without the variables that `make test` sets for another make."""
    return {name: value for name, value in os.environ.items() if name not in ("MAKEFLAGS", "MFLAGS", "MAKELEVEL")}


def planned(target: str, environment: Path) -> str:
    """Return the commands that a target would run."""
    command = ["make", "--dry-run", "--no-print-directory", "-C", str(ROOT), target, f"VENV={environment}"]
    return subprocess.run(command, check=True, capture_output=True, text=True, env=around()).stdout


@pytest.fixture
def environment(tmp_path: Path) -> Path:
    """An environment as left by `make demo`, newer than any source."""
    folder = tmp_path / "venv"
    folder.mkdir()
    for stamp in ("locked", "installed"):
        (folder / stamp).touch()
        os.utime(folder / stamp, (time.time() + 3600,) * 2)
    return folder


def test_the_demo_is_made_without_torch(tmp_path):
    commands = planned("demo", tmp_path / "venv")
    assert "torch" not in commands
    assert "-r requirements.lock" in commands
    assert commands.rstrip().endswith("emotiw demo -o demo")


def test_the_demo_says_size_and_time_first(tmp_path):
    first = planned("demo", tmp_path / "venv").partition("-m venv")[0]
    assert "MB of packages" in first
    assert "minutes" in first
    # README shows it.
    environment = tmp_path / "venv"
    command = ["make", "--silent", "-C", str(ROOT), "sizes", f"VENV={environment}"]
    said = subprocess.run(command, check=True, capture_output=True, text=True, env=around()).stdout
    assert said.count("\n") == 2
    assert said.replace(str(environment), ".venv") in (ROOT / "README.md").read_text(encoding="utf-8")


def test_what_is_fetched_is_shown(tmp_path):
    """pip prints its progress, at least a line for each package, so that no long step is silent."""
    fetching = [line for line in planned("install", tmp_path / "venv").split("\n") if "pip install" in line]
    assert len(fetching) == 3  # the lock, ourselves, torch
    assert [line for line in fetching if "--quiet" in line and "--no-deps" not in line] == []


def test_the_packages_of_the_site_are_fetched_for_the_site_alone(environment, tmp_path):
    fetched = "--require-hashes -r docs/requirements.lock"
    assert fetched in planned("docs", environment)
    assert fetched in planned("test-all", environment)
    for target in ("demo", "test", "bench"):
        assert fetched not in planned(target, tmp_path / "venv")
    (environment / "sphinx").touch()
    os.utime(environment / "sphinx", (time.time() + 7200,) * 2)
    assert "pip install" not in planned("docs", environment)


@pytest.mark.parametrize("target", ["install", "types", "test", "test-all", "bench"])
def test_all_else_has_torch(environment, target):
    commands = planned(target, environment)
    assert "'torch==" in commands
    assert "-r requirements.lock" not in commands
    (environment / "torch").touch()
    os.utime(environment / "torch", (time.time() + 7200,) * 2)
    assert "'torch==" not in planned(target, environment)


def test_a_second_demo_installs_nothing(environment):
    commands = planned("demo", environment)
    assert "pip install" not in commands
    assert commands.split("\n")[-3:-1] == [
        f"{environment}/bin/emotiw caffe install",
        f"{environment}/bin/emotiw demo -o demo",
    ]
