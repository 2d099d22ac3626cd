"""Every package has a docstring, and exports its public names without importing heavy modules."""

import ast
import inspect
import re
import subprocess
import sys
from importlib import import_module
from itertools import pairwise
from pathlib import Path
from pkgutil import iter_modules

import pytest

ROOT = Path(__file__).parents[1]
SETUP = ast.parse((ROOT / "setup.py").read_text(encoding="utf-8"))
FOLDERS = next(ast.literal_eval(node.value) for node in SETUP.body if isinstance(node, ast.Assign))
# pycaffe's own packages have no `__all__`, and these two have pycaffe's names.
PYCAFFE = {"emotiw.engine.torch.pycaffe", "emotiw.engine.torch.pycaffe.proto"}
EXPORTING = sorted(FOLDERS.keys() - PYCAFFE)
EAGER = {*PYCAFFE, "emotiw.engine.torch.layers"}  # they are imported with torch only


def words(text: str) -> str:
    """A text on one line, in small letters, without marks."""
    return " ".join(text.replace("`", "").lower().split())


@pytest.mark.parametrize("name", sorted(FOLDERS))
def test_a_package_says_what_it_is_for(name):
    assert inspect.getdoc(import_module(name))


def test_a_folder_says_what_its_row_of_the_architecture_says():
    rows = re.findall(r"^\| `(\w+)/` \| (.*) \| (.*) \|$", (ROOT / "docs/architecture.md").read_text(), re.M)
    found = {folder: cells for folder, *cells in rows if f"emotiw.{folder}" in FOLDERS}
    assert len(found) == 6
    for folder, cells in found.items():
        said = words(import_module(f"emotiw.{folder}").__doc__)
        for part in ("; ".join(cells)).split("; "):
            assert part == "(Caffe)" or words(part) in said, (folder, part)


@pytest.mark.parametrize("name", EXPORTING)
def test_every_exported_name_is_there_and_documented(name):
    package = import_module(name)
    assert len(set(package.__all__)) == len(package.__all__) > 0
    assert set(package.__all__) <= set(dir(package))
    for exported in package.__all__:
        assert hasattr(package, exported), exported
        assert exported == "__version__" or documented(package, exported), exported
    assert not hasattr(package, "nothing_of_this_name")


def documented(package, name: str) -> bool:
    """Whether a class or function has its own docstring, or a constant has a string after it."""
    found = getattr(package, name)
    if callable(found):
        return bool(found.__doc__) and not found.__doc__.startswith(f"{name}(")
    sources = Path(package.__file__).parent.glob("*.py")
    return any(name in documented_constants(ast.parse(path.read_text(encoding="utf-8"))) for path in sources)


def documented_constants(module: ast.Module) -> set[str]:
    """The names that a module assigns with a string after them."""
    found = set()
    for statement, below in pairwise(module.body):
        if isinstance(below, ast.Expr) and isinstance(below.value, ast.Constant):
            targets = getattr(statement, "targets", [getattr(statement, "target", None)])
            found |= {target.id for target in targets if isinstance(target, ast.Name)}
    return found


@pytest.mark.parametrize("name", EXPORTING)
def test_no_exported_name_is_a_modules(name):
    """Otherwise an import would return one or the other, depending on earlier imports."""
    package = import_module(name)
    assert not {module.name for module in iter_modules(package.__path__)} & set(package.__all__)


def test_packages_import_nothing_heavy():
    code = "import sys\n" + "".join(f"import {name}\n" for name in FOLDERS.keys() - EAGER)
    code += "heavy = {'numpy', 'cv2', 'matplotlib', 'scipy', 'sklearn', 'torch', 'google', 'lmdb', 'gradio', 'ast'}\n"
    code += "print(*sorted(heavy & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-P", "-c", code], check=True, capture_output=True, text=True)
    assert done.stdout.split() == []


def test_names_are_imported_as_from_any_package():
    from emotiw.lbp_mapping import map_image
    from emotiw.lbp_mapping.mapping import map_image as the_same

    assert map_image is the_same
    with pytest.raises(ImportError, match="cannot import name 'nothing'"):
        exec("from emotiw.lbp_mapping import nothing")
    with pytest.raises(AttributeError, match=r"^module 'emotiw.engine' has no attribute 'nothing'$"):
        import_module("emotiw.engine").nothing  # noqa: B018
