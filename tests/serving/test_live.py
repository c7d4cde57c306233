"""One open version: order, errors, limits, death and return of its worker."""

import asyncio
import json
import os
import platform
import signal
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
import uvloop

from holdfast.errors import BundleFailed, HoldfastError, IntegrityError, InvalidInput, Unavailable
from holdfast.runtime.bundle_files import BundleFiles
from holdfast.runtime.environment import Interpreter
from holdfast.runtime.limits import Limits
from holdfast.runtime.shapes import INVOCATIONS, V2
from holdfast.serving import live as live_module
from holdfast.serving import queueing
from holdfast.serving import worker as worker_module
from holdfast.serving.live import Live
from holdfast.serving.opening import Opened
from holdfast.serving.pipe import Pipe
from holdfast.serving.queueing import Batching
from holdfast.serving.worker import Worker
from tests.serving.building import MODEL, ROWS, Built, build, here, with_code, without_holdout
from tests.serving.stages import pointer, run, until

pytestmark = pytest.mark.slow


def body(*rows: dict[str, Any]) -> bytes:
    return json.dumps({"dataframe_records": list(rows)}).encode()


def row(**changes: Any) -> dict[str, Any]:
    return {**ROWS[30], **changes}


@asynccontextmanager
async def opened(built: Built, number: int = 1, changed: Callable[[], None] = lambda: None) -> AsyncIterator[Live]:
    live = Live(MODEL, pointer(number, built), Opened(built.files, here()), changed)
    try:
        await live.open()
        yield live
    finally:
        await live.close()


def pid_of(live: Live) -> int:
    assert isinstance(live.runner, Worker)
    assert live.runner.pid is not None
    return live.runner.pid


@pytest.mark.parametrize("loop", [asyncio.new_event_loop, uvloop.new_event_loop], ids=["asyncio", "uvloop"])
def test_answers_come_back_in_the_order_of_the_requests_on_either_event_loop(
    first: Built, loop: Callable[[], asyncio.AbstractEventLoop]
) -> None:
    async def work() -> None:
        async with opened(first) as live:
            answers = await asyncio.gather(*(live.predict(INVOCATIONS, body(one)) for one in ROWS))
        assert [json.loads(answer)["predictions"] for answer in answers] == [[p] for p in first.outputs.predictions]

    with asyncio.Runner(loop_factory=loop) as runner:
        runner.run(work())


def test_an_answer_says_which_version_gave_it(first: Built) -> None:
    async def work() -> None:
        async with opened(first, number=7) as live:
            said = json.loads(await live.predict(INVOCATIONS, body(row())))
        assert (said["model"], said["version"], said["digest"]) == ("churn", 7, str(first.digest))

    run(work)


def test_two_versions_with_a_module_of_the_same_name_answer_side_by_side(first: Built, second: Built) -> None:
    async def work() -> None:
        async with opened(first) as one, opened(second, 2) as two:
            asked = [(live, live.predict(V2, v2_body())) for _ in range(10) for live in (one, two)]
            for live, answer in asked:
                built = first if live is one else second
                outputs = {tensor["name"]: tensor["data"] for tensor in json.loads(await answer)["outputs"]}
                assert outputs["predictions"] == built.outputs.predictions
                assert outputs["scores"] == pytest.approx([s for pair in built.outputs.scores for s in pair])

    run(work)


def v2_body() -> bytes:
    columns = {name: [one[name] for one in ROWS] for name in ROWS[0]}
    kinds = {"age": "FP64", "calls": "INT64", "plan": "BYTES", "sleep": "FP64"}
    return json.dumps(
        {"inputs": [{"name": n, "shape": [len(ROWS)], "datatype": kinds[n], "data": d} for n, d in columns.items()]}
    ).encode()


HOSTILE: dict[str, tuple[bytes, type[HoldfastError]]] = {
    "another type": (body(row(calls="many")), InvalidInput),
    "out of range": (body(row(calls=101)), InvalidInput),
    "infinite": (body(row(calls=1e400)), InvalidInput),
    "a number of a thousand digits": (body(row(age=10**1000)), InvalidInput),
    "not JSON": (b"{", InvalidInput),
    "deep": (b"[" * 100_000, InvalidInput),
    "a deep value": (b'{"dataframe_records": [{"age": ' + b"[" * 900 + b"]" * 900 + b"}]}", HoldfastError),
    "a deep tensor": (
        b'{"inputs": [{"name": "age", "shape": [1], "data": ' + b"[" * 900 + b"]" * 900 + b"}]}",
        HoldfastError,
    ),
    "a huge empty shape": (b'{"inputs": [{"name": "x", "shape": [1000000000000, 0], "data": []}]}', InvalidInput),
    "code that raises": (body(row(plan="raise")), BundleFailed),
    "not UTF-8": (b"\xff\xfe", InvalidInput),
    "nothing": (b"", InvalidInput),
}


