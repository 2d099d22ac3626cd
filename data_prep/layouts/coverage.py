"""Compare a table with the images beside it: which of them it names, and whether it agrees with their folders."""

from collections import Counter
from dataclasses import replace

from emotiw.data_prep.archives.tree import Found, folder_of
from emotiw.data_prep.image_list import AmbiguousError, Interpretation, Listing, Reading, unusable
from emotiw.errors import EmotiwError

from .folders import class_at, list_folders
from .tables import named_paths


def compare_with_table(found: Found, listing: Listing, how: Interpretation) -> Listing:
    """Return the listing of a table; the images beside it that it does not name are added as left out.

    Raises
    ------
    AmbiguousError
        If the table names only a part of the images, or images that are missing, or contradicts their folders, and no
        option chose the table.
    """
    if not found.images and found.files == (found.place.name,):
        return listing  # the table is all that was given
    files = (found.images or found).files
    there, named = {path for path in files if not unusable(path)}, named_paths(found, how)
    if not there:
        return listing  # each image is then reported as missing
    table = found.table or "the tables"
    if problem := _problem(listing, there, named, how):
        if how.table is None and how.layout is None and how.images is None:
            raise AmbiguousError(f"{found.where(table)} {problem}", _readings(found, listing, how))
        listing = replace(listing, notes=(*listing.notes, f"warning: {table} {problem}"))
    beside = dict.fromkeys(there - named, f"is not in {table}")
    return replace(listing, left_out=listing.left_out | beside)


def _problem(listing: Listing, there: set[str], named: set[str], how: Interpretation) -> str:
    """Return a reason not to read the source by the table, to follow its name in a message; else empty."""
    if more := sorted(named - there):
        return f"names {len(more)} images that are not here, such as {more[0]}"
    if fewer := sorted(there - named):
        return f"names {len(named & there)} of the {len(there)} images that are here, and not {fewer[0]}"
    names = {image.name for image in listing.images}
    for image in listing.images:
        folders = folder_of(image.path).parts
        if how.classes.names:
            at = class_at(folders, how.classes.named)
            said = "" if at is None else how.classes.named(folders[at])
        else:
            said = folders[-1] if folders and folders[-1] in names else ""
        if said and image.name and said != image.name:
            return f"contradicts the folders: {image.path} is {image.name}"
    return ""


def _readings(found: Found, listing: Listing, how: Interpretation) -> list[Reading]:
    readings = [
        Reading(f"by the table {_counts(listing)}", f"--table {found.table}" if found.table else "--layout csv")
    ]
    try:
        by_folders = list_folders(found, replace(how, layout="folders"))
    except EmotiwError:
        return readings
    if by_folders.images:
        readings.append(Reading(f"by the folders {_counts(by_folders)}", "--layout folders"))
    return readings


def _counts(listing: Listing) -> str:
    classes = Counter(image.name for image in listing.images)
    counts = ", ".join(f"{name or '(no label)'} {count}" for name, count in sorted(classes.items())[:8])
    more = ", ..." if len(classes) > 8 else ""
    return f"{len(listing.images)} images, {counts}{more}"
