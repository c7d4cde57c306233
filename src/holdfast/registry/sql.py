"""The registry in an SQL database: which transaction each operation runs in. The work is done by the modules beside."""

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import TypeVar

from sqlalchemy import Connection

from holdfast.database.engine import Database
from holdfast.database.insisting import insisted
from holdfast.digest import Digest
from holdfast.errors import UsageError
from holdfast.names import ModelName, Reference, StageName, VersionNumber
from holdfast.registry import (
    archives,
    events,
    holds,
    judgements,
    lineage,
    moves,
    recording,
    replicas,
    stages,
    versions,
)
from holdfast.registry import live as moments
from holdfast.registry.actions import RECORDED, Action
from holdfast.registry.clearing import Cleared, ClearStage
from holdfast.registry.guard import Guard
from holdfast.registry.keys import fresh_key
from holdfast.registry.nearest import require_model
from holdfast.registry.records import (
    Approval,
    Event,
    Hold,
    Live,
    NewApproval,
    NewEvent,
    NewVerdict,
    Verdict,
)
from holdfast.registry.sql_asking import SqlQuestions
from holdfast.registry.sql_governing import SqlGoverning
from holdfast.registry.sql_proving import SqlProofs
from holdfast.registry.sql_rehearsing import SqlRehearsals
from holdfast.registry.sql_rollouts import SqlRollouts
from holdfast.registry.sql_vouching import SqlVouching
from holdfast.registry.values import STAGES, Edge, Model, Move, MoveStage, NewVersion, Replica, Stage, Version
from holdfast.registry.whereabouts import Archive, NewArchive, Tenure

__all__ = ["SqlRegistry"]

_T = TypeVar("_T")

_LOOK_SECONDS = 0.2
"""How often somebody who follows the log looks at its end: a person sees no delay, and a look costs a tenth of a
millisecond."""


