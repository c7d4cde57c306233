"""A whole canary: two replicas at one registry, real workers, and requests that come until it has ended."""

import asyncio
import itertools
import shutil
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import pytest

from holdfast.database.engine import Database
from holdfast.errors import Unavailable
from holdfast.names import VersionNumber
from holdfast.registry import Action, MoveStage, NewVersion
from holdfast.registry.rollouts import NewRollout, Rollout, RolloutKind, RolloutState, Turn
from holdfast.registry.sql import SqlRegistry
from holdfast.serving.book import RegistryBook
from holdfast.serving.bucketing import salt_of, taken
from holdfast.serving.keys import KeySource
from holdfast.serving.plan import CanaryPlan, Step
from holdfast.serving.replica import Place, Replica
from holdfast.serving.source import RegistrySource
from holdfast.serving.tallying import Tallying
from holdfast.web.inference.app import replica_app
from holdfast.web.inference.override import anybody
from tests.blank import blank_registry
from tests.serving.building import CODE, MODEL, ROWS, Built, with_code
from tests.serving.stages import STAGE, Shelf, run, until

pytestmark = pytest.mark.slow

ONE, TWO = VersionNumber(1), VersionNumber(2)
USERS = [f"user-{number}" for number in range(4_000)]


@pytest.fixture
def registry(tmp_path: Path) -> Iterator[SqlRegistry]:
    ids = itertools.count(1)
    database = Database.open(blank_registry(tmp_path / "registry.db"))
    registry = SqlRegistry(database, lambda: datetime.now(UTC), lambda: f"id-{next(ids)}")
    registry.create_model(MODEL, "ana")
    yield registry
    database.close()


def begun(registry: SqlRegistry, first: Built, candidate: Built, plan: CanaryPlan) -> Rollout:
    for built in (first, candidate):
        registry.register(NewVersion(MODEL, built.digest, complete=True), "ana")
    registry.move_stage(MoveStage(MODEL, STAGE, ONE, None, Action.STAGE_PROMOTE), "ana")
    new = NewRollout(RolloutKind.CANARY, MODEL, STAGE, TWO, ONE, plan.to_json(), "to try it")
    return registry.begin_rollout(new, "ana")


def following(registry: SqlRegistry, shelf: Shelf, name: str) -> Replica:
    tallying = Tallying(RegistryBook(registry, MODEL))
    replica = Replica(
        RegistrySource(registry, MODEL, STAGE),
        model=MODEL,
        stage=STAGE,
        opener=shelf,
        place=Place(f"http://{name}"),
        clock=lambda: datetime.now(UTC),
        new_id=lambda: name,
        observers=[tallying],
    )
    tallying.follow(replica.beside, replica.id)
    return replica


@asynccontextmanager
async def served(replica: Replica) -> AsyncIterator[httpx.AsyncClient]:
    await replica.start()
    transport = httpx.ASGITransport(replica_app(replica, overriding=anybody), raise_app_exceptions=False)
    try:
        async with httpx.AsyncClient(transport=transport, base_url="http://replica") as client:
            yield client
    finally:
        await replica.stop()


def row(**changes: object) -> dict[str, Any]:
    return {"dataframe_records": [{**ROWS[20], **changes}]}


@pytest.fixture
def failing(second: Built, tmp_path: Path) -> Built:
    """A candidate that answers its frozen rows well, and raises on some of those that come."""
    shutil.copytree(second.files.root, tmp_path / "failing")
    copy = Built(type(second.files).open(tmp_path / "failing"), second.outputs)
    code = CODE.replace("{factor}", "2.0").replace(
        'if any(row["plan"] == "raise"', 'if any(row["calls"] > 50 for row in rows) or any(row["plan"] == "raise"'
    )
    return with_code(copy, code)


PLAN = CanaryPlan((Step(2_000, 3600.0, 10**6),), key=KeySource.parse("header:x-user"))


