"""Files of predictions of the ensemble and of each net, with a line `<name> <label>` for each image."""

from collections.abc import Iterator
from pathlib import Path

from emotiw.errors import EmotiwError
from emotiw.evaluate.label_lists import predictions_text
from emotiw.evaluate.scores import Scores
from emotiw.files import refuse_overwrite, remove, write_text

from .cells import Cell
from .results import Table

ENSEMBLE = "ensemble"
"""The name of the ensemble among the names of nets."""


def name_of(cell: Cell) -> str:
    """Return the name of a net in files: a run's row folder, which is unique for each seed, or a model's name."""
    return cell.folder.parent.name if cell.facts else cell.name


def predicted(table: Table) -> dict[str, Scores]:
    """Return the scores for each file of predictions, by name; the ensemble is first.

    Raises
    ------
    EmotiwError
        If two files would have one name.
    """
    found = {ENSEMBLE: table.answer.scores}
    for cell in _nets(table):
        if name_of(cell) in found:
            raise EmotiwError(f"{cell.folder}: another net's predictions are named {name_of(cell)}: rename the run")
        found[name_of(cell)] = cell.scores
    return found


def predictions_file(folder: Path, split: str, name: str = ENSEMBLE) -> Path:
    """Return the path of the predictions of a net, or of the ensemble."""
    return folder / (f"predictions_{split}.txt" if name == ENSEMBLE else f"predictions_{split}_{name}.txt")


def clear_predictions(table: Table, folder: Path, *, force: bool) -> None:
    """Remove the predictions for the table's split from `folder`.

    Raises
    ------
    EmotiwError
        If there are any and `force` is false.
    """
    split = table.name_in_files
    for path in {predictions_file(folder, split), *folder.glob(f"predictions_{split}_*.txt")}:
        refuse_overwrite(path, force)
        remove(path)


def write_predictions(table: Table, folder: Path) -> Path:
    """Write the predictions into `folder`; return the path of the ensemble's file.

    That file is written last because `emotiw reproduce` takes it as the sign of a complete table.
    """
    split = table.name_in_files
    ensemble, *nets = predicted(table).items()
    for name, scores in (*nets, ensemble):
        write_text(predictions_file(folder, split, name), predictions_text(scores))
    return predictions_file(folder, split)


def _nets(table: Table) -> Iterator[Cell]:
    for column in table.filled:
        for cell in column.cells:
            yield from cell.trainings