def test_a_bad_request_fails_alone_and_the_next_one_is_answered(first: Built) -> None:
    async def work() -> None:
        async with opened(first) as live:
            pid = pid_of(live)
            for what, (sent, kind) in HOSTILE.items():
                shape = V2 if b'"shape"' in sent else INVOCATIONS
                bad, good = live.predict(shape, sent), live.predict(INVOCATIONS, body(row()))
                with pytest.raises(kind):
                    await bad
                assert json.loads(await good)["predictions"] == [first.outputs.predictions[30]], what
            assert pid_of(live) == pid

    run(work)


def test_a_worker_that_dies_fails_the_one_request_it_was_at_and_the_others_wait_for_its_return(first: Built) -> None:
    async def work() -> None:
        changes: list[bool] = []
        async with opened(first, changed=lambda: changes.append(live.up)) as live:
            pid = pid_of(live)
            owed = [live.predict(INVOCATIONS, body(row(plan="die"))), live.predict(INVOCATIONS, body(row()))]
            with pytest.raises(BundleFailed):
                await owed[0]
            assert not live.up
            came_meanwhile = live.predict(INVOCATIONS, body(row()))
            for answer in (owed[1], came_meanwhile):
                assert json.loads(await answer)["predictions"] == [first.outputs.predictions[30]]
            assert pid_of(live) != pid
            assert changes == [False, True]
            os.kill(pid_of(live), signal.SIGKILL)
            await until(lambda: not live.up, "the second death is seen")
            await until(lambda: live.up, "the worker is back again")

    run(work)


