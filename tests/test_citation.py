"""CITATION.cff and .zenodo.json: the keys that their formats require, and the same facts as setup.py."""

import json
import re
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parents[1]
CITATION = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
ZENODO = json.loads((ROOT / ".zenodo.json").read_text(encoding="utf-8"))


def of_setup(key: str) -> str:
    (value,) = re.findall(rf'^    {key}="(.+)",$', (ROOT / "setup.py").read_text(encoding="utf-8"), re.M)
    return value


def test_the_citation_has_what_the_format_requires():
    """CFF 1.2.0; cffconvert 2.0.0 found it valid."""
    assert CITATION["cff-version"] == "1.2.0"
    assert CITATION.keys() >= {"authors", "message", "title"}
    assert all(author.keys() in ({"name"}, {"family-names", "given-names"}) for author in CITATION["authors"])
    assert CITATION["type"] == "software"
    paper = CITATION["preferred-citation"]
    assert paper.keys() >= {"authors", "title", "type"}
    assert (paper["type"], paper["year"]) == ("conference-paper", 2015)
    assert [author["family-names"] for author in paper["authors"]] == ["Levi", "Hassner"]


@pytest.mark.parametrize("key", ["version", "license"])
def test_the_facts_are_those_of_the_package(key):
    assert CITATION[key] == ZENODO[key] == of_setup(key)


def test_zenodo_says_what_the_citation_says():
    assert ZENODO.keys() >= {"upload_type", "title", "creators", "description", "license"}
    assert ZENODO["upload_type"] == CITATION["type"]
    assert ZENODO["title"] == CITATION["title"]
    assert [one["name"] for one in ZENODO["creators"]] == [one["name"] for one in CITATION["authors"]]
    assert ZENODO["keywords"] == CITATION["keywords"]
    assert re.sub("<.+?>", "", ZENODO["description"]).replace("&amp;", "&") == CITATION["abstract"]
    assert [one["identifier"] for one in ZENODO["related_identifiers"]] == [CITATION["preferred-citation"]["doi"]]


def test_no_doi_of_ours_is_made_up():
    """There is none before the first deposit."""
    assert not {"doi", "identifiers"} & CITATION.keys()
    assert "doi" not in ZENODO
