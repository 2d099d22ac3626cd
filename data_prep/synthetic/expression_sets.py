"""Write drawn faces in the layouts of FER2013, FERPlus, RAF-DB, AffectNet, JAFFE, KDEF and CK+.

Each function takes the folder of `draw_expressions` and the folder to write. A quarter of the people becomes val and
another quarter test, if the data set has these splits. A folder that exists and is not empty is refused
(`EmotiwError`).
"""

import csv
import io
import shutil
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from emotiw.data_prep.image_list import OFFICIAL
from emotiw.data_prep.images import decode
from emotiw.data_prep.label_order import ORDERS
from emotiw.data_prep.layouts.fer2013 import USAGE
from emotiw.files import whole_new

from .archives import Face, faces_by_split

_WORDS = {split: word for word, split in USAGE.items()}
_SIDE = 48
_FERPLUS = "Usage,Image name,neutral,happiness,surprise,sadness,anger,disgust,fear,contempt,unknown,NF".split(",")
_FERPLUS_FOLDERS = {"train": "FER2013Train", "val": "FER2013Valid", "test": "FER2013Test"}
_VOTES = 10


def as_fer2013(faces: Path, folder: Path, usage: bool = True) -> None:
    """Write `fer2013.csv`, with or without its column of splits."""
    with whole_new(folder) as partial:
        _write_fer2013(faces, partial, usage)


def as_fer2013_folders(faces: Path, folder: Path) -> None:
    """Write the same pictures in folders of their official splits; test has no labels."""
    with whole_new(folder) as partial:
        for number, (split, emotion, _, path) in enumerate(_sorted(faces)):
            place = "test" if split == "test" else f"{OFFICIAL[split]}/{emotion.lower()}"
            _write_grey(path, partial / f"fer2013/{place}/{_WORDS[split]}_{number:08d}.png")


def as_fer2013_kaggle(faces: Path, folder: Path) -> None:
    """Write the same pictures in Kaggle's folders, where test holds both PublicTest and PrivateTest."""
    with whole_new(folder) as partial:
        for number, (split, emotion, _, path) in enumerate(_sorted(faces)):
            side = "train" if split == "train" else "test"
            _write_grey(path, partial / f"{side}/{emotion.lower()}/{_WORDS[split]}_{number:08d}.png")


def as_ferplus(faces: Path, folder: Path) -> None:
    """Write `fer2013.csv` with FERPlus's votes beside it: eight for the drawn class, two for Neutral."""
    with whole_new(folder) as partial:
        _write_fer2013(faces, partial, usage=True)
        _write_votes(faces, partial)


def as_ferplus_files(faces: Path, folder: Path) -> None:
    """Write PNGs in the folders of FERPlus's script, with its table of votes."""
    with whole_new(folder) as partial:
        for number, (split, _, _, path) in enumerate(_sorted(faces)):
            _copy(path, partial / _FERPLUS_FOLDERS[split] / f"fer{number:07d}.png")
        _write_votes(faces, partial)


def as_raf_db_kaggle(faces: Path, folder: Path) -> None:
    """Write RAF-DB's basic set in Kaggle's folders; val becomes a part of train."""
    counts, rows = {"train": 0, "test": 0}, []
    with whole_new(folder) as partial:
        for split, emotion, _, path in _sorted(faces):
            side, number = "test" if split == "test" else "train", _number("raf-db", emotion)
            counts[side] += 1
            name = f"{side}_{counts[side]:05d}_aligned.jpg"
            rows.append((side, name, number))
            _recode(path, partial / f"DATASET/{side}/{number}/{name}")
        for side in counts:
            _write_table(
                partial / f"{side}_labels.csv", ("image", "label"), [row[1:] for row in rows if row[0] == side]
            )


def as_affectnet(faces: Path, folder: Path) -> None:
    """Write AffectNet's images with `training.csv` and `validation.csv`; there is no test split."""
    header = ("subDirectory_filePath", "face_x", "face_y", "face_width", "face_height", "expression", "valence")
    rows: dict[str, list[tuple[object, ...]]] = {"training": [], "validation": []}
    with whole_new(folder) as partial:
        for number, (split, emotion, _, path) in enumerate(_sorted(faces)):
            written = f"{number % 3}/{number:040x}.jpg"
            rows["validation" if split == "val" else "training"].append(
                (written, 0, 0, 96, 112, _number("affectnet", emotion), -0.5)
            )
            _recode(path, partial / "Manually_Annotated_Images" / written)
        for name, some in rows.items():
            _write_table(partial / f"{name}.csv", header, some)


