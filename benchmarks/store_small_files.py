"""50,000 small files, 814 MB: freeze them, freeze them again, change a few, get them back, send and fetch them.

    python benchmarks/store_small_files.py [--scale 0.01] [--only holdfast,dvc] [--repeat 3] [--json FILE]

Measured for each tool, each step a process as a person starts it: the first snapshot; one of data that did not change;
one after 1 % of the files were rewritten (same size) and 1 % were added; a checkout into an empty folder; push to an
empty remote folder; pull from it into another project, files included. Every checkout and pull is compared byte for
byte with what went in, outside of the measurement. `cp -r` and `tar` are context: they neither verify nor remember.

The data come from a seed (`_generate_files.py`): by number 30 % CSV-like, 25 % JSON-like, 15 % text-like, 30 %
image-like bytes that nothing makes smaller; the last hold about 60 % of all bytes. They are read once before the first
step, so that every tool finds them in the page cache; `sync` runs between the steps, outside of the measurement, so
that no tool pays for what another has left to write; and the data are older than two seconds at the first step, as a
person's are.

Targets at scale 1, beside the peers in one run: the first snapshot 3 times faster than DVC, faster than restic, within
1.2 of `cp -r`; nothing changed under 0.5 s; 1 % and 1 % under 0.7 s; checkout 4 times faster than DVC, twice as fast as
restic; push and pull each 6 times faster than DVC. The peers come from benchmarks/peers.
"""

import sys
from pathlib import Path
from typing import Any

from _generate_files import SMALL_BYTES, change_small_files, hand_over, small_files
from _runs import Course, Plan, main


def prepare(folder: Path, scale: float) -> dict[str, Any]:
    """The files that every tool gets."""
    size = small_files(folder / "files", scale)
    return {"files": sum(1 for path in (folder / "files").rglob("*") if path.is_file()), "bytes": size}


def lead(course: Course) -> None:
    """One tool through all steps."""
    tool = course.tool
    hand_over(course.shared / "files", tool.data, copied=tool.owns_data)
    course.data_is(1)
    course.snapshot(["first snapshot"], 1)
    version = 1
    with course.trying("nothing changed"):
        course.snapshot(["nothing changed"], 2, again=True)
        version = 2
    with course.trying("1 % changed, 1 % added"):
        change_small_files(tool.data)
        course.data_is(3)
        course.snapshot(["1 % changed, 1 % added"], 3, again=True)
        version = 3
    course.expected.setdefault(2, course.expected[1])
    with course.trying("checkout"):
        course.checkout("checkout", version)
    with course.trying("push"):
        course.measure("push", lambda: tool.push(version))
    with course.trying("pull"):
        target = course.target()
        course.measure("pull", lambda: tool.pull(version, target), version)


PLAN = Plan(
    name="store_small_files",
    about=__doc__ or "",
    lead=lead,
    bytes_needed=8 * SMALL_BYTES,
    prepare=prepare,
    targets=(
        "first snapshot: 3x faster than dvc, faster than restic, within 1.2x of cp",
        "nothing changed: under 0.5 s; 1 % changed, 1 % added: under 0.7 s",
        "checkout: 4x faster than dvc, 2x faster than restic",
        "push, pull: 6x faster than dvc",
    ),
)

if __name__ == "__main__":
    main(PLAN, sys.argv[1:])
