"""The signatures that a registry in an SQL database keeps; the work is done by the module beside."""

from abc import ABC, abstractmethod
from collections.abc import Callable
from datetime import datetime
from typing import TypeVar

from sqlalchemy import Connection

from holdfast.database.engine import Database
from holdfast.names import ModelName, VersionNumber
from holdfast.registry import signatures
from holdfast.registry.vouching import NewSignature, Signature

__all__ = ["SqlVouching"]

_T = TypeVar("_T")


class SqlVouching(ABC):
    """`Vouching` in a database, for a registry that has the single writer's turn to give."""

    _database: Database
    _clock: Callable[[], datetime]

    @abstractmethod
    def _logged(self, key: str | None, work: Callable[[Connection, str | None], _T]) -> _T: ...

    def put_signature(self, new: NewSignature, actor: str, reason: str = "", *, key: str | None = None) -> Signature:
        """See `Vouching.put_signature`."""
        return self._logged(
            key, lambda connection, key: signatures.keep(connection, new, self._clock(), actor, reason=reason, key=key)
        )

    def signatures(self, model: ModelName, number: VersionNumber) -> tuple[Signature, ...]:
        """See `Vouching.signatures`."""
        with self._database.view() as connection:
            return signatures.of_version(connection, model, number)
