"""A replica and its stage: swaps under load, the way back, versions that fail, workers that die."""

import asyncio
import json
import logging
import os
import signal
import time
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from holdfast.errors import HoldfastError, Unavailable
from holdfast.registry import ReplicaState
from holdfast.runtime.pipeline import Answer
from holdfast.runtime.shapes import V2
from holdfast.serving.live import Live
from holdfast.serving.replica import Replica
from holdfast.serving.worker import Worker
from tests.serving.building import ROWS, Built, build, with_code, without_holdout
from tests.serving.stages import HandMovedStage, Shelf, pointer, run, running, until, until_epoch, until_failed

pytestmark = pytest.mark.slow

ONE = 25
"""The row that is asked for: both versions answer it, differently."""


def v2_body(*, sleep: float = 0.0) -> bytes:
    row = {**ROWS[ONE], "sleep": sleep}
    kinds = {"age": "FP64", "calls": "INT64", "plan": "BYTES", "sleep": "FP64"}
    tensors = [{"name": n, "shape": [1], "datatype": kinds[n], "data": [value]} for n, value in row.items()]
    return json.dumps({"inputs": tensors}).encode()


def pid_of(live: Live) -> int:
    assert isinstance(live.runner, Worker)
    assert live.runner.pid is not None
    return live.runner.pid


def alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


@dataclass
class Load:
    """Requests sent one after the other by several senders, each checked against the version it claims to come from."""

    replica: Replica
    built: dict[str, Built]
    answers: list[str] = field(default_factory=list)
    failed: list[BaseException] = field(default_factory=list)
    mixed: list[object] = field(default_factory=list)
    going: bool = True

    async def send(self) -> None:
        while self.going:
            route = self.replica.take()
            assert route is not None
            try:
                said = json.loads(await route.primary.predict(V2, v2_body()))
            except HoldfastError as error:
                self.failed.append(error)
                await asyncio.sleep(0.01)
            else:
                self._check(said, str(route.primary.digest))
            finally:
                self.replica.leave(route)

    def _check(self, said: dict[str, object], header_digest: str) -> None:
        body_digest = said["parameters"]["digest"]  # type: ignore[index]
        expected = self.built[header_digest].outputs
        outputs = {tensor["name"]: tensor["data"] for tensor in said["outputs"]}  # type: ignore[attr-defined]
        same = outputs == {
            "predictions": [expected.predictions[ONE]],
            "scores": pytest.approx(expected.scores[ONE], abs=1e-9),
        }
        if body_digest != header_digest or not same:
            self.mixed.append(said)
        self.answers.append(header_digest)


def test_swaps_under_load_fail_nothing_and_mix_nothing_and_the_way_back_loads_nothing(
    first: Built, second: Built
) -> None:
    async def work() -> None:
        stage, shelf = HandMovedStage(), Shelf(first, second)
        stage.move(pointer(1, first))
        async with running(stage, shelf) as replica:
            await until_epoch(replica, 1)
            load = Load(replica, {str(built.digest): built for built in (first, second)})
            senders = [asyncio.create_task(load.send()) for _ in range(4)]
            pids = set()
            for turn in range(6):
                to, good = ((2, second), (1, first)) if turn % 2 == 0 else ((1, first), (2, second))
                epoch = stage.move(pointer(*to), pointer(*good))
                await until_epoch(replica, epoch)
                assert replica.route is not None
                await until(lambda: replica.route is not None and replica.route.standby is not None, "the standby")
                pids |= {pid_of(live) for live in replica.route.lives}
                await asyncio.sleep(0.1)
            await until(lambda: load.failed or load.mixed or len(load.answers) > 100, "a hundred answers")
            load.going = False
            await asyncio.gather(*senders)
            assert load.failed == []
            assert load.mixed == []
            assert {str(first.digest), str(second.digest)} == set(load.answers)
            assert len(load.answers) > 100
            # Each version was fetched and started once: every later move was a pointer move.
            assert sorted(shelf.fetched) == sorted([first.digest, second.digest])
            assert len(pids) == 2
        assert not any(alive(pid) for pid in pids)
        assert stage.reports[-1].state is ReplicaState.STOPPED

    run(work)


def test_a_replica_opens_the_stage_and_last_known_good_at_its_start_and_logs_both(
    first: Built, second: Built, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "holdfast.serving")

    async def work() -> None:
        stage, shelf = HandMovedStage(), Shelf(first, second)
        stage.move(pointer(2, second), pointer(1, first))
        async with running(stage, shelf) as replica:
            assert not replica.ready
            await until(lambda: replica.route is not None and replica.route.standby is not None, "both are open")
            assert replica.route is not None
            assert replica.route.standby is not None
            assert (replica.route.primary.digest, replica.route.standby.digest) == (second.digest, first.digest)
            assert replica.route.held("1") is replica.route.standby
            assert replica.route.held("3") is None

    run(work)
    swapped = [line for line in caplog.messages if "serves version 2" in line]
    assert len(swapped) == 1
    assert second.digest.short in swapped[0]
    assert "epoch 1" in swapped[0]
    assert "because the replica started" in swapped[0]


def test_a_request_in_flight_finishes_on_the_version_it_started_on_and_then_that_version_is_closed(
    first: Built, second: Built
) -> None:
    async def work() -> None:
        stage, shelf = HandMovedStage(), Shelf(first, second)
        stage.move(pointer(1, first))
        async with running(stage, shelf) as replica:
            await until_epoch(replica, 1)
            route = replica.take()
            assert route is not None
            pid = pid_of(route.primary)
            slow = route.primary.predict(V2, v2_body(sleep=3.0))
            await until_epoch(replica, stage.move(pointer(2, second)))
            assert alive(pid)
            said = json.loads(await slow)
            assert said["parameters"]["digest"] == str(first.digest)
            assert said["outputs"][0]["data"] == [first.outputs.predictions[ONE]]
            assert alive(pid)
            replica.leave(route)
            await until(lambda: not alive(pid), "the old version is closed")

    run(work)


