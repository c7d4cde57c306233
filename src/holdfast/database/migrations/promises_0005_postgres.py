"""The promises of the fifth schema, as triggers of PostgreSQL; what they promise is told in `promises_0005`."""

from collections.abc import Iterator

from sqlalchemy import Connection

from holdfast.database.migrations.plpgsql import function, quoted_schema
from holdfast.database.migrations.promises_0005 import FACTS, TABLES

__all__ = ["postgres_triggers"]

_ENTRIES_INSERT = """
BEGIN
  IF NOT EXISTS (SELECT 1 FROM events WHERE "index" = NEW.event
    AND action IN ('model:version:register', 'model:version:adopt', 'model:version:import')
    AND model = NEW.model AND to_number = NEW.number)
  THEN
    RAISE EXCEPTION 'an entry names the event that numbered its version, once';
  END IF;
  RETURN NEW;
END
"""

_FACTS_INSERT = """
BEGIN
  IF EXISTS (SELECT 1 FROM version_indexes WHERE event = NEW.event) THEN
    RAISE EXCEPTION 'an indexed version gets no more facts';
  END IF;
  RETURN NEW;
END
"""


def postgres_triggers(connection: Connection) -> Iterator[str]:
    """The functions and the triggers; that an entry and an index stand once, their keys see to."""
    schema = quoted_schema(connection)
    for table in TABLES:
        for change in ("UPDATE", "DELETE", "TRUNCATE"):
            yield (
                f"CREATE TRIGGER {table}_refuse_{change.lower()} BEFORE {change} ON {schema}.{table} "
                f"FOR EACH STATEMENT EXECUTE FUNCTION "
                f"{schema}.holdfast_refuse('rows of {table} are never changed or deleted')"
            )
    yield function("version_entries_insert", _ENTRIES_INSERT, schema)
    yield function("version_facts_insert", _FACTS_INSERT, schema)
    for table, name in (("version_entries", "version_entries"), *((table, "version_facts") for table in FACTS)):
        yield (
            f"CREATE TRIGGER {table}_refuse_insert BEFORE INSERT ON {schema}.{table} "
            f"FOR EACH ROW EXECUTE FUNCTION {schema}.holdfast_{name}_insert()"
        )
