"""The policies that a registry in an SQL database keeps; the work is done by the module beside."""

from abc import ABC, abstractmethod
from collections.abc import Callable
from datetime import datetime
from typing import TypeVar

from sqlalchemy import Connection

from holdfast.database.engine import Database
from holdfast.names import ModelName
from holdfast.registry import policies
from holdfast.registry.governing import KeptPolicy, NewPolicy

__all__ = ["SqlGoverning"]

_T = TypeVar("_T")


class SqlGoverning(ABC):
    """`Governing` in a database, for a registry that has the single writer's turn to give."""

    _database: Database
    _clock: Callable[[], datetime]

    @abstractmethod
    def _logged(self, key: str | None, work: Callable[[Connection, str | None], _T]) -> _T: ...

    def set_policy(self, new: NewPolicy, actor: str, *, key: str | None = None) -> KeptPolicy:
        """See `Governing.set_policy`."""
        return self._logged(key, lambda connection, key: policies.put(connection, new, self._clock(), actor, key=key))

    def policy(self, model: ModelName | None = None) -> KeptPolicy | None:
        """See `Governing.policy`."""
        with self._database.view() as connection:
            return policies.in_force(connection, model)

    def policies(self, model: ModelName | None = None) -> tuple[KeptPolicy, ...]:
        """See `Governing.policies`."""
        with self._database.view() as connection:
            return policies.set_for(connection, model)
