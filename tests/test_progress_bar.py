import io
import sys

import pytest

from emotiw.progress_bar import bar


@pytest.mark.parametrize("terminal", [True, False])
def test_lively_in_a_terminal_and_quiet_in_a_log(monkeypatch, terminal):
    stream = io.StringIO()
    monkeypatch.setattr(stream, "isatty", lambda: terminal, raising=False)
    monkeypatch.setattr(sys, "stderr", stream)
    moment = [0.0]
    monkeypatch.setattr("tqdm.std.time", lambda: moment[0])
    handed_on = []
    for item in bar(range(100), "prepare", 100, "image"):
        handed_on.append(item)
        moment[0] += 1  # a second each
    assert handed_on == list(range(100))
    assert "prepare: 100%" in stream.getvalue()
    assert (stream.getvalue().count("\r") > 40) == terminal
    assert (stream.getvalue().count("\r") < 10) != terminal


def test_it_resumes_at_its_position(capsys):
    with bar(range(40, 100), "train", 100, "it", 40) as shown:
        shown.update(60)
    assert "40/100" in capsys.readouterr().err.split("\r")[1]


@pytest.mark.parametrize(("seconds", "shown"), [(4, False), (9, True)])
def test_the_bar_of_short_work_appears_only_if_it_takes_longer(monkeypatch, seconds, shown):
    stream = io.StringIO()
    monkeypatch.setattr(stream, "isatty", lambda: True, raising=False)
    monkeypatch.setattr(sys, "stderr", stream)
    moment = [0.0]
    monkeypatch.setattr("tqdm.std.time", lambda: moment[0])
    for _ in bar(iter(range(seconds)), "list", None, "folder", short=True):
        moment[0] += 1
    assert ("list: " in stream.getvalue()) == shown
