"""The promises of the third schema: the log and its tree grow together, and only at their end."""

from collections.abc import Iterator

__all__ = ["sqlite_triggers"]

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
