"""The colours of the 256 codes: the authors' two tables, recovered from the pictures they published, and ours.

`lbp.csv` and `cyclic_lbp.csv` are constants: the rows that the authors' pictures show, and derived ones where they show
none (`UNSEEN`). They follow from the distances: a test checks this, and `emotiw map --derive` shows it.
"""

from functools import cache
from importlib.resources import files

import numpy as np
import numpy.typing as npt

from .distance import AUTHORS, CODES, DISTANCES

Table = npt.NDArray[np.uint8]
"""(256, 3): the RGB colour of every code, [0, 255]."""

UNSEEN = {
    "lbp": (
        *(10, 11, 37, 40, 41, 42, 43, 45, 46, 53, 74, 82, 83, 91, 93, 106, 107, 136, 138, 146, 150, 152, 154, 160),
        *(162, 164, 165, 166, 168, 169, 170, 171, 172, 174, 176, 177, 178, 181, 182, 186, 200, 202, 210, 218, 234, 255),
    ),
    "cyclic_lbp": (255,),
}
"""The codes whose row no pixel of the authors' pictures shows; 255 never can, because it has the colour of 254."""


@cache
def shipped(mapping: str) -> Table:
    """Return the table as derived from the distances.

    Parameters
    ----------
    mapping : str
        `lbp`, `cyclic_lbp` (the authors') or `hamming_lbp` (ours).

    Returns
    -------
    (256, 3) uint8
        RGB, read-only.

    Raises
    ------
    ValueError
        If there is no such table.
    """
    if mapping not in DISTANCES:
        raise ValueError(f"{mapping}: no such table; there are {', '.join(DISTANCES)}")
    text = files(__package__).joinpath(f"{mapping}.csv").read_text(encoding="ascii")
    rows = np.loadtxt(text.splitlines(), np.uint8, delimiter=",", skiprows=1)
    assert rows.shape == (CODES, 4)
    assert (rows[:, 0] == np.arange(CODES)).all()
    return _read_only(rows[:, 1:])


@cache
def palette(mapping: str) -> Table:
    """Return the table that colours images.

    It is `shipped(mapping)`, except that in the authors' two tables code 255 has the colour of code 254, as in all
    their images: their script looks up uint8(code) + 1 in a table indexed from 1, and uint8 saturates at 255.
    """
    table = shipped(mapping).copy()
    if mapping in AUTHORS:
        table[255] = table[254]
    return _read_only(table)


def _read_only(table: Table) -> Table:
    table = np.ascontiguousarray(table)
    table.flags.writeable = False
    return table
