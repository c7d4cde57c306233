"""From counts to a report: figures with intervals, in JSON, in lines and in Markdown."""

import re
from datetime import UTC, datetime
from typing import Any

import pytest

from holdfast.canonical import encode
from holdfast.digest import hash_bytes
from holdfast.flow.shadow.counts import ONLY_SHADOW, Counts, Pair
from holdfast.flow.shadow.figures import figures
from holdfast.flow.shadow.plan import Plan
from holdfast.flow.shadow.report import lines, markdown, report
from holdfast.names import ModelName, StageName, VersionNumber
from holdfast.registry.rollouts import Rollout, RolloutKind, RolloutState

PLAN = Plan(requests=100, by=("plan",))
NOW = datetime(2026, 3, 1, 9, tzinfo=UTC)


def rollout(**changes: Any) -> Rollout:
    given: dict[str, Any] = {
        "id": 7, "kind": RolloutKind.SHADOW, "model": ModelName("churn"), "stage": StageName("production"), "epoch": 3,
        "number": VersionNumber(5), "digest": hash_bytes(b"5"), "against": VersionNumber(4),
        "against_digest": hash_bytes(b"4"), "plan": PLAN.to_json(), "state": RolloutState.RUNNING, "step": 0,
        "reason": "new features", "figures": {}, "verdict": None, "event": 7, "began_at": NOW, "changed_at": NOW,
        "changed_by": "ana",
    }  # fmt: skip
    return Rollout(**{**given, **changes})


def counts(differing: int = 4, failed: int = 1) -> Counts:
    found = Counts()
    for number in range(100):
        score = number / 100.0
        flips = number < differing
        group = ("plan", ["basic" if number % 2 else "plus"])
        moved = min(1.0, score + (0.05 if flips else 0.0))
        found.compared(Pair([1], [0 if flips else 1], [(score, moved)], 0.002, 0.004, [group]), PLAN)
    for _ in range(failed):
        found.refused(ONLY_SHADOW, "bundle_failed")
    found.drops["busy"] += 3
    return found


def test_the_figures_are_shares_with_intervals_and_quantiles_with_a_resolution() -> None:
    found = figures(counts(), PLAN)
    encode(found)
    assert found["agreement"]["count"] == 96
    assert found["agreement"]["low"] == pytest.approx(0.9016, abs=1e-3)
    assert found["agreement"]["high"] == pytest.approx(0.9843, abs=1e-3)
    assert found["errors"]["only_shadow"]["of"] == 101
    assert found["errors"]["codes"] == {"bundle_failed": 1}
    assert found["flips"] == {"labels": ["1", "0"], "rows": [[96, 4], [0, 0]]}
    ratio = found["latency_ratio"]["p50"]
    assert ratio["low"] <= 2.0 <= ratio["high"] * (1 + 1e-9)
    assert ratio["high"] / ratio["low"] == pytest.approx(found["latency_ratio"]["resolution"], rel=1e-3)
    assert found["score_shift"]["psi"] < found["score_shift"]["psi_by_chance"]
    assert found["score_shift"]["wasserstein"] == pytest.approx(0.002, abs=0.001)
    assert [one["group"] for one in found["groups"]] == ["basic", "plus"] or len(found["groups"]) == 2
    assert found["dropped"] == {"busy": 3}


def test_without_a_pair_nothing_is_claimed() -> None:
    said = report(rollout(), Counts())
    encode(said)
    assert said["sentence"] == "churn@5 in the shadow of @4 at production: nothing was compared yet"
    assert said["figures"]["agreement"]["value"] is None
    assert said["figures"]["score_shift"] is None
    assert any("unknown" in line for line in lines(said))


def test_a_person_reads_one_sentence_first() -> None:
    said = report(rollout(), counts())
    first, second, *rest = lines(said)
    assert first == (
        "churn@5 in the shadow of @4 at production: 100 of 100 requests compared, 96.00% (90.16% to 98.43%) agree, "
        "1 failed only in the shadow"
    )
    assert "running since" in second
    assert "new features" in second
    assert any("1 -> 0: 4" in line for line in rest)
    assert any("3 while the primary was busy" in line for line in rest)


def test_markdown_shows_labels_of_a_bundle_as_they_are_and_nothing_more() -> None:
    hostile = Counts()
    hostile.compared(Pair(["<script>|x"], ["`ok`"]), PLAN)
    text = "\n".join(markdown(report(rollout(), hostile)))
    assert "`<script>\\|x`" in text
    assert "script" not in re.sub("`[^`]*`", "", text)
    assert "| primary \\ shadow |" in text
