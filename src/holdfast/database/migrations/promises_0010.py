"""The promises of the tenth schema: rows of rollouts come with their events; neither they nor truths are changed.

What begins a rollout says so itself; each further row says of which rollout it is, concerns the same versions at the
same epoch of the same stage, and comes behind a row with which that rollout was going on, or was a canary that had
passed: that one keeps its share.
"""

from collections.abc import Iterator

__all__ = ["SAME", "sqlite_triggers"]

SAME = ("model", "stage", "epoch", "kind", "number", "digest", "against", "against_digest")
"""The columns that every row of a rollout has in common."""

_ROLLOUT = """
CREATE TRIGGER rollouts_refuse_insert BEFORE INSERT ON rollouts
WHEN EXISTS (SELECT 1 FROM rollouts WHERE event = NEW.event)
  OR NEW.event IS NOT (SELECT MAX("index") FROM events)
  OR NOT EXISTS (
    SELECT 1 FROM events e WHERE e."index" = NEW.event
    AND e.model = NEW.model AND e.stage = NEW.stage AND e.epoch = NEW.epoch
    AND e.from_number = NEW.against AND e.from_digest = NEW.against_digest
    AND e.to_number = NEW.number AND e.to_digest = NEW.digest
    AND e.reason = NEW.reason AND e.verdict IS NEW.verdict AND e.actor = NEW.created_by AND e.time = NEW.created_at
    AND json_extract(e.details, '$.kind') IS NEW.kind AND json_extract(e.details, '$.state') IS NEW.state
    AND json_extract(e.details, '$.step') IS NEW.step
    AND (
      e.action = 'stage:rollout:begin' AND NEW.rollout = NEW.event AND NEW.state = 'running' AND NEW.step = 0
      OR e.action = 'stage:rollout:turn' AND json_extract(e.details, '$.rollout') IS NEW.rollout
      AND EXISTS (
        SELECT 1 FROM rollouts r WHERE r.event = (SELECT MAX(event) FROM rollouts WHERE rollout = NEW.rollout)
        AND (r.state IN ('running', 'held') OR r.kind = 'canary' AND r.state = 'passed') AND __SAME__
      )
    )
  )
BEGIN SELECT RAISE(ABORT, 'a row of a rollout needs its event, and is never replaced'); END
""".strip().replace("__SAME__", " AND ".join(f"r.{column} = NEW.{column}" for column in SAME))

_TRUTH = (
    "CREATE TRIGGER truths_refuse_insert BEFORE INSERT ON truths "
    'WHEN EXISTS (SELECT 1 FROM truths WHERE "index" = NEW."index") '
    "OR EXISTS (SELECT 1 FROM truths WHERE model = NEW.model AND request = NEW.request AND place = NEW.place) "
    "BEGIN SELECT RAISE(ABORT, 'the first word about a row of a request stands: it is never replaced'); END"
)


def sqlite_triggers() -> Iterator[str]:
    """The triggers, as SQLite writes them."""
    for table in ("rollouts", "truths"):
        for change in ("UPDATE", "DELETE"):
            yield (
                f"CREATE TRIGGER {table}_refuse_{change.lower()} BEFORE {change} ON {table} "
                f"BEGIN SELECT RAISE(ABORT, 'rows of {table} are never changed or deleted'); END"
            )
    yield _ROLLOUT
    yield _TRUTH
