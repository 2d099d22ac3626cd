"""The verb `caffe`.

Any build of Caffe works, with any version of Python. The command uses the first of these: --caffe, $EMOTIW_CAFFE,
`caffe` on the PATH, the one that `emotiw caffe install` put into the cache folder ($XDG_CACHE_HOME, ~/.cache). If a
Caffe of your own is not beside the Python that can import it, name that Python in $EMOTIW_CAFFE_PYTHON.
"""

import argparse
import os
from pathlib import Path

from emotiw.errors import EmotiwError


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the actions: install, info, python."""
    actions = parser.add_subparsers(dest="action", metavar="ACTION", required=True, parser_class=type(parser))

    install = actions.add_parser(
        "install",
        help="fetch and check Debian 11's packages, and unpack them into the cache folder",
        description="Fetch Debian 11's Caffe (CPU only; 159 MB, 633 MB unpacked) into the cache folder, without root "
        "and without Docker. apt checks the signatures; each package's sha256 is checked against a lock file. Linux "
        "on amd64.",
    )
    install.add_argument(
        "--mirror", metavar="URL", help="a Debian mirror that has bullseye (default: those of this machine's apt)"
    )
    install.add_argument("--force", action="store_true", help="install again if it is installed")

    info = actions.add_parser("info", help="print which Caffe is used, and its versions and libraries")
    python = actions.add_parser("python", help="run a pycaffe script in the Python of Caffe")
    for action in (info, python):
        action.add_argument("--caffe", metavar="PATH", help="a caffe program, or the folder of a build")
    for action in (install, info, python):
        action.add_argument("--debug", action="store_true", help="show a traceback when something fails")
    python.add_argument("script", metavar="SCRIPT", help="a Python script")
    python.add_argument("args", metavar="ARGS", nargs=argparse.REMAINDER, help="the script's arguments")


def run(args: argparse.Namespace) -> None:
    """Do `args.action`."""
    {"install": _install, "info": _info, "python": _python}[args.action](args)


def _install(args: argparse.Namespace) -> None:
    from emotiw.engine.caffe.install.debian import install, installed, superseded

    already = installed() and not args.force
    program = install(args.mirror, args.force)
    unused = "; --mirror was ignored: give --force to install again from it" if already and args.mirror else ""
    print(f"{'already installed' if already else 'installed'}: {program}{unused}")
    for folder in superseded(program):
        print(f"{folder}: installed by another version of emotiw; remove it if you no longer use that version")


def _info(args: argparse.Namespace) -> None:
    from tabulate import tabulate

    from emotiw.engine.caffe.find import find_caffe
    from emotiw.engine.caffe.info import about

    print(tabulate(about(find_caffe(args.caffe)).items(), tablefmt="plain", disable_numparse=True))


def _python(args: argparse.Namespace) -> None:
    """Replace this process by the script, so that streams, signals and exit status are the script's."""
    from emotiw.engine.caffe.find import find_caffe

    if not Path(args.script).is_file():
        raise EmotiwError(f"{args.script}: no such script")
    caffe = find_caffe(args.caffe)
    command = [str(caffe.python), args.script, *args.args]
    os.execve(caffe.python, command, {**os.environ, **caffe.environment})  # noqa: S606
