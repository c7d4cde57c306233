"""One file of 4 GB that nothing makes smaller: freeze it, get it back, get it back without copying.

    python benchmarks/store_large_file.py [--scale 0.01] [--only holdfast,dvc,cp] [--repeat 3] [--json FILE]

Measured for each tool: the first snapshot, a checkout into an empty folder, and a checkout by hard links where the tool
has them (Holdfast `--link`, DVC `cache.type hardlink`; `cp -rl` is context and verifies nothing). Each checkout is
compared byte for byte with what went in, outside of the measurement.

The bytes come from a seeded generator. The file is read once before the first step and `sync` runs between steps. Fresh
page cache costs ten times what recycled page cache costs, so the first tool of a round may pay for all: use `--repeat`,
which turns the order around, and look at medians. At full scale the file, its copy for a tool that touches it, the
store and a checkout lie on the disk at one time: 17 GB.

Targets at scale 1, beside the peers in one run: the first snapshot within 1.1 of `cp`; the checkout no slower than
DVC's; by hard link a fraction of either. Memory is flat: the peak stays under 400 MB whatever the size.
"""

import sys
from pathlib import Path
from typing import Any

from _generate_files import hand_over, random_file
from _runs import Course, Plan, main

BYTES = 4_000_000_000
SEED = 10_001


def prepare(folder: Path, scale: float) -> dict[str, Any]:
    """The one file that every tool gets."""
    (folder / "files").mkdir()
    random_file(folder / "files" / "large.bin", round(BYTES * scale), SEED)
    return {"files": 1, "bytes": round(BYTES * scale)}


def lead(course: Course) -> None:
    """One tool through all steps."""
    hand_over(course.shared / "files", course.tool.data, copied=course.tool.owns_data)
    course.data_is(1)
    course.snapshot(["first snapshot"], 1)
    for step, by_link in (("checkout", False), ("checkout by link", True)):
        with course.trying(step):
            course.checkout(step, 1, by_link=by_link)


PLAN = Plan(
    name="store_large_file",
    about=__doc__ or "",
    lead=lead,
    bytes_needed=4 * BYTES + BYTES // 4,
    prepare=prepare,
    targets=(
        "first snapshot: within 1.1x of cp",
        "checkout: no slower than dvc; by link: a fraction of either",
        "peak: under 400 MB",
    ),
)

if __name__ == "__main__":
    main(PLAN, sys.argv[1:])
