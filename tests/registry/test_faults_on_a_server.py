"""A server that is killed and started again, and answers that are lost: no move is lost, and none is made twice."""

import threading
import time
import uuid
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime
from typing import Literal

import pytest

from holdfast.database.engine import Database
from holdfast.digest import hash_bytes
from holdfast.errors import Unavailable
from holdfast.names import ModelName, StageName, VersionNumber
from holdfast.registry import Action, Move, MoveStage, NewApproval, NewArchive, NewEvent, NewVersion
from holdfast.registry.sql import SqlRegistry
from holdfast.tracking import NewRun, RunStatus
from holdfast.tracking.sql import SqlTracking
from tests.postgres import PostgresServer, postgres_server
from tests.proxy import proxy_to

pytestmark = pytest.mark.slow

PRODUCTION = StageName("production")
MOVERS, RESTARTS = 6, 3
MOVES_BETWEEN = 40


def registry_on(database: Database) -> SqlRegistry:
    return SqlRegistry(database, lambda: datetime.now(UTC), lambda: uuid.uuid4().hex)


def with_two_versions(registry: SqlRegistry, model: ModelName) -> None:
    registry.ensure_model(model, "ana")
    for n in (1, 2):
        registry.register(NewVersion(model, hash_bytes(f"{n}".encode()), complete=True), "ana")


def asked(model: ModelName, nth: int) -> MoveStage:
    """The nth move of a stage that goes to and fro between two versions; the key is the request's own."""
    to, held = VersionNumber(1 + nth % 2), None if nth == 0 else VersionNumber(2 - nth % 2)
    return MoveStage(model, PRODUCTION, to, held, Action.STAGE_PROMOTE, idempotency_key=f"{model} {nth}")


CHURN = ModelName("churn")

WRITES: dict[str, Callable[[SqlRegistry], object]] = {
    "create_model": lambda names: names.create_model(ModelName("fresh"), "ana"),
    "ensure_model": lambda names: names.ensure_model(ModelName("another"), "ana"),
    "define_stage": lambda names: names.define_stage(CHURN, StageName("blue"), "ana"),
    "register": lambda names: names.register(NewVersion(CHURN, hash_bytes(b"3"), complete=True), "ana"),
    "import_version": lambda names: names.import_version(
        NewVersion(CHURN, hash_bytes(b"9"), complete=True), VersionNumber(9), "ana"
    ),
    "move_stage": lambda names: names.move_stage(replace(asked(CHURN, 0), idempotency_key=None), "ana"),
    "approve": lambda names: names.approve(NewApproval(CHURN, VersionNumber(1), hash_bytes(b"1"), PRODUCTION), "bob"),
    "record": lambda names: names.record(NewEvent(Action.GATE_REFUSE, CHURN, PRODUCTION), "ana"),
    "hold": lambda names: names.hold(hash_bytes(b"data"), "an audit", "ana"),
    "archive": lambda names: names.archive(NewArchive(hash_bytes(b"old"), "attic", "s3://attic", 1, 1), "ana"),
}


@pytest.mark.parametrize("cut", ["answer", "question"])
def test_a_write_whose_answer_was_lost_is_asked_for_again_and_made_once(
    postgres: PostgresServer, postgres_database: str, cut: Literal["answer", "question"]
) -> None:
    with proxy_to(postgres.port) as proxy:
        database = Database.open(postgres.url(postgres_database, port=proxy.port))
        registry = registry_on(database)
        with_two_versions(registry, CHURN)
        size = registry.audit_verify().size
        for nth, (name, write) in enumerate(WRITES.items(), 1):
            proxy.cut = cut
            write(registry)
            assert repr(proxy.cut) == "None", name
            assert len(registry.log(limit=1_000)) == size + nth, name
        assert registry.audit_verify().ok
        database.close()


def test_what_runs_log_is_logged_once_though_answers_are_lost(postgres: PostgresServer, postgres_database: str) -> None:
    with proxy_to(postgres.port) as proxy:
        database = Database.open(postgres.url(postgres_database, port=proxy.port))
        tracking = SqlTracking(database, lambda: datetime.now(UTC), lambda: uuid.uuid4().hex)
        proxy.cut = "answer"
        run = tracking.start_run(NewRun(params={"lr": 0.1}), "ana")
        for nth in range(3):
            proxy.cut = "answer" if nth else "question"
            tracking.log_metrics(run.id, {"loss": 1.0})
        proxy.cut = "answer"
        ended = tracking.finish_run(run.id, RunStatus.FINISHED)
        assert repr(proxy.cut) == "None"
        assert len(tracking.history(run.id, "loss")) == 3
        assert tracking.search() == (ended,)
        database.close()


def test_a_write_is_of_unknown_outcome_only_when_the_server_stays_away(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("holdfast.database.insisting._PAUSES_SECONDS", (0.01, 0.01))
    with postgres_server() as server, proxy_to(server.port) as proxy:
        database = Database.open(server.url(server.empty(), port=proxy.port))
        registry = registry_on(database)
        with_two_versions(registry, CHURN)
        proxy.cut = "answer"
        proxy.gone = True
        with pytest.raises(Unavailable) as caught:
            registry.move_stage(asked(CHURN, 0), "ana")
        assert caught.value.details["outcome"] == "unknown"
        proxy.gone = False
        move = registry.move_of("churn 0")
        assert move is not None
        assert registry.move_stage(asked(CHURN, 0), "ana") == move
        database.close()


class Movers:
    """Threads that move a stage each, to and fro, and ask again under the same key whenever they got no answer."""

    def __init__(self, registry: SqlRegistry, pool: ThreadPoolExecutor) -> None:
        self.acknowledged: dict[ModelName, list[Move]] = {ModelName(f"m{n}"): [] for n in range(MOVERS)}
        self.interrupted: list[str | None] = []
        self._registry = registry
        self._done = threading.Event()
        for model in self.acknowledged:
            with_two_versions(registry, model)
        self._running = [pool.submit(self._move_on, model) for model in self.acknowledged]

    def _move_on(self, model: ModelName) -> None:
        moves = self.acknowledged[model]
        while not self._done.is_set():
            try:
                moves.append(self._registry.move_stage(asked(model, len(moves)), "ana"))
            except Unavailable as error:
                self.interrupted.append(error.details.get("outcome"))
                time.sleep(0.02)

    def wait_for(self, count: int) -> None:
        """Until so many moves were acknowledged."""
        while sum(map(len, self.acknowledged.values())) < count:
            assert not any(mover.done() for mover in self._running)
            time.sleep(0.01)

    def stop(self) -> None:
        self._done.set()
        for mover in self._running:
            mover.result()


def test_a_server_that_is_killed_again_and_again_loses_no_move_and_makes_none_twice() -> None:
    with postgres_server(durable=True) as server, ThreadPoolExecutor(MOVERS) as pool:
        database = Database.open(server.url(server.empty()))
        registry = registry_on(database)
        movers = Movers(registry, pool)
        try:
            for nth in range(1, RESTARTS + 1):
                movers.wait_for(MOVES_BETWEEN * nth)
                server.stop()
                server.start()
            movers.wait_for(MOVES_BETWEEN * (RESTARTS + 1))
        finally:
            movers.stop()
        for model, acknowledged in movers.acknowledged.items():
            moves = [event for event in registry.log(model, limit=1_000) if event.action == Action.STAGE_PROMOTE]
            assert [event.index for event in reversed(moves)] == [move.event for move in acknowledged]
            assert registry.stage(model, PRODUCTION).epoch == len(moves)
        audit = registry.audit_verify()
        assert audit.ok, audit.sentence
        database.close()
