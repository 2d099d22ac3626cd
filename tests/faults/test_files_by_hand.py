"""Files changed by hand, by an editor or by a full disk are read correctly, or give one line that names the file.

Every field of every record and every column of every table is tried, including future ones.
"""

import csv
import io
import json
import shutil
from collections.abc import Callable, Iterator
from dataclasses import MISSING, dataclass, fields, is_dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import get_args, get_type_hints

import pytest
from without_privileges import modes_count

from emotiw.__main__ import _line, main
from emotiw.data_prep import checkpoint
from emotiw.data_prep.class_list import EMOTION_LIST
from emotiw.data_prep.prepared_set import Row, SetFacts, open_set
from emotiw.errors import EmotiwError
from emotiw.evaluate.baseline import baseline
from emotiw.evaluate.label_lists import read_list
from emotiw.evaluate.model import TRAINED
from emotiw.evaluate.scores import read_scores
from emotiw.evaluate.scoring import Protocol, read_protocol
from emotiw.evaluate.table.published import publications
from emotiw.evaluate.table.table_csv import _Weighted, ensemble_weights
from emotiw.files import sha256_of
from emotiw.train.progress import Point, read_progress
from emotiw.train.run_folder import Facts, Run

OLDER = Path(__file__).parents[1] / "older"
RUN = "runs/googlenet_small-rgb/finetune"
BASELINE = {
    "engine": "scikit-learn", "engine_version": "1.5", "split": "val", "set_folder": "/set", "set_digest": "a" * 64,
    "train_images": 7, "grid": 7, "radius": 1,
    "svm": {"kernel": "rbf", "C": 1.0, "gamma": 0.5, "folds": 2, "accuracy": 0.5, "images": 4}, "posteriors": "softmax",
}  # fmt: skip
ENTRY = '["' + "a" * 64 + '", "' + "b" * 64 + '", ""]\n'


@dataclass(frozen=True)
class File:
    """A file of ours or of a user: its path, its reader, and the record of a JSON file or the row of a table.

    `text` is its content if the older set and run have no such file.
    """

    path: str
    read: Callable[[Path], object]
    kind: type | None = None
    text: str = ""


def weights(path: Path) -> object:
    net = SimpleNamespace(
        name="vgg_s-rgb", provenance=TRAINED, title="it", mean_rule="crop", taken_rule=lambda rule: rule or "crop"
    )
    return ensemble_weights([net], path).tolist()


def scores(path: Path) -> object:
    found = read_scores(path)
    return found.paths, found.labels.tolist(), found.classes, found.posteriors.tolist()


def found_baseline(path: Path) -> object:
    folder = path.parents[3]
    shutil.copy(folder / RUN / "scores_val.csv", path.with_suffix(".csv"))
    return baseline.find(folder / "runs", "val", "a" * 64).protocol


def journal(path: Path) -> object:
    (path.parent / "asked.sha256").write_text(sha256_of(b'"x"\n'))
    return checkpoint.resume(path.parent, ["x"])


FILES = {
    "set.json": File("set/set.json", lambda path: open_set(path.parent).facts, SetFacts),
    "manifest.csv": File("set/manifest.csv", lambda path: open_set(path.parent).manifest, Row),
    "run.json": File(f"{RUN}/run.json", lambda path: Run(path.parent).facts(), Facts),
    "scores_val.json": File(f"{RUN}/scores_val.json", lambda path: read_protocol(path.parent, "val"), Protocol),
    "scores_val.csv": File(f"{RUN}/scores_val.csv", scores),
    "progress.csv": File(f"{RUN}/progress.csv", read_progress, Point),
    "the baseline's": File(
        f"runs/baseline/{'a' * 12}/scores_val.json", found_baseline, baseline.Protocol, json.dumps(BASELINE)
    ),
    "table.csv": File("table.csv", weights, _Weighted, "name,weight,kind\nvgg_s-rgb,0.25,\nvgg_s-lbp,0.75,\n"),
    "published": File(
        "published.csv",
        lambda path: publications(path),
        text=(Path(__file__).parents[2] / "evaluate/table/published.csv").read_text(),
    ),
    "truth": File("truth.txt", lambda path: list(read_list(path, EMOTION_LIST)), text="a.png Happy\nb.png Sad\n"),
    "journal": File("made/journal.jsonl", journal, text=ENTRY + ENTRY),
}


@pytest.fixture
def place(request, tmp_path) -> Path:
    """The correct file of `name`, with the files that belong to it."""
    large = shutil.ignore_patterns("*.mdb", "*.caffemodel", "*.solverstate", "*.binaryproto")
    folder = Path(shutil.copytree(OLDER, tmp_path / "it", ignore=large))
    file = FILES[request.getfixturevalue("name")]
    path = folder / file.path
    if file.text:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(file.text)
    return path


