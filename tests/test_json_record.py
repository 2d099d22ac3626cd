"""Records in JSON files are read as written, or refused."""

import json
import subprocess
import sys
from dataclasses import asdict, dataclass, field

import pytest

from emotiw.errors import EmotiwError
from emotiw.json_record import Count, Sha256, Share, read_json, read_record, record_of, write_json


@dataclass(frozen=True)
class Part:
    name: str
    share: float


@dataclass(frozen=True)
class Whole:
    title: str
    count: int
    known: bool
    names: list[str]
    part: Part
    note: str = "none"
    shares: list[Share] = field(default_factory=list)
    size: Count | None = None
    digest: Sha256 = "0" * 64


WHOLE = Whole("a", 3, True, ["x", "y"], Part("b", 0.5))


def test_a_record_survives_its_file(tmp_path):
    write_json(tmp_path / "it.json", asdict(WHOLE))
    assert read_record(tmp_path / "it.json", Whole) == WHOLE
    assert (tmp_path / "it.json").read_text().startswith('{\n "title": "a",\n "count": 3,')


def test_a_field_with_a_default_may_be_missing():
    facts = asdict(WHOLE)
    del facts["note"]
    assert record_of(facts, Whole) == WHOLE


@pytest.mark.parametrize(
    "change",
    [
        {"title": None},
        {"count": "3"},
        {"count": True},
        {"count": 3.0},
        {"known": 1},
        {"names": "xy"},
        {"names": ["x", 1]},
        {"part": None},
        {"part": {"name": "b"}},
        {"part": {"name": "b", "share": "1"}},
        {"part": {"name": "b", "share": float("inf")}},
        {"size": -3},
        {"size": 10**30},
        {"names": None},
        {"shares": [0.5, 1.5]},
        {"shares": [float("nan")]},
        {"size": 2**31},
        {"digest": "a" * 63},
        {"part": {"name": "b", "share": 0.5, "more": 1}},
        {"more": 1},
    ],
)
def test_a_field_of_another_type_or_name_is_refused(change):
    with pytest.raises(ValueError):
        record_of({**asdict(WHOLE), **change}, Whole)


def test_a_whole_number_is_read_as_a_float_too():
    """JSON has one kind of number; an editor, or another library, may write 1.0 as 1."""
    part = record_of({**asdict(WHOLE), "part": {"name": "b", "share": 1}}, Whole).part
    assert (part.share, type(part.share)) == (1.0, float)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"count": None}, "count: expected int, got null"),
        ({"size": -1}, "size: expected int >= 0"),
        ({"part": {"name": "b", "share": "x"}}, "part.share: expected float, got str"),
        ({"part": {"name": "b"}}, "part: missing required field share"),
        ({"names": ["x", 1]}, "names[1]: expected str, got int"),
    ],
)
def test_errors_name_their_field(change, words):
    with pytest.raises(ValueError) as caught:
        record_of({**asdict(WHOLE), **change}, Whole)
    assert str(caught.value) == words


DEEP = "[" * 100_000
NESTED = DEEP + DEEP.replace("[", "]")
NO_RECORDS = ["", "{", "[]", "7", "{}", '{"title": "a"}', '{"a": NaN}', '{"a": 1e999}', DEEP, NESTED]


@pytest.mark.parametrize("text", NO_RECORDS, ids=range(len(NO_RECORDS)))
def test_an_invalid_record_is_refused(text, tmp_path):
    (tmp_path / "it.json").write_text(text)
    with pytest.raises(ValueError):
        read_record(tmp_path / "it.json", Whole)


@pytest.mark.parametrize("data", [b'{"a":\n"\xff"}', b'{"a":\n"\xed\xa0\x80"}', '{"a":\n1}'.encode("utf-16-le")])
def test_invalid_utf8_is_refused_with_its_line(data, tmp_path):
    (tmp_path / "it.json").write_bytes(data)
    with pytest.raises(EmotiwError, match=r"it\.json, line [12]: not text in UTF-8: save it as UTF-8"):
        read_json(tmp_path / "it.json")


def test_a_mark_of_utf_16_is_known_and_one_of_utf_8_passed_over(tmp_path):
    (tmp_path / "it.json").write_text('{"a": 1}', encoding="utf-16")
    with pytest.raises(EmotiwError, match=r"it\.json is text in UTF-16: save it as UTF-8"):
        read_json(tmp_path / "it.json")
    (tmp_path / "it.json").write_bytes('\ufeff{"a":\r\n1}\r\n'.encode())
    assert read_json(tmp_path / "it.json") == {"a": 1}


def test_other_fields_are_passed_over_where_they_may_be_there():
    facts = {**asdict(WHOLE), "more": 1}
    assert record_of(facts, Whole, others=True) == WHOLE
    with pytest.raises(ValueError, match="unknown field more"):
        record_of(facts, Whole)
    with pytest.raises(ValueError, match="count"):
        record_of(facts | {"count": None}, Whole, others=True)


def test_a_file_that_is_not_there_is_the_callers_to_report(tmp_path):
    with pytest.raises(FileNotFoundError):
        read_record(tmp_path / "none.json", Whole)


def test_the_file_is_json(tmp_path):
    write_json(tmp_path / "it.json", {"a": [1, None]})
    assert json.loads((tmp_path / "it.json").read_text()) == {"a": [1, None]}


def test_help_does_without_the_library():
    command = [sys.executable, "-P", "-X", "importtime", "-m", "emotiw", "--help"]
    log = subprocess.run(command, capture_output=True, text=True, check=True).stderr
    assert "emotiw.commands" in log
    assert "msgspec" not in log
