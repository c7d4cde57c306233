"""The promises of the seventh schema: a policy comes with its event, behind the one before it, and is never changed."""

from collections.abc import Iterator

from sqlalchemy import Connection

from holdfast.database.migrations.plpgsql import function, quoted_schema

__all__ = ["postgres_triggers", "sqlite_triggers"]

_NEVER = "rows of policies are never changed or deleted"
_SENTENCE = "a policy needs its event, and the next number"


def sqlite_triggers() -> Iterator[str]:
    """The triggers, as SQLite writes them."""
    for change in ("UPDATE", "DELETE"):
        yield (
            f"CREATE TRIGGER policies_refuse_{change.lower()} BEFORE {change} ON policies "
            f"BEGIN SELECT RAISE(ABORT, '{_NEVER}'); END"
        )
    yield (
        "CREATE TRIGGER policies_refuse_insert BEFORE INSERT ON policies "  # noqa: S608 - constants of ours
        "WHEN NEW.number IS NOT (SELECT COALESCE(MAX(number), 0) + 1 FROM policies WHERE scope = NEW.scope) "
        "OR EXISTS (SELECT 1 FROM policies WHERE event = NEW.event) "
        'OR NOT EXISTS (SELECT 1 FROM events WHERE "index" = NEW.event '
        "AND action = 'gate:policy:set' AND actor = NEW.created_by AND COALESCE(model, '') = NEW.scope "
        "AND json_extract(details, '$.digest') IS NEW.digest AND json_extract(details, '$.number') IS NEW.number) "
        f"BEGIN SELECT RAISE(ABORT, '{_SENTENCE}'); END"
    )


_INSERT = f"""
DECLARE
  told record;
  said jsonb;
BEGIN
  SELECT action, actor, model, details INTO told FROM events WHERE "index" = NEW.event;
  said := COALESCE(told.details, '{{}}')::jsonb;
  IF told.action IS DISTINCT FROM 'gate:policy:set' OR told.actor IS DISTINCT FROM NEW.created_by
    OR COALESCE(told.model, '') IS DISTINCT FROM NEW.scope OR said->>'digest' IS DISTINCT FROM NEW.digest
    OR said->>'number' IS DISTINCT FROM NEW.number::text
    OR NEW.number IS DISTINCT FROM (SELECT COALESCE(MAX(number), 0) + 1 FROM policies WHERE scope = NEW.scope)
  THEN
    RAISE EXCEPTION '{_SENTENCE}';
  END IF;
  RETURN NEW;
END
"""  # noqa: S608 - constants of ours


def postgres_triggers(connection: Connection) -> Iterator[str]:
    """The function and the triggers, as PostgreSQL writes them; that an event sets one policy, its key sees to."""
    schema = quoted_schema(connection)
    for change in ("UPDATE", "DELETE", "TRUNCATE"):
        yield (
            f"CREATE TRIGGER policies_refuse_{change.lower()} BEFORE {change} ON {schema}.policies "
            f"FOR EACH STATEMENT EXECUTE FUNCTION {schema}.holdfast_refuse('{_NEVER}')"
        )
    yield function("policies_insert", _INSERT, schema)
    yield (
        f"CREATE TRIGGER policies_refuse_insert BEFORE INSERT ON {schema}.policies "
        f"FOR EACH ROW EXECUTE FUNCTION {schema}.holdfast_policies_insert()"
    )
