"""What is mirrored and what is dropped, without a process: nobody waits for a shadow."""

import itertools
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any, cast

import pytest

from holdfast.digest import Digest, hash_bytes
from holdfast.flow.shadow.plan import Plan
from holdfast.names import VersionNumber
from holdfast.registry.rollouts import Rollout, RolloutKind, Rollouts, RolloutState
from holdfast.runtime.shapes import V2
from holdfast.serving.observing import Observed
from holdfast.serving.pairing import Mirrored
from holdfast.serving.route import OVERRIDE, PRIMARY
from holdfast.serving.shadow import BUSY_MAX, Mirror, _Going
from holdfast.serving.shadow_process import PAIR_BYTES_MAX, QUEUE_BYTES_MAX, QUEUE_MAX, ShadowProcess
from tests.serving.building import MODEL
from tests.serving.stages import STAGE, run

ONE, TWO = hash_bytes(b"1"), hash_bytes(b"2")
NOW = datetime(2026, 3, 1, 9, tzinfo=UTC)


@dataclass
class Answering:
    """As much of a live version as a mirror looks at."""

    digest: Digest = ONE
    in_flight: int = 1


@dataclass
class Bench:
    """A mirror with a shadow that nobody takes anything from."""

    plan: Plan = field(default_factory=Plan)
    numbers: Any = field(default_factory=itertools.count)

    def __post_init__(self) -> None:
        self.process = ShadowProcess(lambda _: None)
        self.mirror = Mirror(cast("Rollouts", None), MODEL, STAGE, cast("Any", None), replica="here", actor="ana")
        rollout = Rollout(
            7, RolloutKind.SHADOW, MODEL, STAGE, 1, VersionNumber(2), TWO, VersionNumber(1), ONE, self.plan.to_json(),
            RolloutState.RUNNING, 0, "", {}, None, 7, NOW, NOW, "ana",
        )  # fmt: skip
        self.going = self.mirror._going = _Going(rollout, self.plan, self.process, "salt", ONE)

    def see(self, live: Answering | None = None, **changes: Any) -> None:
        observed = Observed(
            f"request-{next(self.numbers)}", 0.0, cast("Any", None), cast("Any", live or Answering()), PRIMARY, None,
            0.001, V2, b"{}", b"{}", None,
        )  # fmt: skip
        self.mirror.see(observed._replace(**changes))

    @property
    def waiting(self) -> int:
        return len(self.process._waiting)


def with_bench(plan: Plan, work: Any) -> None:
    async def inside() -> None:
        work(Bench(plan))

    run(inside)


def test_only_answers_of_the_version_that_the_shadow_is_against_are_mirrored() -> None:
    def work(bench: Bench) -> None:
        bench.see()
        bench.see(Answering(TWO))
        bench.see(reason=OVERRIDE)
        bench.see(reason="canary")
        for error in ("unavailable", "busy", "too_late"):  # it had no time, and would have answered the same
            bench.see(answer=None, error=error)
        assert bench.waiting == 1
        bench.see(answer=None, error="bundle_failed")
        assert bench.waiting == 2
        assert not bench.process.drops
        assert not bench.going.drops

    with_bench(Plan(), work)


def test_the_shadow_is_dropped_first_when_there_is_much_to_do() -> None:
    def work(bench: Bench) -> None:
        bench.see(Answering(in_flight=BUSY_MAX))
        bench.see(Answering(in_flight=BUSY_MAX + 1))
        assert (bench.waiting, bench.going.drops["busy"]) == (1, 1)
        assert bench.going.counted()["drops"] == {"busy": 1}

    with_bench(Plan(), work)


def test_a_sample_is_chosen_by_the_ids_of_requests() -> None:
    def work(bench: Bench) -> None:
        for _ in range(250):
            bench.see()
        chosen = bench.waiting
        assert 20 <= chosen <= 80
        bench.numbers = itertools.count()
        for _ in range(250):
            bench.see()
        assert bench.waiting == 2 * chosen  # the same requests again

    with_bench(Plan(sample=0.2), work)


@pytest.mark.parametrize(
    ("sizes", "kept", "why"),
    [
        ([10] * (QUEUE_MAX + 3), QUEUE_MAX, {"full": 3}),
        (
            [PAIR_BYTES_MAX - 2] * (QUEUE_BYTES_MAX // PAIR_BYTES_MAX + 2),
            QUEUE_BYTES_MAX // PAIR_BYTES_MAX,
            {"full": 2},
        ),
        ([PAIR_BYTES_MAX - 1, PAIR_BYTES_MAX], 0, {"large": 2}),
    ],
)
def test_what_waits_is_bounded_in_number_and_in_bytes(sizes: list[int], kept: int, why: dict[str, int]) -> None:
    def work(bench: Bench) -> None:
        for size in sizes:
            bench.process.put(Mirrored(V2, bytes(size), b"{}", None, 0.001))
        assert bench.waiting == kept
        assert dict(bench.process.drops) == why

    with_bench(Plan(), work)


def test_while_no_shadow_goes_on_nothing_happens() -> None:
    def work(bench: Bench) -> None:
        bench.mirror._going = None
        bench.see()
        assert bench.waiting == 0

    with_bench(replace(Plan(), requests=5), work)
