"""Rows that go together by the size of their nets: `Net.preset` names the one of each net."""

from collections.abc import Mapping

PAPER = "paper"
"""The default."""

PRESETS: Mapping[str, str] = {
    PAPER: "the paper's 20 rows",
    "medium": "the same 20 rows with nets of half the width and input, which a CPU trains in tens of minutes",
    "small": "the same 20 rows with the small nets, as a rehearsal",
}
"""Each with what it is; but for the paper's a flag of `emotiw reproduce`."""
