"""Lineage: what was made from what."""

from collections.abc import Sequence

from sqlalchemy import Connection, and_, insert, or_, select, tuple_

from holdfast.errors import TooLarge
from holdfast.registry.tables import lineage
from holdfast.registry.values import Edge

__all__ = ["EDGES_MAX", "add", "touching"]

EDGES_MAX = 128
"""Edges of one version: they stand in its event, and every audit reads every event."""

_COLUMNS = (lineage.c.child_kind, lineage.c.child, lineage.c.relation, lineage.c.parent_kind, lineage.c.parent)


def add(connection: Connection, edges: Sequence[Edge]) -> None:
    """Adds the edges that are not there yet."""
    if len(edges) > EDGES_MAX:
        raise TooLarge(
            f"{len(edges)} edges of lineage were given, and a version may have {EDGES_MAX}",
            hint="Point to one snapshot of the whole rather than to each of its files.",
            limit=EDGES_MAX,
        )
    wanted = {(edge.child_kind, edge.child, edge.relation, edge.parent_kind, edge.parent) for edge in edges}
    if not wanted:
        return
    there = {tuple(row) for row in connection.execute(select(*_COLUMNS).where(tuple_(*_COLUMNS).in_(wanted)))}
    fresh = sorted(wanted - there)
    if fresh:
        names = [column.name for column in _COLUMNS]
        connection.execute(insert(lineage), [dict(zip(names, edge, strict=True)) for edge in fresh])


def touching(connection: Connection, kind: str, name: str) -> tuple[Edge, ...]:
    """The edges that have this thing at either end, in order."""
    rows = connection.execute(
        select(*_COLUMNS)
        .where(
            or_(
                and_(lineage.c.child_kind == kind, lineage.c.child == name),
                and_(lineage.c.parent_kind == kind, lineage.c.parent == name),
            )
        )
        .order_by(*_COLUMNS)
    )
    return tuple(Edge(*row) for row in rows)
