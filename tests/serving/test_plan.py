"""Plans of canaries: read strictly, since a guard that was not understood would be kept by nobody."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from holdfast.canonical import decode, encode
from holdfast.errors import HoldfastError, UsageError
from holdfast.serving.keys import KeySource
from holdfast.serving.plan import CanaryPlan, Guard, Step

SHARES = st.lists(st.integers(1, 9_999), min_size=1, max_size=50, unique=True)
PLAN = CanaryPlan((Step(100, 60.0, 10), Step(1_000, 0.0, 0)))


def rising(shares: list[int], seconds: float, requests: int) -> list[Step]:
    return [Step(share, seconds, requests) for share in sorted(shares)]


@given(
    steps=st.builds(rising, SHARES, st.floats(0, 1e6), st.integers(0, 10**9)),
    alpha=st.floats(1e-9, 0.4999),
    guards=st.lists(st.sampled_from(Guard), min_size=1, unique=True),
    edges=st.lists(st.floats(-1e9, 1e9), max_size=20, unique=True).map(sorted),
    column=st.text(min_size=1, max_size=20).filter(str.strip),
)
def test_a_plan_comes_back_from_the_bytes_that_a_rollout_keeps(
    steps: list[Step], alpha: float, guards: list[Guard], edges: list[float], column: str
) -> None:
    plan = CanaryPlan(
        steps=tuple(steps),
        key=KeySource.parse(f"column:{column}"),
        guards=tuple(guards),
        alpha=alpha,
        score_edges=tuple(edges),
    )
    read = decode(encode(plan.to_json()), what="a plan")
    assert isinstance(read, dict)
    assert CanaryPlan.from_json(read) == plan


@pytest.mark.parametrize(
    "change",
    [
        {"steps": ()},
        {"steps": (Step(1_000, 0, 0), Step(100, 0, 0))},
        {"steps": (Step(0, 0, 0),)},
        {"steps": (Step(10_000, 0, 0),)},
        {"steps": (Step(1, -1.0, 0),)},
        {"steps": (Step(1, 0, -1),)},
        {"alpha": 0.0},
        {"alpha": 0.5},
        {"guards": ()},
        {"guards": (Guard.ERRORS, Guard.ERRORS)},
        {"latency_ratio_max": 0.9},
        {"latency_ratio_max": float("nan")},
        {"score_shift_max": 1.0},
        {"score_edges": (1.0, 1.0)},
        {"patience_seconds": 0.0},
    ],
)
def test_what_cannot_be_followed_is_no_plan(change: dict[str, object]) -> None:
    with pytest.raises(UsageError, match="this is no plan"):
        replace(PLAN, **change)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "change",
    [
        {"surprise": 1},
        {"guards": ["errors", "weather"]},
        {"steps": [{"share": 1, "seconds": 0, "requests": 0, "extra": 1}]},
        {"steps": [3]},
        {"alpha": "0.01"},
        {"key": "cookie:a"},
        {"score_edges": ["a"]},
    ],
)
def test_what_is_not_understood_is_refused(change: dict[str, object]) -> None:
    with pytest.raises(HoldfastError):
        CanaryPlan.from_json({**PLAN.to_json(), **change})


def test_behind_the_last_step_the_last_one_goes_on() -> None:
    assert [PLAN.step(number).share for number in (0, 1, 2)] == [100, 1_000, 1_000]
    assert [PLAN.is_last(number) for number in (0, 1, 2)] == [False, True, True]
