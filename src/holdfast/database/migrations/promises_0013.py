"""The promises of the thirteenth schema: a stage is emptied as it moves, with an event that says exactly that."""

from collections.abc import Iterator

from sqlalchemy import Connection

from holdfast.database.migrations.plpgsql import function, quoted_schema

__all__ = ["postgres_triggers", "sqlite_triggers"]


def sqlite_triggers() -> Iterator[str]:
    """The trigger of the first schema in another form, as SQLite writes it."""
    yield "DROP TRIGGER stages_refuse_update"
    yield (
        "CREATE TRIGGER stages_refuse_update BEFORE UPDATE ON stages "
        "WHEN NEW.model IS NOT OLD.model OR NEW.name IS NOT OLD.name "
        "OR NEW.epoch IS NOT OLD.epoch + 1 OR NEW.event <= OLD.event "
        'OR NOT EXISTS (SELECT 1 FROM events WHERE "index" = NEW.event '
        "AND model = NEW.model AND stage = NEW.name AND time = NEW.changed_at "
        "AND from_number IS OLD.number AND to_number IS NEW.number AND epoch IS NEW.epoch "
        "AND last_known_good IS NEW.last_known_good "
        "AND ((action IN ('stage:pointer:promote', 'stage:pointer:rollback', 'stage:pointer:adopt') "
        "AND NEW.number IS NOT NULL) "
        "OR (action = 'stage:pointer:clear' AND NEW.number IS NULL AND OLD.number IS NOT NULL "
        "AND NEW.last_known_good IS OLD.number))) "
        "BEGIN SELECT RAISE(ABORT, 'no stage moves without its event'); END"
    )


_UPDATE = """
BEGIN
  IF NEW.model IS DISTINCT FROM OLD.model OR NEW.name IS DISTINCT FROM OLD.name
    OR NEW.epoch IS DISTINCT FROM OLD.epoch + 1 OR NEW.event <= OLD.event
    OR NOT EXISTS (SELECT 1 FROM events WHERE "index" = NEW.event
      AND model = NEW.model AND stage = NEW.name AND time = NEW.changed_at
      AND from_number IS NOT DISTINCT FROM OLD.number AND to_number IS NOT DISTINCT FROM NEW.number
      AND epoch IS NOT DISTINCT FROM NEW.epoch
      AND last_known_good IS NOT DISTINCT FROM NEW.last_known_good
      AND ((action IN ('stage:pointer:promote', 'stage:pointer:rollback', 'stage:pointer:adopt')
          AND NEW.number IS NOT NULL)
        OR (action = 'stage:pointer:clear' AND NEW.number IS NULL AND OLD.number IS NOT NULL
          AND NEW.last_known_good IS NOT DISTINCT FROM OLD.number)))
  THEN
    RAISE EXCEPTION 'no stage moves without its event';
  END IF;
  RETURN NEW;
END
"""


def postgres_triggers(connection: Connection) -> Iterator[str]:
    """The function of the trigger with another body, as PostgreSQL writes it."""
    yield function("stages_update", _UPDATE, quoted_schema(connection))
