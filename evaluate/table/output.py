"""The files of a table: the table, its errors, and the report with its pictures."""

from pathlib import Path

from emotiw.data_prep.prepared_set import PreparedSet
from emotiw.files import write_text

from .html import html
from .markdown import markdown
from .table_csv import csv_text
from .view import TableView

TABLE_FILES = ("table.md", "table.csv", "errors.md", "errors.csv", "report.html")


def write_table(view: TableView, output: Path, prepared: PreparedSet | None) -> str:
    """Write the files into `output`; return the Markdown.

    Parameters
    ----------
    prepared
        The set that was scored, for pictures of its faces in the report; None if it is not available.
    """
    text, errors = markdown(view), view.errors
    contents = (text, csv_text(view), errors.markdown(view.head.lines[:2]), errors.csv(), html(view, prepared))
    for name, content in zip(TABLE_FILES, contents, strict=True):
        write_text(output / name, content)
    return text
