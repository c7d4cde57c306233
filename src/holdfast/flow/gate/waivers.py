"""Waivers: for a while, and by name, somebody answers for a version although a rule did not let it through.

A waiver changes nothing of what the rule found. It says who took it upon themselves, why, and until when, and all of
that stands wherever the outcome does.
"""

import unicodedata
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any

from holdfast.canonical import JsonObject
from holdfast.errors import UsageError
from holdfast.flow.gate.catalogue import RULE_NAMES

__all__ = ["AHEAD_MAX", "NEVER_WAIVED", "WAIVABLE", "Waiver", "in_force", "read_waivers", "waiver_table"]

AHEAD_MAX = timedelta(days=366)
"""How far ahead a waiver may end: a year, a leap one included. What is waived for longer is no exception any more, and
belongs into the policy, where everybody sees that the rule is not asked."""

_WAIVERS_MAX = 16
"""Of one stage: they stand in the event of a promotion, which holds 64 KiB."""

_BY_CHARACTERS_MAX = 256
"""As long as the name of an actor can be."""

_REASON_CHARACTERS_MAX = 500
"""A few sentences, so that all waivers of a stage fit into one event; the rest stands in a ticket that they name."""

NEVER_WAIVED: Mapping[str, str] = {
    "completeness": "a version with a part missing can be neither rolled back to nor built again",
    "integrity": "bytes that are not what was judged make every other finding one about something else",
    "formats": "opening the bundle could run code that nobody has seen; a file that somebody has looked at is named "
    "in formats_allow",
    "signature": "who vouches for the bytes is not for others to say; sign the version",
    "approver": "it is the rule by which people answer for a version: they approve it",
}
"""The rules that nobody can waive, and that cannot be one of several in `any_of` either, and why."""

WAIVABLE = (
    f"one of: {', '.join(name for name in RULE_NAMES if name not in NEVER_WAIVED)}, or a rule of your own that the "
    "stage asks"
)
"""What can be waived, for people."""

_KEYS = {"rule", "by", "reason", "until", "versions"}


@dataclass(frozen=True, slots=True)
class Waiver:
    """Somebody answers for what one rule did not let through.

    Attributes:
        rule: the rule.
        by: who answers for it.
        reason: why, in their words.
        until: the last day on which it holds, by UTC.
        versions: the numbers of the versions that it is for; empty: all.
    """

    rule: str
    by: str
    reason: str
    until: date
    versions: tuple[int, ...] = ()

    def is_for(self, rule: str, number: int) -> bool:
        """Whether it is about this rule and this version, whatever the day."""
        return rule == self.rule and (not self.versions or number in self.versions)

    def stands(self, today: date) -> bool:
        """Whether it has any effect on this day: it has not expired, and does not end too far ahead."""
        return today <= self.until <= _ahead(today)

    def require_near(self, today: date, where: str) -> None:
        """Refuse a waiver that ends too far ahead.

        Raises:
            UsageError: it does.
        """
        if self.until > _ahead(today):
            raise UsageError(
                f"{where} waives {self.rule} until {self.until}, which is more than {AHEAD_MAX.days} days ahead",
                hint=f"It ends by {_ahead(today)}, or before. What is to hold for good is a change of policy.",
            )

    def told(self) -> dict[str, str]:
        """Who answers for it, why and until when: what stands beside the finding, and in the event of the move."""
        return {"by": self.by, "reason": self.reason, "until": self.until.isoformat()}

    def to_json(self) -> JsonObject:
        """The waiver as a verdict keeps it."""
        return {"rule": self.rule, **self.told(), "versions": list(self.versions)}


def in_force(waivers: tuple[Waiver, ...], rule: str, number: int, today: date) -> Waiver | None:
    """The waiver of this rule for this version that stands today; the one that stands longest, if there are several."""
    found = [waiver for waiver in waivers if waiver.is_for(rule, number) and waiver.stands(today)]
    return max(found, key=lambda waiver: waiver.until, default=None)


def read_waivers(value: Any) -> tuple[Waiver, ...] | None:
    """The waivers that a policy writes, or None when it is no list of tables.

    Raises:
        UsageError: one of them lacks something, or waives what nobody can waive; the message says which and why.
    """
    if not isinstance(value, list) or not all(isinstance(item, dict) for item in value):
        return None
    if len(value) > _WAIVERS_MAX:
        raise UsageError(
            f"holds {len(value)} waivers, and may hold {_WAIVERS_MAX}",
            hint="So many exceptions are another policy: change the rules.",
        )
    return tuple(_waiver(item, place) for place, item in enumerate(value, 1))


def waiver_table(written: JsonObject) -> JsonObject:
    """The table that `Waiver.to_json` says again; what is none is left as it is, for `read_waivers` to refuse."""
    table = {key: value for key, value in written.items() if (key, value) != ("versions", [])}
    with suppress(ValueError, TypeError, KeyError):
        table["until"] = date.fromisoformat(table["until"])
    return table


def _waiver(table: Mapping[str, Any], place: int) -> Waiver:
    unknown = sorted(set(table) - _KEYS)
    if unknown:
        raise UsageError(f"{place} has the unknown key {unknown[0]!r}", hint=f"Known: {', '.join(sorted(_KEYS))}")
    for key in ("rule", "by", "reason", "until"):
        if key not in table:
            raise UsageError(
                f"{place} has no {key}", hint="A waiver names its rule, who answers for it, why, and its last day."
            )
    rule = table["rule"]
    if isinstance(rule, str) and rule in NEVER_WAIVED:
        raise UsageError(f"{place} waives {rule}, which nobody can waive", hint=f"Why not: {NEVER_WAIVED[rule]}.")
    if not isinstance(rule, str) or not rule:
        raise UsageError(f"{place} waives {rule!r:.80}, which is no rule", hint=f"It can be {WAIVABLE}.")
    return Waiver(
        rule,
        _text(table, "by", _BY_CHARACTERS_MAX, place),
        _text(table, "reason", _REASON_CHARACTERS_MAX, place),
        _day(table["until"], place),
        _numbers(table.get("versions"), place),
    )


def _text(table: Mapping[str, Any], key: str, most: int, place: int) -> str:
    """A text that is shown as it is written: nothing in it hides, reverses or breaks the line that it stands in."""
    value = table[key]
    good = isinstance(value, str) and value.strip() == value and 0 < len(value) <= most and value.isprintable()
    if not good or not unicodedata.is_normalized("NFC", value):
        raise UsageError(
            f"{place} has {key} = {value!r:.80}, which is not valid",
            hint=f"It takes one line of text, at most {most} characters, all of which can be seen (Unicode NFC).",
        )
    return str(value)


def _day(value: Any, place: int) -> date:
    # A moment is a date to Python, and a text is none to anybody: the day is written as TOML writes days.
    if not isinstance(value, date) or isinstance(value, datetime):
        raise UsageError(
            f"{place} has until = {value!r:.80}, which is not a day", hint="Write it without quotes: until = 2026-12-31"
        )
    return value


def _numbers(value: Any, place: int) -> tuple[int, ...]:
    if value is None:
        return ()
    good = isinstance(value, list) and value and all(type(item) is int and item >= 1 for item in value)
    if not good:
        raise UsageError(
            f"{place} has versions = {value!r:.80}, which is not valid",
            hint="It takes a list of version numbers, such as [5]; without it, every version is meant.",
        )
    return tuple(sorted(set(value)))


def _ahead(today: date) -> date:
    return date.max if date.max - today < AHEAD_MAX else today + AHEAD_MAX
