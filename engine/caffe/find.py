"""Find a Caffe: any build, with any Python."""

import os
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from emotiw.engine.child_process import child_environment
from emotiw.errors import EmotiwError

from .install.debian import installed
from .install.openblas import kernel

_PROGRAM_IN_FOLDER = ("bin/caffe", "build/tools/caffe", "caffe")
_PYTHONS = ("python", "python3", "python2")
_PATIENCE = 120  # seconds for one `import caffe`, with nothing in the disk cache


@dataclass(frozen=True)
class Caffe:
    """A Caffe that can be run.

    Attributes
    ----------
    program : Path
        The `caffe` program.
    python : Path
        A Python, 2.7 or 3, that can `import caffe`.
    source : str
        How it was found, for display.
    environment : dict of str to str
        Additions to our environment that both need.
    gpu : str
        The GPUs for training, as for `caffe train --gpu` ("0", "0,1", "all"); empty: the CPU.
    """

    program: Path
    python: Path
    source: str
    environment: dict[str, str] = field(default_factory=dict)
    gpu: str = ""

    def tool(self, name: str) -> Path:
        """Return the program `name` (`convert_imageset`, `compute_image_mean`, ...) beside `caffe`.

        Raises
        ------
        EmotiwError
            If this Caffe does not include it.
        """
        for folder in (self.program.parent, self.program.resolve().parent):
            if (folder / name).is_file():
                return folder / name
        raise EmotiwError(f"{self.program.parent}: this Caffe has no {name}")


def find_caffe(named: str | Path | None = None) -> Caffe:
    """Return the Caffe to use: `named`, else $EMOTIW_CAFFE, else `caffe` on the PATH, else the installed one.

    Parameters
    ----------
    named : str or Path, optional
        A `caffe` program, or a folder that holds `bin/caffe` or `build/tools/caffe`.

    Raises
    ------
    EmotiwError
        If the named one cannot be used, or none is found.
    """
    for path, source in ((named, "--caffe"), (os.environ.get("EMOTIW_CAFFE"), "$EMOTIW_CAFFE")):
        if path:
            return _caffe(_program(Path(path), source), source)
    on_path, ours = shutil.which("caffe"), installed()
    if on_path:
        try:
            return _caffe(Path(on_path), "the PATH")
        except EmotiwError:
            if ours is None:
                raise
    if ours is None:
        raise EmotiwError("no Caffe found: run `emotiw caffe install`, or name one with --caffe or $EMOTIW_CAFFE")
    return _caffe(ours, "emotiw caffe install")


def _program(path: Path, source: str) -> Path:
    candidates = [path] if path.is_file() else [path / inside for inside in _PROGRAM_IN_FOLDER]
    for candidate in candidates:
        if candidate.is_file() and os.access(candidate, os.X_OK):
            return candidate.absolute()
    raise EmotiwError(f"{path} ({source}): neither a caffe program nor a folder with bin/caffe or build/tools/caffe")


def _caffe(program: Path, source: str) -> Caffe:
    if program.resolve().name == "run":  # our install, whose Python was tested when it was installed
        return Caffe(program, program.with_name("python"), source, kernel(program, {}, complete=True))
    environment = _environment(program)
    for python in _pythons(program):
        if _imports_caffe(python, environment):
            return Caffe(program, python, source, {**environment, **kernel(program, environment)})
    raise EmotiwError(
        f"{program} ({source}): no Python found that can import this Caffe: name one in $EMOTIW_CAFFE_PYTHON, "
        "or use the Caffe of `emotiw caffe install`"
    )


def _environment(program: Path) -> dict[str, str]:
    """Return the PYTHONPATH of a user's own build: Caffe's tree has python/caffe some levels above the program."""
    for parent in program.resolve().parents[1:4]:
        if (parent / "python/caffe/__init__.py").is_file():
            others = os.environ.get("PYTHONPATH")
            return {"PYTHONPATH": os.pathsep.join([str(parent / "python"), *([others] if others else [])])}
    return {}


def _pythons(program: Path) -> Iterator[Path]:
    named = os.environ.get("EMOTIW_CAFFE_PYTHON")
    if named:
        yield Path(named)
        return
    for beside in _PYTHONS[:2]:
        yield program.with_name(beside)
    for name in ("python3", "python2", "python"):
        found = shutil.which(name)
        if found:
            yield Path(found)
    yield Path("/usr/bin/python3")


def _imports_caffe(python: Path, environment: dict[str, str]) -> bool:
    """Try to import it; `caffe.Net` is needed because the package `caffe` on PyPI is an empty stub."""
    try:
        done = subprocess.run(
            [python, "-c", "import caffe; caffe.Net"],
            env=child_environment(environment),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=_PATIENCE,
        )
    except (OSError, subprocess.TimeoutExpired):
        return False
    return done.returncode == 0
