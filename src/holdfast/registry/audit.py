"""The audit: is every event as it was written, and is the registry as the events say?

(1) every event: its place, its predecessor's hash, its body recomputed from its columns, its own hash, its time, and
what it closed in the tree; (2) every event follows from those before it; (3) the log begins with what others saw of it;
(4) models, versions, stages, approvals, policies, rehearsals, rollouts and lineage are what the events made, no more
and no less; (5) every verdict, every policy, every signature and every certificate hashes to its name.

Alone a log cannot show that its end was cut off, or that all of it was written anew, tables and all. What was seen of
it before and is kept elsewhere can, and that is (3).
"""

from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence
from typing import Any

from sqlalchemy import Connection, Row, Table, func, select

from holdfast.canonical import decode
from holdfast.digest import hash_bytes
from holdfast.errors import HoldfastError
from holdfast.registry.as_written import as_bytes, read
from holdfast.registry.certificates import read_rehearsal
from holdfast.registry.events import stored
from holdfast.registry.merkle import Head, Tree
from holdfast.registry.records import Audit
from holdfast.registry.replay import Replay
from holdfast.registry.tables import (
    approvals,
    event_nodes,
    lineage,
    models,
    policies,
    rehearsals,
    rollouts,
    signatures,
    stages,
    verdicts,
    version_counters,
    versions,
)
from holdfast.signing import PublicKey, read_signature

__all__ = ["verify"]

_ROWS_AT_A_TIME = 1_000
"""Rows fetched at once: memory stays flat however long the log is."""


def verify(connection: Connection, seen: Sequence[Head] = ()) -> Audit:
    """Checks the whole registry; see `Registry.audit_verify`."""
    tree, replay, memory = Tree(), Replay(), _Memory(seen)
    first_bad: int | None = None
    sentence = ""
    last: Row[Any] | None = None
    memory.compare(tree)
    for row in connection.execute(stored(), execution_options={"yield_per": _ROWS_AT_A_TIME}):
        place, closed = tree.size, tree.append(as_bytes(row.body))
        if first_bad is None:
            event = read(row, place, last)
            fault = event if isinstance(event, str) else replay.play(event) or _unlike_tree(row.nodes, closed)
            if fault is not None:
                first_bad, sentence = place, f"Event {place} is not as it was written: {fault}."
        memory.compare(tree)
        last = row
    head = tree.head()
    if first_bad is None:
        first_bad, sentence = _cut_off(connection, head) or memory.cut_off(head) or (None, memory.rewritten())
    sentence = sentence or next(_differences(connection, replay), "")
    unlike = memory.unlike()
    if sentence:
        return Audit(ok=False, size=head.size, root=head.root, first_bad=first_bad, sentence=sentence, unlike=unlike)
    return Audit(ok=True, size=head.size, root=head.root, first_bad=None, sentence=_praise(head.size))


class _Memory:
    """Heads that were seen before, held against the log while it is read."""

    def __init__(self, seen: Sequence[Head]) -> None:
        self._left = sorted(set(seen), key=lambda head: head.size, reverse=True)
        self._agreed = 0
        self._rewritten: list[tuple[Head, Head]] = []

    def compare(self, tree: Tree) -> None:
        """Called at every size that the log had."""
        while self._left and self._left[-1].size == tree.size:
            seen, found = self._left.pop(), tree.head()
            if seen != found:
                self._rewritten.append((seen, found))
            elif not self._rewritten:
                self._agreed = seen.size

    def unlike(self) -> tuple[Head, ...]:
        """The heads that the log, read to its end, does not begin with."""
        return (*(seen for seen, _ in self._rewritten), *reversed(self._left))

    def cut_off(self, head: Head) -> tuple[int, str] | None:
        """The first event that was seen and is gone."""
        if not self._left:
            return None
        seen = self._left[0]
        return head.size, (
            f"The log ends at {head.size} events, and {seen.size} were seen before (then its root was {seen.root}): "
            "its end was cut off, or an older copy of the database was put in its place."
        )

    def rewritten(self) -> str:
        """That what was seen is there and says something else; empty when it does not."""
        if not self._rewritten:
            return ""
        seen, found = self._rewritten[0]
        since = f"event {self._agreed}" if seen.size - self._agreed == 1 else f"event {self._agreed} or a later one"
        return (
            f"The first {seen.size} events are not those that were seen before: the root over them was {seen.root} and "
            f"is {found.root}. The log was written anew from {since} on, or an older copy of it went on differently."
        )


def _unlike_tree(nodes: object, closed: bytes) -> str | None:
    return None if nodes == closed else "the tree over the log has other hashes for it"


