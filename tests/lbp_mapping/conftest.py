from collections.abc import Callable, Iterator

import pytest

from emotiw.lbp_mapping import kernels


@pytest.fixture
def map_by(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[str], None]]:
    """Return a function that selects one of `kernels.implementations()`."""

    def use(name: str) -> None:
        monkeypatch.setenv(kernels.VARIABLE, name)
        kernels._chosen.cache_clear()

    yield use
    monkeypatch.undo()
    kernels._chosen.cache_clear()
    kernels.implementation()  # the compiled module keeps its own choice; restore it
