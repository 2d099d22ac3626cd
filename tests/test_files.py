"""Locks of folders; that outputs are whole or absent, every verb's tests see."""

import threading
import time

import pytest

from emotiw.errors import EmotiwError
from emotiw.files import alone


def test_another_is_refused_or_waits(tmp_path):
    order = []

    def other():
        with alone(tmp_path / "it"):
            order.append("the other")

    waiting = threading.Thread(target=other)
    with alone(tmp_path / "it", "busy"):
        with pytest.raises(EmotiwError, match=r"^busy$"), alone(tmp_path / "it", "busy"):
            pass
        waiting.start()
        time.sleep(0.1)
        order.append("the first")
    waiting.join()
    assert order == ["the first", "the other"]
