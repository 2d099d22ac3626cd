"""The check that something fits on a disk."""

import shutil
from types import SimpleNamespace

import pytest

from emotiw.disk import free_space, require_space
from emotiw.errors import EmotiwError


def test_too_little_space_is_refused_with_needed_and_free_bytes(tmp_path, monkeypatch):
    monkeypatch.setattr(shutil, "disk_usage", lambda folder: SimpleNamespace(free=1_500_000_000))
    assert free_space(tmp_path) == 1_500_000_000
    require_space(tmp_path, "the set needs", 1_500_000_000)
    with pytest.raises(EmotiwError) as caught:
        require_space(tmp_path, "the set needs", 2_000_000_000, "free some, or name another")
    assert str(caught.value) == f"the set needs 2.00 GB and {tmp_path} has 1.50 GB free: free some, or name another"


def test_the_free_space_is_what_the_system_says(tmp_path):
    assert free_space(tmp_path) > 0
