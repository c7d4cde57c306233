"""The promises of the ninth schema: a signature comes with its event, and is never changed."""

from collections.abc import Iterator

from sqlalchemy import Connection

from holdfast.database.migrations.plpgsql import function, quoted_schema

__all__ = ["postgres_triggers", "sqlite_triggers"]

_NEVER = "rows of signatures are never changed or deleted"


def sqlite_triggers() -> Iterator[str]:
    """The triggers, as SQLite writes them."""
    for change in ("UPDATE", "DELETE"):
        yield (
            f"CREATE TRIGGER signatures_refuse_{change.lower()} BEFORE {change} ON signatures "
            f"BEGIN SELECT RAISE(ABORT, '{_NEVER}'); END"
        )
    yield (
        "CREATE TRIGGER signatures_refuse_insert BEFORE INSERT ON signatures "
        "WHEN EXISTS (SELECT 1 FROM signatures WHERE digest = NEW.digest) "
        'OR NOT EXISTS (SELECT 1 FROM events WHERE "index" = (SELECT MAX("index") FROM events) '
        "AND action = 'model:version:sign' AND actor = NEW.created_by "
        "AND model = NEW.model AND to_number = NEW.number "
        "AND json_extract(details, '$.signature') IS NEW.digest AND json_extract(details, '$.key') IS NEW.key) "
        "BEGIN SELECT RAISE(ABORT, 'a signature needs its event, and is never replaced'); END"
    )


_INSERT = """
DECLARE
  last record;
  said jsonb;
BEGIN
  SELECT action, actor, model, to_number, details INTO last FROM events ORDER BY "index" DESC LIMIT 1;
  said := COALESCE(last.details, '{}')::jsonb;
  IF last.action IS DISTINCT FROM 'model:version:sign' OR last.actor IS DISTINCT FROM NEW.created_by
    OR last.model IS DISTINCT FROM NEW.model OR last.to_number IS DISTINCT FROM NEW.number
    OR said->>'signature' IS DISTINCT FROM NEW.digest OR said->>'key' IS DISTINCT FROM NEW.key
  THEN
    RAISE EXCEPTION 'a signature needs its event, and is never replaced';
  END IF;
  RETURN NEW;
END
"""


def postgres_triggers(connection: Connection) -> Iterator[str]:
    """The function and the triggers, as PostgreSQL writes them; that a signature stands once, its key sees to."""
    schema = quoted_schema(connection)
    for change in ("UPDATE", "DELETE", "TRUNCATE"):
        yield (
            f"CREATE TRIGGER signatures_refuse_{change.lower()} BEFORE {change} ON {schema}.signatures "
            f"FOR EACH STATEMENT EXECUTE FUNCTION {schema}.holdfast_refuse('{_NEVER}')"
        )
    yield function("signatures_insert", _INSERT, schema)
    yield (
        f"CREATE TRIGGER signatures_refuse_insert BEFORE INSERT ON {schema}.signatures "
        f"FOR EACH ROW EXECUTE FUNCTION {schema}.holdfast_signatures_insert()"
    )
