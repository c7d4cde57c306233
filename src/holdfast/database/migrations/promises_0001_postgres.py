"""The promises of the first schema, as triggers of PostgreSQL; what they promise is told in `promises_0001`.

What is never changed is refused by the statement, even where it would touch no row; `TRUNCATE` too, which SQLite does
not have. That a row is never replaced needs no trigger: PostgreSQL replaces by updating. Whatever a trigger decides by
is locked, since others write at the same moment: the log by the lock of the single writer, a run by its row.
"""

from collections.abc import Iterator

from sqlalchemy import Connection

from holdfast.database.migrations.plpgsql import function, quoted_schema

__all__ = ["postgres_triggers"]

_REFUSE = """
BEGIN
  RAISE EXCEPTION USING MESSAGE = TG_ARGV[0];
END
"""

# The number is the lock of the single writer, as `holdfast.database.postgres` takes it; here, for whoever did not.
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
  THEN
    RAISE EXCEPTION 'an event joins the log only behind its last one';
  END IF;
  RETURN NEW;
END
"""

_MODELS_INSERT = """
BEGIN
  IF NOT EXISTS (SELECT 1 FROM events WHERE model = NEW.name AND action = 'model:line:create') THEN
    RAISE EXCEPTION 'a model needs its event, and is never replaced';
  END IF;
  RETURN NEW;
END
"""

_VERSION_COUNTERS_UPDATE = """
BEGIN
  IF NEW.model IS DISTINCT FROM OLD.model OR NEW.value IS DISTINCT FROM OLD.value + 1 THEN
    RAISE EXCEPTION 'version numbers go up by one';
  END IF;
  RETURN NEW;
END
"""

_VERSION_COUNTERS_INSERT = """
BEGIN
  IF NEW.value IS DISTINCT FROM 0 THEN
    RAISE EXCEPTION 'version numbers begin at 1, once';
  END IF;
  RETURN NEW;
END
"""

_VERSIONS_INSERT = """
BEGIN
  IF NEW.number IS DISTINCT FROM (SELECT value FROM version_counters WHERE model = NEW.model)
    OR NOT EXISTS (SELECT 1 FROM events WHERE "index" = (SELECT MAX("index") FROM events)
      AND action IN ('model:version:register', 'model:version:adopt')
      AND model = NEW.model AND to_number = NEW.number AND to_digest = NEW.digest)
  THEN
    RAISE EXCEPTION 'a version needs its event and the number that was counted for it, and is never replaced';
  END IF;
  RETURN NEW;
END
"""

_APPROVALS_INSERT = """
BEGIN
  IF NOT EXISTS (SELECT 1 FROM events WHERE "index" = (SELECT MAX("index") FROM events)
    AND action = 'model:version:' || NEW.meaning AND actor = NEW.approver
    AND model = NEW.model AND to_number = NEW.number)
  THEN
    RAISE EXCEPTION 'an approval needs its event, and is never replaced';
  END IF;
  RETURN NEW;
END
"""

_STAGES_INSERT = """
BEGIN
  IF NEW.number IS NOT NULL OR NEW.last_known_good IS NOT NULL OR NEW.epoch IS DISTINCT FROM 0
    OR NOT EXISTS (SELECT 1 FROM events WHERE "index" = NEW.event AND model = NEW.model
      AND time = NEW.changed_at
      AND (action = 'model:line:create' OR (action = 'stage:pointer:define' AND stage = NEW.name)))
  THEN
    RAISE EXCEPTION 'a stage begins empty, with its event, and is never replaced';
  END IF;
  RETURN NEW;
END
"""

_STAGES_UPDATE = """
BEGIN
  IF NEW.model IS DISTINCT FROM OLD.model OR NEW.name IS DISTINCT FROM OLD.name
    OR NEW.epoch IS DISTINCT FROM OLD.epoch + 1 OR NEW.event <= OLD.event
    OR NOT EXISTS (SELECT 1 FROM events WHERE "index" = NEW.event
      AND model = NEW.model AND stage = NEW.name AND time = NEW.changed_at
      AND action IN ('stage:pointer:promote', 'stage:pointer:rollback', 'stage:pointer:adopt')
      AND from_number IS NOT DISTINCT FROM OLD.number AND to_number IS NOT DISTINCT FROM NEW.number
      AND epoch IS NOT DISTINCT FROM NEW.epoch
      AND last_known_good IS NOT DISTINCT FROM NEW.last_known_good)
  THEN
    RAISE EXCEPTION 'no stage moves without its event';
  END IF;
  RETURN NEW;
