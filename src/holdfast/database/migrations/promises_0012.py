"""The promises of the twelfth schema: a run that has ended is never changed, unless it is a run of an experiment.

MLflow's clients take runs up again after their end. A run belongs to an experiment from its first moment or never does:
no run that has ended can be opened by giving it one.
"""

from collections.abc import Iterator

from sqlalchemy import Connection

from holdfast.database.migrations.plpgsql import function, quoted_schema

__all__ = ["postgres_triggers", "sqlite_triggers"]

_ENDED = "a run that has ended is never changed"
_LOGGED_IN = ("run_params", "run_points", "run_metrics", "run_tags", "run_inputs")

# `experiment` of a row is no key of the table: SQLite cannot add one to a table that is there.
_EXPERIMENT = "NEW.experiment IS NOT NULL AND NOT EXISTS (SELECT 1 FROM experiments WHERE id = NEW.experiment)"


def sqlite_triggers() -> Iterator[str]:
    """The triggers, as SQLite writes them."""
    yield "DROP TRIGGER runs_refuse_update"
    yield _refuse(
        "runs",
        "update",
        "OLD.status <> 'running' AND OLD.experiment IS NULL OR NEW.id IS NOT OLD.id "
        "OR (NEW.experiment IS NULL) IS NOT (OLD.experiment IS NULL)",
    )
    yield (
        f"CREATE TRIGGER runs_require_experiment BEFORE INSERT ON runs WHEN {_EXPERIMENT} "
        "BEGIN SELECT RAISE(ABORT, 'a run is of an experiment that there is, or of none'); END"
    )
    for table in _LOGGED_IN:
        for change, row in (("insert", "NEW.run"), ("update", "OLD.run"), ("delete", "OLD.run")):
            yield f"DROP TRIGGER {table}_refuse_{change}"
            yield _refuse(
                table,
                change,
                f"NOT EXISTS (SELECT 1 FROM runs WHERE id = {row} "  # noqa: S608 - constants of ours
                "AND (status = 'running' OR experiment IS NOT NULL))",
            )


def _refuse(table: str, change: str, when: str) -> str:
    return (
        f"CREATE TRIGGER {table}_refuse_{change} BEFORE {change.upper()} ON {table} WHEN {when} "
        f"BEGIN SELECT RAISE(ABORT, '{_ENDED}'); END"
    )


_RUNS_UPDATE = """
BEGIN
  IF OLD.status <> 'running' AND OLD.experiment IS NULL OR NEW.id IS DISTINCT FROM OLD.id
    OR (NEW.experiment IS NULL) IS DISTINCT FROM (OLD.experiment IS NULL)
  THEN
    RAISE EXCEPTION 'a run that has ended is never changed';
  END IF;
  RETURN NEW;
END
"""

_RUNS_EXPERIMENT = """
BEGIN
  IF NEW.experiment IS NOT NULL AND NOT EXISTS (SELECT 1 FROM experiments WHERE id = NEW.experiment) THEN
    RAISE EXCEPTION 'a run is of an experiment that there is, or of none';
  END IF;
  RETURN NEW;
END
"""

_LOGGED = """
BEGIN
  PERFORM 1 FROM runs WHERE id IN (SELECT run FROM changed) ORDER BY id FOR SHARE;
  IF EXISTS (SELECT 1 FROM (SELECT DISTINCT run FROM changed) AS touched
    WHERE NOT EXISTS (SELECT 1 FROM runs WHERE id = touched.run AND (status = 'running' OR experiment IS NOT NULL)))
  THEN
    RAISE EXCEPTION 'a run that has ended is never changed';
  END IF;
  RETURN NULL;
END
"""


def postgres_triggers(connection: Connection) -> Iterator[str]:
    """The functions with their new bodies, for the schema in which the connection's tables are made."""
    schema = quoted_schema(connection)
    yield function("runs_update", _RUNS_UPDATE, schema)
    yield function("logged", _LOGGED, schema)
    yield function("runs_experiment", _RUNS_EXPERIMENT, schema)
    yield (
        f"CREATE TRIGGER runs_require_experiment BEFORE INSERT ON {schema}.runs "
        f"FOR EACH ROW EXECUTE FUNCTION {schema}.holdfast_runs_experiment()"
    )
