"""Detect prototxt files edited in a checkout, which the installed package does not read."""

from pathlib import Path

from emotiw.errors import UsageError
from emotiw.prototxt.formats.messages import NetParameter, SolverParameter, read_text
from emotiw.prototxt.message_diff import changes
from emotiw.prototxt.surgery import committed

from .experiments import Experiment


def require_installed(row: Experiment, stage: str, here: Path = Path()) -> None:
    """Raise if a checkout's files of a row's net differ from the installed ones, which are executed.

    Parameters
    ----------
    here
        The current folder, which may be a checkout.

    Raises
    ------
    UsageError
        If a file there differs.
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
                "--solver and a net by --net, or reinstall the package"
            )
