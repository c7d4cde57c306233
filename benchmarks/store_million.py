"""A million tiny files in a thousand folders: what the number of files costs when their bytes are few.

    python benchmarks/store_million.py [--scale 0.01] [--only holdfast,restic,borg] [--limit 900] [--json FILE]

Measured for each tool: the first snapshot; one when nothing changed; one after a single file changed, with the bytes
that it added to the store; and the difference between the last two versions, by the tool's own command where it has one
(Holdfast: `diff_trees`, run in a process of its own). Peak memory is the largest single process.

The files come from a seed (`_generate_files.py`): 24 bytes to 2 kB, JSON-like, 450 MB in all. Making and removing a
million files takes a minute or more for each tool, and some tools take many minutes for a step: `--limit SECONDS` stops
a step that takes longer and goes on with the next tool, `--only` chooses. Folders are handed to tools as hard links,
and as copies to those that touch the files.

Targets at scale 1: memory under 400 MB in every step, and less than 1 MB added to the store by the one changed file.
"""

import sys
from pathlib import Path
from typing import Any

from _generate_files import hand_over, replace, tiny_files
from _runs import Course, Plan, main

BYTES = 6_000_000_000
"""What a million files take on a disk of 4 kB blocks, with their inodes."""


def prepare(folder: Path, scale: float) -> dict[str, Any]:
    """The files that every tool gets."""
    size = tiny_files(folder / "files", scale)
    return {"files": sum(1 for path in (folder / "files").rglob("*.json")), "bytes": size}


def lead(course: Course) -> None:
    """One tool through all steps."""
    tool = course.tool
    hand_over(course.shared / "files", tool.data, copied=tool.owns_data)
    course.data_is(1, verified=False)
    course.snapshot(["first snapshot"], 1)
    with course.trying("nothing changed"):
        course.snapshot(["nothing changed"], 2, again=True)
    with course.trying("one file changed"):
        chosen = min((tool.data / "0007").iterdir())
        replace(chosen, b'{"corrected": true}\n')
        course.data_is(3, verified=False)
        course.snapshot(["one file changed"], 3, again=True)
    with course.trying("difference of the two"):
        course.measure("difference of the two", lambda: tool.diff(2, 3))


PLAN = Plan(
    name="store_million",
    about=__doc__ or "",
    lead=lead,
    bytes_needed=3 * BYTES,
    prepare=prepare,
    targets=("peak: under 400 MB in every step", "one file changed: less than 1 MB added"),
)

if __name__ == "__main__":
    main(PLAN, sys.argv[1:])
