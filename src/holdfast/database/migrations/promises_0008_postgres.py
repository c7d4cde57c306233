"""The promises of the eighth schema, as triggers of PostgreSQL; what they promise is told in `promises_0008`."""

from collections.abc import Iterator

from sqlalchemy import Connection

from holdfast.database.migrations.plpgsql import function, quoted_schema

__all__ = ["postgres_triggers"]

_INSERT = """
BEGIN
  IF NEW.event IS DISTINCT FROM (SELECT MAX("index") FROM events)
    OR NOT EXISTS (SELECT 1 FROM events WHERE "index" = NEW.event
      AND action = 'stage:rollback:rehearse' AND model = NEW.model AND stage = NEW.stage
      AND from_number = NEW.from_number AND to_number = NEW.to_number
      AND actor = NEW.created_by AND time = NEW.created_at)
  THEN
    RAISE EXCEPTION 'a certificate needs its event, and is never replaced';
  END IF;
  RETURN NEW;
END
"""


def postgres_triggers(connection: Connection) -> Iterator[str]:
    """The function and the triggers; that a certificate and its event stand once, the table's keys see to."""
    schema = quoted_schema(connection)
    for change in ("UPDATE", "DELETE", "TRUNCATE"):
        yield (
            f"CREATE TRIGGER rehearsals_refuse_{change.lower()} BEFORE {change} ON {schema}.rehearsals "
            f"FOR EACH STATEMENT EXECUTE FUNCTION "
            f"{schema}.holdfast_refuse('rows of rehearsals are never changed or deleted')"
        )
    yield function("rehearsals_insert", _INSERT, schema)
    yield (
        f"CREATE TRIGGER rehearsals_refuse_insert BEFORE INSERT ON {schema}.rehearsals "
        f"FOR EACH ROW EXECUTE FUNCTION {schema}.holdfast_rehearsals_insert()"
    )
