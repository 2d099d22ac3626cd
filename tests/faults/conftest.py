"""The inputs of the commands and their undisturbed results; makes this folder's modules importable."""

import hashlib
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import cache, partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from hypothesis import settings

sys.path.append(str(Path(__file__).parent))

from victims import VICTIMS, Trial, living, place

from emotiw.evaluate.released import stand_in
from emotiw.evaluate.released.catalog import STAND_IN

# The same cases each time, so that a failed run fails again.
settings.register_profile("emotiw", derandomize=True, database=None, deadline=None)
settings.load_profile("emotiw")


@pytest.fixture(autouse=True)
def no_process_left() -> Iterator[None]:
    """End the processes that a test has started, whatever its result."""
    yield
    for number in living():
        with suppress(ProcessLookupError):
            os.kill(number, signal.SIGKILL)


class _Slow(SimpleHTTPRequestHandler):
    """Serves a folder slowly, so that faults occur during transfers."""

    def copyfile(self, source, outputfile):  # type: ignore[no-untyped-def]
        while chunk := source.read(1 << 16):
            outputfile.write(chunk)
            time.sleep(0.005)

    def log_message(self, *_args: object) -> None:
        pass


class _Site(ThreadingHTTPServer):
    def handle_error(self, *_: object) -> None:
        """Ignore a client that was killed."""


@pytest.fixture(scope="session")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of two small models that are not marked as stand-ins."""
    folder = tmp_path_factory.mktemp("site")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(stand_in, "NET", "vgg_s_small")
        for name in ("VGG_S_lbp", "VGG_S_cyclic_lbp"):
            stand_in.write_stand_in(folder / "DemoDir" / name, name)
    for file in folder.rglob("*.*"):
        file.write_bytes(file.read_bytes().replace(STAND_IN.encode(), b"x" * len(STAND_IN)))
    with _Site(("127.0.0.1", 0), partial(_Slow, directory=str(folder))) as served:
        threading.Thread(target=served.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{served.server_address[1]}"
        served.shutdown()


@pytest.fixture(scope="session")
def packages(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Twelve packages that stand in for Debian's, and their lock."""
    folder = tmp_path_factory.mktemp("packages")
    (folder / "served").mkdir()
    files = {"loader": "lib/x86_64-linux-gnu/ld-2.31.so", "caffe": "usr/bin/caffe", "python": "usr/bin/python3.9"}
    files |= {f"more{k}": f"usr/share/more{k}" for k in range(9)}
    lines = []
    for name, path in files.items():
        tree = folder / name
        (tree / "DEBIAN").mkdir(parents=True)
        (tree / "DEBIAN").chmod(0o755)  # dpkg-deb refuses what a strict umask makes
        (tree / path).parent.mkdir(parents=True)
        (tree / path).write_text("#!/bin/sh\nexit 0\n" + "x" * 100_000)
        (tree / path).chmod(0o755)
        control = f"Package: {name}\nVersion: 1\nArchitecture: all\nMaintainer: x <x@example.org>\nDescription: x\n"
        (tree / "DEBIAN/control").write_text(control)
        archive = folder / f"served/{name}_1_all.deb"
        subprocess.run(["dpkg-deb", "-b", tree, archive], check=True, stdout=subprocess.DEVNULL)
        lines.append(f"{name} 1 {hashlib.sha256(archive.read_bytes()).hexdigest()}\n")
    (folder / "test.lock").write_text("".join(lines))
    return folder


@dataclass(frozen=True)
class Scene:
    """A folder with a command to disturb."""

    given: Callable[[str], Path]
    site: str
    undisturbed: Callable[[str], tuple[Trial, dict[str, object]]]

    def trial(self, name: str, folder: Path, **how: object) -> Trial:
        """Return a command in its own folder, not yet started."""
        return Trial(VICTIMS[name], place(VICTIMS[name], self.given, folder), self.site, **how)  # type: ignore[arg-type]

    def again(self, trial: Trial, name: str) -> None:
        """Run the same command again, undisturbed; its results must be those of an undisturbed first run.

        It may report that the output exists, if it was killed between its last rename and its end.
        """
        again = replace(trial, more={}, limit=None, first=0, seconds=0).begin()
        assert again.wait() == 0 or "exists already" in again.complaint, again.said[-5:]
        assert trial.victim.answer(trial.folder) == self.undisturbed(name)[1]


@pytest.fixture(scope="session")
def scene(request: pytest.FixtureRequest, site: str, tmp_path_factory: pytest.TempPathFactory) -> Scene:
    """A function that makes scenes; the undisturbed results of each command are computed once."""

    @cache
    def undisturbed(name: str) -> tuple[Trial, dict[str, object]]:
        trial = made.trial(name, tmp_path_factory.mktemp("undisturbed") / "it").run()
        answer = trial.victim.answer(trial.folder)
        assert answer
        return trial, answer

    made = Scene(request.getfixturevalue, site, undisturbed)
    return made
