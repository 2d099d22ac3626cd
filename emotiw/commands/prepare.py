"""The verb `prepare`.

The layout of SOURCE is recognised by its files, unless --layout names it: folders (<class>/<image>, at any depth;
folders named train, val or test are splits), sfew (SFEW 2.0, its zips packed or unpacked), sfew-csv, recordio
(insightface's .rec and .idx), lmdb (Caffe's), csv (columns such as path,label), list (lines `path label`), fer2013,
ferplus, raf-db, raf-db-kaggle, affectnet, affectnet-npy, ck+, jaffe, kdef. A zip of any of these is read in place;
only recordio, lmdb and fer2013 are unpacked, into a temporary folder beside SET.

If SOURCE has several readings (a table that contradicts the folders, labels that are numbers, two folder levels that
may name the person), it is refused, and the message names the flag for each reading.

A split of SOURCE becomes the set's split with the same meaning, unless --splits maps it to another one: for example,
the official validation split may become the set's test split while --val draws the set's val split from train.

Each image is decoded once (twice with --val, which keeps equal pictures in one split), mapped at its native size, and
resized. The training LMDB is written in a seeded shuffled order, because Caffe never shuffles. Files that cannot be
used are listed with the reason. If interrupted, run the same command again to continue.
"""

import argparse
import os
from dataclasses import fields
from pathlib import Path
from typing import TYPE_CHECKING

from emotiw.commands.options import add_representations, representations
from emotiw.lbp_mapping.representation import PAPER

