"""The verb `caffe`.

Any build serves, whatever its Python. Which one is used: --caffe, else $EMOTIW_CAFFE, else `caffe` on the PATH,
else the one that `emotiw caffe install` put into the cache folder ($XDG_CACHE_HOME, ~/.cache). For a Caffe of your
own, $EMOTIW_CAFFE_PYTHON names the Python that can import it, where that is not beside it.
"""

import argparse
import os
from pathlib import Path

from emotiw.errors import EmotiwError


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the three things one can do with a Caffe."""
    actions = parser.add_subparsers(dest="action", metavar="ACTION", required=True, parser_class=type(parser))

    install = actions.add_parser(
        "install",
        help="fetch Debian 11's packages, checked, into the cache folder",
        description="Fetch Debian 11's Caffe (CPU only; 159 MB, 633 MB unpacked) into the cache folder: no root, no "
        "Docker. Signatures are checked by apt, each package's sha256 against a lock file. Linux on amd64.",
    )
    install.add_argument(
        "--mirror", metavar="URL", help="a Debian mirror that has bullseye (default: those of this machine's apt)"
    )
    install.add_argument("--force", action="store_true", help="install again what is installed")

    info = actions.add_parser("info", help="tell which Caffe is used and what it is made of")
    python = actions.add_parser("python", help="run a pycaffe script in the Python of Caffe")
    for action in (info, python):
        action.add_argument("--caffe", metavar="PATH", help="a caffe program, or the folder of a build")
    for action in (install, info, python):
        action.add_argument("--debug", action="store_true", help="show a traceback when something fails")
    python.add_argument("script", metavar="SCRIPT", help="a Python script")
    python.add_argument("args", metavar="ARGS", nargs=argparse.REMAINDER, help="what the script gets")


def run(args: argparse.Namespace) -> None:
    """Do `args.action`."""
    {"install": _install, "info": _info, "python": _python}[args.action](args)


def _install(args: argparse.Namespace) -> None:
    from emotiw.engine.caffe.install.debian import install, installed, superseded

    already = installed() and not args.force
    program = install(args.mirror, args.force)
    unused = "; --mirror was not looked at: give --force to install anew from it" if already and args.mirror else ""
    print(f"{'already installed' if already else 'installed'}: {program}{unused}")
    for folder in superseded(program):
        print(f"{folder}: of another version of emotiw, not used by this one; remove it if no other needs it")


def _info(args: argparse.Namespace) -> None:
    from tabulate import tabulate

    from emotiw.engine.caffe.find import find_caffe
    from emotiw.engine.caffe.info import about

    print(tabulate(about(find_caffe(args.caffe)).items(), tablefmt="plain", disable_numparse=True))


def _python(args: argparse.Namespace) -> None:
    """Become the script: streams, signals and exit status are its own."""
    from emotiw.engine.caffe.find import find_caffe

    if not Path(args.script).is_file():
        raise EmotiwError(f"{args.script}: no such script")
    caffe = find_caffe(args.caffe)
    command = [str(caffe.python), args.script, *args.args]
    os.execve(caffe.python, command, {**os.environ, **caffe.environment})  # noqa: S606
