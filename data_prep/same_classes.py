"""Compare the classes of a prepared set with those that a net was trained on."""

from collections.abc import Sequence

from .class_list import difference, is_number
from .prepared_set import PreparedSet


def unlike(prepared: PreparedSet, classes: Sequence[str], set_digest: str, owner: str) -> str:
    """Return why a set may have other classes than a net, to follow the set's name in a message; empty if it has not.

    Equal names of people, and numbers instead of names, may mean others in another set.

    Parameters
    ----------
    classes, set_digest
        The classes of the net in label order, and the digest of the set that it was trained on; empty if unknown.
    owner
        The net's name.
    """
    if list(prepared.classes) != list(classes):
        return difference(prepared.classes, classes, owner)
    if set_digest in ("", prepared.digest):
        return ""
    if prepared.facts.labels == "identities":
        return f"is not the set that {owner} was trained on, and equal names in another set may be other people"
    if any(map(is_number, classes)):
        return f"is not the set that {owner} was trained on, and equal numbers in another set may be other classes"
    return ""
