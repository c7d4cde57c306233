"""The registry in an SQL database: which transaction each operation runs in. The work is done by the modules beside."""

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime, timedelta

from sqlalchemy import Connection

from holdfast.database.engine import Database
from holdfast.digest import Digest
from holdfast.errors import UsageError
from holdfast.names import ByNumber, ModelName, Reference, StageName, VersionNumber
from holdfast.registry import (
    archives,
    audit,
    events,
    holds,
    judgements,
    lineage,
    moves,
    nodes,
    replicas,
    stages,
    versions,
)
from holdfast.registry import live as moments
from holdfast.registry.actions import RECORDED, Action
from holdfast.registry.guard import Guard
from holdfast.registry.merkle import Head
from holdfast.registry.nearest import require_model
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
from holdfast.registry.sql_asking import SqlQuestions
from holdfast.registry.values import STAGES, Edge, Model, Move, MoveStage, NewVersion, Replica, Stage, Version
from holdfast.registry.whereabouts import Archive, NewArchive, Tenure

__all__ = ["SqlRegistry"]

_LOOK_SECONDS = 0.2
"""How often somebody who follows the log looks at its end: a person sees no delay, and a look costs a tenth of a
millisecond."""


class SqlRegistry(SqlQuestions):
    """A `Registry` in a database; it keeps no state of its own, so that any number may share one file.

    Args:
        database: at the schema of this Holdfast.
        clock: gives the moment, in UTC.
        new_id: gives an id that nobody has had, for approvals.
        grown: told, with this registry, after every commit that may have made the log longer.
        guard: looks at every move before it is made.
    """

    def __init__(
        self,
        database: Database,
        clock: Callable[[], datetime],
        new_id: Callable[[], str],
        grown: "Callable[[SqlRegistry], None] | None" = None,
        guard: Guard | None = None,
    ) -> None:
        super().__init__(database)
        self._clock = clock
        self._new_id = new_id
        self._grown = grown
        self._guard = guard

    @contextmanager
    def _logging(self) -> Iterator[Connection]:
        """The single writer, for what becomes an event."""
        with self._database.write() as connection:
            yield connection
        if self._grown is not None:
            self._grown(self)

    def create_model(
        self, name: ModelName, actor: str, *, description: str = "", stages: Sequence[StageName] = STAGES
    ) -> Model:
        """See `Registry.create_model`."""
        with self._logging() as connection:
            return versions.create_model(connection, name, self._clock(), actor, description=description, names=stages)

    def ensure_model(self, name: ModelName, actor: str, *, stages: Sequence[StageName] = STAGES) -> Model:
        """See `Registry.ensure_model`."""
        with self._database.read() as connection:
            found = versions.find_model(connection, name)
        if found is not None:
            return found
        with self._logging() as connection:
            return versions.find_model(connection, name) or versions.create_model(
                connection, name, self._clock(), actor, description="", names=stages
            )

    def models(self, *, after: ModelName | None = None, limit: int | None = None) -> tuple[Model, ...]:
        """See `Registry.models`."""
        with self._database.read() as connection:
            return versions.every_model(connection, after, limit)

    def define_stage(self, model: ModelName, name: StageName, actor: str) -> Stage:
        """See `Registry.define_stage`."""
        with self._logging() as connection:
            return stages.define(connection, model, name, self._clock(), actor)

    def register(
        self, new: NewVersion, actor: str, reason: str = "", *, action: Action = Action.VERSION_REGISTER
    ) -> Version:
        """See `Registry.register`."""
        with self._logging() as connection:
            return versions.register(connection, new, self._clock(), actor, action=action, reason=reason)

    def import_version(
        self,
        new: NewVersion,
        number: VersionNumber,
        actor: str,
        reason: str = "",
        *,
        origin: Mapping[str, object] | None = None,
    ) -> Version:
        """See `Registry.import_version`."""
        with self._logging() as connection:
            return versions.take_in(
                connection, new, number, self._clock(), actor, reason=reason, origin=dict(origin or {})
            )

    def resolve(self, reference: Reference) -> Version:
        """See `Registry.resolve`."""
        with self._database.read() as connection:
            return versions.resolve(connection, reference)

    def versions(
        self, model: ModelName | None = None, *, after: Reference | None = None, limit: int | None = None
    ) -> tuple[Version, ...]:
        """See `Registry.versions`."""
        with self._database.read() as connection:
            return versions.versions_of(connection, model, after, limit)

    def stages(self, model: ModelName) -> tuple[Stage, ...]:
        """See `Registry.stages`."""
        with self._database.read() as connection:
            return stages.stages_of(connection, str(model))

    def stage(self, model: ModelName, name: StageName) -> Stage:
        """See `Registry.stage`."""
        with self._database.read() as connection:
            return stages.find_stage(connection, model, name)

    def stage_at_hand(self, model: ModelName, name: StageName) -> Stage | None:
        """See `ProvableRegistry.stage_at_hand`."""
        if not self._database.at_hand:
            return None
        with self._database.read() as connection:
            return stages.look_up(connection, model, name)

    def version_at_hand(self, reference: Reference) -> Version | None:
        """See `ProvableRegistry.version_at_hand`."""
        if not self._database.at_hand:
            return None
        with self._database.read() as connection:
            return versions.look_up(connection, reference)

    def stage_epoch(
        self, model: ModelName, name: StageName, *, known: int | None = None, wait_seconds: float = 0.0
    ) -> int:
        """See `Registry.stage_epoch`. It is answered at once: asking again costs a tenth of a millisecond."""
        del known, wait_seconds
        with self._database.read() as connection:
            return stages.epoch_of(connection, model, name)

    def move_stage(self, move: MoveStage, actor: str) -> Move:
        """See `Registry.move_stage`."""
        with self._logging() as connection:
            return moves.move(connection, move, self._clock(), actor, self._guard)

    def move_of(self, idempotency_key: str) -> Move | None:
        """See `Registry.move_of`."""
        with self._database.read() as connection:
            return moves.move_of(connection, idempotency_key)

    def record(self, event: NewEvent, actor: str) -> Event:
        """See `Registry.record`."""
        if event.action not in RECORDED:
            raise UsageError(
                f"{event.action} is written together with what it does, and never alone",
                hint="Ask for the operation itself.",
            )
        with self._logging() as connection:
            model = None if event.model is None else str(event.model)
            if model is not None:
                require_model(connection, model)
            if event.verdict is not None:
                judgements.require_verdict(connection, event.verdict, str(model), event.to_number or 0)
            before, after = (
                None
                if event.model is None or number is None
                else str(versions.resolve(connection, Reference(event.model, ByNumber(number))).digest)
                for number in (event.from_number, event.to_number)
            )
            entry = events.Entry(
                event.action,
                model=model,
                stage=None if event.stage is None else str(event.stage),
                from_number=event.from_number,
                from_digest=before,
                to_number=event.to_number,
                to_digest=after,
                reason=event.reason,
                verdict=None if event.verdict is None else str(event.verdict),
                details=event.details,
            )
            return events.append(connection, entry, self._clock(), actor)

    def approve(self, new: NewApproval, actor: str) -> Approval:
        """See `Registry.approve`."""
        with self._logging() as connection:
            return judgements.approve(connection, new, self._new_id(), self._clock(), actor)

    def approvals(self, model: ModelName, number: VersionNumber) -> tuple[Approval, ...]:
        """See `Registry.approvals`."""
        with self._database.view() as connection:
            return judgements.approvals_of(connection, model, number)

    def put_verdict(self, new: NewVerdict) -> Verdict:
        """See `Registry.put_verdict`."""
        with self._database.write() as connection:
            return judgements.keep(connection, new, self._clock())

    def verdict(self, digest: Digest) -> Verdict:
        """See `Registry.verdict`."""
        with self._database.read() as connection:
            return judgements.verdict_of(connection, digest)

    def lineage(self, kind: str, name: str) -> tuple[Edge, ...]:
        """See `Registry.lineage`."""
        with self._database.read() as connection:
            return lineage.touching(connection, kind, name)

    def live(self, model: ModelName, at: datetime | None = None) -> Live:
        """See `Registry.live`."""
        with self._database.view() as connection:
            return moments.live(connection, model, at)

    def log(
        self,
        model: ModelName | None = None,
        *,
        since: datetime | None = None,
        before: int | None = None,
        limit: int = 100,
    ) -> tuple[Event, ...]:
        """See `Registry.log`."""
        with self._database.view() as connection:
            if model is not None:
                require_model(connection, str(model))
            name = None if model is None else str(model)
            return tuple(events.log(connection, name, since=since, before=before, limit=limit))

    def following(
        self, after: int, *, model: ModelName | None = None, actions: Sequence[Action] = (), limit: int = 100
    ) -> tuple[Event, ...]:
        """See `Registry.following`."""
        with self._database.read() as connection:
            name = None if model is None else str(model)
            return tuple(events.following(connection, after, name, [*map(str, actions)], limit))

    def follow(self, after: int, *, model: ModelName | None = None, actions: Sequence[Action] = ()) -> Iterator[Event]:
        """See `Registry.follow`. A file tells nobody that it has changed: it is looked at again and again."""
        while True:
            page = self.following(after, model=model, actions=actions)
            yield from page
            after = page[-1].index if page else after
            if not page:
                time.sleep(_LOOK_SECONDS)

    def hold(self, what: Digest | Reference, reason: str, actor: str) -> Hold:
        """See `Registry.hold`."""
        with self._logging() as connection:
            found = versions.resolve(connection, what) if isinstance(what, Reference) else what
            return holds.add(connection, found, reason, self._clock(), actor)

    def lift(self, hold: int, reason: str, actor: str) -> Hold:
        """See `Registry.lift`."""
        with self._logging() as connection:
            return holds.lift(connection, hold, reason, self._clock(), actor)

    def holds(self) -> tuple[Hold, ...]:
        """See `Registry.holds`."""
        with self._database.view() as connection:
            return holds.every_hold(connection)

    def archive(self, new: NewArchive, actor: str) -> Archive:
        """See `Registry.archive`."""
        with self._logging() as connection:
            what = versions.resolve(connection, new.what) if isinstance(new.what, Reference) else new.what
            return archives.add(connection, new, what, self._clock(), actor)

    def restore(self, digest: Digest, remote: str, actor: str, reason: str = "") -> tuple[Archive, ...]:
        """See `Registry.restore`."""
        with self._logging() as connection:
            return archives.restore(connection, digest, self._clock(), actor, remote=remote, reason=reason)

    def archives(self) -> tuple[Archive, ...]:
        """See `Registry.archives`."""
        with self._database.view() as connection:
            return archives.every_archive(connection)

    def restores(self) -> Mapping[Digest, datetime]:
        """See `Registry.restores`."""
        with self._database.view() as connection:
            return archives.last_restores(connection)

    def tenures(self) -> tuple[Tenure, ...]:
        """See `Registry.tenures`."""
        with self._database.view() as connection:
            return moments.tenures(connection)

    def heads(self, earlier: Sequence[int] = ()) -> tuple[Head, Mapping[int, Head]]:
        """See `ProvableRegistry.heads`."""
        with self._database.view() as connection:
            return nodes.heads(connection, earlier)

    def prove(self, index: int, size: int | None = None) -> Inclusion:
        """See `ProvableRegistry.prove`."""
        with self._database.view() as connection:
            return nodes.prove(connection, index, size)

    def prove_growth(self, since: int, size: int | None = None) -> Consistency:
        """See `ProvableRegistry.prove_growth`."""
        with self._database.view() as connection:
            return nodes.prove_growth(connection, since, size)

    def edge(self, size: int) -> tuple[bytes, ...]:
        """See `ProvableRegistry.edge`."""
        with self._database.view() as connection:
            return nodes.edge(connection, size)

    def bodies(self, since: int, size: int) -> Iterator[bytes]:
        """See `ProvableRegistry.bodies`."""
        while since < size:
            with self._database.read() as connection:
                page = events.page(connection, since, size)
            yield from page
            since += len(page)

    def audit_verify(self, seen: Sequence[Head] = ()) -> Audit:
        """See `Registry.audit_verify`."""
        with self._database.view() as connection:
            return audit.verify(connection, seen)

    def report(self, replica: Replica) -> Replica:
        """See `Registry.report`."""
        with self._database.change() as connection:
            return replicas.report(connection, replica, self._clock())

    def live_replicas(self, model: ModelName, stage: StageName, max_age: timedelta) -> tuple[Replica, ...]:
        """See `Registry.live_replicas`."""
        with self._database.read() as connection:
            return replicas.live_replicas(connection, model, stage, self._clock() - max_age)
