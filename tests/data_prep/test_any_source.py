"""Random sources of every kind: each is prepared correctly, refused, or causes a warning.

A source consists of pictures with known properties, in folders, tables or archives as a user might have them, with one
of the traps of earlier issues. The numbers of the kinds:

1 a table beside folders, 2 numbers as labels, 3 which folder is the person, 4 groups in two splits, 5 equal pictures,
6 words for splits, 7 whole frames among crops, 8 archives, 9 files of odd forms, 10 tables that are not understood,
11 LMDBs.
"""

import io
import re
import tempfile
import zipfile
from collections import Counter, defaultdict
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path, PurePosixPath

import cv2
import lmdb
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from emotiw.data_prep.label_order import ORDERS
from emotiw.data_prep.prepare import prepare
from emotiw.data_prep.prepared_set import open_set
from emotiw.data_prep.transform import Settings
from emotiw.errors import EmotiwError
from emotiw.prototxt.formats.messages import Datum

KINDS = range(1, 12)
WORDS = {
    "train": ("train", "Training", "TRAIN"),
    "val": ("val", "valid", "Validation", "dev", "PublicTest"),
    "test": ("test", "testing", "eval", "PrivateTest"),
}
SPELT = {
    "Angry": ("angry", "Anger", "0_angry"),
    "Happy": ("happy", "joy", "Happiness"),
    "Sad": ("sad", "Sadness", "5-sad"),
    "Neutral": ("neutral", "normal"),
}
ENDINGS = (".png", ".jpg", ".bmp", ".jfif")


@dataclass(frozen=True)
class Truth:
    """The true properties of a picture, and its seed: equal seeds give equal pixels."""

    emotion: str
    person: str
    split: str
    seed: int


@dataclass
class Case:
    """A source, and the expected result.

    Attributes
    ----------
    files
        Bytes by path.
    truth
        The truth of each picture by path; other files must not be in the set.
    kinds
        The numbers of its traps.
    refused
        A pattern of the error; empty if the source must be read.
    warned
        A pattern of the report; empty if there must be no warning.
    """

    files: dict[str, bytes] = field(repr=False)
    truth: dict[str, Truth]
    asked: Settings
    kinds: set[int] = field(default_factory=set)
    refused: str = ""
    warned: str = ""
    zipped: str = ""

    def source(self, place: Path) -> Path:
        """Write the source, and return its path."""
        folder = place / "source"
        if self.zipped:
            (place / "source.zip").write_bytes(archive(self.files, self.zipped))
            return place / "source.zip"
        for path, data in self.files.items():
            (folder / path).parent.mkdir(parents=True, exist_ok=True)
            (folder / path).write_bytes(data)
        return folder


