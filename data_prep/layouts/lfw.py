"""Leave out CASIA-WebFace's people who are also in LFW, for nets that are tested on LFW."""

from collections import Counter
from dataclasses import replace

from emotiw.data_prep.archives.tree import folder_of
from emotiw.data_prep.image_list import Listing
from emotiw.errors import UsageError

IN_LFW = ("0166921", "1056413", "1193098")  # Deviation D17
"""The names of their folders."""


def without_lfw(listing: Listing, labels: str) -> Listing:
    """Return a listing without these people, and a note of how many images they had.

    Raises
    ------
    UsageError
        If the labels are not people.
    """
    if labels != "identities":
        raise UsageError("--drop-lfw is for CASIA-WebFace's people: give --labels identities")
    people = {image.path: {image.name, *folder_of(image.path).parts} & set(IN_LFW) for image in listing.images}
    dropped = Counter(person for found in people.values() for person in found)
    counts = ", ".join(f"{person} ({count} images)" for person, count in sorted(dropped.items()))
    note = f"dropped, in LFW too: {counts or 'none of the three people is here'}"
    kept = [image for image in listing.images if not people[image.path]]
    return replace(listing, images=kept, notes=(*listing.notes, note))
