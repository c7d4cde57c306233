"""Alerts: rules that are broken, and for how long. A state machine that reads no clock and tells nobody by itself.

pending     the rule is broken, and has not been for long enough
firing      it has been; somebody is told
resolved    it has not been broken for `QUIET_SECONDS`, or its version has another role, or has it anew; somebody is
            told again

for alert in alerts.step(now, found):       those that began to fire, and those that were resolved
"""

from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from enum import StrEnum

from holdfast.canonical import JsonObject
from holdfast.database.times import to_text
from holdfast.serving.alert_rules import METRICS, AlertRule

__all__ = ["QUIET_SECONDS", "Alert", "AlertState", "Alerts", "Found"]

QUIET_SECONDS = 30.0
"""How long a rule must not be broken before its alert is over: what comes back within that was never gone."""

_KEPT_MAX = 100
"""Alerts that are over and still shown: a night of them."""


class AlertState(StrEnum):
    """How an alert stands."""

    PENDING = "pending"
    FIRING = "firing"
    RESOLVED = "resolved"


@dataclass(frozen=True, slots=True)
class Found:
    """A number, as a rule looks at it.

    Attributes:
        rule: the rule.
        version: whose number; None: the replica's own.
        role: of the version now.
        value: None where nothing is known, or too little.
        about: what else is to be said of the number, such as which column it is of.
        epoch: of the stage since which the number is counted; None: of the replica's own.
    """

    rule: AlertRule
    version: int | None
    role: str
    value: float | None
    about: str = ""
    epoch: int | None = None


@dataclass(frozen=True, slots=True)
class Alert:
    """A broken rule.

    Attributes:
        rule: the rule.
        version: whose number breaks it; None: the replica's own.
        role: of the version.
        state: how it stands.
        value: the number when it was last beyond the bound.
        about: what else is to be said of it.
        since: when the rule was first broken, in seconds since 1970.
        changed: when it took its state.
        epoch: of the stage since which its number was counted; None: of the replica's own.
    """

    rule: AlertRule
    version: int | None
    role: str
    state: AlertState
    value: float
    about: str
    since: float
    changed: float
    epoch: int | None = None

    @property
    def sentence(self) -> str:
        """What is wrong, in words and numbers."""
        whose = "" if self.version is None else f" of version {self.version} ({self.role})"
        over = "" if self.rule.requests_min == 0 else f" over {self.rule.window_minutes} min"
        about = f", {self.about}" if self.about else ""
        return (
            f"{self.rule.name}: {self.rule.metric}{whose} is {self.value:.4g}{about}{over}; "
            f"alerted {self.rule.bound} ({METRICS[self.rule.metric]})"
        )

    def to_json(self) -> JsonObject:
        """What `/alerts` and webhooks say."""
        return {
            "name": self.rule.name,
            "version": self.version,
            "role": self.role,
            "state": str(self.state),
            "value": self.value,
            "sentence": self.sentence,
            "since": to_text(datetime.fromtimestamp(self.since, UTC)),
            "changed": to_text(datetime.fromtimestamp(self.changed, UTC)),
            "rule": self.rule.to_json(),
        }


class Alerts:
    """All alerts of one process."""

    def __init__(self) -> None:
        self._open: dict[tuple[str, int | None], Alert] = {}
        self._broken: dict[tuple[str, int | None], float] = {}
        self._over: deque[Alert] = deque(maxlen=_KEPT_MAX)

    def step(self, now: float, found: Iterable[Found]) -> Sequence[Alert]:
        """Look at all numbers at a moment, in seconds since 1970; the alerts that have something new to say.

        An alert whose number is no longer looked at, since its version was let go of, ends as if it were in order. One
        of an earlier stay of its version ends at once: it says nothing of the present one.
        """
        said: list[Alert] = []
        for one in found:
            said += self._ended(now, one)
            if one.value is not None and one.rule.broken_by(one.value):
                self._note(now, one, one.value)
        return [*said, *self._turned(now)]

    def _ended(self, now: float, one: Found) -> Iterator[Alert]:
        name = (one.rule.name, one.version)
        known = self._open.get(name)
        if known is None or (known.role, known.epoch) == (one.role, one.epoch):
            return
        if known.state is AlertState.FIRING:
            yield self._resolved(now, name)
        else:
            self._forget(name)

    def _note(self, now: float, one: Found, value: float) -> None:
        name = (one.rule.name, one.version)
        self._broken[name] = now
        known = self._open.get(name)
        if known is None:
            state = AlertState.PENDING
            self._open[name] = Alert(one.rule, one.version, one.role, state, value, one.about, now, now, one.epoch)
        else:
            self._open[name] = replace(known, value=value, about=one.about)

    def _turned(self, now: float) -> Iterator[Alert]:
        for name, alert in list(self._open.items()):
            quiet = now - self._broken[name]
            if alert.state is AlertState.PENDING and quiet > 0:
                self._forget(name)  # not without a break: it was nothing
            elif alert.state is AlertState.PENDING and now - alert.since >= alert.rule.for_seconds:
                self._open[name] = replace(alert, state=AlertState.FIRING, changed=now)
                yield self._open[name]
            elif alert.state is AlertState.FIRING and quiet >= QUIET_SECONDS:
                yield self._resolved(now, name)

    def _resolved(self, now: float, name: tuple[str, int | None]) -> Alert:
        over = replace(self._open[name], state=AlertState.RESOLVED, changed=now)
        self._forget(name)
        self._over.append(over)
        return over

    def _forget(self, name: tuple[str, int | None]) -> None:
        del self._open[name], self._broken[name]

    @property
    def open(self) -> tuple[Alert, ...]:
        """Those that are pending or firing, the longest first."""
        return tuple(sorted(self._open.values(), key=lambda alert: alert.since))

    @property
    def over(self) -> tuple[Alert, ...]:
        """Those that were resolved, the newest first."""
        return tuple(reversed(self._over))

    @property
    def firing(self) -> tuple[Alert, ...]:
        """Those that fire."""
        return tuple(alert for alert in self.open if alert.state is AlertState.FIRING)
