"""Walks along lineage: a statement for each step, whatever stands in it; no thing is visited twice."""

from collections.abc import Sequence

from sqlalchemy import Connection, and_, or_, select

from holdfast.errors import UsageError
from holdfast.registry.answers import Direction, Node, Walk
from holdfast.registry.asking import DEPTH_MAX
from holdfast.registry.tables import lineage, versions
from holdfast.registry.values import Edge

__all__ = ["WALKED_MAX", "walk"]

WALKED_MAX = 2_000
"""Things in one walk: what a page of JSON holds, and more than a person follows."""

_EDGES_MAX = 10_000
"""Steps in one walk, which may lead to the same things many times."""

_NAMES_AT_A_TIME = 400
"""In one statement: some databases take 999 parameters."""

_Thing = tuple[str, str]

_COLUMNS = (lineage.c.child_kind, lineage.c.child, lineage.c.relation, lineage.c.parent_kind, lineage.c.parent)


def walk(connection: Connection, kind: str, name: str, direction: Direction, depth: int) -> Walk:
    """What a thing was made from, or what was made from it; see `Questions.walk`."""
    if not 1 <= depth <= DEPTH_MAX:
        raise UsageError(f"nobody walks {depth} steps", hint=f"Walk 1 to {DEPTH_MAX}.")
    depths: dict[_Thing, int] = {(kind, name): 0}
    edges: dict[Edge, None] = {}
    front: list[_Thing] = [(kind, name)]
    is_cut = False
    for step in range(1, depth + 1):
        found = _step(connection, front, direction, _EDGES_MAX + 1 - len(edges))
        front = []
        for edge in found:
            end = _end(edge, direction)
            is_full = end not in depths and len(depths) == WALKED_MAX
            if is_full or len(edges) == _EDGES_MAX:
                is_cut = True
                continue
            edges[edge] = None
            if end not in depths:
                depths[end] = step
                front.append(end)
        if not front:
            break
    if front and not is_cut:
        beyond = _step(connection, front, direction, 1)
        is_cut = bool(beyond)
    return Walk(_nodes(connection, depths), tuple(edges), is_cut)


def _end(edge: Edge, direction: Direction) -> _Thing:
    if direction is Direction.UP:
        return edge.parent_kind, edge.parent
    return edge.child_kind, edge.child


def _step(connection: Connection, front: Sequence[_Thing], direction: Direction, limit: int) -> list[Edge]:
    is_up = direction is Direction.UP
    columns = (lineage.c.child_kind, lineage.c.child) if is_up else (lineage.c.parent_kind, lineage.c.parent)
    found: list[Edge] = []
    for start in range(0, len(front), _NAMES_AT_A_TIME):
        names: dict[str, list[str]] = {}
        for kind, name in front[start : start + _NAMES_AT_A_TIME]:
            names.setdefault(kind, []).append(name)
        here = or_(*(and_(columns[0] == kind, columns[1].in_(some)) for kind, some in names.items()))
        statement = select(*_COLUMNS).where(here).order_by(*_COLUMNS).limit(max(1, limit - len(found)))
        found += [Edge(*row) for row in connection.execute(statement)]
    return found


def _nodes(connection: Connection, depths: dict[_Thing, int]) -> tuple[Node, ...]:
    digests = [name for kind, name in depths if kind == "version"]
    named: dict[str, list[str]] = {}
    for start in range(0, len(digests), _NAMES_AT_A_TIME):
        some = versions.c.digest.in_(digests[start : start + _NAMES_AT_A_TIME])
        columns = (versions.c.digest, versions.c.model, versions.c.number)
        for row in connection.execute(select(*columns).where(some).order_by(*columns)):
            named.setdefault(row.digest, []).append(f"{row.model}@{row.number}")
    return tuple(
        Node(kind, name, depth, tuple(named.get(name, ())) if kind == "version" else ())
        for (kind, name), depth in depths.items()
    )
