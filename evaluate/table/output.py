"""The table's files: table.md, table.csv and report.html."""

from pathlib import Path

from emotiw.data_prep.prepared_set import PreparedSet
from emotiw.files import write_text

from .html import html
from .markdown import markdown
from .table_csv import csv_text
from .view import TableView

TABLE_FILES = ("table.md", "table.csv", "report.html")


def write_table(view: TableView, output: Path, prepared: PreparedSet | None) -> str:
    """Write the files into `output`; return the Markdown.

    Parameters
    ----------
    prepared
        The set that was scored, for a picture of its faces; None where it is not at hand.
    """
    text = markdown(view)
    for name, content in zip(TABLE_FILES, (text, csv_text(view), html(view, prepared)), strict=True):
        write_text(output / name, content)
    return text
