"""Findings and verdicts: what a gate says, and on what.

Three outcomes. `fail` means that harm was shown, `inconclusive` that nothing could be decided; neither lets a version
through. A gate without findings is no gate: it does not pass.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum

from holdfast.canonical import Json, JsonObject
from holdfast.errors import UsageError
from holdfast.flow.gate.waivers import Waiver

__all__ = ["ROUNDING", "Finding", "Outcome", "best", "overall"]

ROUNDING = 1e-9
"""Two equal ratios of counts may differ in the last digit of a float64; a loss of exactly the margin is within it."""


class Outcome(StrEnum):
    """How a rule, or a whole gate, ended."""

    PASS = "pass"  # noqa: S105 - an outcome, not a password
    FAIL = "fail"
    INCONCLUSIVE = "inconclusive"


@dataclass(frozen=True, slots=True)
class Finding:
    """The result of one rule.

    Attributes:
        rule: its name.
        outcome: how it ended.
        sentence: what was found, for a person, with its numbers.
        hint: what to do about it, in one line or one for each thing to do; empty when the outcome is `pass`.
        values: the numbers, for a program.
        waived: by whom it is waived, if it is; the outcome stays what it was, and counts as passed.
    """

    rule: str
    outcome: Outcome
    sentence: str
    hint: str = ""
    values: Mapping[str, Json] = field(default_factory=dict)
    waived: Waiver | None = None

    @property
    def counts(self) -> Outcome:
        """What it counts as in the verdict."""
        return self.outcome if self.waived is None else Outcome.PASS

    def to_json(self) -> JsonObject:
        """One entry of `findings`; `waived` is there when it is."""
        waived: JsonObject = {} if self.waived is None else {"waived": self.waived.told()}
        return {
            "rule": self.rule,
            "outcome": str(self.outcome),
            "sentence": self.sentence,
            "hint": self.hint,
            "values": dict(self.values),
            **waived,
        }


def best(findings: Sequence[Finding]) -> Outcome:
    """The outcome of findings of which one needs to pass: the best of them; none at all is a fail."""
    outcomes = {finding.counts for finding in findings}
    if Outcome.PASS in outcomes:
        return Outcome.PASS
    return Outcome.INCONCLUSIVE if Outcome.INCONCLUSIVE in outcomes else Outcome.FAIL


def overall(findings: Sequence[Finding], any_of: Sequence[Sequence[str]] = ()) -> Outcome:
    """The outcome of a gate with these findings: the worst of them, where each group counts as its best one.

    Args:
        findings: one for each rule.
        any_of: groups of rules of which one needs to pass; a rule in a group counts through its groups alone.

    Raises:
        UsageError: there are none; an empty gate must not be taken for one that was passed.
    """
    if not findings:
        raise UsageError("a gate without rules lets nothing through", hint="Name at least one rule in holdfast.toml.")
    grouped = {rule for group in any_of for rule in group}
    outcomes = {finding.counts for finding in findings if finding.rule not in grouped}
    outcomes |= {best([finding for finding in findings if finding.rule in group]) for group in any_of}
    if Outcome.FAIL in outcomes:
        return Outcome.FAIL
    return Outcome.INCONCLUSIVE if Outcome.INCONCLUSIVE in outcomes else Outcome.PASS