def outcome(name: str, path: Path) -> tuple[object, str]:
    """The value read, or the one-line error of the command."""
    try:
        return FILES[name].read(path), ""
    except (EmotiwError, OSError) as error:  # all else is an internal error
        line = _line(error)
        assert "\n" not in line
        assert path.name in line or path.parent.name in line, line
        assert ": " in line
        return None, line


def cut_off(path: Path) -> None:
    data = path.read_bytes()
    path.write_bytes(data[: len(data) * 2 // 3])


def in_its_place(path: Path) -> None:
    path.unlink()
    path.mkdir()


def rewritten(change: Callable[[bytes], bytes]) -> Callable[[Path], None]:
    return lambda path: path.write_bytes(change(path.read_bytes()))


DAMAGES = {
    "empty": rewritten(lambda data: b""),
    "cut off": cut_off,
    "BOM": rewritten(lambda data: b"\xef\xbb\xbf" + data),
    "CRLF": rewritten(lambda data: data.replace(b"\n", b"\r\n")),
    "UTF-16": rewritten(lambda data: data.decode().encode("utf-16")),
    "UTF-16 without a mark": rewritten(lambda data: data.decode().encode("utf-16-le")),
    "a lone surrogate": rewritten(lambda data: data.replace(b"a", b"\xed\xa0\x80")),
    "zeros": rewritten(lambda data: bytes(len(data))),
    "a folder": in_its_place,
    "unreadable": lambda path: path.chmod(0),
}
READ_ALL_THE_SAME = {"BOM", "CRLF"}
# Files that may be empty: a list without images, the journal of an unfinished set, a curve.
MAY_BE_EMPTY = {"truth", "progress.csv"}


@pytest.mark.parametrize("damage", DAMAGES)
@pytest.mark.parametrize("name", FILES)
def test_a_file_that_was_changed(name, damage, place):
    expected, _ = outcome(name, place)
    assert expected
    DAMAGES[damage](place)
    with modes_count():
        found, line = outcome(name, place)
    if line:  # in a manifest every byte counts
        assert damage not in READ_ALL_THE_SAME or name == "manifest.csv", line
    elif damage in READ_ALL_THE_SAME:
        assert found == expected or name == "journal"
    elif name == "journal":
        assert found in ([], expected[:1])  # started over, or without its last line
    elif damage == "cut off":
        assert name in {"progress.csv", "truth", "table.csv", "published"}
    else:
        assert (damage, name in MAY_BE_EMPTY, len(found)) == ("empty", True, 0)


NUMBERS = {"negative": -1, "fractional": 0.5, "huge": 10**400}
NO_JSON = {"NaN", "1e999", "nested"}
KEYS = ("absent", "null", "wrong type", *NUMBERS, "NaN", "1e999", "nested")


def keys(kind: type, *before: str) -> Iterator[tuple[str, ...]]:
    """The fields of a record, and of the records in it."""
    for name, hint in get_type_hints(kind).items():
        if name not in {field.name for field in fields(kind)}:
            continue
        yield (*before, name)
        if is_dataclass(hint):
            yield from keys(hint, *before, name)


def with_defaults(text: str, kind: type) -> str:
    """A record's JSON with the keys that it lacks, so that each is changed from a value of its type."""
    plain = {field.name: field.default for field in fields(kind) if isinstance(field.default, int | float | str)}
    return json.dumps(plain | json.loads(text))


RECORDS = [name for name, file in FILES.items() if file.kind and file.path.endswith(".json")]
HOLE = "what is put here"


def put(values: dict[str, object], key: list[str], change: str) -> str:
    """A record's JSON with one key changed."""
    *above, last = key
    inner: dict[str, object] = values
    for word in above:
        inner = inner.setdefault(word, {})  # type: ignore[assignment]
    before = inner.get(last, "")
    other = 7 if isinstance(before, str | list | dict) else "seven"
    texts = {
        "null": "null", "wrong type": json.dumps(other), "NaN": "NaN", "1e999": "1e999",
        "nested": "[" * 100_000 + "]" * 100_000, **{name: str(number) for name, number in NUMBERS.items()},
    }  # fmt: skip
    if change == "absent":
        inner.pop(last, None)
        return json.dumps(values)
    inner[last] = HOLE
    return json.dumps(values).replace(json.dumps(HOLE), texts[change])


@pytest.mark.parametrize("change", KEYS)
@pytest.mark.parametrize("name", RECORDS)
def test_a_key_that_was_changed(name, change, place):
    before, kind = with_defaults(place.read_text(), FILES[name].kind), FILES[name].kind
    assert not outcome(name, place)[1]
    for key in [*keys(kind), *([("format",)] if name == "set.json" else [])]:
        place.write_text(put(json.loads(before), [*key], change))
        found, line = outcome(name, place)
        if line:
            # Invalid JSON has no key; the baseline's scores are remade as a whole.
            assert change in NO_JSON or name == "the baseline's" or key[-1] in line or key == ("format",), line
            assert change != "NaN" or name == "the baseline's" or " line " in line
        else:
            assert allowed(kind, [*key], change), (key, change, found)


def allowed(kind: type, key: list[str], change: str) -> bool:
    """Whether a field's declaration allows a change; then the changed value is read."""
    for word in key[:-1]:
        kind = get_type_hints(kind)[word]
    if key == ["format"]:
        return False
    (field,) = [field for field in fields(kind) if field.name == key[-1]]
    hint = get_type_hints(kind)[key[-1]]
    if change == "absent":
        return field.default is not MISSING or field.default_factory is not MISSING
    if change == "null":
        return type(None) in get_args(hint)
    return float in (hint, *get_args(hint)) or (hint is int and change == "negative")


TABLES = {name: file for name, file in FILES.items() if file.kind and file.path.endswith(".csv")}
CELLS = {
    "a column less": None, "empty": "", "words": "x y", "negative": "-7", "fraction": "1.5", "huge": "9" * 400,
    "NaN": "nan", "infinite": "inf", "nested": "[" * 100_000, "a quote": '"', "a cell more": "0,0",
    "two lines": '"0\n0"',
}  # fmt: skip


@pytest.mark.parametrize("change", CELLS)
@pytest.mark.parametrize("name", TABLES)
def test_a_cell_that_was_changed(name, change, place):
    """It is refused with its line, or allowed by the column; it never becomes another number."""
    before = place.read_text()
    for field in fields(FILES[name].kind):
        place.write_text(with_cell(list(csv.reader(before.splitlines())), field.name, change))
        sealed(name, place)
        found, line = outcome(name, place)
        if line:
            assert ", line " in line or "weight" in line, line[:300]
        elif change != "a column less" and get_type_hints(FILES[name].kind)[field.name] is not str:
            assert (field.name, change) in MAY_BE, found


# An empty cell was not measured, and a loss may be any number.
MAY_BE = {("loss", "empty"), ("val_accuracy", "empty"), ("loss", "negative"), ("loss", "fraction"), ("split", "x")}


def with_cell(lines: list[list[str]], column: str, change: str) -> str:
    """A table with one cell of its first row changed, or without a column."""
    if column not in lines[0]:  # a column of newer sets
        lines = [[*line, cell] for line, cell in zip(lines, [column] + ["x"] * len(lines), strict=False)]
    number = lines[0].index(column)
    if change == "a column less":
        lines = [line[:number] + line[number + 1 :] for line in lines]
    else:
        lines[1][number] = HOLE
    written = io.StringIO()
    csv.writer(written, lineterminator="\n").writerows(lines)
    return written.getvalue().replace(HOLE, CELLS[change] or "")


def sealed(name: str, place: Path) -> None:
    """Write the digest of a changed manifest into set.json, as a skilled user could."""
    if name == "manifest.csv":
        facts = json.loads(place.with_name("set.json").read_text())
        facts["manifest_sha256"] = sha256_of(place.read_bytes())
        place.with_name("set.json").write_text(json.dumps(facts))


@pytest.mark.parametrize(
    ("name", "command"),
    [
        ("run.json", ["table", "it/runs", "-o", "table"]),
        ("scores_val.json", ["table", "it/runs", "-o", "table"]),
        ("scores_val.csv", ["table", "it/runs", "-o", "table"]),
        ("published", ["table", "it/runs", "-o", "table", "--published", "it/published.csv"]),
        ("set.json", ["baseline", "--set", "it/set", "-o", "out"]),
        ("manifest.csv", ["baseline", "--set", "it/set", "-o", "out"]),
        ("set.json", ["reproduce", "--pretrain", "it/set", "--finetune", "it/set", "-o", "out"]),
    ],
    ids=lambda value: value if isinstance(value, str) else value[0],
)
@pytest.mark.parametrize("damage", ["BOM", "UTF-16", "a folder"])
def test_a_command_reports_it_in_one_line(name, command, damage, place, monkeypatch, capsys):
    monkeypatch.chdir(place.parents[len(Path(FILES[name].path).parts)])
    DAMAGES[damage](place)
    with modes_count():
        status = main(command)
    said = capsys.readouterr().err
    lines = [line for line in said.splitlines() if line.startswith("emotiw: ")]
    assert "internal error" not in said
    assert "Traceback" not in said
    if damage in READ_ALL_THE_SAME and name != "manifest.csv":
        assert status == 0 or place.name not in said, said
    else:
        assert (status, len(lines)) == (1, 1), said
        assert (
            place.name in lines[0] or "not a prepared set" in lines[0] or "no finetune run with val scores" in lines[0]
        )
