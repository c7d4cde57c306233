"""Versions on a real Ray cluster on this machine: the story of a stage that moves, and of what goes wrong."""

import asyncio
import json
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
from tests.patience import PATIENCE_SECONDS
from tests.serving.building import ROWS, Built, build, here, with_code
from tests.serving.stages import HandMovedStage, pointer, run, running, until, until_epoch, until_failed

pytestmark = [
    pytest.mark.slow,
    # Ray's own code, as it is imported and as its processes end.
    pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning", "ignore::ResourceWarning"),
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
        return {**answer, "epoch": route.epoch}
    finally:
        replica.leave(route)


def applications() -> list[str]:
    from ray import serve  # a second of import, which who collects the tests does not wait for

    return list(serve.status().applications)


async def moves_forth_and_back_under_load(cluster: Cluster, first: Built, second: Built) -> None:
    async with served(cluster, first, second) as (stage, replica):
        assert [name for name in applications() if name.startswith("churn.production.test.")]
        answered: list[tuple[int, int]] = []
        stop = asyncio.Event()

        async def client() -> None:
            while not stop.is_set():
                answer = await ask(replica)
                answered.append((answer["epoch"], answer["version"]))

        clients = [asyncio.create_task(client()) for _ in range(4)]
        stage.move(pointer(2, second), pointer(1, first))
        await until_epoch(replica, 2)
        await until(lambda: replica.route is not None and replica.route.standby is not None, "both are held")
        stage.move(pointer(1, first))
        await until_epoch(replica, 3)
        await until(lambda: len([1 for epoch, _ in answered if epoch == 3]) > 50, "answers after the rollback")
        stop.set()
        await asyncio.gather(*clients)
        assert set(answered) == {(1, 1), (2, 2), (3, 1)}


async def tells_what_goes_wrong(cluster: Cluster, first: Built, broken: Built) -> None:
    async with served(cluster, first, broken) as (stage, replica):
        with pytest.raises(InvalidInput, match="age"):
            await ask(replica, {**ROWS[30], "age": "old"})
        with pytest.raises(BundleFailed):
            await ask(replica, {**ROWS[30], "plan": "raise"})
        stage.move(pointer(2, broken))
        await until_failed(replica, 2)
        assert "never importable" in (replica.report().error or "")
        assert (await ask(replica))["version"] == 1
        with pytest.raises((BundleFailed, Unavailable)):
            await ask(replica, {**ROWS[30], "plan": "die"})
        end = asyncio.get_running_loop().time() + PATIENCE_SECONDS
        while True:
            try:
                answer = await ask(replica)
            except (BundleFailed, Unavailable):
                assert asyncio.get_running_loop().time() < end
                await asyncio.sleep(0.05)
            else:
                assert answer["version"] == 1
                return


def test_the_story_of_a_stage_on_a_cluster(cluster: Cluster, first: Built, second: Built, broken: Built) -> None:
    """One test, since a cluster takes seconds to start: moves under load, what goes wrong, and nothing is left."""
    run(lambda: moves_forth_and_back_under_load(cluster, first, second))
    run(lambda: tells_what_goes_wrong(cluster, first, broken))
    assert not applications()
