"""`docs/python.md`: every example runs, in the order of the page, and prints what the page shows."""

import doctest
import re
import shutil
from pathlib import Path

import pytest

from emotiw.data_prep.emotions import EMOTIONS

PAGE = Path(__file__).parents[1] / "docs/python.md"
CLASS = f"(?:{'|'.join(EMOTIONS)})"


class Form(doctest.OutputChecker):
    """Compare outputs, but for what a training decides: the net of these tests is not that of `make demo`."""

    def check_output(self, want: str, got: str, flags: int) -> bool:
        """Compare with each predicted class and each fraction replaced by a placeholder."""
        return super().check_output(self.form(want), self.form(got), flags)

    @staticmethod
    def form(text: str) -> str:
        """Return a text without its fractions, and without the class before one."""
        text = re.sub(r"\b\d\.\d{4}\b", "0.0000", text)
        return re.sub(rf"^{CLASS}(?= 0\.0000$)", "CLASS", text, flags=re.M)


@pytest.fixture
def demo(runs, sets, tmp_path, monkeypatch):
    """The files of `make demo` that the page names, made of the tests' own runs and faces."""
    monkeypatch.chdir(tmp_path)
    below = tmp_path / "demo/reproduction/runs"
    below.mkdir(parents=True)
    (below / "vgg_s_small-rgb").symlink_to(runs / "vgg_s_small-rgb")
    (below / "vgg_s_small-cyclic_lbp_5").symlink_to(runs / "vgg_s_small-cyclic_lbp_r3_t5")
    face = tmp_path / "demo/faces/expressions/Happy/actor0007_001.png"
    face.parent.mkdir(parents=True)
    shutil.copy(next(iter(sorted((sets / "faces/expressions/Happy").iterdir()))), face)


@pytest.mark.caffe
@pytest.mark.usefixtures("demo")
def test_the_examples_print_what_the_page_shows():
    blocks = re.findall(r"^```python\n(.*?)^```$", PAGE.read_text(encoding="utf-8"), re.S | re.M)
    assert len(blocks) > 8
    examples = doctest.DocTestParser().get_doctest("\n".join(blocks), {}, PAGE.name, str(PAGE), 0)
    printed: list[str] = []
    doctest.DocTestRunner(Form(), optionflags=doctest.ELLIPSIS).run(examples, out=printed.append)
    assert "".join(printed) == ""


def test_a_page_that_shows_another_output_would_fail():
    assert not Form().check_output("(110, 94)\n", "(110, 95)\n", 0)
    assert not Form().check_output("Happy 0.7666\n", "0.7666\n", 0)
    assert Form().check_output("Happy 0.7666\n", "Sad 0.1512\n", 0)
