"""The report: one HTML file with the table, the pictures and how they were made."""

import base64
import tempfile
from collections.abc import Sequence
from importlib import resources
from pathlib import Path

from emotiw import __version__
from emotiw.data_prep.prepared_set import PreparedSet
from emotiw.evaluate.model import TRAINED
from emotiw.evaluate.plots import confusion_picture, faces_picture
from emotiw.files import write_text

from .cells import title
from .markdown import markdown
from .notes import arithmetic, baseline, growth, honesty, released_nets
from .published import Publication
from .results import Results
from .rows import compared, grid, representations, rows
from .table_csv import csv_text

TABLE_FILES = ("table.md", "table.csv", "report.html")


def write_table(results: Results, output: Path, prepared: PreparedSet | None, known: Sequence[Publication]) -> None:
    """Write table.md, table.csv and report.html into `output`.

    Parameters
    ----------
    prepared
        The set that was scored, for a picture of its faces; None where it is not at hand.
    known
        The published figures.
    """
    texts = (markdown(results, known), csv_text(results, known), html(results, prepared, known))
    for name, text in zip(TABLE_FILES, texts, strict=True):
        write_text(output / name, text)


def html(results: Results, prepared: PreparedSet | None, known: Sequence[Publication]) -> str:
    """Return the report: self-contained, its pictures inside it."""
    from jinja2 import Environment

    template = resources.files(__package__).joinpath("report.html").read_text(encoding="utf-8")
    environment = Environment(autoescape=True, trim_blocks=True, lstrip_blocks=True)
    environment.filters["percent"] = lambda share: f"{share * 100:.2f}"
    environment.filters["title"] = title
    environment.filters["picture"] = _inline
    protocols = [cell.protocol for column in results.columns for cell in column.cells]
    with tempfile.TemporaryDirectory() as folder:
        faces = Path(folder) / "faces.png"
        if prepared:
            faces_picture(prepared, results.protocol.split, faces)
        return environment.from_string(template).render(
            results=results,
            protocol=results.protocol,
            nets=grid(results),
            representations=representations(results),
            published=known if compared(results) else [],
            compared=compared(results),
            rows=rows(results, known),
            arithmetic=arithmetic(results, known),
            released_nets=released_nets(results),
            ensembles=[_ensemble(column) for column in results.columns if column.averages],
            baseline=baseline(results, known),
            engines=sorted({f"{p.engine} {p.engine_version}" for p in protocols}),
            faces=faces,
            version=__version__,
        )


def _ensemble(column: Results) -> dict[str, object]:
    """Return what the report says of a column's ensemble."""
    average, whose = column.averages[0], "" if column.kind is TRAINED else f", {column.kind.title}"
    with tempfile.TemporaryDirectory() as folder:
        picture = Path(folder) / "ensemble.png"
        confusion_picture(average.scores, f"ensemble{whose}, {average.name}", picture)
        shown = _inline(picture)
    return {
        "column": column,
        "whose": whose,
        "honesty": honesty(column),
        "growth": growth(column),
        "picture": shown,
    }


def _inline(path: Path) -> str:
    """Return a picture as a data URL, or an empty one where it is not there."""
    return f"data:image/png;base64,{base64.b64encode(path.read_bytes()).decode()}" if path.is_file() else ""
