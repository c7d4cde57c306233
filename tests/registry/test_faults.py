"""A kill and a full disk: the state before or the state after, and nothing between."""

import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from holdfast.database.engine import Database
from holdfast.digest import hash_bytes
from holdfast.errors import NoSpace
from holdfast.names import ModelName, StageName, VersionNumber
from holdfast.registry import Action, MoveStage, NewEvent, NewVersion
from holdfast.registry.sql import SqlRegistry
from tests.patience import PATIENCE_SECONDS

CHURN, PRODUCTION = ModelName("churn"), StageName("production")

MOVER = """
import os, signal, sys
from datetime import UTC, datetime
from sqlalchemy import event
from holdfast.database.engine import Database
from holdfast.names import ModelName, StageName, VersionNumber
from holdfast.registry import Action, MoveStage
from holdfast.registry.sql import SqlRegistry

path, moment, after = sys.argv[1], sys.argv[2], int(sys.argv[3])
database = Database.open(f"sqlite:///{path}")
registry = SqlRegistry(database, lambda: datetime.now(UTC), lambda: "unused")
model, stage = ModelName("churn"), StageName("production")
count = 0

def die(*_):
    global count
    count += 1
    if count > after:
        os.kill(os.getpid(), signal.SIGKILL)

names = {"statement": "before_cursor_execute", "answer": "after_cursor_execute", "commit": "commit"}
held = registry.stage(model, stage).number
event.listen(database.engine, names[moment], die)
for to in [1, 2] * 200:
    if to != held:
        asked = MoveStage(
            model, stage, VersionNumber(to), held, Action.STAGE_PROMOTE, idempotency_key=f"k{to}{count}"
        )
        move = registry.move_stage(asked, "ana")
        held = move.to_number
        print(move.event, flush=True)
"""


def with_versions(registry: SqlRegistry, count: int) -> None:
    registry.ensure_model(CHURN, "ana")
    for n in range(count):
        registry.register(NewVersion(CHURN, hash_bytes(str(n).encode()), complete=True), "ana")


@pytest.mark.slow
@pytest.mark.parametrize(
    ("moment", "after"),
    [*(("statement", n) for n in range(9)), *(("answer", n) for n in range(9)), ("commit", 0), ("commit", 1)],
)
def test_a_kill_in_the_middle_of_a_move_leaves_the_state_before_or_after(
    registry_at: Callable[[Path], SqlRegistry], database_path: Path, moment: str, after: int
) -> None:
    registry = registry_at(database_path)
    with_versions(registry, 2)
    registry.move_stage(MoveStage(CHURN, PRODUCTION, VersionNumber(1), None, Action.STAGE_PROMOTE), "ana")
    killed = subprocess.run(
        [sys.executable, "-W", "error", "-c", MOVER, str(database_path), moment, str(after)],
        capture_output=True,
        text=True,
        timeout=PATIENCE_SECONDS,
        check=False,
    )
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    acknowledged = [int(line) for line in killed.stdout.split()]
    stage = registry.stage(CHURN, PRODUCTION)
    moves = [event for event in registry.log(limit=1_000) if event.action == Action.STAGE_PROMOTE]
    assert stage.event == moves[0].index
    assert stage.number == moves[0].to_number
    assert stage.epoch == len(moves)
    assert set(acknowledged) <= {event.index for event in moves}
    assert len(moves) - 1 - len(acknowledged) in {0, 1}
    audit = registry.audit_verify()
    assert audit.ok, audit.sentence
    assert (registry.heads()[0].size, registry.heads()[0].root) == (audit.size, audit.root)
    held = VersionNumber(stage.number or 0)
    registry.move_stage(MoveStage(CHURN, PRODUCTION, VersionNumber(3 - held), held, Action.STAGE_PROMOTE), "ana")


def test_a_full_disk_is_no_space_and_the_registry_is_as_before(
    registry: SqlRegistry, database: Database, database_path: Path
) -> None:
    with_versions(registry, 2)
    before = (registry.versions(), registry.log(), registry.stages(CHURN))
    with database.write() as connection:
        pages = connection.exec_driver_sql("PRAGMA page_count").scalar_one()
        connection.exec_driver_sql(f"PRAGMA max_page_count = {pages}")
    large = {"note": "x" * 60_000}
    with pytest.raises(NoSpace, match="full") as raised:
        registry.register(NewVersion(CHURN, hash_bytes(b"new"), complete=True, summary=large), "ana")
    assert raised.value.hint
    with pytest.raises(NoSpace):
        registry.record(NewEvent(Action.GATE_REFUSE, CHURN, details=large), "ana")
    assert (registry.versions(), registry.log(), registry.stages(CHURN)) == before
    assert registry.audit_verify().ok
    with database.write() as connection:
        connection.exec_driver_sql("PRAGMA max_page_count = 1000000")
    assert registry.register(NewVersion(CHURN, hash_bytes(b"new"), complete=True, summary=large), "ana").number == 3
