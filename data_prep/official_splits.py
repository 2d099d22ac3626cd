"""A source's own (official) splits: their names, and the splits of a set that they become (`--splits`)."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from emotiw.errors import UsageError

from .image_list import NO_SPLIT, OFFICIAL, Basis, Image, Listing, Official, split_meant, split_of
from .splits import SPLITS
from .transform import Outcome

_HOW = {"all": "", "part": "part of ", "drawn": "drawn from "}


@dataclass(frozen=True)
class MadeOf:
    """The official splits of its source that a split of a set is made from.

    Attributes
    ----------
    names
        The names of the official splits; empty if they are not known, as in older sets.
    how
        "all" of their images that can be used, a "part", or "drawn" from them by `--val`.
    """

    names: tuple[str, ...] = ()
    how: Literal["all", "part", "drawn"] = "all"

    def official(self, split: str) -> str:
        """Return the official split that a set's `split` equals; empty if it is a part of one, several or none.

        Older sets do not record it: their splits are taken for the official ones of the same name.
        """
        if not self.names:
            return OFFICIAL.get(split, "")
        return self.names[0] if len(self.names) == 1 and self.how == "all" else ""

    @property
    def short(self) -> str:
        """The short form for a table's cell, such as `validation` or `drawn from train`; empty if it is not known."""
        named = " and ".join(name or NO_SPLIT for name in self.names)
        return f"{_HOW[self.how]}{named}" if any(self.names) else ""

    def words(self, split: str, dataset: str) -> str:
        """Describe a set's `split`; empty if it is the official split of the same name, or if it is not known.

        Examples
        --------
        >>> MadeOf(("validation",)).words("test", "FER2013")
        "FER2013's validation"
        >>> MadeOf(("train",), "drawn").words("val", "")
        "drawn from the source's train"
        """
        if not any(self.names) or self.official(split) == OFFICIAL.get(split):
            return ""
        named = " and ".join(name for name in self.names if name)
        loose = "" if all(self.names) else f" and {NO_SPLIT}"
        return f"{_HOW[self.how]}{dataset or 'the source'}'s {named}{loose}"

    def beside(self, split: str, dataset: str) -> str:
        """Return `words` in brackets, to print after a split's name or its number of images."""
        words = self.words(split, dataset)
        return f" ({words})" if words else ""


def made_of(officials: Iterable[Official], split: str, *, drawn: bool) -> MadeOf:
    """Return what a split of a set is made from; `drawn` says whether `--val` drew it."""
    parts = [one for one in officials if one.held.get(split)]
    part = any(len(one.held) > 1 for one in parts)
    return MadeOf(tuple(one.name for one in parts), "drawn" if drawn else "part" if part else "all")


def choose(listing: Listing, asked: str | None) -> Listing:
    """Name the official splits of a listing; if `asked`, keep only the images of the splits that it names.

    Parameters
    ----------
    asked
        As `--splits` takes it: NAME=SPLIT, several with commas. A NAME is an official split's name, the source's word
        for it, or another word for the same.

    Raises
    ------
    UsageError
        If `asked` is not of that form, names a split that the source does not have, or one twice, or would have images
        without a label in train or val.
    """
    names = _names(listing.images)
    words = {names[image.official.casefold()]: image.official for image in reversed(listing.images)}
    # The half a million images of CASIA-WebFace have no split, and need no copy.
    images = [
        replace(image, official=names[image.official.casefold()]) if image.official else image
        for image in listing.images
    ]
    officials = _officials(images, words)
    if asked is None:
        return replace(listing, images=images, officials=officials)
    chosen: dict[str, str] = {}
    for word, split in parse(asked):
        name = _find(word, officials)
        if chosen.setdefault(name, split) != split:
            raise UsageError(f"--splits {asked}: the official split {name} is named twice: name it once")
    images = [replace(image, split=chosen[image.official]) for image in images if image.official in chosen]
    _require_labels(asked, images)
    basis = listing.basis or Basis()
    basis = replace(basis, splits=f"--splits {asked}; {basis.splits}")
    return replace(listing, images=images, officials=officials, basis=basis)


def parse(asked: str) -> list[tuple[str, str]]:
    """Parse `--splits`; return pairs of a source's split and a set's split.

    Raises
    ------
    UsageError
        If a part is not NAME=SPLIT, or SPLIT is not one of a set's.
    """
    pairs = [part.rpartition("=")[::2] for part in asked.split(",")]
    for name, split in pairs:
        if not name.strip() or split.strip() not in SPLITS:
            raise UsageError(
                f"--splits {asked}: give NAME=SPLIT, several with commas, such as train=train,validation=test; SPLIT "
                f"is one of {', '.join(SPLITS)}"
            )
    return [(name.strip(), split.strip()) for name, split in pairs]


def left_out_of(listing: Listing) -> list[Official]:
    """Return the official splits without an image in the listing."""
    kept = {image.official for image in listing.images}
    return [one for one in listing.officials if one.name not in kept]


def held(officials: Iterable[Official], outcomes: Iterable[Outcome]) -> Iterator[Official]:
    """Yield the official splits with their numbers of usable images, and of images in each split of the set."""
    used: dict[str, Counter[str]] = defaultdict(Counter)
    unusable: Counter[str] = Counter()
    for outcome in outcomes:
        if outcome.reason:
            unusable[outcome.image.official] += 1
        else:
            used[outcome.image.official][outcome.image.split] += 1
    for one in officials:
        counts = {split: used[one.name][split] for split in SPLITS if used[one.name][split]}
        yield replace(one, images=one.images - unusable[one.name], held=counts)


def _names(images: Iterable[Image]) -> dict[str, str]:
    """Return the official name for each word of a source, by the word in lower case."""
    spelled: dict[str, str] = {}
    for image in images:
        spelled.setdefault(image.official.casefold(), image.official)
    meant = {folded: split_of((word,)) for folded, word in spelled.items()}
    counts = Counter(meant.values())
    return {
        folded: OFFICIAL[meant[folded]] if meant[folded] and counts[meant[folded]] == 1 else word
        for folded, word in spelled.items()
    }


def _officials(images: Sequence[Image], words: Mapping[str, str]) -> tuple[Official, ...]:
    """Return the official splits: train, validation, test, then others by name; images of no split last."""
    counts = Counter(image.official for image in images)
    order = [*OFFICIAL.values(), *sorted(set(counts) - {*OFFICIAL.values(), ""}), ""]
    return tuple(Official(name, words[name], counts[name]) for name in order if counts[name])


def _find(word: str, officials: Sequence[Official]) -> str:
    """Return the name of the official split that a word names exactly, or else by its meaning.

    Raises
    ------
    UsageError
        If there is none; the message lists the official splits.
    """
    folded, named = word.casefold(), [one for one in officials if one.name]
    exact = [one.name for one in named if folded in (one.name.casefold(), one.word.casefold())]
    meant = split_meant(word)
    alike = [one.name for one in named if meant and split_of((one.name,)) == meant]
    if found := exact or (alike if len(alike) == 1 else []):
        return found[0]
    if not named:
        raise UsageError("--splits: the source has no splits of its own: leave it out, and draw one by --val")
    raise UsageError(f"--splits: the source has no split {word!r}; it has {', '.join(one.words for one in officials)}")


def _require_labels(asked: str, images: Iterable[Image]) -> None:
    """Raise if an image without a label would train or validate."""
    without = [image for image in images if not image.name and image.split != "test"]
    if without:
        first = without[0]
        raise UsageError(
            f"--splits {asked}: {len(without)} images of {first.official}, such as {first.path}, have no label, so it "
            "can only be the set's test"
        )