def archive(files: dict[str, bytes], form: str) -> bytes:
    """Return a zip archive, with backslashes as separators, or only the last part of a split one."""
    written = io.BytesIO()
    with zipfile.ZipFile(written, "w") as made:
        for path, data in files.items():
            information = zipfile.ZipInfo("x")
            information.filename = path.replace("/", "\\") if form == "backslashes" else path
            made.writestr(information, data)
    data = written.getvalue()
    if form != "last part":
        return data
    end = data.rindex(b"PK\5\6")
    return data[len(data) // 2 : end] + b"PK\5\6\1\0\1\0" + data[end + 8 :]


def encoded(seed: int, ending: str, width: int = 24) -> bytes:
    """Return a picture that differs from those of other seeds in every format."""
    picture = np.random.default_rng(seed).integers(0, 256, (3, 3, 3), np.uint8)
    picture = cv2.resize(picture, (width, 24), interpolation=cv2.INTER_NEAREST)
    return cv2.imencode(".jpg" if ending == ".jfif" else ending, picture)[1].tobytes()


def in_levels(pictures, levels, words, spelt, ending):
    """Put pictures into folders of these levels: class, person, split or a fixed name."""
    files, truth, counts = {}, {}, Counter()
    for picture in pictures:
        names = {"split": words.get(picture.split, ""), "class": spelt[picture.emotion], "person": picture.person}
        folder = "/".join(name for level in levels if (name := names.get(level, level)))
        path = f"{folder}/{counts[folder]}{ending}"  # each folder counts from 0: the same stems everywhere
        counts[folder] += 1
        files[path], truth[path] = encoded(picture.seed, ending), picture
    return files, truth


@st.composite
def pictures(draw, splits=True):
    """Draw the pictures, at least one of each person in each emotion."""
    emotions = draw(st.lists(st.sampled_from(sorted(SPELT)), min_size=2, max_size=3, unique=True))
    people = [f"p{k}" for k in range(draw(st.integers(2, 4)))]
    side = dict.fromkeys(people, "train")
    if splits and draw(st.booleans()):
        side[people[-1]] = draw(st.sampled_from(("val", "test")))
    else:
        side = dict.fromkeys(people, "")
    counts = draw(st.integers(1, 2))
    found = [
        Truth(emotion, person, side[person], 0) for person in people for emotion in emotions for _ in range(counts)
    ]
    return [replace(picture, seed=seed) for seed, picture in enumerate(found)]


@st.composite
def plain(draw, splits=True):
    """Draw a source in folders with any order of levels, inside other folders."""
    some = draw(pictures(splits))
    levels = ["class", *(["split"] if any(p.split for p in some) else []), *(["person"] if draw(st.booleans()) else [])]
    order = draw(st.permutations(levels))
    wrapped = draw(st.sampled_from(([], ["data"], ["data", "images"])))
    words = {split: draw(st.sampled_from(written)) for split, written in WORDS.items()}
    spelt = {emotion: draw(st.sampled_from(written)) for emotion, written in SPELT.items()}
    files, truth = in_levels(some, [*wrapped, *order], words, spelt, draw(st.sampled_from(ENDINGS)))
    return Case(files, truth, Settings("emotions", ("rgb",), size=8), {6} if any(p.split for p in some) else set())


def table(rows, columns="path,label"):
    return "\n".join([columns, *(",".join(row) for row in rows)]).encode()


@st.composite
def beside_a_table(draw):
    """Kind 1: a table covers none, a part, all, or more of the images, or contradicts their folders."""
    case = draw(plain(splits=False))
    rows = [(path, truth.emotion) for path, truth in case.truth.items()]
    cover = draw(st.sampled_from(("part", "all", "more", "contradicts", "two")))
    if cover == "part":
        rows = rows[:-1]
    elif cover == "more":
        rows.append(("none/0.png", "Sad"))
    elif cover == "contradicts":
        rows[0] = (rows[0][0], next(name for name in SPELT if name != rows[0][1]))
    case.files["labels.csv"] = table(rows)
    if cover == "two":
        case.files["again.csv"] = table(rows)
    where = {str(PurePosixPath(path).parts[0]) for path in case.truth}
    case.refused = "" if cover == "all" or len(where) == 0 else r"--table labels\.csv"
    case.kinds = {1}
    return case


@st.composite
def numbered(draw):
    """Kind 2: labels are numbers, in folders or a table, with or without an order or a column of names."""
    some = draw(pictures(splits=False))
    order = draw(st.sampled_from(sorted(ORDERS)))
    of = {name: number for number, name in zip(ORDERS[order].numbers, ORDERS[order].names, strict=True)}
    some = [picture for picture in some if picture.emotion in of]
    form = draw(st.sampled_from(("folders", "table", "both", "contradicts")))
    asked = Settings("emotions", ("rgb",), size=8, order=draw(st.sampled_from((None, order))))
    spelt = {name: str(of.get(name, "")) for name in SPELT}
    levels = ["class"] if form == "folders" else ["images"]
    files, truth = in_levels(some, levels, {}, spelt, ".png")
    case = Case(files, truth, asked, {2})
    if form in ("both", "contradicts"):
        rows = [(path, str(of[picture.emotion]), picture.emotion) for path, picture in truth.items()]
        if form == "contradicts":
            path, _, emotion = rows[0]
            rows.append((path, str(of[emotion]), next(name for name in SPELT if name != emotion)))
            case.refused = "contradict each other"
        files["t.csv"] = table(rows, "path,label,class")
    elif form == "table":
        files["t.csv"] = table([(path, str(of[picture.emotion])) for path, picture in truth.items()])
    several = form == "table" or len({picture.emotion for picture in some}) > 1
    if form in ("folders", "table") and asked.order is None:
        case.refused = r"--order \w+" if several else "."
    return case


@st.composite
def people(draw):
    """Kind 3: persons by folders of any depth, or by a column."""
    some = draw(pictures(splits=False))
    form = draw(st.sampled_from(("plain", "videos", "one", "column", "rows", "loose")))
    spelt = {emotion: emotion for emotion in SPELT}
    levels = {"videos": ["person", "0"], "one": ["person"]}.get(form, ["person"])
    some = some if form != "one" else [next(p for p in some if p.person == name) for name in {p.person for p in some}]
    files, truth = in_levels(
        some, levels if form in ("plain", "videos", "one", "loose") else ["all"], {}, spelt, ".png"
    )
    case = Case(files, truth, Settings("identities", ("rgb",), size=8), {3})
    if form in ("videos", "one"):
        case.refused = "--person-level"
    elif form == "column":
        files["t.csv"] = table([(path, picture.person) for path, picture in truth.items()], "filename,person")
    elif form == "rows":
        rows = [(str(k), path, picture.person) for k, (path, picture) in enumerate(truth.items())]
        files["t.csv"] = table(rows, "id,filename,label")
    elif form == "loose":
        files["loose.png"] = encoded(999, ".png")
        case.warned = "loose.png"
    return case


@st.composite
def grouped(draw):
    """Kind 4: a split is drawn; groups are in names or folders, or are not known."""
    some = [replace(p, split="") for p in draw(pictures(splits=False))]
    form = draw(st.sampled_from(("sfew", "ck+", "kdef", "below", "unknown")))
    codes = {"Angry": "AN", "Happy": "HA", "Sad": "SA", "Neutral": "NE"}
    files, truth = {}, {}
    for k, picture in enumerate(some):
        number = int(picture.person[1:])
        name = {
            "sfew": f"Movie{number}_{k:09d}_00000001{'_aug_flip' if k % 2 else ''}.png",
            "ck+": f"S{number:03d}_{k:03d}_00000011.png",
            "kdef": f"AF{number:02d}{codes[picture.emotion]}S{'_1' if k % 2 else ''}.png",
            "below": f"{picture.person}/{k}.png",
            "unknown": f"{k}.png",
        }[form]
        if f"{picture.emotion}/{name}" not in files:
            files[f"{picture.emotion}/{name}"], truth[f"{picture.emotion}/{name}"] = encoded(k, ".png"), picture
    asked = Settings("emotions", ("rgb",), size=8, val=0.5, seed=draw(st.integers(0, 9)))
    case = Case(files, truth, asked, {4})
    if form == "unknown":
        case.warned = "draws single images"
        case.truth = {path: replace(picture, person=path) for path, picture in truth.items()}
    return case


@st.composite
def doubled(draw):
    """Kind 5: pictures occur twice, under other names, in other formats, in other splits or classes."""
    case = draw(plain())
    path = draw(st.sampled_from(sorted(case.truth)))
    picture = case.truth[path]
    other = draw(st.sampled_from(sorted(case.truth)))
    copy = f"{PurePosixPath(other).parent}/copy.png"
    decoded = cv2.imdecode(np.frombuffer(case.files[path], np.uint8), cv2.IMREAD_COLOR)
    case.files[copy] = cv2.imencode(".png", decoded)[1].tobytes()
    case.truth[copy] = replace(case.truth[other], seed=picture.seed)
    if not any(one.split for one in case.truth.values()):
        case.asked = replace(case.asked, val=0.5, seed=draw(st.integers(0, 9)))
    case.kinds = {5}
    if case.truth[other].split != picture.split:
        case.warned = "on two sides of the split"
    elif case.truth[other].emotion != picture.emotion:
        case.warned = "under two labels"
    return case


@st.composite
def split_words(draw):
    """Kind 6: a person with the name of a split, or a test split without labels."""
    some = draw(pictures(splits=False))
    spelt = {emotion: emotion for emotion in SPELT}
    if draw(st.booleans()):
        some = [replace(p, person={"p0": "Val_Kilmer", "p1": "Test_Subject"}.get(p.person, p.person)) for p in some]
        files, truth = in_levels(some, ["class", "person"], {}, spelt, ".png")
        return Case(files, truth, Settings("emotions", ("rgb",), size=8), {6})
    some = [replace(p, split="train") for p in some]
    words = {"train": draw(st.sampled_from(WORDS["train"]))}
    files, truth = in_levels(some, ["split", "class"], words, spelt, ".png")
    name = f"{draw(st.sampled_from(WORDS['test']))}/0.png"
    files[name], truth[name] = encoded(99, ".png"), Truth("", "", "test", 99)
    return Case(
        files, truth, Settings("emotions", ("rgb",), size=8), {6}, warned="a test split of 1 images without labels"
    )


@st.composite
def frames(draw):
    """Kind 7: whole frames in one class among crops in the others."""
    files, truth = {}, {}
    whole = draw(st.sampled_from(("Angry", "Happy", "none")))
    for k, (split, emotion) in enumerate((s, e) for s in ("Train", "Val") for e in ("Angry", "Happy", "Sad")):
        path = f"{split}/Faces/{emotion}/Movie{split}_{k:09d}_00000001.png"
        files[path] = encoded(k, ".png", width=720 if emotion == whole else 143)
        truth[path] = Truth(emotion, f"Movie{split}", split.lower(), k)
    case = Case(files, truth, Settings("emotions", ("rgb",), size=8), {7})
    case.warned = "whole frames among aligned faces" if whole != "none" else ""
    return case


@st.composite
def archived(draw):
    """Kind 8: a zip, one with backslashes, the last part of a split one."""
    case = draw(plain())
    case.zipped = draw(st.sampled_from(("whole", "backslashes", "last part")))
    case.refused = "part of a split zip" if case.zipped == "last part" else ""
    case.kinds = {8}
    return case


@st.composite
def odd_files(draw):
    """Kind 9: a photo with a film appended, JPEGs named .jfif, a line of blanks at the end of a table."""
    some = draw(pictures(splits=False))
    form = draw(st.sampled_from(("trailer", "blank line", "no image")))
    files, truth = in_levels(some, ["class"], {}, {e: e for e in SPELT}, ".jfif")
    case = Case(files, truth, Settings("emotions", ("rgb",), size=8), {9})
    first = sorted(truth)[0]
    if form == "trailer":
        files[first] += b"\xff\xda" + bytes(64) + b"ftypmp42\xff\xda\xff\xda"
    elif form == "blank line":
        files["t.csv"] = table([(path, picture.emotion) for path, picture in truth.items()]) + b"\n , \n   \n"
    else:
        files[f"{first}.txt"] = b"notes"
        case.warned = "not the name of an image"
    return case


@st.composite
def strange_tables(draw):
    """Kind 10: a table without classes, beside images that are not in class folders."""
    some = draw(pictures(splits=False))
    files, truth = in_levels(some, ["images"], {}, {e: e for e in SPELT}, ".png")
    columns = draw(st.sampled_from(("frame,valence,arousal", "path,valence,arousal", "x,label,y")))
    files["t.csv"] = table([(path, "0.1", "0.2") for path in truth], columns)
    case = Case(files, truth, Settings("emotions", ("rgb",), size=8), {10})
    case.refused = re.escape(f"t.csv has the columns {columns.replace(',', ', ')}")
    return case


@st.composite
def of_datums(draw):
    """Kind 11: an LMDB of numbers, with and without the order."""
    some = draw(pictures(splits=False))
    asked = Settings("emotions", ("rgb",), size=8, order=draw(st.sampled_from((None, "fer2013"))))
    names = ORDERS["fer2013"].names
    truth = {f"{k:02d}.png": picture for k, picture in enumerate(some)}
    with tempfile.TemporaryDirectory() as folder:
        with lmdb.open(folder, map_size=1 << 24) as environment, environment.begin(write=True) as transaction:
            for k, (path, picture) in enumerate(truth.items()):
                datum = Datum(encoded=True, label=names.index(picture.emotion), data=encoded(picture.seed, ".png"))
                transaction.put(f"{k:08d}_{path}".encode(), datum.SerializeToString())
        files = {"data.mdb": (Path(folder) / "data.mdb").read_bytes()}
    return Case(files, truth, asked, {11, 2}, refused="" if asked.order else r"--order fer2013")


TRAPS: tuple[Callable[[], st.SearchStrategy[Case]], ...] = (
    plain,
    beside_a_table,
    numbered,
    people,
    grouped,
    doubled,
    split_words,
    frames,
    archived,
    odd_files,
    strange_tables,
    of_datums,
)


def judge(case: Case, seen: Counter[tuple[int, str]]) -> None:
    """Prepare a source, and compare the result with the truth."""
    with tempfile.TemporaryDirectory() as name:
        place = Path(name)
        if case.refused:
            with pytest.raises(EmotiwError, match=case.refused) as caught:
                prepare(case.source(place), place / "set", case.asked)
            assert "\n" not in str(caught.value)
            seen.update((kind, "refused") for kind in case.kinds)
            return
        prepare(case.source(place), place / "set", case.asked)
        report = (place / "set/report.txt").read_text()
        rows = {row["path"]: row for row in open_set(place / "set").manifest}
    assert rows.keys() == case.truth.keys()  # nothing is lost, nothing is added
    of_people = case.asked.labels == "identities"
    for path, picture in case.truth.items():
        assert rows[path]["name"] == (picture.person if of_people else picture.emotion), path
        assert rows[path]["split"] == (picture.split or "train") or case.asked.val, path
    assert re.search(case.warned, report), report
    if case.asked.val:
        for key in ("group", "pixels"):
            sides = defaultdict(set)
            for row in rows.values():
                sides[row[key]].add(row["split"])
            assert all(len(splits) == 1 for splits in sides.values()), key
    if case.asked.val and 4 in case.kinds:
        known = defaultdict(set)
        for path, picture in case.truth.items():
            known[picture.person].add(rows[path]["split"])
        assert all(len(splits) == 1 for splits in known.values())
    seen.update((kind, "warned" if case.warned else "right") for kind in case.kinds)


def test_any_source_is_prepared_correctly_refused_or_warned_of():
    seen: Counter[tuple[int, str]] = Counter()

    @settings(
        max_examples=250,
        deadline=None,
        derandomize=True,
        database=None,
        suppress_health_check=list(HealthCheck),
    )
    @given(case=st.sampled_from(TRAPS).flatmap(lambda trap: trap()))
    def every(case):
        judge(case, seen)

    every()
    assert {kind for kind, _ in seen} == set(KINDS), seen
    outcomes = {kind: {how for of, how in seen if of == kind} for kind in KINDS}
    read = {kind for kind in KINDS if outcomes[kind] & {"right", "warned"}}
    refused = {kind for kind in KINDS if "refused" in outcomes[kind]}
    assert read == set(KINDS) - {10}  # a table without classes cannot be read
    assert refused == {1, 2, 3, 8, 10, 11}
