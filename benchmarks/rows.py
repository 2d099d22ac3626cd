"""All rows of `results.csv` by name, in the order of the table."""

import engines
import gpu
import mapping
import posteriors
import preparing
import startup
from alternating import Row

ROWS: dict[str, Row] = {
    name: row for part in (mapping, preparing, posteriors, engines, gpu, startup) for name, row in part.ROWS.items()
}
