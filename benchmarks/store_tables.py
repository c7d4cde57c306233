"""Ten versions of a growing table, as CSV and as Parquet: 2 % of rows appended and 2,000 rows corrected each time.

    python benchmarks/store_tables.py [--scale 0.05] [--only holdfast,restic,borg] [--json FILE]

The same table in three kinds, one after the other, each in a store of its own: `csv`; `parquet` as pyarrow writes it
when it is told nothing; and `parquet-cut`, written with `use_content_defined_chunking=True`. Measured for each tool and
kind: the first version, each later one (median), all together with the bytes that the store holds at the end, and a
checkout of the last and of the first version, compared byte for byte with what went in, outside of the measurement.

The table comes from a seed (`_generate_tables.py`): order numbers, times, customers, prices with two decimals,
quantities, weights with one decimal, latitudes with four, categories, countries, statuses and short notes. A CSV of 230
MB grows to 270 MB; all ten are 2,510 MB as CSV and about 850 MB as Parquet. Files are written beside and renamed, read
once, and older than two seconds when they are frozen.

Targets at scale 1: under 235 MB for all CSVs and under 170 MB for all Parquet files, each at 1.3 s a version or less.
"""

import shutil
import sys
from functools import partial
from pathlib import Path
from typing import Any

from _generate_tables import WRITERS, Growing
from _runs import Course, Plan, main
from _versions import Versions, lead_through

VERSIONS = 10
CSV_BYTES = 2_510_000_000


def prepare(folder: Path, scale: float) -> dict[str, Any]:
    """Every version in every kind, made once."""
    growing = Growing.of_scale(scale)
    sums = dict.fromkeys(WRITERS, 0)
    table = growing.first()
    for version in range(1, VERSIONS + 1):
        if version > 1:
            table = growing.next(table, version)
        for kind, (_, write) in WRITERS.items():
            path = folder / f"{kind}-{version}"
            write(table, path)
            sums[kind] += path.stat().st_size
    return {"versions": VERSIONS, "rows": table.rows, **{f"bytes_{kind}": size for kind, size in sums.items()}}


def copied(shared: Path, kind: str, version: int, path: Path) -> None:
    """Give a tool one version."""
    shutil.copyfile(shared / f"{kind}-{version}", path)


def lead(course: Course) -> None:
    """One tool through all versions of each kind."""
    for kind, (name, _) in WRITERS.items():
        with course.afresh(kind) as inner:
            versions = Versions(name, VERSIONS, partial(copied, course.shared, kind), prefix=f"{kind}: ")
            with inner.trying(f"{kind}: first version"):
                lead_through(inner, versions)


PLAN = Plan(
    name="store_tables",
    about=__doc__ or "",
    lead=lead,
    bytes_needed=3 * CSV_BYTES,
    prepare=prepare,
    targets=(
        "csv: all 10 versions: under 235 MB stored",
        "parquet: all 10 versions: under 170 MB stored",
        "each later version: 1.3 s or less",
    ),
)

if __name__ == "__main__":
    main(PLAN, sys.argv[1:])
