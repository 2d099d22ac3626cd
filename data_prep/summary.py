"""The report of a preparation."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from tabulate import tabulate

from .groups import are_known
from .image_list import Basis, Image, Listing
from .official_splits import held, left_out_of
from .same_pixels import LABEL, SPLIT, conflicts
from .splits import SPLITS
from .transform import Outcome

FILE = "report.txt"

_MOST_CLASSES = 30
_MOST_LISTED = 50
_MOST_REASONS = 5


def report(listing: Listing, outcomes: Sequence[Outcome], where: Path | None = None) -> str:
    """Return the report: counts per class and split, what was left out and why, and what looks wrong.

    Parameters
    ----------
    where
        The file of the whole report, to which the shorter one for the screen refers; the latter lists only the first
        fifty files that were left out, and one warning of each kind. None: return the whole report.
    """
    used = [outcome for outcome in outcomes if not outcome.reason]
    lines = [*_left_out(listing, outcomes, where), *_warnings(listing, used, where)]
    return "\n".join([_counts(listing, used), *map(_one_line, lines)])


def understood(listing: Listing, outcomes: Sequence[Outcome]) -> str:
    """Return how a source was read, and why: one line each for layout, labels, groups, splits and equal pictures."""
    basis = listing.basis or Basis()
    used = [outcome for outcome in outcomes if not outcome.reason]
    lines = [
        f"layout: {listing.layout}, by {basis.layout}",
        f"labels: by {basis.labels}",
        *([f"order of numbers: {listing.order}"] if listing.order else []),
        f"groups: {_groups_known([outcome.image for outcome in used], basis.groups)}",
        f"splits: {_splits_known([outcome.image for outcome in used], basis.splits)}",
        *_official(listing, outcomes),
        f"equal pictures: {_equal([outcome.pixels for outcome in used])}",
    ]
    return "\n".join(map(_one_line, lines))


def _groups_known(images: Sequence[Image], why: str) -> str:
    groups = Counter(image.group for image in images)
    if not are_known(images):
        return "none known"
    largest, count = min(groups.items(), key=lambda group: (-group[1], group[0]))
    return f"{len(groups)} (of all {len(images)} images), such as {largest} ({count} images), by {why}"


def _splits_known(images: Sequence[Image], why: str) -> str:
    found = [split for split in SPLITS if any(image.split == split for image in images)]
    return f"{', '.join(found)}, by {why}" if found != ["train"] else "none: every image trains"


def _official(listing: Listing, outcomes: Sequence[Outcome]) -> Iterator[str]:
    """Yield what the set holds of each of the source's own splits, if it has any."""
    if any(one.name for one in listing.officials):
        left_out = {one.name for one in left_out_of(listing)}
        found = [
            f"{one.words}: {', '.join(f'{split} {count}' for split, count in one.held.items()) or 'not used'}"
            if one.name not in left_out
            else f"{one.words}: left out"
            for one in held(listing.officials, outcomes)
        ]
        yield f"official splits: {'; '.join(found)}"


def _equal(pixels: Sequence[str]) -> str:
    counts = [count for digest, count in Counter(pixels).items() if digest and count > 1]
    return f"{len(counts)} are there more than once, {sum(counts)} images together" if counts else "none"


def _counts(listing: Listing, used: Sequence[Outcome]) -> str:
    counts = Counter((outcome.image.name, outcome.image.split) for outcome in used)
    unlabelled = [""] if any(not outcome.image.name for outcome in used) else []
    names = [*listing.classes, *unlabelled]
    splits = [split for split in SPLITS if any(counts[name, split] for name in names)]
    total = ["all", *(sum(counts[name, split] for name in names) for split in splits)]
    shown = names if len(listing.classes) <= _MOST_CLASSES else unlabelled
    rows = [[name or "(no label)", *(counts[name, split] for split in splits)] for name in shown]
    return tabulate([*rows, total], [f"{len(listing.classes)} classes", *splits])


