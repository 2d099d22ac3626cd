"""Presets of rows with nets of one size; `Net.preset` names the preset of a net."""

from collections.abc import Mapping

PAPER = "paper"
"""The default."""

PRESETS: Mapping[str, str] = {
    PAPER: "the paper's 20 rows",
    "medium": "the same 20 rows with nets of half the width and input, which a CPU trains in tens of minutes",
    "small": "the same 20 rows with the small nets, as a rehearsal",
}
"""Each preset with its description; all but the paper's are flags of `emotiw reproduce`."""
