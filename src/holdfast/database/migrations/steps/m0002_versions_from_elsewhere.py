"""Versions that another registry gave their numbers: what was held for `next number only` is held for both ways in.

A version that is registered here still takes the number that was counted for it. One that is taken in keeps its own, if
that is free: it may leave a gap below it, which others of its line fill later. The count goes up
by one, or to what was taken in.
"""

from alembic import op

from holdfast.database.migrations.plpgsql import function, quoted_schema

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

_COUNTED = (
    "CREATE TRIGGER version_counters_refuse_update BEFORE UPDATE ON version_counters "
    "WHEN NEW.model IS NOT OLD.model OR (NEW.value IS NOT OLD.value + 1 AND NOT (NEW.value > OLD.value "
    'AND EXISTS (SELECT 1 FROM events WHERE "index" = (SELECT MAX("index") FROM events) '
    "AND action = 'model:version:import' AND model = NEW.model AND to_number = NEW.value))) "
    "BEGIN SELECT RAISE(ABORT, 'version numbers go up by one, or to one that was taken in'); END"
)

_NUMBERED = (
    "CREATE TRIGGER versions_refuse_insert BEFORE INSERT ON versions "
    "WHEN EXISTS (SELECT 1 FROM versions WHERE model = NEW.model "
    "AND (number = NEW.number OR digest = NEW.digest OR semver = NEW.semver)) "
    "OR NEW.number < 1 OR NEW.number > (SELECT value FROM version_counters WHERE model = NEW.model) "
    'OR NOT EXISTS (SELECT 1 FROM events WHERE "index" = (SELECT MAX("index") FROM events) '
    "AND model = NEW.model AND to_number = NEW.number AND to_digest = NEW.digest "
    "AND (action = 'model:version:import' OR (action IN ('model:version:register', 'model:version:adopt') "
    "AND NEW.number IS (SELECT value FROM version_counters WHERE model = NEW.model)))) "
    "BEGIN SELECT RAISE(ABORT, "
    "'a version needs its event and a number that was counted for it or is its own, and is never replaced'); END"
)

_COUNTED_ON_A_SERVER = """
BEGIN
  IF NEW.model IS DISTINCT FROM OLD.model OR (NEW.value IS DISTINCT FROM OLD.value + 1 AND NOT (
    COALESCE(NEW.value > OLD.value, false)
    AND EXISTS (SELECT 1 FROM events WHERE "index" = (SELECT MAX("index") FROM events)
      AND action = 'model:version:import' AND model = NEW.model AND to_number = NEW.value)))
  THEN
    RAISE EXCEPTION 'version numbers go up by one, or to one that was taken in';
  END IF;
  RETURN NEW;
END
"""

_NUMBERED_ON_A_SERVER = """
DECLARE
  counted bigint := (SELECT value FROM version_counters WHERE model = NEW.model);
BEGIN
  IF NEW.number < 1 OR counted IS NULL OR NEW.number > counted
    OR NOT EXISTS (SELECT 1 FROM events WHERE "index" = (SELECT MAX("index") FROM events)
      AND model = NEW.model AND to_number = NEW.number AND to_digest = NEW.digest
      AND (action = 'model:version:import'
        OR (action IN ('model:version:register', 'model:version:adopt') AND NEW.number = counted)))
  THEN
    RAISE EXCEPTION
      'a version needs its event and a number that was counted for it or is its own, and is never replaced';
  END IF;
  RETURN NEW;
END
"""


def upgrade() -> None:
    """Exchanges two triggers for ones that know of both ways."""
    connection = op.get_bind()
    if connection.dialect.name == "postgresql":
        schema = quoted_schema(connection)
        connection.exec_driver_sql(function("version_counters_update", _COUNTED_ON_A_SERVER, schema))
        connection.exec_driver_sql(function("versions_insert", _NUMBERED_ON_A_SERVER, schema))
        return
    for name, statement in (("version_counters_refuse_update", _COUNTED), ("versions_refuse_insert", _NUMBERED)):
        connection.exec_driver_sql(f"DROP TRIGGER {name}")
        connection.exec_driver_sql(statement)


def downgrade() -> None:
    """Refuses: going back would drop rows that promise never to be dropped."""
    message = "schemas only go forward; restore the backup that was made before the upgrade"
    raise NotImplementedError(message)
