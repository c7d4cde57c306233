"""A server that is killed and started again, and answers that are lost: no move is lost, and none is made twice."""

import threading
import time
import uuid
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime

import pytest

from holdfast.database.engine import Database
from holdfast.digest import hash_bytes
from holdfast.errors import Unavailable
from holdfast.names import ModelName, StageName, VersionNumber
from holdfast.registry import Action, Move, MoveStage, NewVersion
from holdfast.registry.sql import SqlRegistry
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


@pytest.mark.parametrize(("cut", "made"), [("answer", 1), ("question", 0)])
def test_a_move_whose_answer_was_lost_is_asked_for_again_and_made_once(
    postgres: PostgresServer, postgres_database: str, cut: str, made: int
) -> None:
    model = ModelName("churn")
    with proxy_to(postgres.port) as proxy:
        database = Database.open(postgres.url(postgres_database, port=proxy.port))
        registry = registry_on(database)
        with_two_versions(registry, model)
        proxy.cut = cut  # type: ignore[assignment]
        with pytest.raises(Unavailable) as caught:
            registry.move_stage(asked(model, 0), "ana")
        assert caught.value.details["outcome"] == "unknown"
        before = registry.move_of("churn 0")
        assert (before is not None) == bool(made)
        again = registry.move_stage(asked(model, 0), "ana")
        assert before in {None, again}
        assert registry.stage(model, PRODUCTION).epoch == 1
        assert registry.audit_verify().ok
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
        assert movers.interrupted
        for model, acknowledged in movers.acknowledged.items():
            moves = [event for event in registry.log(model, limit=1_000) if event.action == Action.STAGE_PROMOTE]
            assert [event.index for event in reversed(moves)] == [move.event for move in acknowledged]
            assert registry.stage(model, PRODUCTION).epoch == len(moves)
        audit = registry.audit_verify()
        assert audit.ok, audit.sentence
        database.close()
