"""The extra that an error names installs the package that is missing."""

import re
from importlib.metadata import packages_distributions, requires

import pytest

from emotiw.errors import EmotiwError
from emotiw.extras import EXTRAS, require


@pytest.mark.parametrize("module", EXTRAS)
def test_the_extra_that_an_error_names_installs_the_package(module, monkeypatch):
    require(module, "the tests' own environment")
    monkeypatch.setattr("emotiw.extras.find_spec", lambda name: None)
    name, extra = EXTRAS[module]
    with pytest.raises(EmotiwError, match=rf"^emotiw x needs {name}: in the clone, pip install '\.\[{extra}\]'$"):
        require(module, "emotiw x")
    named = [re.match(r"[\w-]+", line)[0] for line in requires("emotiw") if f'extra == "{extra}"' in line]
    assert set(packages_distributions()[module]) & set(named)