def _cut_off(connection: Connection, head: Head) -> tuple[int, str] | None:
    """The first event that the tree remembers and the log lacks."""
    held = connection.execute(select(func.coalesce(func.max(event_nodes.c.event) + 1, 0))).scalar_one()
    if held <= head.size:
        return None
    return head.size, f"Event {head.size} is gone, and all behind it: the tree over the log still has {held} of them."


def _praise(size: int) -> str:
    events = "event is" if size == 1 else "events are"
    return f"All {size} {events} as written, and the registry is what they say."


def _differences(connection: Connection, replay: Replay) -> Iterator[str]:
    """A sentence for each thing that is not as the events say; whoever asks for the first pays for the first."""
    yield from _compare("model {}", _models(connection), replay.models)
    yield from _compare("count of versions of {}", _counters(connection), replay.counters)
    yield from _compare("version {0[0]}@{0[1]}", _versions(connection), replay.versions)
    yield from _compare("stage {0[1]} of {0[0]}", _stages(connection), replay.stages)
    yield from _compare("approval {}", _approvals(connection), replay.approvals)
    yield from _compare("policy {0[1]} of {0[0]!r}", _policies(connection), replay.policies)
    yield from _compare("signature {}", _signatures(connection), replay.signatures)
    yield from _compare("certificate {}", _rehearsals(connection), replay.rehearsals)
    yield from _compare("row of a rollout, of event {},", _rollouts(connection), replay.rollouts)
    edges = {tuple(row): () for row in connection.execute(select(lineage))}
    yield from _compare("edge of lineage {}", edges, dict.fromkeys(replay.lineage, ()))
    for table, what, says_so, lie in _KEPT:
        for row in connection.execute(select(table).order_by(table.c.digest)):
            if str(hash_bytes(as_bytes(row.body))) != row.digest:
                yield f"The {what} {row.digest} holds other bytes than those it is named by."
            elif not says_so(row):
                yield f"The {what} {row.digest} is filed {lie}."


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
            str(hash_bytes(as_bytes(row.summary))),
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


def _policies(connection: Connection) -> dict[tuple[str, int], tuple[Any, ...]]:
    names = ("scope", "number", "digest", "reason", "created_at", "created_by", "event")
    rows = connection.execute(select(*(policies.c[name] for name in names)))
    return {(row[0], row[1]): tuple(row[2:]) for row in rows}


def _signatures(connection: Connection) -> dict[str, tuple[Any, ...]]:
    columns = (signatures.c[name] for name in ("digest", "model", "number", "key", "created_at", "created_by"))
    return {row[0]: tuple(row[1:]) for row in connection.execute(select(*columns))}


def _by_its_key(row: Row[Any]) -> bool:
    try:
        key = PublicKey.parse(as_bytes(row.public_key))
        read_signature(as_bytes(row.body), key)
    except HoldfastError:
        return False
    return bool(str(key.fingerprint) == row.key)


def _rehearsals(connection: Connection) -> dict[str, tuple[Any, ...]]:
    return {
        row.digest: (
            row.model,
            row.stage,
            row.from_number,
            row.to_number,
            row.outcome,
            row.event,
            row.created_at,
            row.created_by,
        )
        for row in connection.execute(select(rehearsals))
    }


def _rollouts(connection: Connection) -> dict[int, tuple[Any, ...]]:
    return {
        row.event: (
            row.rollout,
            row.model,
            row.stage,
            row.epoch,
            row.kind,
            row.number,
            row.digest,
            row.against,
            row.against_digest,
            row.state,
            row.step,
            None if row.plan is None else str(hash_bytes(as_bytes(row.plan))),
            str(hash_bytes(as_bytes(row.figures))),
            row.reason,
            row.verdict,
            row.created_at,
            row.created_by,
        )
        for row in connection.execute(select(rollouts))
    }


def _certifies(row: Row[Any]) -> bool:
    try:
        said = read_rehearsal(as_bytes(row.body))
    except HoldfastError:
        return False
    return (str(said.model), str(said.stage), said.from_number, said.to_number, said.outcome) == (
        row.model,
        row.stage,
        row.from_number,
        row.to_number,
        row.outcome,
    )


def _lenient(stored: object) -> object:
    try:
        return decode(as_bytes(stored), what="a list of what is missing")
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


_KEPT: tuple[tuple[Table, str, Callable[[Row[Any]], bool], str], ...] = (
    (verdicts, "verdict", _says_so, "as something else than what its body says"),
    (policies, "policy", lambda _: True, ""),
    (signatures, "signature", _by_its_key, "under a key that did not make it"),
    (rehearsals, "certificate", _certifies, "as something else than what it says"),
)
"""What is kept under the digest of its bytes: the table, its word, whether a row is what its body says, and what it is
otherwise."""