def _left_out(listing: Listing, outcomes: Sequence[Outcome], where: Path | None) -> Iterator[str]:
    reasons = listing.left_out | {outcome.image.path: outcome.reason for outcome in outcomes if outcome.reason}
    if reasons:
        kinds = Counter(reason.partition(":")[0] for reason in reasons.values())
        counts = ", ".join(f"{count} {kind}" for kind, count in kinds.most_common(_MOST_REASONS))
        counts += ", ..." if len(kinds) > _MOST_REASONS else ""
        yield f"left out, {len(reasons)} files ({counts}):"
        yield from _first([f"  {path}: {reason}" for path, reason in sorted(reasons.items())], where)
    unknown = sorted(listing.unknown_classes.items())
    said = "left out: {} images in folders named {!r}, which is not a class"
    yield from _first([said.format(count, name or ".") for name, count in unknown], where)


def _warnings(listing: Listing, used: Sequence[Outcome], where: Path | None) -> Iterator[str]:
    yield from listing.notes
    by_path = sorted((outcome.image for outcome in used), key=lambda image: image.path)
    for kind in (*_classes(listing.classes, by_path), *_same_pixels(used), _groups(by_path)):
        yield from kind.lines if where is None or len(kind.lines) < 2 else [kind.together(where)]


@dataclass(frozen=True)
class Warnings:
    """Warnings of one kind: their lines, and the words for several of them."""

    several: str
    lines: list[str]

    def together(self, where: Path) -> str:
        """Return one line for all of them."""
        example = self.lines[0].removeprefix("warning: ")
        return f"warning: {len(self.lines)} {self.several}, such as: {example}; {where} lists all"


def _classes(classes: Iterable[str], images: Iterable[Image]) -> Iterator[Warnings]:
    present: dict[str, set[str]] = defaultdict(set)
    for image in images:
        present[image.name].add(image.split)
    splits = set().union(*present.values())
    if set(present) == {""}:
        return  # the only split has no labels
    for split, word in (("", "image"), ("train", "training image"), ("val", "validation image")):
        if not split:
            lacking = [name for name in classes if name not in present]
        elif split in splits:
            lacking = [name for name in classes if name in present and split not in present[name]]
        else:
            continue
        yield Warnings(f"classes have no {word}", [f"warning: no {word} of class {name}" for name in lacking])


def _same_pixels(used: Sequence[Outcome]) -> Iterator[Warnings]:
    images = sorted((outcome.image for outcome in used), key=lambda image: image.path)
    pixels = {outcome.image.path: outcome.pixels for outcome in used}
    against = conflicts(images, pixels)
    equals: dict[str, list[Image]] = defaultdict(list)
    for image in images:
        if image.path in against:
            equals[pixels[image.path]].append(image)
    for conflict, words in ((LABEL, "under two labels"), (SPLIT, "on two sides of the split")):
        found = [", ".join(i.path for i in some) for some in equals.values() if conflict in against[some[0].path]]
        yield Warnings(f"pictures are {words}", [f"warning: the same picture {words}: {paths}" for paths in found])


def _groups(images: Iterable[Image]) -> Warnings:
    sides: dict[str, set[str]] = defaultdict(set)
    for image in images:
        sides[image.group].add(image.split)
    divided = [(group, len(found)) for group, found in sorted(sides.items()) if len(found) > 1]
    lines = [f"warning: group {group} is on {count} sides of the split" for group, count in divided]
    return Warnings("groups are on several sides of the split", lines)


def _one_line(text: str) -> str:
    """Return the text with unprintable characters, such as line breaks in a file's name, escaped as in Python."""
    return "".join(c if c.isprintable() else repr(c)[1:-1] for c in text)


def _first(lines: Sequence[str], where: Path | None) -> Iterator[str]:
    """Yield the first lines and the number of the rest; all of them if `where` is None."""
    yield from lines if where is None else lines[:_MOST_LISTED]
    if where is not None and len(lines) > _MOST_LISTED:
        yield f"  ... and {len(lines) - _MOST_LISTED} more, in {where}"