if TYPE_CHECKING:
    from emotiw.data_prep.transform import Settings


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of `emotiw prepare`."""
    parser.add_argument("source", type=Path, metavar="SOURCE", help="a folder, a zip, or a table")
    parser.add_argument("-o", "--output", type=Path, metavar="SET", help="the set to make")
    parser.add_argument(
        "--labels",
        choices=("emotions", "identities", "classes"),
        help="emotions: the seven classes, matched by name; identities: each folder is a person; classes: each folder, "
        "or each value in a table's column, is a class",
    )
    parser.add_argument(
        "--classes",
        dest="class_list",
        metavar="FILE|NAME,...",
        help="with --labels classes: the names of the classes in label order, one in each line; other spellings may "
        "follow, as in `positive: happy, surprise`; other names are left out (default: the names in SOURCE)",
    )
    _add_readings(parser)
    parser.add_argument(
        "--dataset",
        metavar="NAME",
        help="the name of the data set, such as 'SFEW 2.0'; tables print published figures only beside figures on the "
        "same data set (default: SFEW 2.0 and FER2013 are recognised by layout and number of images)",
    )
    add_representations(parser, PAPER)
    parser.add_argument("--size", type=int, default=256, metavar="N", help="side in pixels (default: 256)")
    parser.add_argument("--detect", action="store_true", help="detect the face and crop to it first")
    _add_splits(parser)
    parser.add_argument(
        "--jobs", type=int, metavar="N", help="number of threads, an image each (default: one per core)"
    )
    parser.add_argument(
        "--store", choices=("raw", "png"), default="raw", help="store pixels, or PNG in half the space (default: raw)"
    )
    parser.add_argument(
        "--extend",
        action="store_true",
        help="add representations to SET, from the same SOURCE; all other settings are those of SET",
    )
    parser.add_argument(
        "--dry-run",
        action="store_true",
        help="print the layout of SOURCE and its evidence, counts, groups and equal pictures, and write nothing",
    )
    parser.add_argument("--strict", action="store_true", help="fail if any file of SOURCE cannot be used")
    parser.add_argument("--force", action="store_true", help="replace SET if it exists")


def _add_splits(parser: argparse.ArgumentParser) -> None:
    """Add the options that decide the split of an image."""
    parser.add_argument(
        "--val",
        type=float,
        metavar="FRACTION",
        help="share of the images to draw as val, such as 0.2 (default: SOURCE's own splits)",
    )
    parser.add_argument(
        "--splits",
        metavar="NAME=SPLIT,...",
        help="which of SOURCE's own splits is train, val or test, such as train=train,validation=test; the others are "
        "left out (default: by their names)",
    )
    parser.add_argument(
        "--group",
        metavar="PATTERN",
        help=r"regular expression that finds an image's group (a person, a movie) in its path, such as '(subject\d+)'; "
        "--val keeps each group in one split",
    )
    parser.add_argument(
        "--same-pixels",
        choices=("keep", "drop"),
        default="keep",
        help="drop: remove training images that have the same pixels as an image in another split or with another "
        "label (default: keep; in both cases they are counted and marked)",
    )
    parser.add_argument("--seed", type=int, default=0, metavar="N", help="seed of split and order (default: 0)")


def _add_readings(parser: argparse.ArgumentParser) -> None:
    """Add the options that choose between several readings of SOURCE."""
    parser.add_argument("--layout", metavar="NAME", help="one of the layouts above (default: recognised by the files)")
    parser.add_argument(
        "--table", metavar="FILE", help="the file of SOURCE that lists images and labels, if there are several"
    )
    parser.add_argument(
        "--order",
        metavar="NAME",
        help="the meaning of numeric labels: emotiw, fer2013, raf-db, affectnet, ferplus, ck+, or the classes in order "
        "from 0, such as angry,happy,sad",
    )
    parser.add_argument(
        "--person-level", type=int, metavar="N", help="the person is the Nth folder below SOURCE (default: the last)"
    )
    parser.add_argument("--person-column", metavar="NAME", help="the column of a table that names the person")
    parser.add_argument("--class-column", metavar="NAME", help="the column of a table that names the class")
    parser.add_argument(
        "--images", metavar="DIR", help="the folder that a table's paths are relative to (default: the table's own)"
    )
    parser.add_argument(
        "--first-neutral",
        action="store_true",
        help="also take the first frame of each labelled sequence of CK+, as Neutral",
    )
    parser.add_argument(
        "--drop-lfw", action="store_true", help="leave out the three people of CASIA-WebFace who are also in LFW"
    )


def run(args: argparse.Namespace) -> None:
    """Prepare or extend the set, or only inspect the source; print what was done."""
    from emotiw.data_prep.extend import extend
    from emotiw.data_prep.prepare import dry_run, prepare
    from emotiw.files import refuse_overwrite

    jobs = len(os.sched_getaffinity(0)) if args.jobs is None else args.jobs
    settings = _settings(args, jobs)
    if args.dry_run:
        print(dry_run(args.source, settings, jobs))
    elif args.extend:
        print(extend(args.source, args.output, settings, jobs))
    else:
        refuse_overwrite(args.output, args.force, folder=True)
        print(prepare(args.source, args.output, settings, jobs, args.strict))
        print(f"prepared set: {args.output}")


def _class_list(args: argparse.Namespace) -> tuple[str, ...]:
    """Return the lines of --classes; empty without it.

    Raises
    ------
    UsageError
        If they do not define classes, or an option is for other labels.
    """
    from emotiw.data_prep.class_list import numbered, read_classes
    from emotiw.errors import UsageError

    for flag, value in (("--classes", args.class_list), ("--class-column", args.class_column)):
        if value is not None and args.labels != "classes" and not args.extend:
            raise UsageError(f"{flag} is for --labels classes: give that, or leave it out")
    lines = read_classes(args.class_list) if args.class_list is not None else ()
    if args.order is not None and (number := numbered(lines)):
        raise UsageError(f"--order and the number {number} in --classes both say what numbers mean: give one of them")
    return lines


def _settings(args: argparse.Namespace, jobs: int) -> "Settings":
    """Return the settings of the command line.

    Raises
    ------
    UsageError
        If a flag is missing or out of range, or two flags exclude each other.
    """
    from emotiw.data_prep.datasets import spelled
    from emotiw.data_prep.official_splits import parse
    from emotiw.data_prep.transform import Settings
    from emotiw.errors import UsageError

    without = ("strict", "force") if args.dry_run or args.extend else ()
    mode = "--dry-run" if args.dry_run else "--extend"
    if args.dry_run and args.extend:
        raise UsageError("--dry-run and --extend: give one of them")
    if forbidden := next((name for name in without if getattr(args, name)), ""):
        raise UsageError(f"{mode} and --{forbidden} exclude each other: leave one out")
    if args.output is None and not args.dry_run:
        raise UsageError("-o SET is missing: name the set to make, or give --dry-run")
    if args.labels is None and not args.extend:
        raise UsageError("--labels is missing: give emotions, identities or classes")
    if not 8 <= args.size <= 4096:
        raise UsageError(f"--size {args.size}: give a side between 8 and 4096 pixels")
    if jobs < 1 or args.seed < 0:
        raise UsageError("--jobs must be at least 1 and --seed at least 0")
    if args.splits is not None:
        parse(args.splits)  # raises before the source is read
    names = tuple(representation.name for representation in representations(args, PAPER))
    asked = {field.name: getattr(args, field.name) for field in fields(Settings) if field.name != "representations"}
    asked["labels"] = args.labels or ""  # with --extend, those of the set
    asked["class_list"] = _class_list(args)
    asked["dataset"] = "" if args.dataset is None else spelled(args.dataset)
    if args.images is not None:
        asked["images"] = str(Path(args.images).resolve())  # a later command may run in another folder
    return Settings(**asked | {"representations": names})
