"""The verb `prepare`.

SOURCE is recognised by looking, unless --layout names what it is: folders (<class>/<image>, with
folders around that; ones named train, val or test say the split), sfew (SFEW 2.0, its zips left
packed or not), sfew-csv, recordio (insightface's .rec and .idx), lmdb (Caffe's), csv (columns such as
path,label), list (lines `path label`), fer2013, ferplus, raf-db, raf-db-kaggle, affectnet,
affectnet-npy, ck+, jaffe, kdef. A zip of any of these is read in place; only what recordio, lmdb and
fer2013 need of it is unpacked beside SET, until that is made.

Where SOURCE has several readings (a table that contradicts the folders, labels that are numbers, a
person who may be one folder or another) it is refused, with the flag that decides for each reading.

SOURCE's own splits are the set's of that meaning; --splits says otherwise, such as that the official
validation split is what the set is tested on, while its val is drawn from train by --val.

Each image is decoded once (once more where --val draws, which keeps equal pictures on one side),
mapped at its native size, then resized. The training LMDB is written in a seeded shuffled order,
since Caffe never shuffles. What cannot be used is listed with its reason. Interrupted, the same
command goes on.
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
    """Add what `emotiw prepare` takes."""
    parser.add_argument("source", type=Path, metavar="SOURCE", help="a folder, a zip, or a table")
    parser.add_argument("-o", "--output", type=Path, metavar="SET", help="the set to make")
    parser.add_argument(
        "--labels",
        choices=("emotions", "identities"),
        help="emotions: classes are the seven, matched by name; identities: each folder is a person",
    )
    _add_readings(parser)
    parser.add_argument(
        "--dataset",
        metavar="NAME",
        help="the data set that SOURCE is, such as 'SFEW 2.0': published figures stand beside figures on the same one "
        "(default: SFEW 2.0 and FER2013 are known by their layouts and numbers of images)",
    )
    add_representations(parser, PAPER)
    parser.add_argument("--size", type=int, default=256, metavar="N", help="side in pixels (default: 256)")
    parser.add_argument("--detect", action="store_true", help="find the face and crop to it first")
    _add_splits(parser)
    parser.add_argument("--jobs", type=int, metavar="N", help="images at a time, a thread each (default: one a core)")
    parser.add_argument("--store", choices=("raw", "png"), default="raw", help="pixels, or PNG in half the space")
    parser.add_argument(
        "--extend",
        action="store_true",
        help="add the representations that SET lacks, made of the same SOURCE; all else is as in SET",
    )
    parser.add_argument(
        "--dry-run",
        action="store_true",
        help="print what SOURCE is taken for and why, with counts, groups and equal pictures, and write nothing",
    )
    parser.add_argument("--strict", action="store_true", help="fail where any file of SOURCE cannot be used")
    parser.add_argument("--force", action="store_true", help="replace SET where it exists")


def _add_splits(parser: argparse.ArgumentParser) -> None:
    """Add what decides which image trains, validates or is tested on."""
    parser.add_argument(
        "--val", type=float, metavar="FRACTION", help="share that validates, such as 0.2 (default: what folders say)"
    )
    parser.add_argument(
        "--splits",
        metavar="NAME=SPLIT,...",
        help="which of SOURCE's own splits is train, val or test, such as train=train,validation=test; the others are "
        "left out (default: as their names mean)",
    )
    parser.add_argument(
        "--group",
        metavar="PATTERN",
        help=r"regular expression that finds an image's group (a person, a movie) in its path, such as '(subject\d+)'; "
        "no group is on both sides of the split that --val draws",
    )
    parser.add_argument(
        "--same-pixels",
        choices=("keep", "drop"),
        default="keep",
        help="drop: leave out of training what has the pixels of an image in another split or under another label "
        "(default: keep; either way they are counted and marked)",
    )
    parser.add_argument("--seed", type=int, default=0, metavar="N", help="of the split and of the order (default: 0)")


def _add_readings(parser: argparse.ArgumentParser) -> None:
    """Add what decides where SOURCE has several readings."""
    parser.add_argument(
        "--layout", metavar="NAME", help="take SOURCE as one of the layouts above, whatever it looks like"
    )
    parser.add_argument(
        "--table", metavar="FILE", help="the file of SOURCE that says which image is what, whatever lies beside it"
    )
    parser.add_argument(
        "--order",
        metavar="NAME",
        help="what labels that are numbers mean: emotiw, fer2013, raf-db, affectnet, ferplus, ck+, or the classes from "
        "0 on, such as angry,happy,sad",
    )
    parser.add_argument(
        "--person-level", type=int, metavar="N", help="the person is the Nth folder below SOURCE (default: the last)"
    )
    parser.add_argument("--person-column", metavar="NAME", help="the column of a table that names the person")
    parser.add_argument(
        "--images", metavar="DIR", help="the folder that a table's paths are relative to (default: the table's own)"
    )
    parser.add_argument(
        "--first-neutral",
        action="store_true",
        help="take the first frame of each labelled sequence of CK+, too, as Neutral",
    )
    parser.add_argument(
        "--drop-lfw", action="store_true", help="leave out the three of CASIA-WebFace's people who are in LFW too"
    )


def run(args: argparse.Namespace) -> None:
    """Prepare the set, or add to it, or only look; print what was done."""
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
        refuse_overwrite(args.output, args.force)
        print(prepare(args.source, args.output, settings, jobs, args.strict))
        print(f"prepared set: {args.output}")


def _settings(args: argparse.Namespace, jobs: int) -> "Settings":
    """Return what is asked for.

    Raises
    ------
    UsageError
        If a flag is missing, out of range, or goes without another.
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
        raise UsageError(f"{mode} goes without --{forbidden}: leave it out")
    if args.output is None and not args.dry_run:
        raise UsageError("-o SET is missing: name the set to make, or give --dry-run")
    if args.labels is None and not args.extend:
        raise UsageError("--labels is missing: give emotions or identities")
    if not 8 <= args.size <= 4096:
        raise UsageError(f"--size {args.size}: give a side between 8 and 4096 pixels")
    if jobs < 1 or args.seed < 0:
        raise UsageError("--jobs must be at least 1 and --seed at least 0")
    if args.splits is not None:
        parse(args.splits)  # raises before the source is read
    names = tuple(representation.name for representation in representations(args, PAPER))
    asked = {field.name: getattr(args, field.name) for field in fields(Settings) if field.name != "representations"}
    asked["labels"] = args.labels or ""  # with --extend as in the set
    asked["dataset"] = "" if args.dataset is None else spelled(args.dataset)
    if args.images is not None:
        asked["images"] = str(Path(args.images).resolve())  # another command reads it elsewhere
    return Settings(**asked | {"representations": names})
