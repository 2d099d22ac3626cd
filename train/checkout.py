"""Committed prototxt that was edited in a checkout, where the installed package does not read it."""

from pathlib import Path

from emotiw.errors import UsageError
from emotiw.prototxt.formats.messages import NetParameter, SolverParameter, read_text
from emotiw.prototxt.message_diff import changes
from emotiw.prototxt.surgery import committed

from .experiments import Experiment


def require_installed(row: Experiment, stage: str, here: Path = Path()) -> None:
    """Raise where the files of a row's net in a checkout are not the installed ones, which are executed.

    Parameters
    ----------
    here
        Where the command was called: perhaps a checkout.

    Raises
    ------
    UsageError
        If a file there says otherwise.
    """
    if row.own:
        return
    for name, kind in ((f"solver_{stage}", SolverParameter), (f"train_val_{stage}", NetParameter)):
        path = here / "prototxt" / row.net / f"{name}.prototxt"
        if not path.is_file():
            continue
        if edited := changes(committed(row.net, path.name), read_text(path, kind)):
            more = f"; and {len(edited) - 4} more" if len(edited) > 4 else ""
            raise UsageError(
                f"{path} is not the installed file ({'; '.join(edited[:4])}{more}) and has no effect: give settings by "
                "--solver and a net by --net, or install the package anew"
            )
