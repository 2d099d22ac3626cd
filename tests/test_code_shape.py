"""Limits on the size of modules and functions, and on the number of open types."""

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
FOLDERS = ("emotiw", "lbp_mapping", "prototxt", "data_prep", "engine", "train", "evaluate")
MODULES = sorted(path for folder in FOLDERS for path in (ROOT / folder).rglob("*.py"))

MOST_LINES, MOST_LINES_OF_A_FUNCTION, MOST_PARAMETERS, MOST_ANY = 400, 50, 6, 100
# Functions with more parameters. They have pycaffe's own signatures.
EXCEPTIONS = {
    "engine/torch/pycaffe/classifier.py: __init__",
    "engine/torch/pycaffe/io.py: resize",
}


def name_of(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def functions(path: Path) -> list[ast.FunctionDef]:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    return [node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)]


def parameters(function: ast.FunctionDef) -> list[str]:
    """The parameters' names, without `self` and `cls`; those of * and ** count as one each."""
    given = function.args
    several = [each for each in (given.vararg, given.kwarg) if each]
    names = [each.arg for each in [*given.posonlyargs, *given.args, *given.kwonlyargs, *several]]
    return names[1:] if names[:1] in (["self"], ["cls"]) else names


def lines(function: ast.FunctionDef) -> int:
    """The number of its lines without the docstring, which may be long."""
    docstring = ast.get_docstring(function, clean=False)
    return function.end_lineno - function.lineno + 1 - len((docstring or "").splitlines())


def too_many(path: Path) -> list[str]:
    return [f"{name_of(path)}: {f.name}" for f in functions(path) if len(parameters(f)) > MOST_PARAMETERS]


def test_the_modules_are_found():
    assert len(MODULES) > 150


@pytest.mark.parametrize("path", MODULES, ids=name_of)
def test_modules_and_functions_are_short(path):
    assert len(path.read_text(encoding="utf-8").splitlines()) <= MOST_LINES
    assert [f.name for f in functions(path) if lines(f) > MOST_LINES_OF_A_FUNCTION] == []


def test_functions_take_few_parameters():
    assert {each for path in MODULES for each in too_many(path)} == EXCEPTIONS


def test_few_types_are_left_open():
    assert sum(len(re.findall(r"\bAny\b", path.read_text(encoding="utf-8"))) for path in MODULES) <= MOST_ANY
