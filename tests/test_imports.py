"""Imports go downward only and never in a circle; imports inside functions count, too."""

import ast
from collections import defaultdict
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]

# The parts that each part may import, besides itself and the small modules of emotiw/ that are below all others.
MAY_IMPORT = {
    "lbp_mapping": set(),
    "prototxt": set(),
    "engine": {"prototxt"},
    "data_prep": {"prototxt", "lbp_mapping"},
    "train": {"data_prep", "engine", "prototxt", "lbp_mapping"},
    "evaluate": {"train", "data_prep", "engine", "prototxt", "lbp_mapping"},
    "commands": {"evaluate", "train", "data_prep", "engine", "prototxt", "lbp_mapping"},
}
MAY_IMPORT["interface"] = MAY_IMPORT["commands"]  # it runs the same steps as the commands
MAY_IMPORT["__init__"] = {"interface", *MAY_IMPORT["interface"]}  # emotiw/__init__, when its names are used
LOWEST = {path.stem for path in (ROOT / "emotiw").glob("*.py")} - {"__main__", "__init__", "interface"}

Graph = dict[str, set[str]]  # a module -> the modules that it imports; a package `a.b` is `a.b.__init__`


def modules() -> dict[str, Path]:
    """Every module by its dotted name."""
    found = {}
    for folder in ("emotiw", *MAY_IMPORT):
        for path in (ROOT / folder).rglob("*.py"):
            words = path.relative_to(ROOT).with_suffix("").parts
            found[".".join(words if words[0] == "emotiw" else ("emotiw", *words))] = path
    return found


def imported(name: str, text: str, known: set[str]) -> set[str]:
    """The modules that a module's text imports."""
    package = name.rpartition(".")[0]
    found = set()
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names if alias.name.partition(".")[0] == "emotiw"}
        elif isinstance(node, ast.ImportFrom):
            assert node.level <= 1, f"{name}: imports never climb"
            base = ".".join([package, node.module or ""]).strip(".") if node.level else node.module or ""
            if base.partition(".")[0] == "emotiw":
                found |= {inner if _file(inner := f"{base}.{a.name}", known) else base for a in node.names}
    assert all(_file(module, known) for module in found), f"{name}: {found} are not all there"
    return {_file(module, known) for module in found} - {name}


def _file(module: str, known: set[str]) -> str:
    """The module's file: a package's is its `__init__`; empty if there is none."""
    return next((each for each in (module, f"{module}.__init__") if each in known), "")


def upward(graph: Graph) -> list[str]:
    """Imports of parts that are not below."""
    return [
        f"{name} imports {other}"
        for name, others in graph.items()
        for other in others
        if _part(other) not in MAY_IMPORT.get(_part(name), set()) | LOWEST | {_part(name)}
    ]


def _part(module: str) -> str:
    return _words(module)[1]


def _words(module: str) -> list[str]:
    """The words of a dotted name; `__main__` counts as a command, because `demo` runs others through it."""
    return module.replace("emotiw.__main__", "emotiw.commands.__main__").split(".")


def circles(graph: Graph) -> list[str]:
    """Circles between the modules and folders in one folder."""
    levels: dict[str, Graph] = defaultdict(lambda: defaultdict(set))
    for name, others in graph.items():
        for other in others:
            mine, its = _words(name), _words(other)
            shared = next(k for k, pair in enumerate(zip(mine, its, strict=False)) if pair[0] != pair[1])
            levels[".".join(mine[:shared])][mine[shared]].add(its[shared])
    found = []
    for folder, level in levels.items():
        try:
            TopologicalSorter(level).prepare()
        except CycleError as error:
            found.append(f"{folder}: {' <- '.join(error.args[1])}")
    return found


@pytest.fixture(scope="module")
def graph() -> Graph:
    paths = modules()
    assert len(paths) > 150
    return {name: imported(name, path.read_text(encoding="utf-8"), set(paths)) for name, path in paths.items()}


def test_imports_go_downward_only(graph):
    assert upward(graph) == []


def test_no_imports_go_in_a_circle(graph):
    assert circles(graph) == []


@pytest.mark.parametrize(
    ("name", "line", "found"),
    [
        ("emotiw.prototxt.shapes", "from emotiw.evaluate.scores import Scores", upward),
        ("emotiw.lbp_mapping.codes", "def f():\n    from emotiw.prototxt import shapes", upward),
        ("emotiw.evaluate.model", "import emotiw.commands.table", upward),
        ("emotiw.commands.predict", "from emotiw.interface import predict", upward),
        ("emotiw.interface", "from emotiw.commands.options import DEFAULT_MODEL", upward),
        ("emotiw.train.stage", "from emotiw import open_set", upward),
        ("emotiw.files", "from emotiw.engine.settings import ENGINES", upward),
        ("emotiw.engine.base", "from .registry import open_engine", circles),  # registry imports base
        ("emotiw.evaluate.scores", "def f():\n    from emotiw.evaluate.table import markdown", circles),
        ("emotiw.engine.torch.layers.layer", "from .pooling import Pooling", circles),
    ],
)
def test_one_more_import_would_be_noticed(graph, name, line, found):
    assert found(graph | {name: graph[name] | imported(name, line, set(graph))})