def test_a_version_that_does_not_open_leaves_the_old_one_answering_and_says_so_at_once(
    first: Built, second: Built, tmp_path: Path
) -> None:
    def shifted(answer: Answer) -> Answer:
        return Answer(answer.predictions, [[a + 1e-5, b] for a, b in answer.scores], answer.classes)

    liar = build(tmp_path / "liar", 2, tamper=shifted)
    broken = with_code(build(tmp_path / "broken", 2), "import nothing_of_this_name")
    damaged = build(tmp_path / "damaged", 3)
    flip(tmp_path / "damaged" / "weights" / "model.joblib")

    async def work() -> None:
        stage, shelf = HandMovedStage(), Shelf(first, second, liar, broken, damaged)
        shelf.errors[second.digest] = OSError(28, "No space left on device")
        stage.move(pointer(1, first))
        async with running(stage, shelf) as replica:
            await until_epoch(replica, 1)
            load = Load(replica, {str(built.digest): built for built in (first, second)})
            sender = asyncio.create_task(load.send())
            for bad, code in (
                (liar, "bundle_failed"),
                (broken, "bundle_failed"),
                (damaged, "integrity"),
                (second, "unavailable"),
            ):
                epoch = stage.move(pointer(9, bad), pointer(1, first))
                await until_failed(replica, epoch)
                said = replica.report()
                assert (said.number, said.digest) == (1, first.digest)
                assert said.error is not None
                assert said.error.startswith(code)
                assert replica.ready
            # The cause goes away: the replica gets there by itself.
            shelf.errors.clear()
            await until_epoch(replica, epoch)
            load.going = False
            await sender
            assert load.failed == []
            assert replica.report().digest == second.digest

    run(work)


def flip(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[len(data) // 3] ^= 4
    path.write_bytes(bytes(data))


def test_a_move_away_does_not_wait_for_a_version_that_is_still_being_fetched(first: Built, second: Built) -> None:
    async def work() -> None:
        stage, shelf = HandMovedStage(), Shelf(first, second)
        shelf.seconds[second.digest] = 5.0
        stage.move(pointer(1, first))
        async with running(stage, shelf) as replica:
            await until_epoch(replica, 1)
            stage.move(pointer(2, second), pointer(1, first))
            await until(lambda: second.digest in shelf.fetched, "the fetch began")
            begun = time.monotonic()
            await until_epoch(replica, stage.move(pointer(1, first)))
            assert time.monotonic() - begun < 2.0
            assert replica.report().number == 1

    run(work)


def test_a_worker_that_dies_makes_the_replica_unready_until_it_is_back(first: Built) -> None:
    async def work() -> None:
        stage, shelf = HandMovedStage(), Shelf(first)
        stage.move(pointer(1, first))
        async with running(stage, shelf) as replica:
            await until_epoch(replica, 1)
            assert replica.route is not None
            os.kill(pid_of(replica.route.primary), signal.SIGKILL)
            await until(lambda: not replica.ready, "the death is seen")
            said = replica.report()
            assert (said.state, said.number) == (ReplicaState.LOADING, 1)
            assert said.error is not None
            assert "restarting" in said.error
            await until(lambda: replica.ready, "the worker is back")
            assert replica.report().state is ReplicaState.READY

    run(work)


def test_a_stage_that_is_emptied_is_not_answered_for_and_the_way_back_loads_nothing(first: Built) -> None:
    async def work() -> None:
        stage, shelf = HandMovedStage(), Shelf(first)
        stage.move(pointer(1, first))
        async with running(stage, shelf) as replica:
            await until_epoch(replica, 1)
            stage.move(None, pointer(1, first))
            await until(lambda: not replica.ready, "it stops answering")
            said = replica.report()
            assert (said.state, said.number, said.digest) == (ReplicaState.LOADING, None, None)
            assert said.error == "nothing holds churn@production"
            assert replica.take() is None
            fetched = len(shelf.fetched)
            await until_epoch(replica, stage.move(pointer(1, first)))
            assert (replica.report().number, len(shelf.fetched)) == (1, fetched)

    run(work)


def test_a_registry_that_is_away_stops_nothing(first: Built, second: Built) -> None:
    async def work() -> None:
        stage, shelf = HandMovedStage(), Shelf(first, second)
        async with running(stage, shelf) as replica:
            await until(lambda: bool(stage.reports), "it reports before it has anything to serve")
            await until(lambda: replica.report().error == "nothing holds churn@production", "it says why")
            assert replica.take() is None
            await until_epoch(replica, stage.move(pointer(1, first)))
            stage.broken = Unavailable("the registry is away", hint="Wait.")
            await asyncio.sleep(0.2)
            assert replica.ready
            stage.broken = None
            said = len(stage.reports)
            await until_epoch(replica, stage.move(pointer(2, second)))
            await until(lambda: len(stage.reports) > said, "it reports again")

    run(work)


def test_a_version_without_a_holdout_is_served_and_the_log_says_that_it_was_not_smoked(
    first: Built, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    built = without_holdout(build(tmp_path / "bare", 1))

    async def work() -> None:
        stage, shelf = HandMovedStage(), Shelf(built)
        stage.move(pointer(1, built))
        async with running(stage, shelf) as replica:
            await until_epoch(replica, 1)

    run(work)
    assert any("was not smoked" in line for line in caplog.messages)
