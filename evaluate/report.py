"""The report: one HTML file with the table, the pictures and how they were made."""

import base64
import tempfile
from collections.abc import Sequence
from importlib import resources
from pathlib import Path

from emotiw import __version__
from emotiw.data_prep.sets import PreparedSet
from emotiw.files import write_text

from .grid import best, columns, comparable, grid
from .lines import lines
from .pictures import confusion_picture, faces_picture
from .publications import Publication
from .remarks import arithmetic, baseline, growth, honesty
from .results import Results, title
from .table import csv_text, markdown

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
    with tempfile.TemporaryDirectory() as folder:
        faces, ensemble = Path(folder) / "faces.png", Path(folder) / "ensemble.png"
        if prepared:
            faces_picture(prepared, results.protocol.split, faces)
        if results.averages:
            average = results.averages[0]
            confusion_picture(average.scores, f"ensemble, {average.name}", ensemble)
        return environment.from_string(template).render(
            results=results,
            protocol=results.protocol,
            nets=grid(results),
            columns=columns(results),
            best={net: best(cells) for net, cells in grid(results).items()},
            published=known if comparable(results) else [],
            lines=lines(results, known),
            arithmetic=arithmetic(results, known),
            honesty=honesty(results),
            growth=growth(results) if results.averages else "",
            baseline=baseline(results, known),
            engines=sorted({f"{p.engine} {p.engine_version}" for p in (cell.protocol for cell in results.cells)}),
            faces=faces,
            ensemble=ensemble,
            version=__version__,
        )


def _inline(path: Path) -> str:
    """Return a picture as a data URL, or an empty one where it is not there."""
    return f"data:image/png;base64,{base64.b64encode(path.read_bytes()).decode()}" if path.is_file() else ""
