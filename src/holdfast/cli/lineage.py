"""`lineage`: what a version was made from, and what was made from it."""

from collections.abc import Iterator
from typing import Annotated

import typer

from holdfast.cli.exit_codes import epilog
from holdfast.cli.options import AsJson, here
from holdfast.cli.output import Output, drawing
from holdfast.digest import Digest
from holdfast.names import Reference
from holdfast.registry.answers import Direction, Walk
from holdfast.registry.interface import Registry
from holdfast.registry.kin import Kin, kin_of

app = typer.Typer()

_RUN = "run:"

_SHOWN_CHARACTERS = 12
"""Of a digest or an id, as everywhere else for people."""

_BESIDE_SHOWN = 8
"""Other versions of a snapshot on one line."""

_SAID = {Direction.UP: "made from", Direction.DOWN: "what was made from it"}


@app.command(epilog=epilog("lineage", "holdfast lineage churn@4"))
def lineage(
    what: Annotated[
        str, typer.Argument(metavar="VERSION", help="churn@4; or the digest of a snapshot; or run: and its id.")
    ],
    depth: Annotated[int, typer.Option("--depth", help="How many steps to go.")] = 3,
    *,
    up: Annotated[bool, typer.Option("--up", help="Only what it was made from.")] = False,
    down: Annotated[bool, typer.Option("--down", help="Only what was made from it.")] = False,
    as_json: AsJson = False,
) -> None:
    """Show what a version was made from, what was made from it, and what else came of the same data."""
    registry = here().registry
    kind, name = _thing(registry, what)
    found = kin_of(registry, kind, name, up=up or not down, down=down or not up, depth=depth)
    Output(as_json=as_json).result(found.to_json(), _lines(found))


def _thing(registry: Registry, what: str) -> tuple[str, str]:
    if what.startswith(_RUN):
        return "run", what.removeprefix(_RUN)
    if what.startswith("sha256:"):
        return "snapshot", str(Digest.parse(what))
    return "version", str(registry.resolve(Reference.parse(what)).digest)


def _lines(found: Kin) -> Iterator[str]:
    yield _name(found.root.kind, found.root.name, found.root.versions)
    beside = {one.snapshot: one for one in found.beside}
    notes = {
        ("snapshot", snapshot): f"also {', '.join(one.versions[:_BESIDE_SHOWN])}"
        + (f" and {one.count - _BESIDE_SHOWN} more" if one.count > _BESIDE_SHOWN else "")
        for snapshot, one in beside.items()
    }
    for walk, direction in ((found.up, Direction.UP), (found.down, Direction.DOWN)):
        if walk is not None:
            yield f"{_SAID[direction]}:" if walk.edges else f"{_SAID[direction]}: nothing that is known"
            yield from _Tree(walk, direction, notes).lines()
            if walk.cut:
                yield "  there is more: go further with --depth"


class _Tree:
    """Draws a walk; what stands in several places is followed in the first."""

    def __init__(self, walk: Walk, direction: Direction, notes: dict[tuple[str, str], str]) -> None:
        self._notes = notes if direction is Direction.UP else {}
        self._names = {(one.kind, one.name): _name(one.kind, one.name, one.versions) for one in walk.nodes}
        self._steps: dict[tuple[str, str], list[tuple[str, tuple[str, str]]]] = {}
        for edge in walk.edges:
            ends = (edge.child_kind, edge.child), (edge.parent_kind, edge.parent)
            begin, end = ends if direction is Direction.UP else ends[::-1]
            self._steps.setdefault(begin, []).append((edge.relation, end))
        self._root = (walk.nodes[0].kind, walk.nodes[0].name)
        self._drawn = {self._root}
        self._signs = drawing()

    def lines(self) -> Iterator[str]:
        """The tree below the root."""
        return self._below(self._root, "  ")

    def _below(self, thing: tuple[str, str], margin: str) -> Iterator[str]:
        steps = self._steps.get(thing, [])
        for place, (relation, end) in enumerate(steps, 1):
            is_last = place == len(steps)
            note = f"  ({self._notes[end]})" if end in self._notes else ""
            again = " …" if end in self._drawn and self._steps.get(end) else ""
            sign = self._signs.last if is_last else self._signs.branch
            yield f"{margin}{sign} {relation} {self._names.get(end, _name(*end, ()))}{note}{again}"
            if end not in self._drawn:
                self._drawn.add(end)
                yield from self._below(end, margin + ("   " if is_last else f"{self._signs.trunk}  "))


def _name(kind: str, name: str, versions: tuple[str, ...]) -> str:
    if versions:
        return ", ".join(versions)
    return f"{kind} {name.removeprefix('sha256:')[:_SHOWN_CHARACTERS]}"
