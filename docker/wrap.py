"""Write `bin/`: scripts that start the programs of a Caffe image copied to `root/`, with that image's own loader.

python wrap.py FOLDER

FOLDER contains `root/`. In there this script searches for the loader, the folders of libraries (ld.so.conf's, then
those of libraries still missing), the `caffe` program with its tools, pycaffe, and the Python for which pycaffe was
built. Absolute links, which would lead out of `root/`, are made relative. Every library must then be found within
`root/`, except the NVIDIA driver's: they belong to the machine's kernel, and its container runtime provides them.
"""

import os
import re
import subprocess
import sys
from collections import defaultdict
from pathlib import Path

from emotiw.engine.caffe.install.debian import PROGRAMS, prove
from emotiw.errors import EmotiwError
from emotiw.files import refuse_foreign, whole

# The folders in which container runtimes put the driver: Debian's, other systems', nvidia-docker 1's. They come last,
# because Debian's also has our own system's libraries, which the older libc of the copied image could not load.
DRIVER_FOLDERS = ("/usr/lib/x86_64-linux-gnu", "/usr/lib64", "/usr/local/nvidia/lib64")
_PLAIN = re.compile(r"[\w./+-]+")  # needs no quotes in a shell script
_DRIVER = re.compile(r"lib(cuda|nvcuvid|nvidia-[\w-]+)\.so")
# CUDA's `stubs` do nothing; its `compat` has a driver other than the machine's.
_NOT_FOR_US = re.compile(r"/(stubs|compat)(/|$)")
# The names of Debian, Ubuntu and boost: libboost_python39.so, -py27.so, 3-py36.so; libpython3.6m.so; else the module.
_BUILT_FOR = re.compile(r"(?:libboost_python(?:3?-py)?|libpython|_caffe\.cpython-)(\d)\.?(\d+)")

_MARK = "# Written by wrap.py:"
_RUN = """\
#!/bin/sh
# Written by wrap.py: a program of the image in ../root, through its own loader.
name=${{0##*/}}
bin=$(readlink -f "$0")
root=${{bin%/bin/*}}/root
case $name in
  python) program={python} ;;
  *) program={tools}/$name ;;
esac
export PYTHONHOME="$root/{home}"
export PYTHONPATH="$root/{pycaffe}${{PYTHONPATH:+:$PYTHONPATH}}"
export PYTHONNOUSERSITE=1
exec "$root/{loader}" --library-path "{libraries}" "$root/$program" "$@"
"""


class Image:
    """The paths of a copied image's programs, relative to `root`, its `/`.

    Attributes
    ----------
    loader, caffe, module, python : Path
        ld.so; the `caffe` program; pycaffe's compiled module; the Python for which it was built.
    libraries : list of Path
        The folders of libraries, in search order.
    driver : list of str
        The driver's libraries, which the image lacks.
    """

    def __init__(self, root: Path) -> None:
        self.root = root.resolve()
        relink(self.root)
        self._files = _files(self.root)
        self.loader = self._program(r"ld-linux-x86-64\.so\.2", "loader for amd64")
        self.caffe = self._program(r"caffe", "caffe program")
        self.module = self._program(r"_caffe(\.cpython-\w+-x86_64-linux-gnu)?\.so", "pycaffe")
        self.libraries = library_folders(self.root)
        self.driver = self._complete()
        self.python = self._program(self._built_for(), "Python that pycaffe was built for")

    def _program(self, name: str, what: str) -> Path:
        """Return the shortest path to a compiled file with a name that matches `name`."""
        paths = [path for file, found in self._files.items() if re.fullmatch(name, file) for path in found]
        compiled = [path for path in paths if _is_elf(self.root / path)]
        if not compiled:
            raise EmotiwError(f"{self.root}: no {what} in this image")
        return min(compiled, key=lambda path: (len(path.parts), path))

    def _complete(self) -> list[str]:
        """Add folders until every library in the image is found; return the missing ones, which are the driver's."""
        while wanting := [name for name, path in self._needed() if path is None]:
            paths = [path for name in wanting for path in self._files.get(name, ()) if not _not_for_us(path)]
            folders = [path.parent for path in paths if path.parent not in self.libraries]
            if not folders:
                break
            self.libraries.append(folders[0])
        lost = [name for name in wanting if not _DRIVER.match(name)]
        if lost:
            raise EmotiwError(f"{self.root}: not in this image: {', '.join(lost)}")
        return wanting

    def _needed(self) -> list[tuple[str, Path | None]]:
        """Return each library that `caffe` and pycaffe need, and its path within the image, if the loader finds it."""
        folders = ":".join(str(self.root / folder) for folder in self.libraries)
        command = [self.root / self.loader, "--library-path", folders]
        tell = {**os.environ, "LD_TRACE_LOADED_OBJECTS": "1"}  # as ldd does; --list stops at the first missing one
        lists = [
            subprocess.run([*command, self.root / file], env=tell, capture_output=True, text=True).stdout
            for file in (self.caffe, self.module)
        ]
        found = dict(re.findall(r"^\t(\S+\.so\S*) => (.+?)(?: \(0x\w+\))?$", "\n".join(lists), re.M))
        return [(name, Path(path) if path.startswith(f"{self.root}/") else None) for name, path in found.items()]

    def _built_for(self) -> str:
        for name in [*(name for name, _ in self._needed()), self.module.name]:
            if found := _BUILT_FOR.match(name):
                return rf"python{found[1]}\.{found[2]}"
        raise EmotiwError(f"{self.root / self.module}: for which Python?")


