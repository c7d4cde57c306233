"""One file that changes from version to version: what each version costs, and what all of them leave in the store."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from _measuring import Cost
from _runs import Course


@dataclass(frozen=True, slots=True)
class Versions:
    """A file through its versions.

    Attributes:
        name: of the file.
        count: how many versions.
        write: writes version 1, 2, 3 … to a path that does not exist.
        prefix: before the name of each step, where a benchmark has more than one such file.
    """

    name: str
    count: int
    write: Callable[[int, Path], None]
    prefix: str = ""


def lead_through(course: Course, versions: Versions) -> None:
    """Freeze every version in its turn, and get the last and the first one back, verified.

    Each version is written beside the one before and renamed over it, as a careful writer does. Two steps stand for the
    many: the median of the versions after the first, and the sum of all.
    """
    tool, path = course.tool, course.tool.data / versions.name
    tool.data.mkdir()
    whole = Cost(0.0, 0.0, 0)
    for version in range(1, versions.count + 1):
        beside = tool.folder / "next"
        versions.write(version, beside)
        beside.replace(path)
        course.data_is(version, verified=version in {1, versions.count})
        step = "first version" if version == 1 else "each later version"
        whole += course.snapshot([versions.prefix + step], version)
    every = f"{versions.prefix}all {versions.count} versions"
    course.record.note(every, tool.name, whole)
    course.record.stored.setdefault(every, {})[tool.name] = course.stored
    for step, version in (("checkout of the last", versions.count), ("checkout of the first", 1)):
        with course.trying(versions.prefix + step):
            course.checkout(versions.prefix + step, version)
