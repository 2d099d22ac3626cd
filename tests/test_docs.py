"""Commands, links, paths, tables and the register in README, CONTRIBUTING and `docs/` are correct."""

import csv
import re
import shlex
import subprocess
from collections import Counter
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path

import pytest
from tabulate import tabulate

from emotiw.__main__ import parse
from emotiw.commands import VERBS
from emotiw.data_prep.layouts.registry import LAYOUTS

ROOT = Path(__file__).parents[1]
DOCS = sorted((ROOT / "docs").glob("*.md"))
PAGES = {path: path.read_text(encoding="utf-8") for path in (ROOT / "README.md", ROOT / "CONTRIBUTING.md", *DOCS)}
NAMES = {path: path.relative_to(ROOT).as_posix() for path in PAGES}
EACH_PAGE = pytest.mark.parametrize("page", PAGES, ids=NAMES.get)
CODE = [path for folder in ("lbp_mapping", "prototxt", "data_prep", "engine", "train", "evaluate", "emotiw")
        for path in (ROOT / folder).rglob("*") if path.suffix in {".py", ".csv", ".prototxt"}]  # fmt: skip
# The commands after a `$` besides our own.
TOOLS = {"cat", "cd", "cp", "docker", "for", "git", "grep", "head", "mkdir", "pip", "sbatch", "sed"}


def blocks(text: str) -> list[str]:
    """Return the contents of the code blocks of a page."""
    return re.findall(r"^```\w*\n(.*?)^```$", text, re.S | re.M)


def prose(text: str) -> str:
    """Return a page without its code blocks."""
    return re.sub(r"^```\w*\n.*?^```$", "", text, flags=re.S | re.M)


def inline(text: str) -> list[str]:
    """Return the texts between backticks."""
    return re.findall(r"`([^`]+)`", prose(text))


def links(text: str) -> list[str]:
    """Return the targets of links and pictures."""
    return re.findall(r"\]\(([^)\s]+)\)", re.sub(r"`[^`]+`", "", prose(text)))


def anchors(text: str) -> set[str]:
    """Return the anchors of the headings of a page, as GitHub forms them."""
    headings = re.findall(r"^#+ (.+)$", prose(text), re.M)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def rows(text: str) -> list[str]:
    """Return the rows of the tables of a text, their heads and rules left out."""
    lines = text.split("\n")
    following = [*lines[1:], ""]
    return [
        line
        for line, after in zip(lines, following, strict=True)
        if line.startswith("|") and not line.startswith("|-") and not after.startswith("|-")
    ]


COMMANDS = [
    (page, line.strip().removeprefix("$ ").partition(" #")[0])
    for page, text in PAGES.items()
    for block in blocks(text)
    for line in block.split("\n")
    if re.match(r"(\$ |  +)emotiw ", line)
] + [
    (page, command)
    for page, text in PAGES.items()
    for command in re.findall(r'^\$ sbatch .*--wrap "(emotiw [^"]+)"$', "\n".join(blocks(text)), re.M)
]


def test_there_are_pages_and_commands():
    assert len(DOCS) >= 15
    assert len(COMMANDS) > 40
    assert len({page for page, _ in COMMANDS}) > 5


@pytest.mark.parametrize("command", dict.fromkeys(command for _, command in COMMANDS))
def test_every_command_parses(command):
    parse(shlex.split(command.replace("$r", "cyclic_lbp"))[1:])


def test_git_ignores_the_sources_that_the_pages_prepare():
    """They lie in the clone, and many are licensed: `git add` must not take them."""
    given = {parse(shlex.split(command)[1:]).source for _, command in COMMANDS if command.startswith("emotiw prepare ")}
    assert len(given) > 8
    for source in given:
        assert subprocess.run(["git", "-C", str(ROOT), "check-ignore", "-q", str(source)]).returncode == 0, source


@EACH_PAGE
def test_every_other_command_is_there(page):
    for line in re.findall(r"^\$ (.+)$", "\n".join(blocks(PAGES[page])), re.M):
        word = next(word for word in line.split() if not re.match(r"[A-Z_]+=", word))
        assert word in {"emotiw", "make", "docker/run", ".venv/bin/python", "../.venv/bin/python", *TOOLS}, line


@EACH_PAGE
def test_every_verb_and_target_is_there(page):
    targets = re.findall(r"^(\w[\w-]*):(?!=)", (ROOT / "Makefile").read_text(encoding="utf-8"), re.M)
    named = [*inline(PAGES[page]), *re.findall(r"^\$ (.+)$", "\n".join(blocks(PAGES[page])), re.M)]
    for program, word in re.findall(r"^(emotiw|make) ([a-z][\w-]*)", "\n".join(named), re.M):
        assert word in (VERBS if program == "emotiw" else targets), f"{program} {word}"


@EACH_PAGE
def test_every_link_leads_somewhere(page):
    for link in links(PAGES[page]):
        if link.startswith("https://"):
            continue
        file, _, anchor = link.partition("#")
        target = (page.parent / file).resolve() if file else page
        assert target.is_file(), link
        assert not anchor or anchor in anchors(PAGES[target]), link


@EACH_PAGE
def test_every_path_named_is_there(page):
    """A word between backticks, or of a command, that begins with a folder of the project is a path in it."""
    listed = subprocess.run(["git", "-C", str(ROOT), "ls-files"], check=True, capture_output=True, text=True).stdout
    folders = {line.partition("/")[0] for line in listed.split("\n") if "/" in line}
    commands = re.findall(r"^(?:\$|  ) (.+)$", "\n".join(blocks(PAGES[page])), re.M)
    for word in " ".join([*inline(PAGES[page]), *commands]).split():
        path = word.strip(",;:()'\"")
        if path.partition("/")[0] in folders and "/" in path:
            assert list(ROOT.glob(path.rstrip("/"))), path