def relink(root: Path) -> None:
    """Make the absolute links below `root` relative to it."""
    for folder, folders, names in os.walk(root):
        for path in (Path(folder, name) for name in [*folders, *names]):
            if path.is_symlink() and (target := path.readlink()).is_absolute():
                path.unlink()
                path.symlink_to(os.path.relpath(f"{root}{target}", folder))


def library_folders(root: Path) -> list[Path]:
    """Return the folders of the image's ld.so.conf, in order, then the loader's defaults."""
    files = [root / "etc/ld.so.conf", *sorted((root / "etc/ld.so.conf.d").glob("*.conf"))]
    lines = [line.strip() for file in files if file.is_file() for line in file.read_text().splitlines()]
    known = ["/lib/x86_64-linux-gnu", "/usr/lib/x86_64-linux-gnu", "/lib", "/usr/lib"]
    named = dict.fromkeys(Path(line[1:]) for line in [*lines, *known] if line[:1] == "/" and _PLAIN.fullmatch(line))
    return [folder for folder in named if (root / folder).is_dir() and not _not_for_us(folder / "x")]


def write_programs(image: Image, folder: Path) -> None:
    """Write the shell script `run` and a link to it for each program, as `emotiw caffe install` does."""
    libraries = [f"$root/{path}" for path in image.libraries]
    run = _RUN.format(
        python=image.python,
        tools=image.caffe.parent,
        home=image.python.parents[1],
        pycaffe=image.module.parents[1],
        loader=image.loader,
        libraries=":".join([*libraries, *DRIVER_FOLDERS]),
    )
    with whole(folder) as bin_:
        bin_.mkdir()
        (bin_ / "run").write_text(run)
        (bin_ / "run").chmod(0o755)
        for name in PROGRAMS:
            if name == "python" or (image.root / image.caffe.parent / name).is_file():
                (bin_ / name).symlink_to("run")


def wrap(folder: Path) -> str:
    """Write `folder/bin` for `folder/root`; return a summary of the programs found, and whether they start."""
    refuse_foreign(folder / "bin", "a folder that wrap.py wrote", _is_ours(folder / "bin" / "run"))
    image = Image(folder / "root")
    write_programs(image, folder / "bin")
    found = f"{image.caffe}, {image.python}, {image.module.parent}, {image.loader}"
    if image.driver:
        return f"{found}; not started here, for {', '.join(image.driver)} will come with the driver"
    prove(folder / "bin")
    return f"{found}; both start"


def _files(root: Path) -> dict[str, list[Path]]:
    files: dict[str, list[Path]] = defaultdict(list)
    for folder, _, names in os.walk(root):
        for path in (Path(folder, name).relative_to(root) for name in names):
            if _PLAIN.fullmatch(str(path)):
                files[path.name].append(path)
    return {name: sorted(paths) for name, paths in files.items()}


def _is_ours(run: Path) -> bool:
    return run.is_file() and _MARK in run.read_text(encoding="utf-8", errors="replace")


def _is_elf(path: Path) -> bool:
    if not path.is_file():
        return False
    with path.open("rb") as file:
        return file.read(5) == b"\x7fELF\x02"


def _not_for_us(path: Path) -> bool:
    return _NOT_FOR_US.search(f"/{path.parent}") is not None


if __name__ == "__main__":
    try:
        print(wrap(Path(sys.argv[1])))
    except (EmotiwError, OSError) as error:
        sys.exit(f"wrap.py: {error}")
