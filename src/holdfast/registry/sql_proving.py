"""What can be proved of the log in an SQL database: the half of a `ProvableRegistry` that changes nothing."""

from collections.abc import Iterator, Mapping, Sequence

from holdfast.database.engine import Database
from holdfast.registry import audit, events, nodes
from holdfast.registry.merkle import Head
from holdfast.registry.proofs import Consistency, Inclusion
from holdfast.registry.records import Audit

__all__ = ["SqlProofs"]


class SqlProofs:
    """The proofs of a `ProvableRegistry`, for a class that holds its database as `_database`."""

    _database: Database

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
