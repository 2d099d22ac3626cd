"""The command `emotiw VERB ...`."""

import argparse
import errno
import os
import resource
import sys
from importlib import import_module
from signal import SIGPIPE
from typing import NoReturn

from emotiw.commands import MODULES, VERBS
from emotiw.errors import NO_ROOM, EmotiwError
from emotiw.pixel_limit import most_pixels

_MENDS = dict.fromkeys(NO_ROOM, "make room, then run the same command again to continue") | {
    errno.EACCES: "check the permissions there (ls -l), or name another place",
    errno.EISDIR: "a folder is where a file should be: move it away",
    errno.EMFILE: "allow more files at once (ulimit -n 1024)",
    errno.EROFS: "name another output",
}
"""The remedy for a system error, by its number."""
_FEWEST_FILES = 64
"""The smallest accepted limit on open files; tests/faults runs prepare, finetune and evaluate with it."""


class Parser(argparse.ArgumentParser):
    """An argument parser with one-line errors."""

    def error(self, message: str) -> NoReturn:
        """Print one line on standard error; exit with 2."""
        self.exit(2, f"{self.prog}: {message} (see {self.prog} --help)\n")


class Paragraphs(argparse.HelpFormatter):
    """Help that keeps the paragraphs of a description."""

    def _fill_text(self, text: str, width: int, indent: str) -> str:
        return "\n\n".join(super(Paragraphs, self)._fill_text(part, width, indent) for part in text.split("\n\n"))


def build_parser(verb: str | None = None) -> Parser:
    """Return the parser of the command line; only `verb` has its arguments, because importing the others takes time."""
    parser = Parser(
        prog="emotiw",
        description="A reproduction of Levi & Hassner, Emotion Recognition in the Wild via Convolutional Neural "
        "Networks and Mapped Binary Patterns (ICMI 2015), on the real Caffe: face images in, the paper's accuracy "
        "table out.",
        epilog="See also `emotiw VERB --help`. A first look: `emotiw map FACE.png --figure`. The whole experiment "
        "on drawn faces: `emotiw demo`.",
    )
    parser.add_argument("--version", action="store_true", help="print the version and which code maps images, and exit")
    verbs = parser.add_subparsers(metavar="VERB", title="verbs", parser_class=Parser)
    for name, summary in VERBS.items():
        short = summary[0].lower() + summary[1:].rstrip(".")
        added = verbs.add_parser(name, help=short, formatter_class=Paragraphs)
        if name == verb:
            module = import_module(f"emotiw.commands.{MODULES.get(name, name)}")
            command = getattr(module, "COMMANDS", {name: module})[name]
            added.description = summary + "\n" + (command.__doc__ or "").partition("\n")[2]
            command.add_arguments(added)
            added.add_argument("--debug", action="store_true", help="show a traceback when something fails")
            added.set_defaults(run=command.run, parser=added)
    return parser


def main(argv: list[str] | None = None) -> int:
    """Run one command line.

    Returns
    -------
    int
        The exit status: 0; 1 if data or environment are not as needed; 2 for a usage error; 130 after Ctrl-C; 141 if
        the reader of our output has closed its pipe.
    """
    open_closed_streams()
    args = parse(argv)
    try:
        from emotiw.console import messages_shown  # not at the top: --help is faster without it

        require_open_files()
        most_pixels()  # report an invalid value before OpenCV reads it
        with messages_shown():
            args.run(args)
    except KeyboardInterrupt as interrupt:
        print(f"emotiw: {str(interrupt) or 'interrupted'}", file=sys.stderr)
        return 130
    except BrokenPipeError:  # the reader of our output has closed its pipe
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 128 + SIGPIPE
    except (EmotiwError, OSError) as error:
        if args.debug:
            raise
        print(f"emotiw: {_line(error)}", file=sys.stderr)
        return error.status if isinstance(error, EmotiwError) else 1
    except MemoryError as error:
        if args.debug:
            raise
        what = "there is not enough memory, or the limit on address space (ulimit -v) is too small"
        print(f"emotiw: {what}: {_line(error)}", file=sys.stderr)
        return 1
    except Exception as error:
        if args.debug:
            raise
        what = f"{type(error).__name__}: {_line(error)}"
        print(f"emotiw: internal error, {what}; please report what --debug shows", file=sys.stderr)
        return 1
    return 0


def open_closed_streams() -> None:
    """Open the null device for each standard stream that was closed before we started (`2>&-`).

    Otherwise the next file opened would get the stream's number, and receive the output of this process and its
    children.
    """
    for name, number in (("stdin", 0), ("stdout", 1), ("stderr", 2)):
        try:
            os.fstat(number)
        except OSError:
            os.set_inheritable(os.open(os.devnull, os.O_RDWR), True)  # gets the lowest free number, which is this one
            setattr(sys, name, open(number, "r" if number == 0 else "w"))  # noqa: PTH123, SIM115


def require_open_files() -> None:
    """Raise `EmotiwError` if the limit on open files is too low: the programs that we start would not report it."""
    allowed, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    if 0 <= allowed < _FEWEST_FILES:
        raise EmotiwError(f"only {allowed} files may be open at once, and {_FEWEST_FILES} are needed: raise ulimit -n")


def parse(argv: list[str] | None = None) -> argparse.Namespace:
    """Parse a command line; `args.run(args)` runs it. Exit with status 2 at a usage error."""
    given = sys.argv[1:] if argv is None else argv
    parser = build_parser(next((word for word in given if word in VERBS), None))
    args, strangers = parser.parse_known_args(given)
    if strangers:  # argparse itself would point to the help of `emotiw`, which lists only the verbs
        getattr(args, "parser", parser).error(f"unrecognized arguments: {' '.join(strangers)}")
    if args.version:
        from emotiw.lbp_mapping.kernels import describe
        from emotiw.version import __version__

        try:
            print(f"emotiw {__version__}\nmapping {describe()}")
        except EmotiwError as error:
            parser.exit(error.status, f"emotiw: {error}\n")
        parser.exit(0)
    if not hasattr(args, "run"):
        parser.error("no verb: name one of those that --help lists")
    return args


def _line(error: Exception) -> str:
    if isinstance(error, FileExistsError | NotADirectoryError):
        return f"{error.filename}: a file is where a folder should be: name another output"
    if isinstance(error, OSError) and error.strerror:
        where = "" if error.filename is None else f"{error.filename}: "
        mend = _MENDS.get(error.errno or 0, "")
        return f"{where}{error.strerror}{mend and f': {mend}'}"
    return " ".join(str(error).split())


if __name__ == "__main__":
    sys.exit(main())
