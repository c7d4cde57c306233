"""The promises of the fifth schema: what is known of a version is written once, and never changed."""

from collections.abc import Iterator

__all__ = ["FACTS", "TABLES", "sqlite_triggers"]

TABLES = ("version_entries", "version_numbers", "version_texts", "version_indexes")

FACTS = ("version_numbers", "version_texts")

_ENTRY = (
    "CREATE TRIGGER version_entries_refuse_insert BEFORE INSERT ON version_entries "
    "WHEN EXISTS (SELECT 1 FROM version_entries WHERE event = NEW.event "
    "OR (model = NEW.model AND number = NEW.number)) "
    'OR NOT EXISTS (SELECT 1 FROM events WHERE "index" = NEW.event '
    "AND action IN ('model:version:register', 'model:version:adopt', 'model:version:import') "
    "AND model = NEW.model AND to_number = NEW.number) "
    "BEGIN SELECT RAISE(ABORT, 'an entry names the event that numbered its version, once'); END"
)

_INDEX = (
    "CREATE TRIGGER version_indexes_refuse_insert BEFORE INSERT ON version_indexes "
    "WHEN EXISTS (SELECT 1 FROM version_indexes WHERE event = NEW.event) "
    "BEGIN SELECT RAISE(ABORT, 'a version is indexed once'); END"
)


def sqlite_triggers() -> Iterator[str]:
    """The triggers, as SQLite writes them."""
    for table in TABLES:
        for change in ("UPDATE", "DELETE"):
            yield (
                f"CREATE TRIGGER {table}_refuse_{change.lower()} BEFORE {change} ON {table} "
                f"BEGIN SELECT RAISE(ABORT, 'rows of {table} are never changed or deleted'); END"
            )
    yield _ENTRY
    yield _INDEX
    for table in FACTS:
        yield (
            f"CREATE TRIGGER {table}_refuse_insert BEFORE INSERT ON {table} "  # noqa: S608 - constants of ours
            "WHEN EXISTS (SELECT 1 FROM version_indexes WHERE event = NEW.event) "
            "BEGIN SELECT RAISE(ABORT, 'an indexed version gets no more facts'); END"
        )
