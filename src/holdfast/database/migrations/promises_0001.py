"""The promises of the first schema, held by the database itself, whoever writes to it.

`INSERT OR REPLACE` deletes rows without asking a delete trigger, so that a row that must not be replaced is guarded on
insertion as well.
"""

from collections.abc import Iterator

__all__ = ["sqlite_triggers"]


def sqlite_triggers() -> Iterator[str]:
    """The triggers, as SQLite writes them."""
    for table in ("models", "versions", "events", "verdicts", "approvals", "lineage"):
        for change in ("UPDATE", "DELETE"):
            yield _refuse(table, change, f"rows of {table} are never changed or deleted")
    yield from _log()
    yield from _versions()
    yield from _judgements()
    yield from _stages()
    yield from _runs()


def _refuse(table: str, change: str, sentence: str, *, when: str = "1") -> str:
    return (
        f"CREATE TRIGGER {table}_refuse_{change.lower()} BEFORE {change} ON {table} WHEN {when} "
        f"BEGIN SELECT RAISE(ABORT, '{sentence}'); END"
    )


def _log() -> Iterator[str]:
    yield _refuse(
        "events",
        "INSERT",
        "an event joins the log only behind its last one",
        when='NEW."index" IS NOT (SELECT COALESCE(MAX("index") + 1, 0) FROM events) '
        'OR NEW.prev IS NOT (SELECT hash FROM events ORDER BY "index" DESC LIMIT 1) '
        'OR NEW.time < (SELECT time FROM events ORDER BY "index" DESC LIMIT 1) '
        "OR EXISTS (SELECT 1 FROM events WHERE idempotency_key = NEW.idempotency_key)",
    )


def _versions() -> Iterator[str]:
    yield _refuse(
        "models",
        "INSERT",
        "a model needs its event, and is never replaced",
        when="EXISTS (SELECT 1 FROM models WHERE name = NEW.name) OR NOT EXISTS ("
        "SELECT 1 FROM events WHERE model = NEW.name AND action = 'model:line:create')",
    )
    yield _refuse("version_counters", "DELETE", "version numbers are never given again")
    yield _refuse(
        "version_counters",
        "UPDATE",
        "version numbers go up by one",
        when="NEW.model IS NOT OLD.model OR NEW.value IS NOT OLD.value + 1",
    )
    yield _refuse(
        "version_counters",
        "INSERT",
        "version numbers begin at 1, once",
        when="NEW.value IS NOT 0 OR EXISTS (SELECT 1 FROM version_counters WHERE model = NEW.model)",
    )
    yield _refuse(
        "versions",
        "INSERT",
        "a version needs its event and the number that was counted for it, and is never replaced",
        when="EXISTS (SELECT 1 FROM versions WHERE model = NEW.model "
        "AND (number = NEW.number OR digest = NEW.digest OR semver = NEW.semver)) "
        "OR NEW.number IS NOT (SELECT value FROM version_counters WHERE model = NEW.model) "
        'OR NOT EXISTS (SELECT 1 FROM events WHERE "index" = (SELECT MAX("index") FROM events) '
        "AND action IN ('model:version:register', 'model:version:adopt') "
        "AND model = NEW.model AND to_number = NEW.number AND to_digest = NEW.digest)",
    )


def _judgements() -> Iterator[str]:
    yield _refuse(
        "verdicts",
        "INSERT",
        "a verdict is never replaced",
        when="EXISTS (SELECT 1 FROM verdicts WHERE digest = NEW.digest)",
    )
    yield _refuse(
        "approvals",
        "INSERT",
        "an approval needs its event, and is never replaced",
        when="EXISTS (SELECT 1 FROM approvals WHERE id = NEW.id) "
        'OR NOT EXISTS (SELECT 1 FROM events WHERE "index" = (SELECT MAX("index") FROM events) '
        "AND action = 'model:version:' || NEW.meaning AND actor = NEW.approver "
        "AND model = NEW.model AND to_number = NEW.number)",
    )


def _stages() -> Iterator[str]:
    yield _refuse("stages", "DELETE", "stages are never deleted")
    yield _refuse(
        "stages",
        "INSERT",
        "a stage begins empty, with its event, and is never replaced",
        when="EXISTS (SELECT 1 FROM stages WHERE model = NEW.model AND name = NEW.name) "
        "OR NEW.number IS NOT NULL OR NEW.last_known_good IS NOT NULL OR NEW.epoch IS NOT 0 "
        'OR NOT EXISTS (SELECT 1 FROM events WHERE "index" = NEW.event AND model = NEW.model '
        "AND time = NEW.changed_at "
        "AND (action = 'model:line:create' OR (action = 'stage:pointer:define' AND stage = NEW.name)))",
    )
    yield _refuse(
        "stages",
        "UPDATE",
        "no stage moves without its event",
        when="NEW.model IS NOT OLD.model OR NEW.name IS NOT OLD.name "
        "OR NEW.epoch IS NOT OLD.epoch + 1 OR NEW.event <= OLD.event "
        'OR NOT EXISTS (SELECT 1 FROM events WHERE "index" = NEW.event '
        "AND model = NEW.model AND stage = NEW.name AND time = NEW.changed_at "
        "AND action IN ('stage:pointer:promote', 'stage:pointer:rollback', 'stage:pointer:adopt') "
        "AND from_number IS OLD.number AND to_number IS NEW.number AND epoch IS NEW.epoch "
        "AND last_known_good IS NEW.last_known_good)",
    )


def _runs() -> Iterator[str]:
    yield _refuse("runs", "INSERT", "a run is never replaced", when="EXISTS (SELECT 1 FROM runs WHERE id = NEW.id)")
    yield _refuse(
        "runs",
        "UPDATE",
        "a run that has ended is never changed",
        when="OLD.status <> 'running' OR NEW.id IS NOT OLD.id",
    )
    yield _refuse("runs", "DELETE", "a run that has ended is never deleted", when="OLD.status <> 'running'")
    for table in ("run_params", "run_points", "run_metrics", "run_tags", "run_inputs"):
        for change, row in (("INSERT", "NEW.run"), ("UPDATE", "OLD.run"), ("DELETE", "OLD.run")):
            ended = f"(SELECT status FROM runs WHERE id = {row}) IS NOT 'running'"  # noqa: S608 - constants of ours
            yield _refuse(table, change, "a run that has ended is never changed", when=ended)
