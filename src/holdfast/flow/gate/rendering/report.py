"""A kept verdict as the renderings see it, whichever 1.x wrote it, a gate or a rollback."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from holdfast.canonical import JsonObject, Reader
from holdfast.database.times import to_text
from holdfast.errors import UnsupportedFormat
from holdfast.flow.gate.estimates import estimates
from holdfast.flow.gate.finding import Finding, Outcome
from holdfast.registry.records import Verdict, outcome_text, waivers_in

__all__ = ["Bounds", "Report", "findings_of"]

_DRAWN_MAX = 1e100
"""No metric and no time comes near it, and ranges of such numbers stay finite."""

_FORMAT, _MAJOR = "holdfast.verdict", "1"


@dataclass(frozen=True, slots=True)
class Bounds:
    """A number between its bounds; one that is not known is None.

    Attributes:
        rule: whose finding it is.
        name: how the finding calls it, such as `latency_ms_p95`.
        value, low, high: the number, and its interval.
        most: the most that policy allows; None: anything.
    """

    rule: str
    name: str
    value: float
    low: float | None
    high: float | None
    most: float | None


@dataclass(frozen=True, slots=True)
class Report:
    """What a verdict says.

    Attributes:
        model, version: what was judged.
        stage: for which stage; None when only its parts were looked at.
        against: the number of the version that held the stage; None when none did.
        outcome: of the whole; `skipped` for a rollback in an emergency, which judged nothing.
        findings: one for each rule.
        digest: the name of the verdict; None when none was kept.
        created_at: when it was kept, in UTC; None likewise.
        body: all of it, as it was kept.
    """

    model: str
    version: int
    stage: str | None
    against: int | None
    outcome: str
    findings: tuple[Finding, ...]
    digest: str | None = None
    created_at: str | None = None
    body: Mapping[str, Any] = field(default_factory=dict)

    @classmethod
    def of(cls, verdict: Verdict) -> "Report":
        """The verdict as it was kept.

        Raises:
            UnsupportedFormat: a newer Holdfast wrote it, or none did.
        """
        reader = Reader(verdict.body, "the verdict")
        name, version = reader.text("format"), reader.text("format_version")
        if name != _FORMAT or version.partition(".")[0] != _MAJOR:
            raise UnsupportedFormat(
                f"a verdict of format {name[:40]} {version[:20]}",
                hint="Upgrade Holdfast: pip install --upgrade holdfast",
            )
        baseline = reader.mapping("inputs").get("baseline")
        against = baseline.get("version") if isinstance(baseline, Mapping) else None
        return cls(
            str(verdict.model),
            verdict.number,
            str(verdict.stage),
            against if isinstance(against, int) else None,
            verdict.outcome,
            findings_of(verdict.body),
            str(verdict.digest),
            to_text(verdict.created_at),
            verdict.body,
        )

    @property
    def title(self) -> str:
        """What was judged, and for what."""
        return f"{self.model}@{self.version}" + ("" if self.stage is None else f" for {self.stage}")

    @property
    def said(self) -> str:
        """The outcome; a pass that rests on waivers says so."""
        return outcome_text(self.outcome, waivers_in(dict(self.body)))

    @property
    def groups(self) -> list[Mapping[str, Any]]:
        """The groups of rules of which one needed to pass."""
        kept = self.body.get("any_of")
        found = kept if isinstance(kept, list) else []
        return [one for one in found if isinstance(one, Mapping) and isinstance(one.get("rules"), list)]

    def waiver(self, finding: Finding) -> str:
        """Who waived a finding until when, and why; empty where nobody did."""
        found = [one for one in waivers_in(dict(self.body)) if one.get("rule") == finding.rule]
        return "".join(f"waived by {one.get('by')} until {one.get('until')}: {one.get('reason')}" for one in found[:1])

    def let_through(self, finding: Finding) -> str:
        """Why a finding that did not pass keeps nobody from the stage: its waiver, or its groups; empty where it does.

        A rule in several groups is let off when each of them passes, as in `composing.unsettled`.
        """
        if finding.outcome is Outcome.PASS:
            return ""
        if waived := self.waiver(finding):
            return waived
        within = [one for one in self.groups if finding.rule in one["rules"]]
        if not within or any(one.get("outcome") != Outcome.PASS for one in within):
            return ""
        return f"not needed: one of {', '.join(map(str, within[0]['rules']))} is enough"

    def ended(self, finding: Finding) -> str:
        """How a finding ended, and in a word why that keeps nobody: `fail, waived`."""
        if not self.let_through(finding):
            return str(finding.outcome)
        return f"{finding.outcome}, {'waived' if self.waiver(finding) else 'not needed'}"

    @property
    def bounds(self) -> list[Bounds]:
        """Every number of a finding that has bounds of its own beside it, such as percentiles of times."""
        return [found for finding in self.findings for found in _bounds(finding)]

    @property
    def rows(self) -> int:
        """How many frozen rows both versions answered; 0 when none was asked."""
        found = self.table("inputs").get("rows", 0)
        return found if isinstance(found, int) else 0

    @property
    def estimates(self) -> list[JsonObject]:
        """Every estimate; a verdict of before 1.1 has them in its findings alone."""
        kept = self.body.get("estimates")
        found = kept if isinstance(kept, list) else estimates(self.findings)
        return [_estimate(one) for one in found if isinstance(one, Mapping)]

    @property
    def latencies_ms(self) -> dict[str, list[float]]:
        """The times of single calls by `candidate` and `baseline`, as they were taken; empty where none were kept."""
        return self._times("latencies_ms")

    @property
    def batch_latencies_ms(self) -> dict[str, list[float]]:
        """The times of batches, likewise."""
        return self._times("batch_latencies_ms")

    def _times(self, key: str) -> dict[str, list[float]]:
        kept = self.table(key)
        times = {who: _times(kept.get(who)) for who in ("candidate", "baseline")}
        return {who: found for who, found in times.items() if found}

    @property
    def budget_ms(self) -> float | None:
        """What policy allows for one row; None where it allows anything."""
        found = _number(self.table("policy").get("latency_ms_p95_max"))
        return found if found is not None and found > 0 else None

    def counts(self) -> dict[str, int]:
        """How many findings ended in each way; ways in which none did are left out."""
        counted = {str(outcome): sum(one.outcome is outcome for one in self.findings) for outcome in Outcome}
        return {outcome: count for outcome, count in counted.items() if count}

    def to_json(self) -> JsonObject:
        """For a program; with the whole body where a verdict was kept."""
        value: JsonObject = {
            "model": self.model,
            "version": self.version,
            "stage": self.stage,
            "against": self.against,
            "outcome": self.outcome,
            "findings": [finding.to_json() for finding in self.findings],
            "verdict": self.digest,
        }
        return value if self.digest is None else {**value, "created_at": self.created_at, "body": dict(self.body)}

    def table(self, *keys: str) -> Mapping[str, Any]:
        """A table of the body; empty where there is none, as in verdicts of before it was kept."""
        found = self.body
        for key in keys:
            inner = found.get(key)
            if not isinstance(inner, Mapping):
                return {}
            found = inner
        return found


def _number(value: object) -> float | None:
    """A number that can be drawn; a body may hold anything, for anybody may have written it."""
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    return float(value) if is_number and abs(value) < _DRAWN_MAX else None  # type: ignore[arg-type]


def _times(value: object) -> list[float]:
    found = [_number(one) for one in value] if isinstance(value, list) else []
    return [max(one, 0.0) for one in found if one is not None]


def _bounds(finding: Finding) -> Iterator[Bounds]:
    for name, said in finding.values.items():
        value, ends = _number(said), (f"{name}_low", f"{name}_high")
        if value is not None and finding.values.keys() >= set(ends):
            low, high, most = (_number(finding.values.get(key)) for key in (*ends, f"{name}_max"))
            yield Bounds(finding.rule, name, value, low, high, most)


def _estimate(one: Mapping[str, Any]) -> JsonObject:
    numbers = ("value", "low", "high", "confidence", "rows", "p", "margin", "harm_margin")
    words = ("rule", "name", "kind", "method", "outcome")
    told = {key: _number(one.get(key)) for key in numbers} | {key: str(one.get(key, "")) for key in words}
    return {**told, "rows": None if told["rows"] is None else int(told["rows"])}


def findings_of(body: JsonObject) -> tuple[Finding, ...]:
    """The findings of a verdict's body.

    Raises:
        UnsupportedFormat: it has none, or one ended in a way that this Holdfast does not know.
    """
    return tuple(_finding(Reader(one, "finding")) for one in Reader(body, "the verdict").items("findings"))


def _finding(reader: Reader) -> Finding:
    said = reader.text("outcome")
    if said not in set(Outcome):
        raise UnsupportedFormat(
            f"a finding that ended as {said[:40]!r}", hint="Upgrade Holdfast: pip install --upgrade holdfast"
        )
    values = reader.mapping("values") if reader.has("values") else {}
    hint = reader.maybe_text("hint") if reader.has("hint") else None
    return Finding(reader.text("rule"), Outcome(said), reader.text("sentence"), hint or "", values)