def test_a_candidate_that_fails_is_gone_from_both_replicas_and_nobody_else_noticed(
    registry: SqlRegistry, first: Built, failing: Built
) -> None:
    rollout = begun(registry, first, failing, PLAN)
    salt = salt_of(MODEL, rollout.id)
    seen: dict[str, set[str]] = {}
    failed: list[str] = []

    async def send(clients: list[httpx.AsyncClient]) -> None:
        for client, user in zip(itertools.cycle(clients), USERS, strict=False):
            if registry.rollout(rollout.id).state is RolloutState.ABORTED:
                return
            said = await client.post("/invocations", json=row(calls=60), headers={"x-user": user})
            chosen = said.headers["x-route-reason"] == "canary"
            assert not chosen or (taken(salt, user, 2_000) and said.headers["x-route-epoch"] == "1")
            if chosen:
                seen.setdefault(user, set()).add(said.headers["x-model-version"])
            if said.status_code != 200:
                failed.append(user)

    async def work() -> None:
        shelf = Shelf(first, failing)
        one, two = following(registry, shelf, "one"), following(registry, shelf, "two")
        async with served(one) as a, served(two) as b:
            for replica in (one, two):
                await until(lambda r=replica: r.route is not None and r.route.canary is not None, "the canary")  # type: ignore[misc]
            await send([a, b])
            for replica in (one, two):
                await until(lambda r=replica: r.route is not None and r.route.canary is None, "no canary")  # type: ignore[misc]
            for client in (a, b):
                answers = [await client.post("/invocations", json=row(), headers={"x-user": u}) for u in USERS[:20]]
                assert {answer.headers["x-model-version"] for answer in answers} == {"1"}

    run(work)
    assert failed
    assert all(taken(salt, user, 2_000) for user in failed)
    assert all(versions == {"2"} for versions in seen.values())
    ended = registry.rollout(rollout.id)
    assert ended.state is RolloutState.ABORTED
    assert ended.reason.startswith("errors: ")
    (event,) = [one for one in registry.log(MODEL, limit=10) if one.action == Action.ROLLOUT_TURN]
    assert event.reason == ended.reason


def test_a_good_candidate_takes_its_steps_keeps_its_users_and_waits_for_a_person(
    registry: SqlRegistry, first: Built, second: Built
) -> None:
    plan = CanaryPlan((Step(1_000, 0.0, 20), Step(5_000, 0.0, 20)), key=PLAN.key, score_edges=(0.5,))
    rollout = begun(registry, first, second, plan)
    seen: dict[str, list[str]] = {}

    async def work() -> None:
        replica = following(registry, Shelf(first, second), "one")
        async with served(replica) as client:
            await until(lambda: replica.route is not None and replica.route.canary is not None, "the canary")
            for user in itertools.cycle(USERS[:300]):
                said = await client.post("/invocations", json=row(), headers={"x-user": user})
                assert said.status_code == 200
                seen.setdefault(user, []).append(said.headers["x-model-version"])
                if registry.rollout(rollout.id).state is RolloutState.PASSED:
                    break
            passed = registry.rollout(rollout.id)
            assert (passed.step, passed.reason.startswith("every step is done: ")) == (2, True)
            await until(lambda: replica.route is not None and replica.route.canary.step == 2, "its share stays")  # type: ignore[union-attr]
            # The way to the whole is a pointer move: the version is open.
            move = MoveStage(MODEL, STAGE, TWO, ONE, Action.STAGE_PROMOTE)
            registry.move_stage(move, "ana")
            await until(lambda: replica.route is not None and replica.route.primary.number == TWO, "the promotion")
            assert replica.route is not None
            assert replica.route.canary is None

    run(work)
    # A user who came to the new version stays there.
    assert all(sorted(versions) == versions for versions in seen.values())


