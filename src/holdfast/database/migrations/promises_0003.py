"""The promises of the third schema: the log and its tree grow together, and only at their end."""

from collections.abc import Iterator

from sqlalchemy import Connection

from holdfast.database.migrations.plpgsql import function, quoted_schema

__all__ = ["postgres_triggers", "sqlite_triggers"]

_EVENT = (
    "CREATE TRIGGER events_refuse_insert BEFORE INSERT ON events "
    'WHEN NEW."index" IS NOT (SELECT COALESCE(MAX("index") + 1, 0) FROM events) '
    'OR NEW.prev IS NOT (SELECT hash FROM events ORDER BY "index" DESC LIMIT 1) '
    'OR NEW.time < (SELECT time FROM events ORDER BY "index" DESC LIMIT 1) '
    "OR EXISTS (SELECT 1 FROM events WHERE idempotency_key = NEW.idempotency_key) "
    'OR (SELECT MAX(event) FROM event_nodes) IS NOT (SELECT MAX("index") FROM events) '
    "BEGIN SELECT RAISE(ABORT, 'an event joins the log only behind its last one, and that one is in the tree'); END"
)

_NODES = (
    "CREATE TRIGGER event_nodes_refuse_insert BEFORE INSERT ON event_nodes "
    'WHEN NEW.event IS NOT (SELECT MAX("index") FROM events) '
    "OR NEW.event IS NOT (SELECT COALESCE(MAX(event) + 1, 0) FROM event_nodes) "
    "OR typeof(NEW.nodes) <> 'blob' OR length(NEW.nodes) % 32 <> 0 OR length(NEW.nodes) = 0 "
    # One hash for the leaf, and one for each time that the new size can be halved.
    "OR (NEW.event + 1) % (1 << (length(NEW.nodes) / 32 - 1)) <> 0 "
    "OR (NEW.event + 1) % (1 << (length(NEW.nodes) / 32)) = 0 "
    "BEGIN SELECT RAISE(ABORT, 'nodes join the tree only with the event that closes them'); END"
)


def sqlite_triggers() -> Iterator[str]:
    """The triggers, as SQLite writes them; one takes the place of one of the first schema."""
    for change in ("UPDATE", "DELETE"):
        yield (
            f"CREATE TRIGGER event_nodes_refuse_{change.lower()} BEFORE {change} ON event_nodes "
            "BEGIN SELECT RAISE(ABORT, 'rows of event_nodes are never changed or deleted'); END"
        )
    yield _NODES
    yield "DROP TRIGGER events_refuse_insert"
    yield _EVENT


# The number is the lock of the single writer, as `holdfast.database.postgres` takes it; here, for whoever did not.
_EVENT_ON_A_SERVER = """
DECLARE
  last record;
BEGIN
  PERFORM pg_advisory_xact_lock(1752132708);
  SELECT "index", hash, time INTO last FROM events ORDER BY "index" DESC LIMIT 1;
  IF NEW."index" IS DISTINCT FROM COALESCE(last."index" + 1, 0)
    OR NEW.prev IS DISTINCT FROM last.hash
    OR NEW.time < last.time
    OR EXISTS (SELECT 1 FROM events WHERE idempotency_key = NEW.idempotency_key)
    OR (SELECT MAX(event) FROM event_nodes) IS DISTINCT FROM last."index"
  THEN
    RAISE EXCEPTION 'an event joins the log only behind its last one, and that one is in the tree';
  END IF;
  RETURN NEW;
END
"""

_NODES_ON_A_SERVER = """
DECLARE
  hashes bigint := octet_length(NEW.nodes) / 32;
BEGIN
  IF NEW.event IS DISTINCT FROM (SELECT MAX("index") FROM events)
    OR NEW.event IS DISTINCT FROM (SELECT COALESCE(MAX(event) + 1, 0) FROM event_nodes)
    OR mod(octet_length(NEW.nodes), 32) <> 0 OR hashes < 1 OR hashes > 62
    OR mod(NEW.event + 1, (1::bigint << (hashes - 1)::integer)) <> 0
    OR mod(NEW.event + 1, (1::bigint << hashes::integer)) = 0
  THEN
    RAISE EXCEPTION 'nodes join the tree only with the event that closes them';
  END IF;
  RETURN NEW;
END
"""


def postgres_triggers(connection: Connection) -> Iterator[str]:
    """The same as PostgreSQL writes them; what is refused as a whole is refused by the function of the first schema."""
    schema = quoted_schema(connection)
    yield function("event_nodes_insert", _NODES_ON_A_SERVER, schema)
    yield (
        "CREATE TRIGGER event_nodes_refuse_insert BEFORE INSERT ON event_nodes "
        f"FOR EACH ROW EXECUTE FUNCTION {schema}.holdfast_event_nodes_insert()"
    )
    for change in ("UPDATE", "DELETE", "TRUNCATE"):
        yield (
            f"CREATE TRIGGER event_nodes_refuse_{change.lower()} BEFORE {change} ON event_nodes FOR EACH STATEMENT "
            f"EXECUTE FUNCTION {schema}.holdfast_refuse('rows of event_nodes are never changed or deleted')"
        )
    yield function("events_insert", _EVENT_ON_A_SERVER, schema)
