"""The promises of the tenth schema, as triggers of PostgreSQL; what they promise is told in `promises_0010`."""

from collections.abc import Iterator

from sqlalchemy import Connection

from holdfast.database.migrations.plpgsql import function, quoted_schema
from holdfast.database.migrations.promises_0010 import SAME

__all__ = ["postgres_triggers"]

_INSERT = """
DECLARE
  last record;
  before record;
  said jsonb;
BEGIN
  SELECT * INTO last FROM events ORDER BY "index" DESC LIMIT 1;
  SELECT * INTO before FROM rollouts WHERE rollout = NEW.rollout ORDER BY event DESC LIMIT 1;
  said := COALESCE(last.details, '{}')::jsonb;
  IF NEW.event IS DISTINCT FROM last."index"
    OR (last.model, last.stage, last.epoch, last.reason, last.verdict, last.actor, last.time)
      IS DISTINCT FROM (NEW.model, NEW.stage, NEW.epoch, NEW.reason, NEW.verdict, NEW.created_by, NEW.created_at)
    OR (last.from_number, last.from_digest, last.to_number, last.to_digest)
      IS DISTINCT FROM (NEW.against, NEW.against_digest, NEW.number, NEW.digest)
    OR said->>'kind' IS DISTINCT FROM NEW.kind OR said->>'state' IS DISTINCT FROM NEW.state
    OR said->>'step' IS DISTINCT FROM NEW.step::text
    OR NOT COALESCE(CASE last.action
      WHEN 'stage:rollout:begin' THEN NEW.rollout = NEW.event AND NEW.state = 'running' AND NEW.step = 0
      WHEN 'stage:rollout:turn' THEN said->>'rollout' = NEW.rollout::text
        AND (before.state IN ('running', 'held') OR before.kind = 'canary' AND before.state = 'passed')
        AND (__BEFORE__) = (__NEW__)
      ELSE false
    END, false)
  THEN
    RAISE EXCEPTION 'a row of a rollout needs its event, and is never replaced';
  END IF;
  RETURN NEW;
END
"""


def postgres_triggers(connection: Connection) -> Iterator[str]:
    """The function and the triggers; that a row stands once, the tables' keys see to."""
    schema = quoted_schema(connection)
    for table in ("rollouts", "truths"):
        for change in ("UPDATE", "DELETE", "TRUNCATE"):
            yield (
                f"CREATE TRIGGER {table}_refuse_{change.lower()} BEFORE {change} ON {schema}.{table} "
                f"FOR EACH STATEMENT EXECUTE FUNCTION "
                f"{schema}.holdfast_refuse('rows of {table} are never changed or deleted')"
            )
    body = _INSERT.replace("__BEFORE__", _of("before")).replace("__NEW__", _of("NEW"))
    yield function("rollouts_insert", body, schema)
    yield (
        f"CREATE TRIGGER rollouts_refuse_insert BEFORE INSERT ON {schema}.rollouts "
        f"FOR EACH ROW EXECUTE FUNCTION {schema}.holdfast_rollouts_insert()"
    )


def _of(row: str) -> str:
    return ", ".join(f"{row}.{column}" for column in SAME)