def test_a_candidate_that_does_not_open_ends_its_rollout_and_never_touches_the_route(
    registry: SqlRegistry, first: Built, second: Built, tmp_path: Path
) -> None:
    shutil.copytree(second.files.root, tmp_path / "broken")
    copy = Built(type(second.files).open(tmp_path / "broken"), second.outputs)
    broken = with_code(copy, "raise RuntimeError('no licence')")
    rollout = begun(registry, first, broken, PLAN)

    async def work() -> None:
        replica = following(registry, Shelf(first, broken), "one")
        async with served(replica) as client:
            await until(lambda: registry.rollout(rollout.id).state is RolloutState.ABORTED, "the end")
            said = await client.post("/invocations", json=row(), headers={"x-user": "ana"})
            assert (said.status_code, said.headers["x-route-reason"]) == (200, "primary")
            assert replica.route is not None
            assert replica.route.canary is None

    run(work)
    assert registry.rollout(rollout.id).reason.startswith("version 2 could not be opened")


def test_truth_that_arrives_later_is_counted_for_the_version_that_answered(
    registry: SqlRegistry, first: Built, second: Built
) -> None:
    rollout = begun(registry, first, second, CanaryPlan((Step(5_000, 3600.0, 10**6),)))

    async def work() -> None:
        replica = following(registry, Shelf(first, second), "one")
        async with served(replica) as client:
            await until(lambda: replica.route is not None and replica.route.canary is not None, "the canary")
            ids: dict[str, list[str]] = {"1": [], "2": []}
            await until(lambda: bool(registry.tallies(rollout.id)), "the first tally")
            for number in range(40):
                request = f"request-{number}"
                said = await client.post("/invocations", json=row(), headers={"x-request-id": request})
                ids[said.headers["x-model-version"]].append(request)
                assert said.headers["x-request-id"] == request
            await asyncio.sleep(0.3)
            truths = [{"request": request, "value": -1} for request in (*ids["1"], *ids["2"])]
            assert (await client.post("/truth", json={"truths": truths})).json() == {"truths": 40, "index": 40}
            for wrong in ({}, {"truths": [{"request": "a"}]}, {"truths": [{"request": "", "value": 1}]}):
                assert (await client.post("/truth", json=wrong)).status_code == 422

            def told() -> bool:
                (tally,) = registry.tallies(rollout.id)
                mistakes = [tally.counts[arm]["mistakes"] for arm in ("other", "candidate")]
                return mistakes == [len(ids["1"]), len(ids["2"])]

            await until(told, "the mistakes are counted")
            assert registry.rollout(rollout.id).state is RolloutState.RUNNING

    run(work)


def test_a_replica_that_has_lost_the_registry_still_protects_its_own_requests(
    registry: SqlRegistry, first: Built, failing: Built, monkeypatch: pytest.MonkeyPatch
) -> None:
    rollout = begun(registry, first, failing, CanaryPlan((Step(5_000, 3600.0, 10**6),)))

    async def work() -> None:
        replica = following(registry, Shelf(first, failing), "one")
        async with served(replica) as client:
            await until(lambda: replica.route is not None and replica.route.canary is not None, "the canary")
            away = {"tally", "tallies", "turn_rollout", "route_mark", "rollouts", "stage", "report"}
            with monkeypatch.context() as patch:
                for name in away:
                    patch.setattr(SqlRegistry, name, _away)
                while replica.route is not None and replica.route.canary is not None:
                    await client.post("/invocations", json=row(calls=60))
            await until(lambda: registry.rollout(rollout.id).state is RolloutState.ABORTED, "the registry is told")

    run(work)


def _away(*_: object, **__: object) -> None:
    raise Unavailable("the registry is away", hint="Wait.")


def test_a_turn_of_a_person_is_followed(registry: SqlRegistry, first: Built, second: Built) -> None:
    rollout = begun(registry, first, second, PLAN)

    async def work() -> None:
        replica = following(registry, Shelf(first, second), "one")
        async with served(replica) as client:
            await until(lambda: replica.route is not None and replica.route.canary is not None, "the canary")
            said = (await client.get("/version")).json()
            assert said["canary"] == {
                "version": 2, "digest": str(second.digest), "share": 0.2, "rollout": rollout.id, "step": 0
            }  # fmt: skip
            registry.turn_rollout(Turn(rollout.id, rollout.event, RolloutState.STOPPED, 0, "enough", {}), "ana")
            await until(lambda: replica.route is not None and replica.route.canary is None, "it is gone")

    run(work)
