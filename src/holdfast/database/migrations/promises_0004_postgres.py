"""The promises of the fourth schema, as triggers of PostgreSQL; what they promise is told in `promises_0004`."""

from collections.abc import Iterator

from sqlalchemy import Connection

from holdfast.database.migrations.plpgsql import function, quoted_schema
from holdfast.database.migrations.promises_0004 import LASTING_OF_TOKENS, LASTING_OF_USERS

__all__ = ["postgres_triggers"]

_LAST = """
DECLARE
  last record;
  said jsonb;
BEGIN
  SELECT action, details INTO last FROM events ORDER BY "index" DESC LIMIT 1;
  said := COALESCE(last.details, '{}')::jsonb;
"""

_BODIES = {
    "users_insert": """
  IF NEW.disabled_at IS NOT NULL OR last.action IS DISTINCT FROM 'access:user:add'
    OR said->>'user' IS DISTINCT FROM NEW.name
  THEN
    RAISE EXCEPTION 'a user needs its event, and is never replaced';
  END IF;
""",
    "users_update": """
  IF LASTING OR said->>'user' IS DISTINCT FROM NEW.name OR NEW.email IS DISTINCT FROM OLD.email OR NOT COALESCE(
    (NEW.disabled_at IS NOT NULL AND OLD.disabled_at IS NULL AND NEW.subject IS NOT DISTINCT FROM OLD.subject
      AND last.action = 'access:user:disable')
    OR (NEW.subject IS NOT NULL AND OLD.subject IS NULL AND NEW.disabled_at IS NOT DISTINCT FROM OLD.disabled_at
      AND last.action = 'access:user:bind'), false)
  THEN
    RAISE EXCEPTION 'a user is disabled, or bound to a provider, together with the event';
  END IF;
""",
    "grants_insert": """
  IF last.action IS DISTINCT FROM 'access:grant:add' OR said->>'user' IS DISTINCT FROM NEW.holder
    OR said->>'pattern' IS DISTINCT FROM NEW.pattern OR said->>'role' IS DISTINCT FROM NEW.role
  THEN
    RAISE EXCEPTION 'a grant needs its event';
  END IF;
""",
    "grants_update": """
  IF NEW.holder <> OLD.holder OR NEW.pattern <> OLD.pattern
    OR last.action IS DISTINCT FROM 'access:grant:add' OR said->>'user' IS DISTINCT FROM NEW.holder
    OR said->>'pattern' IS DISTINCT FROM NEW.pattern OR said->>'role' IS DISTINCT FROM NEW.role
  THEN
    RAISE EXCEPTION 'a grant needs its event';
  END IF;
""",
    "grants_delete": """
  IF last.action IS DISTINCT FROM 'access:grant:remove' OR said->>'user' IS DISTINCT FROM OLD.holder
    OR said->>'pattern' IS DISTINCT FROM OLD.pattern
  THEN
    RAISE EXCEPTION 'a grant is taken back together with its event';
  END IF;
  RETURN OLD;
""",
    "tokens_insert": """
  IF NEW.revoked_at IS NOT NULL OR last.action IS DISTINCT FROM 'access:token:issue'
    OR said->>'token' IS DISTINCT FROM NEW.id OR said->>'user' IS DISTINCT FROM NEW.holder
  THEN
    RAISE EXCEPTION 'a token needs its event, and is never replaced';
  END IF;
""",
    "tokens_update": """
  IF LASTING OR (NEW.revoked_at IS DISTINCT FROM OLD.revoked_at AND (OLD.revoked_at IS NOT NULL
    OR last.action IS DISTINCT FROM 'access:token:revoke' OR said->>'token' IS DISTINCT FROM NEW.id
    OR said->>'user' IS DISTINCT FROM NEW.holder))
  THEN
    RAISE EXCEPTION 'a token is revoked together with its event, and stays as it was issued';
  END IF;
""",
}

_LASTING = {"users_update": LASTING_OF_USERS, "tokens_update": LASTING_OF_TOKENS}


def postgres_triggers(connection: Connection) -> Iterator[str]:
    """The functions and the triggers that call them."""
    schema = quoted_schema(connection)
    for name, body in _BODIES.items():
        table, _, change = name.partition("_")
        kept = " OR ".join(f"NEW.{column} IS DISTINCT FROM OLD.{column}" for column in _LASTING.get(name, ()))
        yield function(name, f"{_LAST}{body.replace('LASTING', kept)}  RETURN NEW;\nEND\n", schema)
        yield (
            f"CREATE TRIGGER {table}_refuse_{change} BEFORE {change.upper()} ON {schema}.{table} "
            f"FOR EACH ROW EXECUTE FUNCTION {schema}.holdfast_{name}()"
        )
    for table, changes in (
        ("users", ("DELETE", "TRUNCATE")),
        ("tokens", ("DELETE", "TRUNCATE")),
        ("grants", ("TRUNCATE",)),
    ):
        for change in changes:
            yield (
                f"CREATE TRIGGER {table}_refuse_{change.lower()} BEFORE {change} ON {schema}.{table} "
                f"FOR EACH STATEMENT EXECUTE FUNCTION {schema}.holdfast_refuse('rows of {table} are never deleted')"
            )