class SqlRegistry(SqlQuestions, SqlProofs, SqlGoverning, SqlVouching, SqlRehearsals, SqlRollouts):
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

    def _logged(self, key: str | None, work: Callable[[Connection, str | None], _T]) -> _T:
        """What the work gives: the single writer's, for what becomes an event, under the key that it is given.

        Where the answer to a commit can be lost the work has a key in any case, and is asked for again under it.
        """
        known = key or (fresh_key() if self._database.may_lose_answers else None)

        def once() -> _T:
            with self._database.write() as connection:
                return work(connection, known)

        done = insisted(once)
        if self._grown is not None:
            self._grown(self)
        return done

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
        return self._logged(
            key,
            lambda connection, key: versions.create_model(
                connection, name, self._clock(), actor, description=description, names=stages, key=key
            ),
        )

    def ensure_model(
        self, name: ModelName, actor: str, *, stages: Sequence[StageName] = STAGES, key: str | None = None
    ) -> Model:
        """See `Registry.ensure_model`."""
        with self._database.read() as connection:
            found = versions.find_model(connection, name)
        if found is not None:
            return found
        return self._logged(
            key,
            lambda connection, key: (
                versions.find_model(connection, name)
                or versions.create_model(connection, name, self._clock(), actor, description="", names=stages, key=key)
            ),
        )

    def models(
        self, *, after: ModelName | None = None, limit: int | None = None, only: ModelName | None = None
    ) -> tuple[Model, ...]:
        """See `Registry.models`."""
        with self._database.read() as connection:
            return versions.every_model(connection, after, limit, only)

    def define_stage(self, model: ModelName, name: StageName, actor: str, *, key: str | None = None) -> Stage:
        """See `Registry.define_stage`."""
        return self._logged(
            key, lambda connection, key: stages.define(connection, model, name, self._clock(), actor, key=key)
        )

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
        return self._logged(
            key,
            lambda connection, key: versions.register(
                connection, new, self._clock(), actor, action=action, reason=reason, key=key
            ),
        )

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
        return self._logged(
            key,
            lambda connection, key: versions.take_in(
                connection, new, number, self._clock(), actor, reason=reason, origin=dict(origin or {}), key=key
            ),
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
        return self._logged(
            move.idempotency_key,
            lambda connection, key: moves.move(
                connection, replace(move, idempotency_key=key), self._clock(), actor, self._guard
            ),
        )

    def clear_stage(self, clearing: ClearStage, actor: str) -> Cleared:
        """See `Registry.clear_stage`."""
        return self._logged(
            clearing.idempotency_key,
            lambda connection, key: moves.clear(
                connection, replace(clearing, idempotency_key=key), self._clock(), actor
            ),
        )

    def move_of(self, idempotency_key: str) -> Move | None:
        """See `Registry.move_of`."""
        with self._database.read() as connection:
            return moves.move_of(connection, idempotency_key)

    def record(self, event: NewEvent, actor: str, *, key: str | None = None) -> Event:
        """See `Registry.record`."""
        if event.action not in RECORDED:
            raise UsageError(
                f"{event.action} is written together with what it does, and never alone",
                hint="Ask for the operation itself.",
            )
        return self._logged(
            key, lambda connection, key: recording.record(connection, event, self._clock(), actor, key=key)
        )

    def approve(self, new: NewApproval, actor: str, *, key: str | None = None) -> Approval:
        """See `Registry.approve`."""
        return self._logged(
            key,
            lambda connection, key: judgements.approve(connection, new, self._new_id(), self._clock(), actor, key=key),
        )

    def approvals(self, model: ModelName, number: VersionNumber) -> tuple[Approval, ...]:
        """See `Registry.approvals`."""
        with self._database.view() as connection:
            return judgements.approvals_of(connection, model, number)

    def put_verdict(self, new: NewVerdict) -> Verdict:
        """See `Registry.put_verdict`."""

        def once() -> Verdict:
            with self._database.write() as connection:
                return judgements.keep(connection, new, self._clock())

        return insisted(once)

    def verdict(self, digest: Digest) -> Verdict:
        """See `Registry.verdict`."""
        with self._database.read() as connection:
            return judgements.verdict_of(connection, digest)

    def judged_on(self, model: ModelName, rows: Digest) -> tuple[VersionNumber, ...]:
        """See `Registry.judged_on`."""
        with self._database.view() as connection:
            return judgements.judged_on(connection, model, rows)

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

    def hold(self, what: Digest | Reference, reason: str, actor: str, *, key: str | None = None) -> Hold:
        """See `Registry.hold`."""
        return self._logged(
            key, lambda connection, key: holds.add(connection, what, reason, self._clock(), actor, key=key)
        )

    def lift(self, hold: int, reason: str, actor: str, *, key: str | None = None) -> Hold:
        """See `Registry.lift`."""
        return self._logged(
            key, lambda connection, key: holds.lift(connection, hold, reason, self._clock(), actor, key=key)
        )

    def holds(self) -> tuple[Hold, ...]:
        """See `Registry.holds`."""
        with self._database.view() as connection:
            return holds.every_hold(connection)

    def archive(self, new: NewArchive, actor: str, *, key: str | None = None) -> Archive:
        """See `Registry.archive`."""
        return self._logged(key, lambda connection, key: archives.add(connection, new, self._clock(), actor, key=key))

    def restore(
        self, digest: Digest, remote: str, actor: str, reason: str = "", *, key: str | None = None
    ) -> tuple[Archive, ...]:
        """See `Registry.restore`."""
        return self._logged(
            key,
            lambda connection, key: archives.restore(
                connection, digest, self._clock(), actor, remote=remote, reason=reason, key=key
            ),
        )

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

    def report(self, replica: Replica) -> Replica:
        """See `Registry.report`."""

        def once() -> Replica:
            with self._database.change() as connection:
                return replicas.report(connection, replica, self._clock())

        return insisted(once)

    def live_replicas(self, model: ModelName, stage: StageName, max_age: timedelta) -> tuple[Replica, ...]:
        """See `Registry.live_replicas`."""
        with self._database.read() as connection:
            return replicas.live_replicas(connection, model, stage, self._clock() - max_age)
