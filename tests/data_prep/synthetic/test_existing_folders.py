"""Rehearsals draw under the names of the real data sets: what has such a name already is never replaced."""

import inspect
from pathlib import Path

import pytest

from emotiw.data_prep.synthetic import archives, expression_sets, faces, full_counts
from emotiw.errors import EmotiwError

WRITERS = {
    name: function
    for module in (archives, expression_sets, faces, full_counts)
    for name, function in vars(module).items()
    if inspect.isfunction(function)
    and function.__module__ == module.__name__
    and not name.startswith("_")
    and "folder" in inspect.signature(function).parameters
}
ARGUMENTS = {
    "draw_identities": {"people": 1, "images": 1, "seed": 0},
    "draw_expressions": {"people": 1, "images": 1, "seed": 0},
    "draw_tiny_identities": {"counts": {"0000001": 1}, "seed": 0},
}


def photographs(place: Path) -> None:
    (place / "Train").mkdir(parents=True)
    (place / "Train/photograph.png").write_bytes(b"a photograph")


def linked(place: Path) -> None:
    photographs(place.with_name("disk"))
    place.symlink_to("disk")


def linked_to_an_empty_folder(place: Path) -> None:
    place.with_name("disk").mkdir()
    place.symlink_to("disk")


HELD = {
    "a folder": photographs,
    "a link": linked,
    "a link to an empty folder": linked_to_an_empty_folder,
    "a link to a disk that is not mounted": lambda place: place.symlink_to("disk"),
    "a file": lambda place: place.write_bytes(b"a photograph"),
}


def state(folder: Path) -> dict[str, object]:
    """Return everything below a folder: the target of a link, the bytes of a file, None for a folder."""
    found: dict[str, object] = {}
    for path in folder.rglob("*"):
        link, file = path.is_symlink(), path.is_file()
        found[str(path.relative_to(folder))] = path.readlink() if link else path.read_bytes() if file else None
    return found


def write(name: str, drawn: Path, place: Path) -> None:
    arguments = ARGUMENTS.get(name, {"people" if name == "as_recordio" else "faces": drawn})
    WRITERS[name](folder=place, **arguments)


@pytest.fixture(scope="module")
def drawn(tmp_path_factory):
    folder = tmp_path_factory.mktemp("drawn") / "faces"
    faces.draw_expressions(folder, 4, 1, seed=0)
    return folder


def test_every_writer_is_found():
    assert {"as_sfew_zips", "as_recordio", "as_ferplus", "as_ck_plus", *ARGUMENTS} < set(WRITERS)
    assert len(WRITERS) == 18


@pytest.mark.parametrize("held", HELD)
@pytest.mark.parametrize("name", WRITERS)
def test_what_has_the_name_stays(name, held, drawn, tmp_path):
    place = tmp_path / "SFEW_2.0"
    HELD[held](place)
    before = state(tmp_path)
    with pytest.raises(EmotiwError) as refused:
        write(name, drawn, place)
    words = "exists already, so nothing is written there: remove it, or name another folder"
    assert str(refused.value) == f"{place} {words}"
    assert state(tmp_path) == before


@pytest.mark.parametrize("name", ["draw_expressions", "as_sfew", "as_ferplus"])
def test_its_own_drawings_stay_and_an_empty_folder_is_filled(name, drawn, tmp_path):
    place = tmp_path / "drawn"
    place.mkdir()
    write(name, drawn, place)
    before = state(tmp_path)
    assert len(before) > 1
    with pytest.raises(EmotiwError, match="exists already"):
        write(name, drawn, place)
    assert state(tmp_path) == before
