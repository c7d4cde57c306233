"""Findings and verdicts: what a gate says, and on what.

Three outcomes. `fail` means that harm was shown, `inconclusive` that nothing could be decided; neither lets a version
through. A gate without findings is no gate: it does not pass.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum

from holdfast.canonical import Json, JsonObject
from holdfast.errors import UsageError

__all__ = ["ROUNDING", "Finding", "Outcome", "overall"]

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
        hint: what to do about it; empty when the outcome is `pass`.
        values: the numbers, for a program.
    """

    rule: str
    outcome: Outcome
    sentence: str
    hint: str = ""
    values: Mapping[str, Json] = field(default_factory=dict)

    def to_json(self) -> JsonObject:
        """One entry of `findings`."""
        return {
            "rule": self.rule,
            "outcome": str(self.outcome),
            "sentence": self.sentence,
            "hint": self.hint,
            "values": dict(self.values),
        }


def overall(findings: Sequence[Finding]) -> Outcome:
    """The outcome of a gate with these findings: the worst of them.

    Raises:
        UsageError: there are none; an empty gate must not be taken for one that was passed.
    """
    if not findings:
        raise UsageError("a gate without rules lets nothing through", hint="Name at least one rule in holdfast.toml.")
    outcomes = {finding.outcome for finding in findings}
    if Outcome.FAIL in outcomes:
        return Outcome.FAIL
    return Outcome.INCONCLUSIVE if Outcome.INCONCLUSIVE in outcomes else Outcome.PASS
