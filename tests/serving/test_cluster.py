"""Versions on a real Ray cluster on this machine: the story of a stage that moves, and of what goes wrong."""

import asyncio
import json
import os
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from holdfast.digest import Digest
from holdfast.errors import BundleFailed, InvalidInput, Unavailable
from holdfast.runtime.bundle_files import BundleFiles
from holdfast.runtime.shapes import INVOCATIONS
from holdfast.serving.cluster import Cluster
from holdfast.serving.opening import Opened, Opener
from holdfast.serving.replica import Replica
from tests.serving.building import ROWS, Built, build, here, with_code
from tests.serving.stages import HandMovedStage, pointer, run, running, until, until_epoch, until_failed

pytestmark = [
    pytest.mark.slow,
    # Ray's own code, as it is imported and as its processes end.
    pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning", "ignore::ResourceWarning"),
    pytest.mark.xdist_group("ray"),
]


def bundles(folders: dict[str, str]) -> Opener:
    """What a node has: bundles in folders, by their digests."""

    def fetch(digest: Digest) -> Opened:
        return Opened(BundleFiles.open(Path(folders[str(digest)]), expected=digest), here())

    return fetch


def nodes(*built: Built) -> partial[Opener]:
    return partial(bundles, {str(one.digest): str(one.files.root) for one in built})


@pytest.fixture(scope="module")
def cluster(first: Built, second: Built, broken: Built) -> Iterator[Cluster]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("RAY_USAGE_STATS_ENABLED", "0")
        with Cluster("churn.production.test", nodes(first, second, broken), replicas=1, cpus=0.1) as cluster:
            yield cluster


@pytest.fixture(scope="module")
def broken(tmp_path_factory: pytest.TempPathFactory) -> Built:
    return with_code(build(tmp_path_factory.mktemp("broken") / "bundle", 2), "raise RuntimeError('never importable')\n")


@asynccontextmanager
async def served(cluster: Cluster, *built: Built) -> AsyncIterator[tuple[HandMovedStage, Replica]]:
    stage = HandMovedStage()
    stage.move(pointer(1, built[0]))
    async with running(stage, nodes(*built)(), cluster.runner) as replica:
        await until_epoch(replica, 1)
        yield stage, replica


async def ask(replica: Replica, row: dict[str, Any] = ROWS[30]) -> dict[str, Any]:
    route = replica.take()
    try:
        assert route is not None
        body = json.dumps({"dataframe_records": [row]}).encode()
        answer: dict[str, Any] = json.loads(await route.primary.predict(INVOCATIONS, body))
        assert answer["digest"] == str(route.primary.digest)
        return answer
    finally:
        replica.leave(route)


def test_a_stage_moves_forth_and_back_under_load_and_no_request_fails(
    cluster: Cluster, first: Built, second: Built
) -> None:
    async def work() -> None:
        async with served(cluster, first, second) as (stage, replica):
            answered: list[int] = []
            stop = asyncio.Event()

            async def client() -> None:
                while not stop.is_set():
                    answered.append((await ask(replica))["version"])

            clients = [asyncio.create_task(client()) for _ in range(4)]
            stage.move(pointer(2, second), pointer(1, first))
            await until_epoch(replica, 2)
            await until(lambda: replica.route is not None and replica.route.standby is not None, "both are held")
            stage.move(pointer(1, first))
            await until_epoch(replica, 3)
            since = len(answered)
            await until(lambda: len(answered) > since + 50, "answers after the rollback")
            stop.set()
            await asyncio.gather(*clients)
            assert {1, 2} == set(answered)
            assert set(answered[since + 8 :]) == {1}

    run(work)


def test_what_the_version_says_of_a_request_arrives(cluster: Cluster, first: Built) -> None:
    async def work() -> None:
        async with served(cluster, first) as (_, replica):
            with pytest.raises(InvalidInput, match="age"):
                await ask(replica, {**ROWS[30], "age": "old"})
            with pytest.raises(BundleFailed):
                await ask(replica, {**ROWS[30], "plan": "raise"})
            assert (await ask(replica))["version"] == 1

    run(work)


def test_a_version_that_does_not_open_there_never_answers(cluster: Cluster, first: Built, broken: Built) -> None:
    async def work() -> None:
        async with served(cluster, first, broken) as (stage, replica):
            stage.move(pointer(2, broken))
            await until_failed(replica, 2)
            assert (await ask(replica))["version"] == 1
            assert "never importable" in (replica.report().error or "")

    run(work)


def test_a_worker_that_dies_loses_its_own_request_and_comes_back(cluster: Cluster, first: Built) -> None:
    async def work() -> None:
        async with served(cluster, first) as (_, replica):
            with pytest.raises((BundleFailed, Unavailable)):
                await ask(replica, {**ROWS[30], "plan": "die"})
            end = asyncio.get_running_loop().time() + 60.0
            while True:
                try:
                    assert (await ask(replica))["version"] == 1
                    return
                except (BundleFailed, Unavailable):
                    assert asyncio.get_running_loop().time() < end
                    await asyncio.sleep(0.05)

    run(work)


def test_nothing_is_left_on_the_cluster(cluster: Cluster, first: Built) -> None:
    from ray import serve

    async def work() -> None:
        async with served(cluster, first):
            assert [name for name in serve.status().applications if name.startswith("churn.production.test.")]

    run(work)
    assert not serve.status().applications
    assert os.environ.get("RAY_ADDRESS") is None
