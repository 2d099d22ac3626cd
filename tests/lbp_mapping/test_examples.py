import doctest
from importlib import import_module

import pytest


@pytest.mark.parametrize("module", ["codes", "derivation", "distance", "representation"])
def test_docstring_examples_print_what_they_say(module):
    failed, attempted = doctest.testmod(import_module(f"emotiw.lbp_mapping.{module}"))
    assert attempted
    assert not failed
