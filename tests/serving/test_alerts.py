"""Alerts: pending, firing, resolved; and the numbers that rules look at."""

from dataclasses import replace
from typing import Any

import pytest

from holdfast.evidence import Column, FeatureSchema
from holdfast.runtime.rows import Table
from holdfast.serving.alert_rules import BUILT_IN, METRICS, AlertRule
from holdfast.serving.alerts import QUIET_SECONDS, Alerts, AlertState, Found
from holdfast.serving.monitor import Health, Monitor, rules_of
from holdfast.serving.reference import Reference, bins_of
from holdfast.serving.roles import Stay
from holdfast.serving.settings import WatchSettings

RULE = AlertRule("errors", "error_share", above=0.05, window_minutes=1, for_seconds=5)
STAY = Stay(7, "primary")


def found(value: float | None) -> list[Found]:
    return [Found(RULE, 2, "primary", value, "6 of 100 requests")]


def test_an_alert_waits_fires_once_and_is_resolved_once() -> None:
    alerts = Alerts()
    assert not alerts.step(100.0, found(0.06))
    assert [one.state for one in alerts.open] == [AlertState.PENDING]
    assert not alerts.step(104.0, found(0.06))
    (firing,) = alerts.step(105.0, found(0.5))
    assert firing.state is AlertState.FIRING
    assert (firing.since, firing.changed, firing.value) == (100.0, 105.0, 0.5)
    assert firing.sentence.startswith("errors: error_share of version 2 (primary) is 0.5, 6 of 100 requests over 1 min")
    assert not alerts.step(106.0, found(0.06))
    assert not alerts.step(106.0 + QUIET_SECONDS - 1, found(0.01))
    assert alerts.firing
    (over,) = alerts.step(106.0 + QUIET_SECONDS, found(0.01))
    assert over.state is AlertState.RESOLVED
    assert not alerts.open
    assert alerts.over == (over,)


def test_what_is_broken_with_a_break_never_fires() -> None:
    alerts = Alerts()
    for second in range(60):
        assert not alerts.step(float(second), found(0.06 if second % 4 else 0.0))


def test_an_alert_of_a_version_that_is_let_go_of_is_resolved() -> None:
    alerts = Alerts()
    alerts.step(0.0, found(1.0))
    assert alerts.step(5.0, found(1.0))
    assert [one.state for one in alerts.step(5.0 + QUIET_SECONDS, [])] == [AlertState.RESOLVED]


@pytest.mark.parametrize("anew", [{"epoch": 9}, {"epoch": 7, "role": "canary"}])
def test_an_alert_of_an_earlier_stay_ends_at_once_and_the_next_one_waits_for_its_own_time(anew: dict[str, Any]) -> None:
    alerts = Alerts()
    first = [replace(one, epoch=7) for one in found(1.0)]
    alerts.step(0.0, first)
    assert [one.epoch for one in alerts.step(5.0, first)] == [7]
    again = [replace(one, **anew) for one in first]
    assert [(one.state, one.epoch) for one in alerts.step(6.0, again)] == [(AlertState.RESOLVED, 7)]
    assert [(one.state, one.since) for one in alerts.open] == [(AlertState.PENDING, 6.0)]
    assert not alerts.step(10.0, again)
    assert [one.state for one in alerts.step(11.0, again)] == [AlertState.FIRING]
    # One that had not fired is forgotten without a word; nothing is known of the next stay yet.
    pending = Alerts()
    pending.step(0.0, first)
    assert not pending.step(1.0, [replace(one, value=None) for one in again])
    assert not pending.open


def test_what_is_not_known_is_no_alert() -> None:
    alerts = Alerts()
    assert not alerts.step(0.0, found(None))
    assert not alerts.open


def values(monitor: Monitor, now: float, health: Health | None = None) -> dict[str, float | None]:
    return {one.rule.name: one.value for one in monitor.found(now, {2: STAY}, health or Health())}


def test_the_latency_rule_takes_the_budget_of_the_gate_and_own_rules_take_the_place_of_others() -> None:
    rules = {rule.name: rule for rule in rules_of(WatchSettings(silent=("drift",), alerts=(RULE,)), 20.0)}
    assert rules["latency"].above == 20.0
    assert rules["errors"] is RULE
    assert "drift" not in rules
    assert len(rules) == len(BUILT_IN) - 1


def test_errors_of_callers_are_no_faults_of_the_version() -> None:
    monitor = Monitor([replace(RULE, requests_min=3)])
    monitor.answered(2, STAY, 0.0, 0.01, None)
    monitor.answered(2, STAY, 0.0, 0.01, "invalid_input")
    assert values(monitor, 0.0) == {"errors": None}, "too few to say"
    for _ in range(3):
        monitor.answered(3, STAY, 0.0, 0.01, "too_late")  # a deadline of ten milliseconds was the caller's own
        monitor.answered(4, STAY, 0.0, 30.0, "too_late")
    monitor.answered(2, STAY, 0.0, 0.01, "bundle_failed")
    assert values(monitor, 0.0) == {"errors": pytest.approx(1 / 3)}
    assert monitor.over(0.0)[3][1].faults == 0
    assert monitor.over(0.0)[4][1].faults == 3
    assert values(monitor, 61.0) == {"errors": None}


