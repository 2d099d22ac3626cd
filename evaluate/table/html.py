"""The report: one HTML file with the table, the pictures and how the figures were made."""

import base64
import tempfile
from importlib import resources
from pathlib import Path

from emotiw.data_prep.prepared_set import PreparedSet
from emotiw.evaluate.model import TRAINED
from emotiw.evaluate.plots import captioned_picture, confusion_picture, faces_picture
from emotiw.version import __version__

from .cells import title
from .notes import EnsembleNotes
from .rows import percent
from .view import TableView


def html(view: TableView, prepared: PreparedSet | None) -> str:
    """Return the report as HTML with embedded pictures; `prepared` is the scored set, for pictures of faces."""
    from jinja2 import Environment

    template = resources.files(__package__).joinpath("report.html").read_text(encoding="utf-8")
    environment = Environment(autoescape=True, trim_blocks=True, lstrip_blocks=True)
    environment.filters.update(percent=percent, title=title, picture=_inline)
    protocols = [cell.protocol for column in view.table.columns for cell in column.cells]
    with tempfile.TemporaryDirectory() as folder:
        faces, mistakes = Path(folder) / "faces.png", Path(folder) / "mistakes.png"
        if prepared and view.errors.mistakes:
            captions = {
                one.path: f"{one.truth} as\n{one.predicted} {one.posterior:.2f}" for one in view.errors.mistakes
            }
            captioned_picture(prepared, view.table.protocol.split_of_set, captions, mistakes)
        if prepared:
            faces_picture(prepared, view.table.protocol.split_of_set, faces)
        return environment.from_string(template).render(
            view=view,
            table=view.table,
            protocol=view.table.protocol,
            notes=view.notes,
            ensembles=[_ensemble(ensemble) for ensemble in view.notes.ensembles],
            engines=sorted({f"{p.engine} {p.engine_version}" for p in protocols}),
            faces=faces,
            mistakes=mistakes,
            version=__version__,
        )


def _ensemble(notes: EnsembleNotes) -> dict[str, object]:
    """Return the values of the template for a column's ensemble."""
    average, provenance = notes.column.averages[0], notes.column.provenance
    origin = "" if provenance is TRAINED else f", {provenance.title}"
    with tempfile.TemporaryDirectory() as folder:
        picture = Path(folder) / "ensemble.png"
        confusion_picture(average.scores, f"ensemble{origin}, {average.name}", picture)
        return {"column": notes.column, "origin": origin, "notes": notes, "picture": _inline(picture)}


def _inline(path: Path) -> str:
    """Return a picture as a data URL, or an empty string if the file does not exist."""
    return f"data:image/png;base64,{base64.b64encode(path.read_bytes()).decode()}" if path.is_file() else ""
