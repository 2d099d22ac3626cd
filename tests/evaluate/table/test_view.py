"""A table's contents are computed once, and the printers only print them."""

import sys
from pathlib import Path

import emotiw.evaluate.table as package
from emotiw.evaluate.table import claims, output, results
from emotiw.evaluate.table import markdown as markdown_module
from emotiw.evaluate.table.output import TABLE_FILES, write_table
from emotiw.evaluate.table.published import publications
from emotiw.evaluate.table.results import collect
from emotiw.evaluate.table.view import view

FOLDER = Path(package.__file__).parent
PRINTERS = ("output", "markdown", "table_csv", "html")
LABELS = [0, 1, 2, 3, 4, 5, 6, 6]


def entered(call):
    """The modules of the folder in the order of their first call, and all transitions between them."""
    walk = []

    def note(frame, event, argument):
        path = Path(frame.f_code.co_filename)
        if event == "call" and path.parent == FOLDER and (not walk or walk[-1] != path.stem):
            walk.append(path.stem)

    sys.setprofile(note)
    try:
        call()
    finally:
        sys.setprofile(None)
    return list(dict.fromkeys(walk)), walk


def test_the_modules_are_entered_in_one_direction(make_run, make_released, answers, tmp_path, monkeypatch):
    make_run("vgg_s-rgb", answers(0, 1, 2, 3, 4, 5, 0, 0), LABELS)
    make_run("vgg_s-lbp", answers(0, 1, 2, 3, 4, 0, 6, 6), LABELS)
    make_released("VGG_S_rgb", answers(0, 1, 2, 3, 4, 5, 6, 0), LABELS)
    shown = view(collect(tmp_path / "runs"), publications())
    for name in ("best_members", "combine", "cross_validated", "growth", "growth_order", "nested", "uniform"):
        monkeypatch.setattr(results, name, None)  # all ensembles are computed by now
    for name in ("paired", "holm"):
        monkeypatch.setattr(claims, name, None)  # and all claims are tested
    modules, _ = entered(lambda: write_table(shown, tmp_path, None))
    assert [module for module in modules if module in PRINTERS] == list(PRINTERS)
    # The printers enter only modules that hold figures and texts, none that computes them.
    assert set(modules) - set(PRINTERS) <= {"cells", "results", "rows", "notes", "claims", "marks", "view", "errors"}


def test_markdown_is_rendered_once(make_run, answers, tmp_path, monkeypatch):
    make_run("vgg_s-rgb", answers(*LABELS), LABELS)
    calls = []
    monkeypatch.setattr(output, "markdown", lambda shown: calls.append(shown) or markdown_module.markdown(shown))
    from emotiw.__main__ import main

    assert main(["table", str(tmp_path / "runs"), "-o", str(tmp_path / "table")]) == 0
    assert len(calls) == 1
    assert {path.name for path in (tmp_path / "table").iterdir()} >= set(TABLE_FILES)
