"""From scores to the results table: cells, rows, notes, published figures; Markdown, CSV, HTML.

`collect` reads the scores, `view.view` computes everything that a table shows, and `write_table` writes it.
"""

from emotiw.lazy import TYPE_CHECKING, attach

if TYPE_CHECKING:
    from .output import write_table
    from .published import publications
    from .results import collect
    from .view import TableView
else:
    __getattr__, __dir__ = attach(__name__)

__all__ = ["TableView", "collect", "publications", "write_table"]