def test_every_import_and_module_named_is_there():
    blocks_of_all = "\n".join(block for text in PAGES.values() for block in blocks(text))
    imports = re.findall(r"^(?:>>> )?from (emotiw[\w.]+) import (.+)$", blocks_of_all, re.M)
    assert len(imports) > 10
    for module, names in imports:
        assert all(hasattr(import_module(module), name) for name in names.split(", ")), module
    modules = [name for text in PAGES.values() for name in re.findall(r"-m\s+(emotiw[\w.]+)", text)]
    assert len(modules) > 2
    assert all(find_spec(name) for name in modules)


def test_every_page_is_linked_from_the_readme():
    linked = {(ROOT / link.partition("#")[0]).resolve() for link in links(PAGES[ROOT / "README.md"])}
    assert set(DOCS) <= linked
    assert ROOT / "CONTRIBUTING.md" in linked


def test_a_table_is_shown_once():
    """Heads may repeat; a long row is checked as a whole."""
    shown = Counter(row for text in PAGES.values() for row in rows(text) if len(row) > 60)
    assert len(shown) > 60
    assert [row for row, times in shown.items() if times > 1] == []


def test_the_register_and_the_code_name_the_same_deviations():
    register = re.findall(r"^\| (D\d+) \|", PAGES[ROOT / "docs/deviations.md"], re.M)
    tagged = {tag for path in CODE for tag in re.findall(r"Deviation (D\d+)", path.read_text(encoding="utf-8"))}
    assert register == [f"D{number}" for number in range(1, len(register) + 1)]
    assert tagged == set(register)
    with (ROOT / "train/experiments.csv").open(encoding="utf-8", newline="") as file:
        assert {tag for row in csv.DictReader(file) for tag in row["standing"].split()} <= set(register)
    for page, text in PAGES.items():
        assert set(re.findall(r"\bD\d+\b", prose(text))) <= set(register), page


def test_every_package_named_is_used_there():
    page = PAGES[ROOT / "docs/architecture.md"]
    packages = re.findall(r"^\| ([a-z-]+) \| (.+) \|$", page.split("## What is used where")[1], re.M)[1:]
    assert [name for name, _ in packages] == [
        "pycaffe", "numpy", "scipy", "scikit-learn", "pot", "opencv-python", "protobuf", "lmdb", "matplotlib", "pytest",
    ]  # fmt: skip
    modules = {"scikit-learn": "sklearn", "pot": "ot", "opencv-python": "cv2", "protobuf": "google", "pycaffe": "caffe"}
    for name, where in packages:
        for file in re.findall(r"`([a-z_/]+\.py)`", where):
            assert re.search(
                rf"(import|from) {modules.get(name, name)}\b", (ROOT / file).read_text(encoding="utf-8")
            ), file


@pytest.mark.parametrize("page", [ROOT / "README.md", ROOT / "docs/architecture.md"], ids=NAMES.get)
def test_every_folder_is_named(page):
    *parts, images, benchmarks = re.findall(r"^\| `(\w+)/` \|", PAGES[page], re.M)
    assert all((ROOT / folder / "__init__.py").is_file() for folder in parts)
    assert {path.parent.name for path in ROOT.glob("*/__init__.py")} == set(parts)
    assert (images, benchmarks) == ("docker", "benchmarks")
    assert (ROOT / images / "Dockerfile").is_file()


def test_the_architecture_answers_ten_questions():
    section = PAGES[ROOT / "docs/architecture.md"].split("## Where do I add ...")[1].split("\n## ")[0]
    answers = [row for row in rows(section) if row.endswith("|")]
    assert len(answers) == 10
    # Each names a place in the project.
    assert all(re.search(r"`(?:\w+/)+[\w.]*`", row.split(" | ")[1]) for row in answers)
    for row in answers:
        for name, file in re.findall(r"`([A-Z]{3,})`, `([\w/]+\.py)`", row):
            assert re.search(rf"^{name}\b.*=", (ROOT / file).read_text(encoding="utf-8"), re.M), f"{file}: {name}"
    assert len(re.findall(r"`[A-Z]{3,}`, `", section)) > 5


def test_the_index_has_four_short_paths():
    paths = [part for part in PAGES[ROOT / "docs/index.md"].split("\n## ") if part.startswith("I ")]
    assert len(paths) == 4
    for path in paths:
        steps = re.findall(r"^(\d)\. ", path, re.M)
        assert steps == [str(number) for number in range(1, len(steps) + 1)]
        assert 3 <= len(steps) <= 5
        assert links(path)


@EACH_PAGE
def test_nothing_is_left_to_be_filled_in(page):
    assert not re.findall(r"^[A-Z]{4,}$|TODO|FIXME|@[A-Z]+@", PAGES[page].replace("\nEND\n", "\n"), re.M)


@EACH_PAGE
def test_a_page_is_no_diary(page):
    assert not re.findall(r"earlier (?:run|training|one) (?:of|gave)|on another machine the same", PAGES[page])


def test_the_page_of_layouts_is_the_registry():
    rows = [[f"`{row.name}`", ", ".join(row.labels), row.recognised, row.needs] for row in LAYOUTS]
    table = tabulate(rows, ["layout", "labels", "recognised by", "what it holds"], tablefmt="github")
    shown = (ROOT / "docs/layouts.md").read_text().partition("<!-- layouts -->\n\n")[2].partition("\n\n<!-- end")[0]
    assert shown == table, f"put this into docs/layouts.md:\n{table}"
