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
    """A table as it is shown.

    Attributes
    ----------
    table
        The results.
    head
        What is said first, and which columns are needed.
    published
        The figures published on the same data set; none where they may not stand beside ours.
    compared
        The provenances whose figures are held against published ones; none where no row has a published figure.
    representations, nets
        The grid's columns and rows.
    lines
        Every figure, column after column.
    rows
        The same figures, those of the same thing beside each other.
    claims
        The paper's claims, tested.
    notes
        What is said beside them.
    scored
        How many predictions of a split without labels others found right; None where that is not given.
    errors
        What the ensemble, or the only net, takes for what.
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
        """Whether released models stand beside the runs."""
        return len(self.table.columns) > 1

    def counted(self, row: Row) -> list[str]:
        """Return accuracy and interval of a row's predictions that others scored, in words; empty without any."""
        found = [self.scored.of(line, self.table) for line in row.figures.values()] if self.scored else []
        return next((count.words for count in found if count), ["", ""])

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


def view(table: Table, publications: Sequence[Publication], scored: Scored | None = None) -> TableView:
    """Return what a table shows beside what was published on its data set, and what others scored."""
    whose = compared(table)
    published = published_on(publications, table.dataset) if whose else []
    here = published_on(published, table.dataset, table.official.official(table.protocol.split))
    nets, lines, tested = grid(table), figures(table, here), claims(table)
    shown = rows(table, lines, here)
    return TableView(
        table=table,
        head=head(table),
        published=published,
        compared=whose if any(row.published is not None for row in shown) else [],
        representations=representations(table),
        nets=nets,
        lines=lines,
        rows=shown,
        claims=tested,
        notes=replace(notes(table, nets, published, tested), scored=scored.said if scored else ""),
        scored=scored,
        errors=errors(table),
    )