def test_a_request_past_its_time_fails_and_a_worker_that_hangs_is_replaced(
    first: Built, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(live_module, "REQUEST_SECONDS_MAX", 0.5)
    monkeypatch.setattr(worker_module, "_PATIENCE_SECONDS", 0.5)

    async def work() -> None:
        async with opened(first) as live:
            pid = pid_of(live)
            with pytest.raises(Unavailable, match=r"0\.5 s"):
                await live.predict(INVOCATIONS, body(row(sleep=30.0)))
            await until(lambda: live.up and pid_of(live) != pid, "the hanging worker is replaced")
            assert json.loads(await live.predict(INVOCATIONS, body(row())))["predictions"]

    run(work)


def test_a_queue_past_its_limit_turns_away_and_recovers(first: Built, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(queueing, "WAITING_MAX", 3)

    async def work() -> None:
        async with opened(first) as live:
            waiting = [live.predict(INVOCATIONS, body(row(sleep=0.3))) for _ in range(3)]
            with pytest.raises(Unavailable) as refused:
                live.predict(INVOCATIONS, body(row()))
            assert refused.value.details["limit"] == 3
            assert len(await asyncio.gather(*waiting)) == 3
            assert json.loads(await live.predict(INVOCATIONS, body(row())))["predictions"]

    run(work)


def test_bytes_in_flight_are_bounded_too(first: Built, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(queueing, "WAITING_BYTES_MAX", 1000)

    async def work() -> None:
        async with opened(first) as live:
            with pytest.raises(Unavailable):
                live.predict(INVOCATIONS, b" " * 1001)

    run(work)


def test_a_body_larger_than_a_socket_buffer_goes_through_whole(first: Built) -> None:
    async def work() -> None:
        async with opened(first) as live:
            many = [row(age=float(n % 100)) for n in range(20_000)]
            said = json.loads(await live.predict(INVOCATIONS, body(*many)))
        assert len(said["predictions"]) == 20_000

    run(work)


def test_the_smoke_of_an_untouched_bundle_finds_no_difference(first: Built) -> None:
    async def work() -> None:
        async with opened(first) as live:
            differences = await live.smoke()
            assert differences is not None
            assert differences.within_tolerance
            assert differences.rows == len(ROWS)
            assert [tensor["name"] for tensor in live.outputs] == ["predictions", "scores"]
            assert [tensor["shape"] for tensor in live.outputs] == [[-1], [-1, 2]]

    run(work)


def test_a_flipped_bit_is_refused_before_anything_is_loaded(tmp_path: Path) -> None:
    built = build(tmp_path / "bundle", 1)
    weights = tmp_path / "bundle" / "weights" / "model.joblib"
    data = bytearray(weights.read_bytes())
    data[len(data) // 2] ^= 1
    weights.write_bytes(bytes(data))

    async def work() -> None:
        with pytest.raises(IntegrityError, match=r"model\.joblib"):
            async with opened(built):
                pass

    run(work)


def test_a_process_that_cannot_start_is_an_error_of_the_bundle(first: Built) -> None:
    async def work() -> None:
        nowhere = Interpreter(Path("/nonexistent/python"))
        live = Live(MODEL, pointer(1, first), Opened(BundleFiles.open(first.files.root), nowhere), lambda: None)
        with pytest.raises(BundleFailed):
            await live.open()
        await live.close()

    run(work)


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="this system does not say what is filtered")
@pytest.mark.parametrize(("network", "filtered"), [(True, "0"), (False, "2")])
def test_a_version_is_refused_the_network_where_somebody_asks_for_that(
    first: Built, network: bool, filtered: str
) -> None:
    async def work() -> None:
        live = Live(MODEL, pointer(1, first), Opened(first.files, here(), Limits(network=network)), lambda: None)
        await live.open()
        try:
            said = await asyncio.to_thread(Path(f"/proc/{pid_of(live)}/status").read_text)
            assert f"\nSeccomp:\t{filtered}\n" in said
            assert await live.smoke() is not None
        finally:
            await live.close()

    if platform.machine() in {"x86_64", "aarch64"}:
        run(work)


def test_opening_that_is_given_up_leaves_no_process(first: Built) -> None:
    async def work() -> None:
        live = Live(MODEL, pointer(1, first), Opened(first.files, here()), lambda: None)
        opening = asyncio.create_task(live.open())
        await until(lambda: isinstance(live.runner, Worker) and live.runner.pid is not None, "the process was started")
        pid = pid_of(live)
        opening.cancel()
        await asyncio.gather(opening, return_exceptions=True)
        await live.close()
        with pytest.raises(ProcessLookupError):
            os.kill(pid, 0)

    run(work)


@asynccontextmanager
async def batched(built: Built, rows: int = 16) -> AsyncIterator[Live]:
    together = Opened(built.files, here(), batching=Batching(rows))
    live = Live(MODEL, pointer(1, built), together, lambda: None)
    try:
        await live.open()
        await live.batch()
        yield live
    finally:
        await live.close()


def test_requests_that_share_a_call_are_answered_as_if_they_had_come_alone(first: Built) -> None:
    async def work() -> None:
        async with batched(first) as live:
            assert live.batched
            asked = [live.predict(INVOCATIONS, body(one)) for one in ROWS]
            asked.append(live.predict(INVOCATIONS, body(row(calls="many"))))
            asked.append(live.predict(INVOCATIONS, body(row(plan="raise"))))
            asked.append(live.predict(INVOCATIONS, body(*ROWS)))
            asked.append(live.predict(V2, v2_body()))
            answers = await asyncio.gather(*asked, return_exceptions=True)
        expected = first.outputs.predictions
        assert [json.loads(one)["predictions"] for one in answers[: len(ROWS)] if isinstance(one, bytes)] == [
            [prediction] for prediction in expected
        ]
        misfit, raising, many, tensors = answers[len(ROWS) :]
        assert isinstance(misfit, InvalidInput)
        assert isinstance(raising, BundleFailed)
        assert isinstance(many, bytes)
        assert isinstance(tensors, bytes)
        assert json.loads(many)["predictions"] == expected
        assert json.loads(tensors)["outputs"][0]["data"] == expected

    run(work)


LOOKS_AROUND = """
import numpy as np


def featurise(rows):
    ages = [row["age"] for row in rows]
    return np.array([[row["age"] - min(ages), row["calls"], row["plan"] == "basic"] for row in rows], dtype=float)
"""


def test_a_version_that_answers_a_row_otherwise_among_others_answers_requests_one_by_one(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    around = with_code(build(tmp_path / "around", 1), LOOKS_AROUND)

    async def work() -> None:
        async with batched(around) as live:
            assert not live.batched
            answers = await asyncio.gather(*(live.predict(INVOCATIONS, body(one)) for one in ROWS))
            alone = [await live.predict(INVOCATIONS, body(one)) for one in ROWS]
            assert answers == alone

    with caplog.at_level("WARNING"):
        run(work)
    assert "answers a row otherwise among others" in caplog.text


def test_a_version_without_a_holdout_answers_requests_one_by_one(tmp_path: Path) -> None:
    async def work() -> None:
        async with batched(without_holdout(build(tmp_path / "bundle", 1))) as live:
            assert not live.batched

    run(work)


def test_a_worker_that_dies_of_its_first_word_is_tidied_up(first: Built, monkeypatch: pytest.MonkeyPatch) -> None:
    class Dying(Pipe):
        def expect(self, seconds: float) -> "asyncio.Future[bytes]":
            said = super().expect(seconds)
            said.add_done_callback(lambda _: self.give_up(Unavailable("gone", hint="Wait.")))
            return said

    monkeypatch.setattr(worker_module, "Pipe", Dying)

    async def work() -> None:
        live = Live(MODEL, pointer(1, first), Opened(first.files, here()), lambda: None)
        with pytest.raises(Unavailable):
            await live.open()
        assert isinstance(live.runner, Worker)
        assert live.runner.pid is None

    run(work)
