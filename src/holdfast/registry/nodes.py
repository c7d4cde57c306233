"""The tree over the log in the database: it grows with each event, and answers in a handful of reads."""

from collections.abc import Iterable, Sequence

from sqlalchemy import Connection, bindparam, func, insert, select

from holdfast.digest import Digest
from holdfast.errors import IntegrityError, NotFound
from holdfast.registry.merkle import (
    HASH_BYTES,
    Head,
    Node,
    Span,
    consistency_path,
    hash_of,
    inclusion_path,
    join,
    leaf,
    left_of,
)
from holdfast.registry.proofs import Consistency, Inclusion
from holdfast.registry.tables import event_nodes, events

__all__ = ["closed", "edge", "grow", "heads", "prove", "prove_growth"]

_INSERT = insert(event_nodes)

_NODES = select(event_nodes.c.event, event_nodes.c.nodes).where(
    event_nodes.c.event.in_(bindparam("places", expanding=True))
)

_BODY = select(events.c.body).where(events.c.place == bindparam("place"))

_SIZES = select(
    select(func.coalesce(func.max(events.c.place) + 1, 0)).scalar_subquery().label("events"),
    select(func.coalesce(func.max(event_nodes.c.event) + 1, 0)).scalar_subquery().label("nodes"),
)


def closed(connection: Connection, place: int, body: bytes) -> bytes:
    """The hashes of all nodes that the event at `place`, the next of the log, closes.

    Raises:
        IntegrityError: the tree lacks what it must have had before.
    """
    lefts = left_of(place)
    known = _read(connection, lefts)
    found = [leaf(body)]
    for node in lefts:
        found.append(join(known[node], found[-1]))
    return b"".join(found)


def grow(connection: Connection, place: int, nodes: bytes) -> None:
    """Adds what `closed` gave to the tree, in the transaction that adds the event to the log."""
    connection.execute(_INSERT, {"event": place, "nodes": nodes})


def heads(connection: Connection, earlier: Sequence[int]) -> tuple[Head, dict[int, Head]]:
    """The log as it stands, and as it stood at some earlier sizes, in two reads; what it has not come to is left out.

    Raises:
        IntegrityError: the log and its tree have different sizes, or the tree lacks a node.
    """
    size = _size(connection)
    sizes = {size, *(one for one in earlier if one <= size)}
    known = _read(connection, (node for one in sizes for node in Span(0, one).nodes()))
    found = {one: Head(one, Digest(hash_of(Span(0, one), known).hex())) for one in sizes}
    return found[size], {one: found[one] for one in earlier if one in found}


def _size(connection: Connection) -> int:
    row = connection.execute(_SIZES).one()
    if row.events != row.nodes:
        raise IntegrityError(
            f"the log has {row.events} events and its tree has {row.nodes}: one of them was cut off or edited",
            hint="Look at what is wrong: holdfast audit verify",
            events=row.events,
            nodes=row.nodes,
        )
    return int(row.events)


def edge(connection: Connection, size: int) -> tuple[bytes, ...]:
    """The hashes of the full subtrees that the log with `size` events consists of, from the left.

    Raises:
        NotFound: the log does not have so many events.
    """
    _within(size, _size(connection))
    wanted = list(Span(0, size).nodes())
    known = _read(connection, wanted)
    return tuple(known[node] for node in wanted)


def prove(connection: Connection, index: int, size: int | None) -> Inclusion:
    """See `ProvableRegistry.prove`."""
    size = _within(size, _size(connection))
    if not 0 <= index < size:
        raise NotFound(f"there is no event {index} among the {size} of the log", hint="See: holdfast log", size=size)
    head, *path = _hashes(connection, [Span(0, size), *inclusion_path(index, size)])
    body = connection.execute(_BODY, {"place": index}).scalar_one()
    return Inclusion(index, body, Head(size, Digest(head.hex())), tuple(path))


def prove_growth(connection: Connection, since: int, size: int | None) -> Consistency:
    """See `ProvableRegistry.prove_growth`."""
    size = _within(size, _size(connection))
    _within(since, size)
    old, new, *path = _hashes(connection, [Span(0, since), Span(0, size), *consistency_path(since, size)])
    return Consistency(Head(since, Digest(old.hex())), Head(size, Digest(new.hex())), tuple(path))


def _within(size: int | None, there: int) -> int:
    if size is not None and not 0 <= size <= there:
        raise NotFound(f"the log never had {size} events: it has {there}", hint="See: holdfast log", size=there)
    return there if size is None else size


def _hashes(connection: Connection, path: Sequence[Span]) -> tuple[bytes, ...]:
    known = _read(connection, (node for span in path for node in span.nodes()))
    return tuple(hash_of(span, known) for span in path)


def _read(connection: Connection, wanted: Iterable[Node]) -> dict[Node, bytes]:
    nodes = list(dict.fromkeys(wanted))
    if not nodes:
        return {}
    rows = connection.execute(_NODES, {"places": sorted({node.closed_by for node in nodes})})
    held = {row.event: row.nodes for row in rows}
    return {node: _hash(held.get(node.closed_by), node) for node in nodes}


def _hash(held: object, node: Node) -> bytes:
    found = held[node.level * HASH_BYTES :][:HASH_BYTES] if isinstance(held, bytes) else b""
    if len(found) != HASH_BYTES:
        raise IntegrityError(
            f"the tree over the log lacks what event {node.closed_by} closed",
            hint="Look at what is wrong: holdfast audit verify",
            event=node.closed_by,
        )
    return found
