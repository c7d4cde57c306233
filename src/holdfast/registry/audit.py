"""The audit: is every event as it was written, and is the registry as the events say?

(1) every event: its place, its predecessor's hash, its body recomputed from its columns, its own hash, its time;
(2) every event follows from those before it; (3) models, versions, stages, approvals and lineage are what the events
made, no more and no less; (4) every verdict hashes to its name.

A chain alone cannot show that its end was cut off or that all of it was written anew: for the first, the tables are
witnesses here; for the second, keep the `root` somewhere else.
"""

from collections.abc import Hashable, Iterator, Mapping, Sequence
from typing import Any

from sqlalchemy import Connection, Row, select

from holdfast.canonical import decode
from holdfast.digest import hash_bytes
from holdfast.errors import HoldfastError
from holdfast.registry.events import load, stored
from holdfast.registry.merkle import Head, Tree
from holdfast.registry.records import Audit
from holdfast.registry.replay import Replay
from holdfast.registry.tables import approvals, lineage, models, stages, verdicts, version_counters, versions

__all__ = ["verify"]

_ROWS_AT_A_TIME = 1_000
"""Rows fetched at once: memory stays flat however long the log is."""


def verify(connection: Connection, seen: Sequence[Head] = ()) -> Audit:
    """Checks the whole registry; see `Registry.audit_verify`."""
    tree, replay = Tree(), Replay()
    first_bad: int | None = None
    sentence = ""
    last: Row[Any] | None = None
    for row in connection.execution_options(yield_per=_ROWS_AT_A_TIME).execute(stored()):
        if first_bad is None:
            fault = _fault(row, last, tree.size) or replay.play(load(row))
            if fault is not None:
                first_bad, sentence = tree.size, f"Event {tree.size} is not as it was written: {fault}."
        tree.append(_bytes(row.body))
        last = row
    if first_bad is None:
        sentence = next(_differences(connection, replay), "")
    root = tree.root()
    if sentence:
        return Audit(ok=False, size=tree.size, root=root, first_bad=first_bad, sentence=sentence)
    return Audit(ok=True, size=tree.size, root=root, first_bad=None, sentence=_praise(tree.size))


def _praise(size: int) -> str:
    events = "event is" if size == 1 else "events are"
    return f"All {size} {events} as written, and the registry is what they say."


def _fault(row: Row[Any], last: Row[Any] | None, place: int) -> str | None:
    if row.place != place:
        return f"the event that stands there has index {row.place}"
    if row.prev != (None if last is None else last.hash):
        return "it does not name the event before it"
    try:
        body = load(row).body()
    except (HoldfastError, ValueError, TypeError) as error:
        return f"it cannot be read: {error}"
    if body != row.body:
        return "its fields are not those that were hashed"
    if str(hash_bytes(body)) != row.hash:
        return "its hash is not that of its body"
    if last is not None and row.time < last.time:
        return "it is older than the event before it"
    return None


def _differences(connection: Connection, replay: Replay) -> Iterator[str]:
    """A sentence for each thing that is not as the events say; whoever asks for the first pays for the first."""
    yield from _compare("model {}", _models(connection), replay.models)
    yield from _compare("count of versions of {}", _counters(connection), replay.counters)
    yield from _compare("version {0[0]}@{0[1]}", _versions(connection), replay.versions)
    yield from _compare("stage {0[1]} of {0[0]}", _stages(connection), replay.stages)
    yield from _compare("approval {}", _approvals(connection), replay.approvals)
    edges = {tuple(row): () for row in connection.execute(select(lineage))}
    yield from _compare("edge of lineage {}", edges, dict.fromkeys(replay.lineage, ()))
    for row in connection.execute(select(verdicts).order_by(verdicts.c.digest)):
        if str(hash_bytes(_bytes(row.body))) != row.digest:
            yield f"The verdict {row.digest} holds other bytes than those it is named by."
        elif not _says_so(row):
            yield f"The verdict {row.digest} is filed as something else than what its body says."


def _compare(what: str, found: Mapping[Any, object], said: Mapping[Any, object]) -> Iterator[str]:
    keys: list[Hashable] = sorted(found.keys() | said.keys(), key=repr)
    for key in keys:
        name = what.format(key)
        if key not in said:
            yield f"The {name} is there, and no event made it."
        elif key not in found:
            yield f"The {name} is gone, and an event made it."
        elif found[key] != said[key]:
            yield f"The {name} is not as the events say: it has been changed behind the log's back."


def _models(connection: Connection) -> dict[str, tuple[Any, ...]]:
    rows = connection.execute(select(models))
    return {row.name: (row.created_at, row.created_by, row.description) for row in rows}


def _counters(connection: Connection) -> dict[str, int]:
    return {row.model: row.value for row in connection.execute(select(version_counters))}


def _versions(connection: Connection) -> dict[tuple[str, int], tuple[Any, ...]]:
    return {
        (row.model, row.number): (
            row.digest,
            row.complete,
            _lenient(row.missing),
            row.run_id,
            row.semver,
            str(hash_bytes(_bytes(row.summary))),
            row.created_at,
            row.created_by,
        )
        for row in connection.execute(select(versions))
    }


def _stages(connection: Connection) -> dict[tuple[str, str], tuple[Any, ...]]:
    return {
        (row.model, row.name): (row.number, row.epoch, row.last_known_good, row.event, row.changed_at)
        for row in connection.execute(select(stages))
    }


def _approvals(connection: Connection) -> dict[str, tuple[Any, ...]]:
    return {
        row.id: (
            row.model,
            row.number,
            row.digest,
            row.stage,
            row.meaning,
            row.approver,
            row.reason,
            row.verdict,
            row.created_at,
        )
        for row in connection.execute(select(approvals))
    }


def _bytes(stored: object) -> bytes:
    # Whoever edits a file by hand can put a value of any type into any column.
    return stored if isinstance(stored, bytes) else str(stored).encode(errors="surrogatepass")


def _lenient(stored: object) -> object:
    try:
        return decode(_bytes(stored), what="a list of what is missing")
    except HoldfastError:
        return stored


def _says_so(row: Row[Any]) -> bool:
    try:
        body = decode(row.body, what="a verdict")
    except HoldfastError:
        return False
    if not isinstance(body, Mapping):
        return False
    filed = {"model": row.model, "version": row.number, "stage": row.stage, "outcome": row.outcome}
    return all(body.get(name, value) == value for name, value in filed.items())
