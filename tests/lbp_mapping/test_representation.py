import subprocess
import sys

import pytest

from emotiw.lbp_mapping.representation import MAPPED, PAPER, Representation, parse


def test_the_papers_five_and_the_four_mapped_ones():
    assert [r.name for r in PAPER] == ["rgb", "lbp", "cyclic_lbp", "cyclic_lbp_5", "cyclic_lbp_10"]
    assert PAPER[1:] == MAPPED
    assert not any(r.ours for r in PAPER)


@pytest.mark.parametrize(
    ("text", "mapping", "radius", "threshold", "name"),
    [
        ("rgb", "rgb", 1, 0, "rgb"),
        ("lbp", "lbp", 1, 0, "lbp"),
        ("cyclic_lbp_5", "cyclic_lbp", 5, 0, "cyclic_lbp_5"),
        ("cyclic_lbp_10", "cyclic_lbp", 10, 0, "cyclic_lbp_10"),
        ("cyclic_lbp:radius=5", "cyclic_lbp", 5, 0, "cyclic_lbp_5"),
        ("cyclic_lbp_r5", "cyclic_lbp", 5, 0, "cyclic_lbp_5"),
        ("cyclic_lbp_7", "cyclic_lbp", 7, 0, "cyclic_lbp_r7"),
        ("lbp_5_t2", "lbp", 5, 2, "lbp_r5_t2"),
        ("cyclic_lbp:radius=1:threshold=0", "cyclic_lbp", 1, 0, "cyclic_lbp"),
        ("lbp:threshold=-0", "lbp", 1, 0, "lbp"),
        ("cyclic_lbp:radius=3:threshold=5", "cyclic_lbp", 3, 5, "cyclic_lbp_r3_t5"),
        ("cyclic_lbp:threshold=5:radius=3", "cyclic_lbp", 3, 5, "cyclic_lbp_r3_t5"),
        ("cyclic_lbp:radius=5:threshold=1", "cyclic_lbp", 5, 1, "cyclic_lbp_r5_t1"),
        ("lbp:radius=2", "lbp", 2, 0, "lbp_r2"),
        ("lbp:radius=5", "lbp", 5, 0, "lbp_r5"),
        ("lbp:threshold=-2.5", "lbp", 1, -2.5, "lbp_t-2.5"),
        ("lbp:threshold=0.00001", "lbp", 1, 1e-5, "lbp_t1e-05"),
        ("hamming_lbp", "hamming_lbp", 1, 0, "hamming_lbp"),
        ("hamming_lbp:radius=10", "hamming_lbp", 10, 0, "hamming_lbp_r10"),
    ],
)
def test_spellings(text, mapping, radius, threshold, name):
    representation = parse(text)
    assert representation == Representation(mapping, radius, threshold)
    assert (representation.name, str(representation)) == (name, name)
    assert parse(name) == representation
    assert representation.ours == (name not in {r.name for r in PAPER})


REFUSED = """
LBP cyclic cyclic_lbp_7_5 lbp_5r
lbp_0 rgb_2 lbp: lbp:radius lbp:size=3 lbp/../x lbp_t lbp_t1e999 rgb_r2 rgb:radius=1: rgb:radius=2
rgb:threshold=3 lbp:radius= lbp:radius=0 lbp:radius=-1 lbp:radius=1.5 lbp:radius=101 lbp:threshold=nan
lbp:threshold=inf lbp:threshold=x lbp:threshold=256 cyclic_lbp_5:radius=3 lbp:radius=2:radius=3 lbp_r2:radius=2
"""


@pytest.mark.parametrize("text", ["", "lbp ", *REFUSED.split()])
def test_anything_else_is_refused_in_one_line(text):
    with pytest.raises(ValueError) as error:
        parse(text)
    assert str(error.value).startswith(f"{text}:")
    assert "\n" not in str(error.value)


def test_the_error_for_an_unknown_name_lists_the_known_ones():
    with pytest.raises(ValueError, match="rgb, lbp, cyclic_lbp, cyclic_lbp_5, cyclic_lbp_10, hamming_lbp"):
        parse("cyclic")


@pytest.mark.parametrize("radius", [0, 1.5, "2", None, 101])
def test_a_radius_is_a_whole_number_of_pixels(radius):
    with pytest.raises(ValueError, match=f"radius {radius}"):
        Representation("lbp", radius)


def test_a_default_threshold_is_for_those_that_spell_none():
    names = ["rgb", "lbp", "lbp:threshold=0", "lbp_t2", "cyclic_lbp_5", "lbp:radius=2"]
    assert [parse(name, threshold=3).name for name in names] == [
        "rgb",
        "lbp_t3",
        "lbp",
        "lbp_t2",
        "cyclic_lbp_r5_t3",
        "lbp_r2_t3",
    ]


def test_a_default_radius_is_for_those_that_spell_none():
    names = ["rgb", "lbp", "lbp:radius=1", "lbp_r4", "cyclic_lbp_5", "lbp:threshold=2"]
    expected = ["rgb", "lbp_r3", "lbp", "lbp_r4", "cyclic_lbp_5", "lbp_r3_t2"]
    assert [parse(name, radius=3).name for name in names] == expected


def test_reading_a_name_needs_no_numpy():
    code = "import sys, emotiw.lbp_mapping.representation; print('numpy' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout == "False\n"
