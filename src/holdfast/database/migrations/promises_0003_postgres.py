"""The promises of the third schema, as triggers of PostgreSQL; what they promise is told in `promises_0003`."""

from collections.abc import Iterator

from sqlalchemy import Connection

from holdfast.database.migrations.plpgsql import function, quoted_schema

__all__ = ["postgres_triggers"]

_EVENTS_INSERT = """
DECLARE
  last record;
BEGIN
  PERFORM pg_advisory_xact_lock(1752132708);
  SELECT "index", hash, time INTO last FROM events ORDER BY "index" DESC LIMIT 1;
  IF NEW."index" IS DISTINCT FROM COALESCE(last."index" + 1, 0)
    OR NEW.prev IS DISTINCT FROM last.hash
    OR NEW.time < last.time
    OR EXISTS (SELECT 1 FROM events WHERE idempotency_key = NEW.idempotency_key)
    OR last."index" IS DISTINCT FROM (SELECT MAX(event) FROM event_nodes)
  THEN
    RAISE EXCEPTION 'an event joins the log only behind its last one, and that one is in the tree';
  END IF;
  RETURN NEW;
END
"""

_NODES_INSERT = """
DECLARE
  hashes integer := octet_length(NEW.nodes) / 32;
BEGIN
  PERFORM pg_advisory_xact_lock(1752132708);
  IF NEW.event IS DISTINCT FROM (SELECT MAX("index") FROM events)
    OR NEW.event IS DISTINCT FROM (SELECT COALESCE(MAX(event) + 1, 0) FROM event_nodes)
    OR hashes IS NULL OR hashes = 0 OR octet_length(NEW.nodes) <> hashes * 32
    OR mod(NEW.event + 1, 1::bigint << (hashes - 1)) <> 0
    OR mod(NEW.event + 1, 1::bigint << hashes) = 0
  THEN
    RAISE EXCEPTION 'nodes join the tree only with the event that closes them';
  END IF;
  RETURN NEW;
END
"""


def postgres_triggers(connection: Connection) -> Iterator[str]:
    """The functions and the triggers; the trigger on events is there, and its function gets another body."""
    schema = quoted_schema(connection)
    for change in ("UPDATE", "DELETE", "TRUNCATE"):
        yield (
            f"CREATE TRIGGER event_nodes_refuse_{change.lower()} BEFORE {change} ON {schema}.event_nodes "
            f"FOR EACH STATEMENT EXECUTE FUNCTION "
            f"{schema}.holdfast_refuse('rows of event_nodes are never changed or deleted')"
        )
    yield function("event_nodes_insert", _NODES_INSERT, schema)
    yield (
        f"CREATE TRIGGER event_nodes_refuse_insert BEFORE INSERT ON {schema}.event_nodes "
        f"FOR EACH ROW EXECUTE FUNCTION {schema}.holdfast_event_nodes_insert()"
    )
    yield function("events_insert", _EVENTS_INSERT, schema)