def as_affectnet_npy(faces: Path, folder: Path) -> None:
    """Write AffectNet's images with a label file for each."""
    files = _sorted(faces)
    with whole_new(folder) as partial:
        for number, (split, emotion, _, path) in enumerate(files):
            place = partial / ("val_set" if split == "val" else "train_set")
            _recode(path, place / f"images/{number}.jpg")
            (place / "annotations").mkdir(exist_ok=True)
            np.save(place / f"annotations/{number}_exp.npy", np.array(str(_number("affectnet", emotion))))
            np.save(place / f"annotations/{number}_val.npy", np.array("0.25"))


def as_jaffe(faces: Path, folder: Path) -> None:
    """Write JAFFE's files, named after person, expression and repetition."""
    files = _sorted(faces)
    with whole_new(folder) as partial:
        for number, (_, emotion, _, path) in enumerate(files, 1):
            person, repetition = _person(path)
            _recode(path, partial / f"K{chr(64 + person)}.{emotion[:2].upper()}{repetition}.{number}.tiff")


def as_kdef(faces: Path, folder: Path) -> None:
    """Write KDEF's folders; a person's second picture of an expression is of session B."""
    files = _sorted(faces)
    with whole_new(folder) as partial:
        for _, emotion, _, path in files:
            person, repetition = _person(path)
            who = f"{'AB'[repetition - 1]}{'FM'[person % 2]}{person:02d}"
            code = "AF" if emotion == "Fear" else emotion[:2].upper()
            _recode(path, partial / f"KDEF/{who}/{who}{code}S.JPG")


def as_ck_plus(faces: Path, folder: Path) -> None:
    """Write CK+'s sequences of two frames: a person's neutral face, then the expression."""
    neutral = {_person(path): path for _, emotion, _, path in _sorted(faces) if emotion == "Neutral"}
    peaks = [(emotion, path) for _, emotion, _, path in _sorted(faces) if emotion != "Neutral"]
    with whole_new(folder) as partial:
        for number, (emotion, path) in enumerate(peaks, 1):
            subject, sequence = f"S{_person(path)[0]:03d}", f"{number:03d}"
            name = f"{subject}/{sequence}/{subject}_{sequence}"
            for frame, picture in enumerate((neutral[_person(path)], path), 1):
                _copy(picture, partial / f"cohn-kanade-images/{name}_{frame:08d}.png")
            label = partial / f"Emotion/{name}_{2:08d}_emotion.txt"
            label.parent.mkdir(parents=True)
            label.write_text(f"   {_number('ck+', emotion):.7e}\n")


def _sorted(faces: Path) -> list[Face]:
    return list(faces_by_split(faces))


def _number(order: str, emotion: str) -> int:
    return ORDERS[order].first + ORDERS[order].names.index(emotion)


def _person(path: Path) -> tuple[int, int]:
    """Return the number of the person, and the number of the picture of this expression."""
    person, number = path.stem.removeprefix("actor").split("_")
    return int(person), int(number)


def _pixels(path: Path) -> str:
    return " ".join(map(str, _grey(path).ravel()))


def _write_grey(path: Path, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_bytes(cv2.imencode(".png", _grey(path))[1].tobytes())


def _grey(path: Path) -> NDArray[np.uint8]:
    """Return a picture in FER2013's format, (48, 48) uint8 grey."""
    grey = cv2.cvtColor(decode(path.read_bytes()), cv2.COLOR_RGB2GRAY)
    return np.asarray(cv2.resize(grey, (_SIDE, _SIDE)), np.uint8)


def _write_fer2013(faces: Path, folder: Path, usage: bool) -> None:
    rows = [(_number("fer2013", emotion), _pixels(path), _WORDS[split]) for split, emotion, _, path in _sorted(faces)]
    columns = 3 if usage else 2
    _write_table(folder / "fer2013.csv", ("emotion", "pixels", "Usage")[:columns], [r[:columns] for r in rows])


def _write_votes(faces: Path, folder: Path) -> None:
    _write_table(folder / "fer2013new.csv", _FERPLUS, _votes(faces))


def _votes(faces: Path) -> Iterator[list[object]]:
    for number, (split, emotion, _, _) in enumerate(_sorted(faces)):
        votes = [0] * _VOTES
        votes[_number("ferplus", "Neutral")] += 2
        votes[_number("ferplus", emotion)] += 8
        yield [_WORDS[split], f"fer{number:07d}.png", *votes]


def _write_table(path: Path, header: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows([header, *rows])
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text.getvalue(), encoding="utf-8")


def _copy(path: Path, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(path, target)


def _recode(path: Path, target: Path) -> None:
    """Write the picture in the format of the target's suffix."""
    target.parent.mkdir(parents=True, exist_ok=True)
    bgr = decode(path.read_bytes())[..., ::-1]
    target.write_bytes(cv2.imencode(target.suffix.lower(), bgr)[1].tobytes())
