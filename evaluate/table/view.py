"""Everything that a table shows, computed once: Markdown, CSV and HTML only print it."""

from collections.abc import Sequence
from dataclasses import dataclass

from emotiw.evaluate.model import Provenance

from .claims import Claim, claims
from .head import Head, head
from .notes import Notes, notes
from .published import Publication, published_on
from .results import Table
from .rows import Line, Net, Row, compared, figures, grid, representations, rows


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

    @property
    def several(self) -> bool:
        """Whether released models stand beside the runs."""
        return len(self.table.columns) > 1


def view(table: Table, publications: Sequence[Publication]) -> TableView:
    """Return what a table shows beside what was published on its data set."""
    whose = compared(table)
    published = published_on(publications, table.dataset) if whose else []
    here = published_on(published, table.dataset, table.protocol.split)
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
        notes=notes(table, nets, published, tested),
    )
