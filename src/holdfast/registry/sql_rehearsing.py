"""The rehearsals that a registry in an SQL database keeps; the work is done by `rehearsals`."""

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Protocol, TypeVar

from sqlalchemy import Connection

from holdfast.database.engine import Database
from holdfast.names import ModelName, StageName, VersionNumber
from holdfast.registry import rehearsals
from holdfast.registry.certificates import NewRehearsal, Rehearsal

__all__ = ["SqlRehearsals"]

_T = TypeVar("_T")


class _Logged(Protocol):
    """What a class must have that keeps rehearsals."""

    _database: Database
    _clock: Callable[[], datetime]

    def _logged(self, key: str | None, work: Callable[[Connection, str | None], _T]) -> _T:
        """What the work gives, as the single writer's."""
        ...


class SqlRehearsals:
    """`Rehearsals` in a database, for a class that writes its log by `_logged`."""

    def put_rehearsal(
        self: _Logged, certificate: Mapping[str, object], actor: str, *, key: str | None = None
    ) -> Rehearsal:
        """See `Rehearsals.put_rehearsal`."""
        new = NewRehearsal.of(certificate)
        return self._logged(
            key, lambda connection, key: rehearsals.keep(connection, new, self._clock(), actor, key=key)
        )

    def rehearsals(
        self: _Logged, model: ModelName, stage: StageName, *, to: VersionNumber | None = None, limit: int = 100
    ) -> tuple[Rehearsal, ...]:
        """See `Rehearsals.rehearsals`."""
        with self._database.view() as connection:
            return rehearsals.every_rehearsal(connection, model, stage, to, limit)
