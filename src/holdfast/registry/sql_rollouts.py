"""The rollouts of a registry in an SQL database; the work is done by `chains`, `as_it_stands` and `counted`."""

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Protocol, TypeVar

from sqlalchemy import Connection

from holdfast.database.engine import Database
from holdfast.database.insisting import insisted
from holdfast.names import ModelName, StageName
from holdfast.registry import as_it_stands, chains, counted
from holdfast.registry.guard import Guard
from holdfast.registry.rollouts import NewRollout, Rollout, RolloutKind, RouteMark, Tally, Truth, Turn

__all__ = ["SqlRollouts"]

_T = TypeVar("_T")


class _Logged(Protocol):
    """What a class must have that keeps rollouts."""

    _database: Database
    _clock: Callable[[], datetime]
    _guard: Guard | None

    def _logged(self, key: str | None, work: Callable[[Connection, str | None], _T]) -> _T:
        """What the work gives, as the single writer's."""
        ...


class SqlRollouts:
    """`Rollouts` in a database, for a class that writes its log by `_logged`."""

    def begin_rollout(self: _Logged, new: NewRollout, actor: str, *, key: str | None = None) -> Rollout:
        """See `Rollouts.begin_rollout`. What was counted of rollouts that ended long ago is forgotten then."""

        def work(connection: Connection, key: str | None) -> Rollout:
            now = self._clock()
            counted.forget(connection, now)
            return chains.begin(connection, new, now, actor, guard=self._guard, key=key)

        return self._logged(key, work)

    def turn_rollout(self: _Logged, turn: Turn, actor: str, *, key: str | None = None) -> Rollout:
        """See `Rollouts.turn_rollout`."""
        return self._logged(key, lambda connection, key: chains.turn(connection, turn, self._clock(), actor, key=key))

    def rollout(self: _Logged, rollout: int) -> Rollout:
        """See `Rollouts.rollout`."""
        with self._database.read() as connection:
            return as_it_stands.find_rollout(connection, rollout)

    def rollouts(
        self: _Logged, model: ModelName, stage: StageName, *, kind: RolloutKind | None = None, limit: int = 100
    ) -> tuple[Rollout, ...]:
        """See `Rollouts.rollouts`."""
        with self._database.view() as connection:
            return as_it_stands.every_rollout(connection, model, stage, kind, limit)

    def route_mark(
        self: _Logged, model: ModelName, stage: StageName, *, known: RouteMark | None = None, wait_seconds: float = 0.0
    ) -> RouteMark:
        """See `Rollouts.route_mark`. It is answered at once: asking again costs a tenth of a millisecond."""
        del known, wait_seconds
        with self._database.read() as connection:
            return as_it_stands.mark(connection, model, stage)

    def tally(self: _Logged, tally: Tally) -> None:
        """See `Rollouts.tally`."""

        def once() -> None:
            with self._database.change() as connection:
                counted.count(connection, tally, self._clock())

        insisted(once)

    def tallies(self: _Logged, rollout: int) -> tuple[Tally, ...]:
        """See `Rollouts.tallies`."""
        with self._database.view() as connection:
            return counted.tallies_of(connection, rollout)

    def put_truths(self: _Logged, model: ModelName, truths: Sequence[Truth], actor: str) -> int:
        """See `Rollouts.put_truths`."""

        def once() -> int:
            with self._database.write() as connection:
                return counted.learn(connection, model, truths, self._clock(), actor)

        return insisted(once)

    def truths(self: _Logged, model: ModelName, *, after: int = 0, limit: int = 1000) -> tuple[Truth, ...]:
        """See `Rollouts.truths`."""
        with self._database.view() as connection:
            return counted.truths_of(connection, model, after, limit)
