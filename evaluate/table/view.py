"""Everything that a table shows, computed once: Markdown, CSV and HTML only print it."""

from collections.abc import Sequence
from dataclasses import dataclass

from emotiw.evaluate.model import Provenance

from .notes import Notes, notes
from .published import Publication
from .results import Table
from .rows import Line, Net, Row, compared, figures, grid, representations, rows


@dataclass(frozen=True)
class TableView:
    """A table as it is shown.

    Attributes
    ----------
    table
        The results.
    published
        The published figures, the paper's first; none where they may not stand beside ours.
    compared
        The provenances whose figures are held against the published ones.
    representations, nets
        The grid's columns and rows.
    lines
        Every figure, column after column.
    rows
        The same figures, those of the same thing beside each other.
    notes
        What is said beside them.
    """

    table: Table
    published: Sequence[Publication]
    compared: Sequence[Provenance]
    representations: Sequence[str]
    nets: Sequence[Net]
    lines: Sequence[Line]
    rows: Sequence[Row]
    notes: Notes

    @property
    def several(self) -> bool:
        """Whether released models stand beside the runs."""
        return len(self.table.columns) > 1

    def said(self, line: Line) -> list[str]:
        """Return what must be said of a figure: of an ensemble's, what is said of its nets."""
        return self.table.marks.of(self._nets(line))

    def marks(self, line: Line) -> str:
        """Return the letters behind a figure, which stand for what must be said of it."""
        return self.table.marks.at(self._nets(line))

    def _nets(self, line: Line) -> list[str]:
        if line.place[0] != "ensemble":
            return [line.name]
        column = next(one for one in self.table.columns if one.provenance is line.provenance)
        return [cell.name for cell in column.cells]


def view(table: Table, publications: Sequence[Publication]) -> TableView:
    """Return what a table shows beside these published figures, the paper's first."""
    whose = compared(table)
    published = publications if whose else ()
    nets, lines = grid(table), figures(table, published)
    return TableView(
        table=table,
        published=published,
        compared=whose,
        representations=representations(table),
        nets=nets,
        lines=lines,
        rows=rows(table, lines, published),
        notes=notes(table, nets, published),
    )
