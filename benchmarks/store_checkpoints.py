"""30 versions of a 400 MB checkpoint of which the last 5 % change each time: 12,000 MB, of which 980 MB are new.

    python benchmarks/store_checkpoints.py [--scale 0.02] [--only holdfast,restic] [--json FILE]

Measured for each tool: the first version, each later one (median), all together, with the bytes that the store holds at
the end; and a checkout of the last and of the first version, compared byte for byte with what went in, outside of the
measurement. The bytes come from a seeded generator and nothing makes them smaller; each version is written beside the
one before and renamed over it, read once, and older than two seconds when it is frozen. Those pauses make the script
long: about two minutes for each tool.

Targets at scale 1: under 1,000 MB for all versions, and under 0.6 s for each.
"""

import sys
from pathlib import Path
from typing import Any

from _generate_files import checkpoint
from _runs import Course, Plan, main
from _versions import Versions, lead_through

BYTES = 400_000_000
VERSIONS = 30


def prepare(folder: Path, scale: float) -> dict[str, Any]:
    """Nothing is shared: each version is made when its turn comes, the same for every tool."""
    del folder
    size = round(BYTES * scale)
    return {"versions": VERSIONS, "bytes": size * VERSIONS, "bytes_new": size + (VERSIONS - 1) * (size // 20)}


def lead(course: Course) -> None:
    """One tool through all versions."""
    size = round(BYTES * course.scale)
    lead_through(course, Versions("checkpoint.pt", VERSIONS, lambda version, path: checkpoint(path, size, version)))


PLAN = Plan(
    name="store_checkpoints",
    about=__doc__ or "",
    lead=lead,
    bytes_needed=(VERSIONS + 4) * BYTES,
    prepare=prepare,
    targets=("all 30 versions: under 1,000 MB stored", "each later version: under 0.6 s"),
)

if __name__ == "__main__":
    main(PLAN, sys.argv[1:])
