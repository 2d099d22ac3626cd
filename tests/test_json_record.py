"""Records in JSON files: what is read is what was written, or refused."""

import json
from dataclasses import asdict, dataclass

import pytest

from emotiw.json_record import read_record, record_of, write_json


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
        {"part": {"name": "b", "share": 1}},
        {"part": {"name": "b", "share": 0.5, "more": 1}},
        {"more": 1},
    ],
)
def test_a_field_of_another_type_or_name_is_refused(change):
    with pytest.raises(ValueError):
        record_of({**asdict(WHOLE), **change}, Whole)


@pytest.mark.parametrize("text", ["", "{", "[]", "7", "{}", '{"title": "a"}', "\xff"])
def test_what_is_no_record_is_refused(text, tmp_path):
    (tmp_path / "it.json").write_text(text, encoding="latin-1")
    with pytest.raises(ValueError):
        read_record(tmp_path / "it.json", Whole)


def test_other_fields_are_passed_over_where_they_may_be_there():
    facts = {**asdict(WHOLE), "more": 1}
    assert record_of(facts, Whole, others=True) == WHOLE
    with pytest.raises(ValueError, match="has no field more"):
        record_of(facts, Whole)
    with pytest.raises(ValueError, match="count"):
        record_of(facts | {"count": None}, Whole, others=True)


def test_a_file_that_is_not_there_is_the_callers_to_report(tmp_path):
    with pytest.raises(FileNotFoundError):
        read_record(tmp_path / "none.json", Whole)


def test_the_file_is_json(tmp_path):
    write_json(tmp_path / "it.json", {"a": [1, None]})
    assert json.loads((tmp_path / "it.json").read_text()) == {"a": [1, None]}
