"""The questions that a registry in an SQL database answers; the work is done by the modules beside."""

from holdfast.database.engine import Database
from holdfast.digest import Digest
from holdfast.errors import UsageError
from holdfast.names import ModelName, Reference, StageName, VersionNumber
from holdfast.registry import finding, index, judgements, spells, versions, walks
from holdfast.registry.answers import Direction, Found, Indexed, Spell, Walk
from holdfast.registry.asking import VERDICTS_MAX
from holdfast.registry.facts import Facts
from holdfast.registry.records import VerdictEntry
from holdfast.registry.values import Version

__all__ = ["SqlQuestions"]


class SqlQuestions:
    """`Questions` to a database.

    Args:
        database: at the schema of this Holdfast.
    """

    def __init__(self, database: Database) -> None:
        self._database = database

    def search(
        self,
        filter: str = "",  # noqa: A002 - its name
        *,
        model: ModelName | None = None,
        order_by: str = "",
        limit: int = 100,
        after: str | None = None,
    ) -> Found:
        """See `Questions.search`."""
        with self._database.view() as connection:
            return finding.find(connection, filter, model=model, order_by=order_by, limit=limit, after=after)

    def named_snapshots(self, *, after: Digest | None = None, limit: int | None = None) -> tuple[Digest, ...]:
        """See `Questions.named_snapshots`."""
        with self._database.read() as connection:
            return index.named_snapshots(connection, after, limit)

    def not_indexed(self, *, after: Reference | None = None, limit: int = 100) -> tuple[Version, ...]:
        """See `Questions.not_indexed`."""
        with self._database.read() as connection:
            return tuple(map(versions.load, index.not_indexed(connection, after, limit)))

    def index(self, model: ModelName, number: VersionNumber, facts: Facts) -> Indexed:
        """See `Questions.index`."""
        with self._database.write() as connection:
            return index.fill(connection, model, number, facts)

    def history(
        self, model: ModelName, stage: StageName | None = None, *, before: int | None = None, limit: int = 100
    ) -> tuple[Spell, ...]:
        """See `Questions.history`."""
        with self._database.view() as connection:
            return spells.history(connection, model, stage, before, limit)

    def walk(self, kind: str, name: str, direction: Direction, *, depth: int = 3) -> Walk:
        """See `Questions.walk`."""
        with self._database.view() as connection:
            return walks.walk(connection, kind, name, direction, depth)

    def verdicts(
        self,
        *,
        model: ModelName | None = None,
        number: VersionNumber | None = None,
        stage: StageName | None = None,
        beginning: str = "",
        after: Digest | None = None,
        limit: int = VERDICTS_MAX,
    ) -> tuple[VerdictEntry, ...]:
        """See `Questions.verdicts`."""
        if not 1 <= limit <= VERDICTS_MAX:
            raise UsageError(f"{limit} verdicts cannot be asked for", hint=f"Ask for 1 to {VERDICTS_MAX}.")
        with self._database.read() as connection:
            return judgements.verdicts_of(
                connection, model=model, number=number, stage=stage, beginning=beginning, after=after, limit=limit
            )
