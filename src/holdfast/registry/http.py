"""The registry behind a Holdfast server: the same promises, asked for over HTTP.

Who asks is known to the server by the line's token; the `actor` of a call counts only where the server asks nobody for
an identity, as one on a person's own machine.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from http import HTTPStatus
from itertools import islice

from holdfast.canonical import Json, JsonObject, Reader, decode, plain
from holdfast.database.times import from_text
from holdfast.digest import Digest
from holdfast.errors import UsageError
from holdfast.names import ModelName, Reference, StageName, VersionNumber
from holdfast.registry import asked, documents
from holdfast.registry.actions import RECORDED, Action
from holdfast.registry.checkpoints import VerifierKey
from holdfast.registry.clearing import Cleared, ClearStage
from holdfast.registry.http_asking import HttpQuestions
from holdfast.registry.http_governing import HttpGoverning
from holdfast.registry.http_rehearsing import HttpRehearsals
from holdfast.registry.http_rollouts import HttpRollouts
from holdfast.registry.http_vouching import HttpVouching
from holdfast.registry.merkle import Head
from holdfast.registry.proofs import Consistency, Inclusion
from holdfast.registry.records import (
    Approval,
    Audit,
    Event,
    Hold,
    Live,
    NewApproval,
    NewEvent,
    NewVerdict,
    Verdict,
)
from holdfast.registry.values import STAGES, Edge, Model, Move, MoveStage, NewVersion, Replica, Stage, Version
from holdfast.registry.whereabouts import Archive, NewArchive, Tenure
from holdfast.service.line import Line, quoted

__all__ = ["HttpRegistry"]

_NOT_MODIFIED = frozenset({HTTPStatus.NOT_MODIFIED})

_PAGE = 1_000
"""Asked for at once: half a megabyte of JSON, and a thousandth of a million versions."""


class HttpRegistry(HttpQuestions, HttpGoverning, HttpVouching, HttpRehearsals, HttpRollouts):
    """A `Registry` that a server keeps.

    What would become an event is given an idempotency key here, if it has none, and asked for again when its answer is
    lost.

    Args:
        line: to the server.
        new_id: gives an id that nobody has had, for idempotency keys.
    """

    def __init__(self, line: Line, new_id: Callable[[], str]) -> None:
        super().__init__(line)
        self._new_id = new_id

    def create_model(
        self,
        name: ModelName,
        actor: str,
        *,
        description: str = "",
        stages: Sequence[StageName] = STAGES,
        key: str | None = None,
    ) -> Model:
        """See `Registry.create_model`."""
        body: JsonObject = {"model": str(name), "description": description, "stages": list(map(str, stages))}
        return documents.model(self._said("POST", "/models", body, actor, key=key or self._new_id()))

    def ensure_model(
        self, name: ModelName, actor: str, *, stages: Sequence[StageName] = STAGES, key: str | None = None
    ) -> Model:
        """See `Registry.ensure_model`."""
        body: JsonObject = {"stages": list(map(str, stages))}
        return documents.model(self._said("PUT", f"/models/{quoted(name)}", body, actor, key=key or self._new_id()))

    def models(
        self, *, after: ModelName | None = None, limit: int | None = None, only: ModelName | None = None
    ) -> tuple[Model, ...]:
        """See `Registry.models`."""
        found = map(documents.model, self._pages("/models", "models", after, limit, only=only))
        return tuple(islice(found, limit))

    def define_stage(self, model: ModelName, name: StageName, actor: str, *, key: str | None = None) -> Stage:
        """See `Registry.define_stage`."""
        body: JsonObject = {"stage": str(name)}
        return documents.stage(self._said("POST", f"{_line_of(model)}/stages", body, actor, key=key or self._new_id()))

    def register(
        self,
        new: NewVersion,
        actor: str,
        reason: str = "",
        *,
        action: Action = Action.VERSION_REGISTER,
        key: str | None = None,
    ) -> Version:
        """See `Registry.register`."""
        body = {**asked.version(new), "action": str(action), "reason": reason}
        path = f"{_line_of(new.model)}/versions"
        return documents.version(self._said("POST", path, body, actor, key=key or self._new_id()))

    def import_version(
        self,
        new: NewVersion,
        number: VersionNumber,
        actor: str,
        reason: str = "",
        *,
        origin: Mapping[str, object] | None = None,
        key: str | None = None,
    ) -> Version:
        """See `Registry.import_version`."""
        body = {**asked.version(new), "reason": reason, "origin": plain(origin or {})}
        path = f"{_line_of(new.model)}/versions/{number}"
        return documents.version(self._said("PUT", path, body, actor, key=key or self._new_id()))

    def resolve(self, reference: Reference) -> Version:
        """See `Registry.resolve`."""
        return documents.version(self._read(f"{_line_of(reference.model)}/versions/{quoted(reference.choice)}"))

    def versions(
        self, model: ModelName | None = None, *, after: Reference | None = None, limit: int | None = None
    ) -> tuple[Version, ...]:
        """See `Registry.versions`."""
        path = "/versions" if model is None else f"{_line_of(model)}/versions"
        return tuple(islice(map(documents.version, self._pages(path, "versions", after, limit)), limit))

    def stages(self, model: ModelName) -> tuple[Stage, ...]:
        """See `Registry.stages`."""
        return tuple(map(documents.stage, self._items(f"{_line_of(model)}/stages", "stages")))

    def stage(self, model: ModelName, name: StageName) -> Stage:
        """See `Registry.stage`."""
        return documents.stage(self._read(_stage(model, name)))

    def stage_at_hand(self, model: ModelName, name: StageName) -> Stage | None:
        """See `ProvableRegistry.stage_at_hand`: nothing behind a line is."""
        del model, name
        return None

    def version_at_hand(self, reference: Reference) -> Version | None:
        """See `ProvableRegistry.version_at_hand`: nothing behind a line is."""
        del reference
        return None

    def stage_epoch(
        self, model: ModelName, name: StageName, *, known: int | None = None, wait_seconds: float = 0.0
    ) -> int:
        """See `Registry.stage_epoch`."""
        if known is None:
            return self.stage(model, name).epoch
        headers = {"if-none-match": f'"{known}"'}
        answer = self._line.exchange(
            "GET", _stage(model, name), headers=headers, accept=_NOT_MODIFIED, wait_seconds=wait_seconds
        )
        if answer.status_code in _NOT_MODIFIED:
            return known
        return documents.stage(Reader(decode(answer.content, what="a stage"), "stage")).epoch

    def move_stage(self, move: MoveStage, actor: str) -> Move:
        """See `Registry.move_stage`."""
        key = move.idempotency_key or self._new_id()
        path = f"{_stage(move.model, move.stage)}/moves"
        return documents.move(self._said("POST", path, asked.move(move), actor, key=key))

    def clear_stage(self, clearing: ClearStage, actor: str) -> Cleared:
        """See `Registry.clear_stage`."""
        key = clearing.idempotency_key or self._new_id()
        path = f"{_stage(clearing.model, clearing.stage)}/clear"
        return documents.cleared(self._said("POST", path, asked.clearing(clearing), actor, key=key))

    def move_of(self, idempotency_key: str) -> Move | None:
        """See `Registry.move_of`."""
        found = self._read("/moves", idempotency_key=idempotency_key)
        return documents.move(found.reader("move")) if found.has("move") else None

    def record(self, event: NewEvent, actor: str, *, key: str | None = None) -> Event:
        """See `Registry.record`."""
        if event.action not in RECORDED:
            raise UsageError(
                f"{event.action} is written together with what it does, and never alone",
                hint="Ask for the operation itself.",
            )
        return documents.event(self._said("POST", "/events", asked.event(event), actor, key=key or self._new_id()))

    def approve(self, new: NewApproval, actor: str, *, key: str | None = None) -> Approval:
        """See `Registry.approve`."""
        path = f"{_line_of(new.model)}/versions/{new.number}/approvals"
        return documents.approval(self._said("POST", path, asked.approval(new), actor, key=key or self._new_id()))

    def approvals(self, model: ModelName, number: VersionNumber) -> tuple[Approval, ...]:
        """See `Registry.approvals`."""
        path = f"{_line_of(model)}/versions/{number}/approvals"
        return tuple(map(documents.approval, self._items(path, "approvals")))

    def put_verdict(self, new: NewVerdict) -> Verdict:
        """See `Registry.put_verdict`."""
        path = f"/verdicts/{quoted(new.digest)}"
        return documents.verdict(self._said("PUT", path, asked.verdict(new), None, again=True))

    def verdict(self, digest: Digest) -> Verdict:
        """See `Registry.verdict`."""
        return documents.verdict(self._read(f"/verdicts/{quoted(digest)}"))

    def judged_on(self, model: ModelName, rows: Digest) -> tuple[VersionNumber, ...]:
        """See `Registry.judged_on`."""
        return documents.judged(self._read(f"{_line_of(model)}/judged", rows=str(rows)))

    def lineage(self, kind: str, name: str) -> tuple[Edge, ...]:
        """See `Registry.lineage`."""
        return tuple(map(documents.edge, self._items("/lineage", "edges", kind=kind, name=name)))

    def live(self, model: ModelName, at: datetime | None = None) -> Live:
        """See `Registry.live`."""
        return documents.live(self._read(f"{_line_of(model)}/live", at=documents.moment(at)))

    def log(
        self,
        model: ModelName | None = None,
        *,
        since: datetime | None = None,
        before: int | None = None,
        limit: int = 100,
    ) -> tuple[Event, ...]:
        """See `Registry.log`."""
        wanted = {"model": model, "since": documents.moment(since), "before": before, "limit": limit}
        return tuple(map(documents.event, self._items("/events", "events", **wanted)))

    def following(
        self, after: int, *, model: ModelName | None = None, actions: Sequence[Action] = (), limit: int = 100
    ) -> tuple[Event, ...]:
        """See `Registry.following`."""
        asking = {"after": after, "model": _text(model), "action": [*map(str, actions)], "limit": limit}
        return tuple(map(documents.event, self._items("/events", "events", **asking)))

    def follow(self, after: int, *, model: ModelName | None = None, actions: Sequence[Action] = ()) -> Iterator[Event]:
        """See `Registry.follow`. A stream that ends, as one does when its server is stopped, is taken up again."""
        wanted = {"model": _text(model), "action": [*map(str, actions)]}
        for message in self._line.messages("/events/stream", last=str(after), **wanted):
            yield documents.event(Reader(decode(message, what="an event"), "event"))

    def hold(self, what: Digest | Reference, reason: str, actor: str, *, key: str | None = None) -> Hold:
        """See `Registry.hold`."""
        body: JsonObject = {"what": str(what), "reason": reason}
        return documents.hold(self._said("POST", "/holds", body, actor, key=key or self._new_id()))

    def lift(self, hold: int, reason: str, actor: str, *, key: str | None = None) -> Hold:
        """See `Registry.lift`."""
        body: JsonObject = {"reason": reason}
        return documents.hold(self._said("POST", f"/holds/{hold}/lift", body, actor, key=key or self._new_id()))

    def holds(self) -> tuple[Hold, ...]:
        """See `Registry.holds`."""
        return tuple(map(documents.hold, self._items("/holds", "holds")))

    def archive(self, new: NewArchive, actor: str, *, key: str | None = None) -> Archive:
        """See `Registry.archive`."""
        body = asked.archive(new)
        return documents.archive(self._said("POST", "/archives", body, actor, key=key or self._new_id()))

    def restore(
        self, digest: Digest, remote: str, actor: str, reason: str = "", *, key: str | None = None
    ) -> tuple[Archive, ...]:
        """See `Registry.restore`."""
        body: JsonObject = {"digest": str(digest), "remote": remote, "reason": reason}
        found = self._said("POST", "/restores", body, actor, key=key or self._new_id())
        return tuple(map(documents.archive, _readers(found.items("archives"), "archive")))

    def archives(self) -> tuple[Archive, ...]:
        """See `Registry.archives`."""
        return tuple(map(documents.archive, self._items("/archives", "archives")))

    def restores(self) -> Mapping[Digest, datetime]:
        """See `Registry.restores`."""
        rows = self._items("/restores", "restores")
        return {Digest.parse(row.text("digest")): from_text(row.text("at")) for row in rows}

    def tenures(self) -> tuple[Tenure, ...]:
        """See `Registry.tenures`."""
        return tuple(map(documents.tenure, self._items("/tenures", "tenures")))

    def heads(self, earlier: Sequence[int] = ()) -> tuple[Head, Mapping[int, Head]]:
        """See `ProvableRegistry.heads`."""
        found = self._read("/log/heads", earlier=list(earlier))
        before = [documents.head(one) for one in _readers(found.items("earlier"), "head")]
        return documents.head(found.reader("head")), {one.size: one for one in before}

    def prove(self, index: int, size: int | None = None) -> Inclusion:
        """See `ProvableRegistry.prove`."""
        return documents.inclusion(self._read(f"/log/events/{index}/proof", size=size))

    def prove_growth(self, since: int, size: int | None = None) -> Consistency:
        """See `ProvableRegistry.prove_growth`."""
        return documents.consistency(self._read("/log/growth", since=since, size=size))

    def edge(self, size: int) -> tuple[bytes, ...]:
        """See `ProvableRegistry.edge`."""
        return documents.hashes(self._read("/log/edge", size=size), "edge")

    def bodies(self, since: int, size: int) -> Iterator[bytes]:
        """See `ProvableRegistry.bodies`."""
        while since < size:
            page = self._read("/log/bodies", since=since, size=size).texts("bodies")
            if not page:
                return
            yield from (body.encode() for body in page)
            since += len(page)

    def audit_verify(self, seen: Sequence[Head] = ()) -> Audit:
        """See `Registry.audit_verify`."""
        body: JsonObject = {"seen": [one.to_json() for one in seen]}
        return documents.audit(self._said("POST", "/log/audit", body, None, again=True))

    def log_keys(self) -> tuple[VerifierKey, ...]:
        """The public key that the server signs its log with, and behind it those that the log had before.

        Raises:
            NotFound: it signs nothing.
        """
        found = self._read("/log/key")
        return tuple(map(VerifierKey.parse, (found.text("key"), *found.texts("retired"))))

    def signed_checkpoint(self) -> bytes:
        """The checkpoint of the log as it stands, signed by the server.

        Raises:
            NotFound: it signs nothing.
            IntegrityError: the log does not begin with what was signed before.
        """
        return self._read("/log/checkpoint").text("checkpoint").encode()

    def report(self, replica: Replica) -> Replica:
        """See `Registry.report`."""
        path = f"/replicas/{quoted(replica.id)}"
        return documents.replica(self._said("PUT", path, replica.to_json(), None, again=True))

    def live_replicas(self, model: ModelName, stage: StageName, max_age: timedelta) -> tuple[Replica, ...]:
        """See `Registry.live_replicas`."""
        wanted = {"max_age_seconds": max_age.total_seconds()}
        return tuple(map(documents.replica, self._items(f"{_stage(model, stage)}/replicas", "replicas", **wanted)))

    def _read(self, path: str, /, **query: object) -> Reader:
        return Reader(self._line.get(path, **query), path)

    def _said(
        self,
        method: str,
        path: str,
        body: JsonObject,
        actor: str | None,
        *,
        key: str | None = None,
        again: bool = False,
    ) -> Reader:
        return Reader(self._line.send(method, path, body, actor=actor, key=key, again=again), path)

    def _items(self, path: str, items: str, /, **query: object) -> Iterator[Reader]:
        return _readers(self._read(path, **query).items(items), items)

    def _pages(
        self, path: str, name: str, first: object, limit: int | None, **more: ModelName | None
    ) -> Iterator[Reader]:
        after = None if first is None else str(first)
        while True:
            page = self._read(path, after=after, limit=_PAGE if limit is None else min(limit, _PAGE), **more)
            yield from _readers(page.items(name), name)
            after = page.maybe_text("next")
            if after is None:
                return


def _readers(found: list[Json], name: str) -> Iterator[Reader]:
    return (Reader(one, name) for one in found)


def _line_of(model: ModelName) -> str:
    return f"/models/{quoted(model)}"


def _stage(model: ModelName, name: StageName) -> str:
    return f"{_line_of(model)}/stages/{quoted(name)}"


def _text(name: ModelName | None) -> str | None:
    return None if name is None else str(name)
