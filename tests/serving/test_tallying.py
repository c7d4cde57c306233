"""What a replica counts of a canary's requests."""

from dataclasses import replace
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any, cast

from holdfast.digest import Digest
from holdfast.names import ModelName, StageName, VersionNumber
from holdfast.registry.rollouts import Rollout, RolloutKind, RolloutState, Truth
from holdfast.serving.keys import KeySource
from holdfast.serving.observing import Observed
from holdfast.serving.plan import CanaryPlan, Step
from holdfast.serving.route import Canary, Route
from holdfast.serving.tallying import Tallying

PLAN = CanaryPlan((Step(9_999, 0.0, 1),))
NOW = datetime(2026, 1, 1, tzinfo=UTC)


def rollout(plan: CanaryPlan) -> Rollout:
    one, two = Digest("1" * 64), Digest("2" * 64)
    return Rollout(
        7, RolloutKind.CANARY, ModelName("churn"), StageName("production"), 1, VersionNumber(2), two, VersionNumber(1),
        one, plan.to_json(), RolloutState.RUNNING, 0, "to try it", {}, None, 7, NOW, NOW, "ana",
    )  # fmt: skip


def seen(request: str, error: str | None, *, key: str | None = None) -> Observed:
    live = cast("Any", object())
    canary = Canary(live, 9_999, "salt", KeySource(), 7, 0)
    answer = b'{"predictions": [1]}' if error is None else None
    return Observed(
        request, 0.0, Route(1, live, canary=canary), live, "canary", key or request, 0.01, "invocations", b"", answer,
        error,
    )  # fmt: skip


def tallying(plan: CanaryPlan) -> tuple[Tallying, Any]:
    found = Tallying(cast("Any", None))
    found.follow(cast("Any", SimpleNamespace(wanted=rollout(plan))), "a")
    return found, lambda: found._watch


def test_an_error_is_a_mistake_once_its_truth_is_known_and_a_later_word_about_it_is_not_another() -> None:
    counting, watch = tallying(PLAN)
    counting.see(seen("r1", "bundle_failed"))
    counting.see(seen("r2", None))
    counting._read()
    for truth in (Truth("r1", 1), Truth("r1", 0, place=1), Truth("r2", 1), Truth("r3", 1)):
        watch().learn(truth)
    arm = watch().mine[0].candidate
    assert (arm.requests, arm.counted, arm.failed, sum(arm.latencies)) == (2, 2, 1, 1)
    assert (arm.truths, arm.mistakes) == (2, 1)


def test_of_a_key_the_first_request_counts_whether_it_fails_or_not() -> None:
    counting, watch = tallying(replace(PLAN, key=KeySource.parse("header:x-user")))
    for number, error in enumerate([None, "bundle_failed", "bundle_failed", None]):
        counting.see(seen(f"r{number}", error, key="user-1"))
    arm = watch().mine[0].candidate
    assert (arm.requests, arm.counted, arm.failed, sum(arm.latencies)) == (4, 1, 1, 1)
    counting.see(seen("r9", "bundle_failed", key="user-2"))
    assert (arm.counted, arm.failed, sum(arm.latencies)) == (2, 2, 1)
