"""Everything that a table shows, computed once: Markdown, CSV and HTML only print it."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from emotiw.evaluate.model import Provenance

from .claims import Claim, claims
from .errors import Errors, errors
from .head import Head, head
from .notes import Notes, notes
from .published import Publication, published_on
from .results import Table
from .rows import Line, Net, Row, compared, figures, grid, representations, rows
from .scored import Scored


@dataclass(frozen=True)
class TableView:
    """The contents of a printed table.

    Attributes
    ----------
    table
        The results.
    head
        The first lines, and the columns that are needed.
    published
        The published figures on the same data set; empty if none is comparable.
    compared
        The columns that are compared with published figures; empty if no row has one.
    representations, nets
        The grid's columns and rows.
    lines
        Every figure, column by column.
    rows
        The same figures by row.
    claims
        The tests of the paper's claims.
    notes
        The notes below the table.
    scored
        Counts by others of the correct predictions on a split without labels, or None.
    errors
        The errors of the ensemble, or of the only net.
    """

    table: Table
    head: Head
    published: Sequence[Publication]
    compared: Sequence[Provenance]
    representations: Sequence[str]
    nets: Sequence[Net]
    lines: Sequence[Line]
    rows: Sequence[Row]
    claims: Sequence[Claim]
    notes: Notes
    scored: Scored | None
    errors: Errors

    @property
    def several(self) -> bool:
        """Whether there are columns for both runs and released models."""
        return len(self.table.columns) > 1

    def counted(self, row: Row) -> list[str]:
        """Return the printed accuracy and interval of a row's count by others; two "" if there is none."""
        found = [self.scored.of(line, self.table) for line in row.figures.values()] if self.scored else []
        return next((count.words for count in found if count), ["", ""])

    def warnings(self, line: Line) -> list[str]:
        """Return the warnings about a figure; an ensemble has those of its nets."""
        return self.table.marks.of(self._nets(line))

    def marks(self, line: Line) -> str:
        """Return the letters after a figure, which refer to the warnings about it."""
        return self.table.marks.at(self._nets(line))

    def _nets(self, line: Line) -> list[str]:
        if line.place[0] != "ensemble":
            return [line.name]
        column = next(one for one in self.table.columns if one.provenance is line.provenance)
        return [cell.name for cell in column.cells]


def view(table: Table, publications: Sequence[Publication], scored: Scored | None = None) -> TableView:
    """Compute the contents of a table, with the published figures on its data set and the counts by others."""
    comparable = compared(table)
    published = published_on(publications, table.dataset) if comparable else []
    here = published_on(published, table.dataset, table.official.official(table.protocol.split))
    nets, lines, tested = grid(table), figures(table, here), claims(table)
    shown = rows(table, lines, here)
    return TableView(
        table=table,
        head=head(table),
        published=published,
        compared=comparable if any(row.published is not None for row in shown) else [],
        representations=representations(table),
        nets=nets,
        lines=lines,
        rows=shown,
        claims=tested,
        notes=replace(notes(table, nets, published, tested), scored=scored.note if scored else ""),
        scored=scored,
        errors=errors(table),
    )
