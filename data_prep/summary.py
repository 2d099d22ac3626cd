"""What a preparation did, in words."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import islice

from tabulate import tabulate

from .image_list import Listing
from .splits import SPLITS
from .transform import Outcome

FILE = "report.txt"

_MOST_CLASSES = 30


def report(listing: Listing, outcomes: Sequence[Outcome], most: int | None = None) -> str:
    """Return the report: counts per class and split, what was left out and why, and what looks wrong.

    Of each kind `most` lines at the most, and how many more there are.
    """
    used = [outcome for outcome in outcomes if not outcome.reason]
    lines = [*_left_out(listing, outcomes, most), *_warnings(listing, used, most)]
    return "\n".join([_counts(listing, used), *map(_one_line, lines)])


def _counts(listing: Listing, used: Sequence[Outcome]) -> str:
    counts = Counter((outcome.image.name, outcome.image.split) for outcome in used)
    unlabelled = [""] if any(not outcome.image.name for outcome in used) else []
    names = [*listing.classes, *unlabelled]
    splits = [split for split in SPLITS if any(counts[name, split] for name in names)]
    total = ["all", *(sum(counts[name, split] for name in names) for split in splits)]
    shown = names if len(listing.classes) <= _MOST_CLASSES else unlabelled
    rows = [[name or "(no label)", *(counts[name, split] for split in splits)] for name in shown]
    return tabulate([*rows, total], [f"{len(listing.classes)} classes", *splits])


def _left_out(listing: Listing, outcomes: Sequence[Outcome], most: int | None) -> Iterator[str]:
    reasons = listing.left_out | {outcome.image.path: outcome.reason for outcome in outcomes if outcome.reason}
    if reasons:
        yield f"left out, {len(reasons)} files:"
        yield from _first(most, (f"  {path}: {reason}" for path, reason in sorted(reasons.items())))
    unknown = sorted(listing.unknown_classes.items())
    said = "left out: {} images in folders named {!r}, which is none of the classes"
    yield from _first(most, (said.format(count, name or ".") for name, count in unknown))


def _warnings(listing: Listing, used: Sequence[Outcome], most: int | None) -> Iterator[str]:
    yield from _first(most, iter(listing.notes))
    present: dict[str, set[str]] = defaultdict(set)
    for outcome in used:
        present[outcome.image.name].add(outcome.image.split)
    yield from _first(most, _empty_classes(listing.classes, present))
    same_picture: dict[str, list[Outcome]] = defaultdict(list)
    groups: dict[str, set[str]] = defaultdict(set)
    for outcome in sorted(used, key=lambda outcome: outcome.image.path):
        same_picture[outcome.sha256].append(outcome)
        groups[outcome.image.group].add(outcome.image.split)
    yield from _first(most, _duplicates(same_picture.values()))
    divided = [(group, len(sides)) for group, sides in sorted(groups.items()) if len(sides) > 1]
    yield from _first(most, (f"warning: group {group} is on {count} sides of the split" for group, count in divided))


def _empty_classes(classes: Iterable[str], present: Mapping[str, set[str]]) -> Iterator[str]:
    for name in classes:
        if name not in present:
            yield f"warning: no image of class {name}"
        elif "train" not in present[name]:
            yield f"warning: no training image of class {name}"


def _duplicates(same_picture: Iterable[list[Outcome]]) -> Iterator[str]:
    for outcomes in same_picture:
        paths = ", ".join(outcome.image.path for outcome in outcomes)
        if len({outcome.image.split for outcome in outcomes}) > 1:
            yield f"warning: the same picture on two sides of the split: {paths}"
        if len({outcome.image.name for outcome in outcomes} - {""}) > 1:
            yield f"warning: the same picture under two labels: {paths}"


def _one_line(text: str) -> str:
    """Return the text with what would break a line, in a file's name, written as Python writes it."""
    return "".join(c if c.isprintable() else repr(c)[1:-1] for c in text)


def _first(most: int | None, lines: Iterator[str]) -> Iterator[str]:
    """Yield the first lines and the number of the rest."""
    yield from islice(lines, most)
    if rest := sum(1 for _ in lines):
        yield f"  ... and {rest} more, in {FILE}"