END
"""

_RUNS_UPDATE = """
BEGIN
  IF OLD.status <> 'running' OR NEW.id IS DISTINCT FROM OLD.id THEN
    RAISE EXCEPTION 'a run that has ended is never changed';
  END IF;
  RETURN NEW;
END
"""

_RUNS_DELETE = """
BEGIN
  IF OLD.status <> 'running' THEN
    RAISE EXCEPTION 'a run that has ended is never deleted';
  END IF;
  RETURN OLD;
END
"""

# Once for a statement, however many rows it has. The lock makes the end of a run wait for what is being logged, and
# what is logged wait for the end, and then see it.
_LOGGED = """
BEGIN
  PERFORM 1 FROM runs WHERE id IN (SELECT run FROM changed) ORDER BY id FOR SHARE;
  IF EXISTS (SELECT 1 FROM (SELECT DISTINCT run FROM changed) AS touched
    WHERE (SELECT status FROM runs WHERE id = touched.run) IS DISTINCT FROM 'running')
  THEN
    RAISE EXCEPTION 'a run that has ended is never changed';
  END IF;
  RETURN NULL;
END
"""

_OF_ROWS = (
    ("events", "INSERT", _EVENTS_INSERT),
    ("models", "INSERT", _MODELS_INSERT),
    ("version_counters", "UPDATE", _VERSION_COUNTERS_UPDATE),
    ("version_counters", "INSERT", _VERSION_COUNTERS_INSERT),
    ("versions", "INSERT", _VERSIONS_INSERT),
    ("approvals", "INSERT", _APPROVALS_INSERT),
    ("stages", "INSERT", _STAGES_INSERT),
    ("stages", "UPDATE", _STAGES_UPDATE),
    ("runs", "UPDATE", _RUNS_UPDATE),
    ("runs", "DELETE", _RUNS_DELETE),
)

_OF_STATEMENTS = (
    *(
        (table, change, f"rows of {table} are never changed or deleted")
        for table in ("models", "versions", "events", "verdicts", "approvals", "lineage")
        for change in ("UPDATE", "DELETE", "TRUNCATE")
    ),
    *(("version_counters", change, "version numbers are never given again") for change in ("DELETE", "TRUNCATE")),
    *(("stages", change, "stages are never deleted") for change in ("DELETE", "TRUNCATE")),
    *(
        (table, "TRUNCATE", "a run that has ended is never deleted")
        for table in ("runs", "run_params", "run_points", "run_metrics", "run_tags", "run_inputs")
    ),
)

_ROWS_OF = (
    ("insert", "INSERT", "NEW"),
    ("update_from", "UPDATE", "OLD"),
    ("update_to", "UPDATE", "NEW"),
    ("delete", "DELETE", "OLD"),
)


def postgres_triggers(connection: Connection) -> Iterator[str]:
    """The functions and the triggers, for the schema in which the connection's tables are made."""
    schema = quoted_schema(connection)
    yield function("refuse", _REFUSE, schema)
    for table, change, sentence in _OF_STATEMENTS:
        yield (
            f"CREATE TRIGGER {table}_refuse_{change.lower()} BEFORE {change} ON {schema}.{table} "
            f"FOR EACH STATEMENT EXECUTE FUNCTION {schema}.holdfast_refuse('{sentence}')"
        )
    for table, change, body in _OF_ROWS:
        name = f"{table}_{change.lower()}"
        yield function(name, body, schema)
        yield (
            f"CREATE TRIGGER {table}_refuse_{change.lower()} BEFORE {change} ON {schema}.{table} "
            f"FOR EACH ROW EXECUTE FUNCTION {schema}.holdfast_{name}()"
        )
    yield function("logged", _LOGGED, schema)
    for table in ("run_params", "run_points", "run_metrics", "run_tags", "run_inputs"):
        for name, change, rows in _ROWS_OF:
            yield (
                f"CREATE TRIGGER {table}_refuse_{name} AFTER {change} ON {schema}.{table} "
                f"REFERENCING {rows} TABLE AS changed FOR EACH STATEMENT EXECUTE FUNCTION {schema}.holdfast_logged()"
            )
