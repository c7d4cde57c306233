"""The promises of the eighth schema: a certificate comes with its event, and is never changed."""

from collections.abc import Iterator

__all__ = ["sqlite_triggers"]

_REHEARSAL = (
    "CREATE TRIGGER rehearsals_refuse_insert BEFORE INSERT ON rehearsals "
    "WHEN EXISTS (SELECT 1 FROM rehearsals WHERE digest = NEW.digest OR event = NEW.event) "
    'OR NEW.event IS NOT (SELECT MAX("index") FROM events) '
    'OR NOT EXISTS (SELECT 1 FROM events WHERE "index" = NEW.event '
    "AND action = 'stage:rollback:rehearse' AND model = NEW.model AND stage = NEW.stage "
    "AND from_number = NEW.from_number AND to_number = NEW.to_number "
    "AND actor = NEW.created_by AND time = NEW.created_at) "
    "BEGIN SELECT RAISE(ABORT, 'a certificate needs its event, and is never replaced'); END"
)


def sqlite_triggers() -> Iterator[str]:
    """The triggers, as SQLite writes them."""
    for change in ("UPDATE", "DELETE"):
        yield (
            f"CREATE TRIGGER rehearsals_refuse_{change.lower()} BEFORE {change} ON rehearsals "
            "BEGIN SELECT RAISE(ABORT, 'rows of rehearsals are never changed or deleted'); END"
        )
    yield _REHEARSAL