def share(monitor: Monitor, now: float, stay: Stay) -> float | None:
    (one,) = monitor.found(now, {2: stay}, Health())
    assert (one.role, one.epoch) == (stay.role, stay.epoch)
    return one.value


def test_a_version_that_is_promoted_again_is_not_judged_by_its_earlier_stay() -> None:
    monitor = Monitor([replace(RULE, requests_min=3)])
    before, between, again = Stay(2, "primary"), Stay(3, "standby"), Stay(4, "primary")
    monitor.keep({2: before})
    for _ in range(10):
        monitor.answered(2, before, 0.0, 0.01, "bundle_failed")
    assert share(monitor, 1.0, before) == 1.0
    monitor.keep({2: between})
    assert share(monitor, 2.0, between) is None
    monitor.keep({2: again})
    assert share(monitor, 3.0, again) is None
    monitor.answered(2, before, 3.0, 0.01, "bundle_failed")  # it came before the stage moved, and took its time
    for _ in range(4):
        monitor.answered(2, again, 3.0, 0.01, None)
    assert share(monitor, 3.0, again) == 0.0
    told = monitor.told(monitor.over(3.0), {2: "primary"})
    assert [(one["minutes"], one["requests"]) for one in told[0]["windows"]] == [(1, 4), (5, 4), (60, 4)]


def test_what_a_version_did_as_a_canary_is_not_the_primarys() -> None:
    monitor = Monitor([replace(RULE, requests_min=3)])
    canary, primary = Stay(2, "canary"), Stay(3, "primary")
    monitor.keep({1: Stay(2, "primary"), 2: canary})
    for _ in range(10):
        monitor.answered(2, canary, 0.0, 0.01, "bundle_failed")
    assert share(monitor, 1.0, canary) == 1.0
    # Its first requests in the new role may be counted before anybody looks.
    monitor.answered(2, primary, 2.0, 0.01, None)
    assert monitor.over(2.0)[2][1].requests == 1
    monitor.keep({1: Stay(3, "standby"), 2: primary})
    assert share(monitor, 2.0, primary) is None
    assert monitor.over(2.0)[2][1].requests == 1


def test_only_one_stay_of_each_version_is_kept() -> None:
    monitor = Monitor(BUILT_IN)
    for epoch in range(50):
        monitor.answered(2, Stay(epoch, "primary"), 0.0, 0.01, None)
        monitor.answered(2, Stay(epoch - 1, "standby"), 0.0, 0.01, None)
        monitor.keep({2: Stay(epoch, "primary")})
    assert len(monitor._versions[2].stays) == 1
    assert monitor.stays() == {2: Stay(49, "primary")}


def test_every_metric_is_a_number_that_somebody_looks_up() -> None:
    monitor = Monitor([AlertRule(name, name, above=0.0, requests_min=0) for name in METRICS])
    ages = [20.0 + number % 50 for number in range(1000)]
    schema = FeatureSchema("rows", (Column("age", "float64", minimum=20.0, maximum=69.0),))
    monitor.learn(2, Reference("rows", bins_of([0, 1] * 50, classes=True), {"age": bins_of(ages)}, schema))  # type: ignore[dict-item]
    for _ in range(100):
        monitor.answered(2, STAY, 5.0, 0.02, None)
        monitor.predicted(2, STAY, 5.0, [1, 1])
    monitor.rows(2, STAY, 5.0, Table.of_columns(["age"], [[90.0] * 60]))
    told = values(monitor, 5.0, Health(3.0, 4.0))
    assert set(told) == set(METRICS)
    assert told["requests"] == 100
    assert told["error_share"] == 0
    assert told["latency_ms_p50"] == pytest.approx(20.0, rel=0.05)
    assert (told["prediction_psi"] or 0) > 0.25
    assert (told["input_psi"] or 0) > 0.25
    assert told["input_outside_share"] == 1.0
    assert (told["registry_lost_seconds"], told["not_opened_seconds"]) == (3.0, 4.0)


def test_rows_that_are_as_they_were_are_no_drift() -> None:
    monitor = Monitor(BUILT_IN)
    ages = [20.0 + number % 50 for number in range(1000)]
    bins = bins_of(ages)
    assert bins is not None
    monitor.learn(2, Reference("rows", None, {"age": bins}))
    for _ in range(200):
        monitor.answered(2, STAY, 5.0, 0.002, None)
    monitor.rows(2, STAY, 5.0, Table.of_columns(["age"], [ages[::3]]))
    assert values(monitor, 5.0)["drift"] == 0.0


def test_versions_that_are_gone_are_shown_for_a_while_and_no_more_than_a_few_of_them() -> None:
    monitor = Monitor(BUILT_IN)
    for version in range(1, 20):
        monitor.answered(version, STAY, 5.0, 0.002, None)
        monitor.keep({version: STAY})
    told = monitor.told(monitor.over(5.0), {19: "primary"})
    assert [one["version"] for one in told] == [19, 15, 16, 17, 18]
    assert told[0]["role"] == "primary"
    assert told[1]["role"] is None
