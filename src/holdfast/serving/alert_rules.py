"""Alert rules: which number of which version, beyond which bound, over which window, for how long.

[[serve.watch.alerts]]
name = "slow"
metric = "latency_ms_p99"
above = 250.0
window_minutes = 5
for_seconds = 60
"""

import re
from dataclasses import dataclass
from difflib import get_close_matches
from math import isfinite
from typing import Any

from holdfast.canonical import JsonObject
from holdfast.errors import UsageError
from holdfast.flow.gate.keys import Reader

__all__ = ["BUILT_IN", "METRICS", "WINDOW_MINUTES", "AlertRule", "alert_rules", "rule_names"]

WINDOW_MINUTES = (1, 5, 60)
"""The windows that slide over each version: one that shows a fault at once, one that a fluke does not move, and one
that is long enough to count rare classes."""

METRICS = {
    "requests": "requests in the window",
    "error_share": "the share of them that got no answer because of the version or the replica, from 0 to 1",
    "latency_ms_p50": "the median of their latency, in milliseconds",
    "latency_ms_p95": "its 95th percentile",
    "latency_ms_p99": "its 99th percentile",
    "prediction_psi": "how far what is answered is from what was recorded on the holdout: PSI beyond chance",
    "input_psi": "how far the rows are from those that the version knows: the largest PSI beyond chance of any column",
    "input_outside_share": "the share of values that are outside of what was seen in training, in the worst column",
    "registry_lost_seconds": "how long the registry has not answered",
    "not_opened_seconds": "how long the version that holds the stage could not be opened",
}
"""Everything that a rule can look at, and what it is."""

_NAME = re.compile(r"[a-z][a-z0-9_]{0,39}\Z")

_RULES_MAX = 50
"""Rules of one model: each is looked at every second for every version that is held."""

_SECONDS_MAX = 86_400
"""A rule that waits for longer than a day tells nobody anything."""


@dataclass(frozen=True, slots=True)
class AlertRule:
    """One rule.

    Attributes:
        name: what the alert is called.
        metric: one of `METRICS`.
        above: it is broken while the number is above this; None: while it is below `below`.
        below: the other way round; exactly one of the two is given.
        window_minutes: the window that the number is taken over: one of `WINDOW_MINUTES`.
        for_seconds: how long it must be broken without a break before anybody is told.
        requests_min: fewer requests in the window than this break nothing: three errors in four requests are no rate.
    """

    name: str
    metric: str
    above: float | None = None
    below: float | None = None
    window_minutes: int = 5
    for_seconds: float = 0.0
    requests_min: int = 1

    def broken_by(self, value: float | None) -> bool:
        """Whether this number breaks the rule; what is not known breaks nothing."""
        if value is None:
            return False
        return value > self.above if self.above is not None else self.below is not None and value < self.below

    @property
    def bound(self) -> str:
        """`above 0.05`."""
        return f"above {self.above:g}" if self.above is not None else f"below {self.below:g}"

    def to_json(self) -> JsonObject:
        """What `/alerts` says of it."""
        bound: JsonObject = {"above": self.above} if self.above is not None else {"below": self.below}
        return {
            "name": self.name,
            "metric": self.metric,
            **bound,
            "window_minutes": self.window_minutes,
            "for_seconds": self.for_seconds,
            "requests_min": self.requests_min,
        }


BUILT_IN = (
    AlertRule("errors", "error_share", above=0.05, window_minutes=1, for_seconds=5, requests_min=50),
    AlertRule("latency", "latency_ms_p95", above=100.0, window_minutes=1, for_seconds=15, requests_min=50),
    AlertRule("drift", "input_psi", above=0.25, window_minutes=60, for_seconds=60, requests_min=100),
    AlertRule("prediction_shift", "prediction_psi", above=0.25, window_minutes=5, for_seconds=60, requests_min=100),
    AlertRule("registry_lost", "registry_lost_seconds", above=30.0, requests_min=0),
    AlertRule("not_opened", "not_opened_seconds", above=10.0, requests_min=0),
)
"""What every replica looks at. `latency` takes its bound from the gate's `latency_ms_p95_max` of the stage, so that the
budget a version was let through with is the one that it is held to."""


def alert_rules() -> Reader[tuple[AlertRule, ...]]:
    """A list of tables, each of which is a rule."""

    def read(value: Any) -> tuple[AlertRule, ...] | None:
        if not isinstance(value, list) or len(value) > _RULES_MAX or not all(isinstance(one, dict) for one in value):
            return None
        rules = tuple(map(_rule, value))
        names = [rule.name for rule in rules]
        if len(set(names)) < len(names):
            raise UsageError("names two rules alike", hint="Give each rule a name of its own.")
        return rules

    return Reader(f"up to {_RULES_MAX} tables with name, metric, and above or below", read)


def rule_names() -> Reader[tuple[str, ...]]:
    """A list of names of rules."""

    def read(value: Any) -> tuple[str, ...] | None:
        good = isinstance(value, list) and all(isinstance(item, str) and _NAME.match(item) for item in value)
        return tuple(value) if good else None

    return Reader(f"a list of names of rules, such as {', '.join(rule.name for rule in BUILT_IN)}", read)


def _rule(table: dict[str, Any]) -> AlertRule:
    known = {"name", "metric", "above", "below", "window_minutes", "for_seconds", "requests_min"}
    unknown = sorted(set(table) - known)
    if unknown:
        near = get_close_matches(unknown[0], sorted(known), n=1)
        meant = f"Did you mean {near[0]}? " if near else ""
        raise UsageError(f"has the unknown key {unknown[0]!r:.80}", hint=f"{meant}Known: {', '.join(sorted(known))}")
    name, metric = table.get("name"), table.get("metric")
    if not isinstance(name, str) or not _NAME.match(name):
        raise UsageError(f"has a rule with the name {name!r:.80}", hint="Write it in lower case, such as slow_answers.")
    if metric not in METRICS:
        raise UsageError(f"{name} looks at {metric!r:.80}", hint=f"It can look at: {', '.join(METRICS)}.")
    if ("above" in table) == ("below" in table):
        raise UsageError(f"{name} has to say either above or below", hint="Write one of the two, such as above = 0.05.")
    for key, most in (("above", None), ("below", None), ("for_seconds", _SECONDS_MAX), ("requests_min", 2**31)):
        value = table.get(key, 0)
        if not _is_number(value) or value < 0 or (most is not None and value > most):
            raise UsageError(f"{name} has {key} = {value!r:.80}", hint="It takes a number, zero or more.")
    if table.get("window_minutes", 5) not in WINDOW_MINUTES or isinstance(table.get("window_minutes"), bool):
        raise UsageError(
            f"{name} has window_minutes = {table['window_minutes']!r:.80}",
            hint=f"It takes one of: {', '.join(map(str, WINDOW_MINUTES))}.",
        )
    numbers = {key: float(table[key]) for key in ("above", "below", "for_seconds") if key in table}
    counts = {key: int(table[key]) for key in ("window_minutes", "requests_min") if key in table}
    return AlertRule(name, str(metric), **numbers, **counts)  # type: ignore[arg-type]  # by key, as checked above


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and isfinite(value)
