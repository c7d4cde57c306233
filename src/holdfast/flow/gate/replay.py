"""Replaying a verdict: the same bundles on the same rows under the same policy, and what comes out now.

    replayed = replay(digest, bench, registry)
    replayed.standing        holds, differs or open
    replayed.whole           what the rules come to together, with the waivers of that day and in their groups
    replayed.rules           rule by rule

A rule holds when it ends as it ended. Numbers may be a last digit apart on another machine, within the tolerance that
smoke has, and are said to be so. Times are not measured again unless somebody asks: those that were kept are judged.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

from holdfast.canonical import Json, JsonObject, plain
from holdfast.digest import Digest
from holdfast.errors import HoldfastError, UsageError
from holdfast.flow.gate.answered import ROW_DIGESTS_BYTES_MAX, read_row_digests, row_digests, rows_that_differ
from holdfast.flow.gate.case import Case, Measured, Workbench
from holdfast.flow.gate.catalogue import Need, needed
from holdfast.flow.gate.composing import composition, with_waivers
from holdfast.flow.gate.finding import Finding, Outcome, overall
from holdfast.flow.gate.rendering.report import Report
from holdfast.flow.gate.rules import RULES
from holdfast.flow.gate.settling import finding_of
from holdfast.flow.gate.then import as_it_was, code_of_then
from holdfast.registry.interface import Registry
from holdfast.runtime.smoke import SCORE_TOLERANCE

__all__ = ["Replayed", "ReplayedAnswers", "ReplayedRule", "ReplayedWhole", "Standing", "replay"]

_ROWS_NAMED_MAX = 100
"""Rows that an answer names one by one; how many there are is said besides."""


class Standing(StrEnum):
    """How a rule, or a whole verdict, stands after it was computed again."""

    HOLDS = "holds"
    DIFFERS = "differs"
    OPEN = "open"
    """It could not be computed: this machine or this Holdfast lacks something, or the verdict does not say enough."""


@dataclass(frozen=True, slots=True)
class ReplayedRule:
    """One rule, then and now.

    Attributes:
        rule: its name.
        standing: whether it ends as it ended.
        then, now: how it ended; `now` is None where it could not be computed.
        sentence: what it says now, or why it says nothing.
        changed: the numbers that are others now, by their place in the finding's values: `estimate.low`.
    """

    rule: str
    standing: Standing
    then: Outcome
    now: Outcome | None
    sentence: str
    changed: tuple[str, ...] = ()

    def to_json(self) -> JsonObject:
        """One entry of `rules`."""
        return {
            "rule": self.rule,
            "standing": str(self.standing),
            "then": str(self.then),
            "now": None if self.now is None else str(self.now),
            "sentence": self.sentence,
            "changed": list(self.changed),
        }


@dataclass(frozen=True, slots=True)
class ReplayedWhole:
    """What all rules come to, then and now: under the waivers of that day, and in the groups of the policy.

    Attributes:
        standing: whether it comes to the same.
        then: the outcome of the verdict.
        now: what the rules come to; None where one of them could not be computed.
        changed: what the verdict says otherwise of waivers and groups, by its place: `waived[0].until`.
    """

    standing: Standing
    then: str
    now: Outcome | None
    changed: tuple[str, ...] = ()

    def to_json(self) -> JsonObject:
        """What stands under `overall`."""
        return {
            "standing": str(self.standing),
            "then": self.then,
            "now": None if self.now is None else str(self.now),
            "changed": list(self.changed),
        }


@dataclass(frozen=True, slots=True)
class ReplayedAnswers:
    """What one version answers now, beside what it answered then.

    Attributes:
        who: `candidate` or `baseline`.
        same: whether every byte of all answers is the same; None when the version could not be asked.
        rows: how many rows answer otherwise, in their last digit or altogether; None when that cannot be told.
        named: the first of them, counted from 0.
        trouble: why it cannot be told.
    """

    who: str
    same: bool | None
    rows: int | None = None
    named: tuple[int, ...] = ()
    trouble: str = ""

    def to_json(self) -> JsonObject:
        """One entry of `answers`."""
        return {
            "same": self.same,
            "rows_that_differ": self.rows,
            "first": list(self.named),
            "trouble": self.trouble or None,
        }


@dataclass(frozen=True, slots=True)
class Replayed:
    """A verdict that was computed again.

    Attributes:
        report: the verdict as it was kept.
        whole: what its rules come to together.
        rules: each rule, in the order of the verdict.
        answers: of the candidate, and of the version that held the stage where there was one.
        evidence: what is wrong with the blobs that the verdict keeps, one sentence each.
    """

    report: Report
    whole: ReplayedWhole
    rules: tuple[ReplayedRule, ...]
    answers: tuple[ReplayedAnswers, ...]
    evidence: tuple[str, ...] = ()

    @property
    def standing(self) -> Standing:
        """Of all of it: it differs where a rule or the whole does, and is open where one is, or evidence was lost."""
        found = {self.whole.standing, *(rule.standing for rule in self.rules)}
        if Standing.DIFFERS in found:
            return Standing.DIFFERS
        return Standing.OPEN if Standing.OPEN in found or self.evidence else Standing.HOLDS

    def to_json(self) -> JsonObject:
        """What `gate replay` prints."""
        return {
            "verdict": self.report.digest,
            "model": self.report.model,
            "version": self.report.version,
            "stage": self.report.stage,
            "outcome": self.report.outcome,
            "standing": str(self.standing),
            "overall": self.whole.to_json(),
            "rules": [rule.to_json() for rule in self.rules],
            "answers": {answers.who: answers.to_json() for answers in self.answers},
            "evidence": list(self.evidence),
        }


def replay(verdict: Digest, bench: Workbench, registry: Registry, *, timed: bool = False) -> Replayed:
    """Compute a kept verdict again; nothing is kept and nothing moves.

    Args:
        verdict: its digest.
        bench: where the bundles are opened.
        registry: where it is kept.
        timed: whether times and memory are measured anew, instead of judging what was kept.

    Raises:
        NotFound: no such verdict, or a version of it is not in the registry any more.
        UsageError: the verdict is not that of a gate.
        Archived: a version of it was archived, and its bytes are not here.
        IntegrityError: the verdict is not what its digest names.
        UnsupportedFormat: a newer Holdfast wrote it, or its policy has a key that this one does not know.
    """
    kept = registry.verdict(verdict)
    report = Report.of(kept)
    if "policy" not in kept.body:
        raise UsageError(
            f"the verdict {verdict} names no policy: a rollback smokes the version that it goes back to, and no more",
            hint="Name the verdict of a gate; see: holdfast log",
        )
    case = as_it_was(kept, bench, registry, timed=timed)
    asked = dict.fromkeys((*(finding.rule for finding in report.findings), *case.policy.rules))
    now = {rule: _computed(rule, case, report, timed=timed) for rule in asked}
    rules = tuple(_beside(finding, now[finding.rule], case) for finding in report.findings)
    whole = _whole([now[rule] for rule in case.policy.rules], rules, case, report)
    return Replayed(report, whole, rules, tuple(_answers(case, report, bench)), tuple(_damage(report, bench)))


def _damage(report: Report, bench: Workbench) -> Iterator[str]:
    """What became of the blobs that the verdict keeps."""
    for name in report.body.get("blobs") or ():
        try:
            bench.store.verify(Digest.parse(name))
        except HoldfastError as error:
            yield error.message


def _computed(rule: str, case: Case, report: Report, *, timed: bool) -> Finding | str:
    """What a rule finds now, or why it finds nothing."""
    if rule not in RULES and rule not in case.own:
        return "this Holdfast does not know the rule"
    untimed = not timed and not report.latencies_ms and case.trouble is None and not case.settled
    if untimed and Need.TIMED in needed([rule]):
        return "no times were kept with this verdict; measure anew with: --time"
    code = code_of_then(report, rule)
    if rule in case.own and code is not None and str(case.code.get(rule)) != code:
        return f"the code that judged then, {code}, is not here: {case.own[rule].sentence}"
    try:
        return finding_of(rule, case)
    except HoldfastError as error:
        return error.message


def _beside(then: Finding, now: Finding | str, case: Case) -> ReplayedRule:
    if isinstance(now, str):
        return ReplayedRule(then.rule, Standing.OPEN, then.outcome, None, now)
    standing = _standing(now.outcome, ended_so=now.outcome is then.outcome, case=case)
    changed = tuple(_changes(plain(dict(then.values)), plain(dict(now.values)), ""))
    return ReplayedRule(then.rule, standing, then.outcome, now.outcome, now.sentence, changed)


def _standing(now: Outcome, *, ended_so: bool, case: Case) -> Standing:
    if ended_so:
        return Standing.HOLDS
    return Standing.OPEN if now is Outcome.INCONCLUSIVE and not case.damage else Standing.DIFFERS


def _whole(found: Sequence[Finding | str], rules: Sequence[ReplayedRule], case: Case, report: Report) -> ReplayedWhole:
    """What the rules come to now, with the waivers that stood on the day of the verdict, and in its groups."""
    known = [one for one in found if isinstance(one, Finding)]
    if len(known) < len(found):
        return ReplayedWhole(Standing.OPEN, report.outcome, None)
    findings = with_waivers(known, case.policy, case.candidate.number, case.at.date())
    now = overall(findings, case.policy.any_of)
    kept = {key: report.body[key] for key in ("waived", "any_of") if key in report.body}
    made = composition(findings, case.policy)
    changed = tuple(_changes(plain(kept), plain({key: made[key] for key in kept}), ""))
    # The column beside the body and the body say it both, and neither may have been written by somebody else.
    ended_so = {report.outcome, str(report.body.get("outcome"))} == {str(now)}
    standing = _standing(now, ended_so=ended_so, case=case)
    if changed and standing is Standing.HOLDS and all(rule.now is rule.then for rule in rules):
        standing = Standing.DIFFERS  # every rule ends as it ended, and so the same waivers and groups stand
    return ReplayedWhole(standing, report.outcome, now, changed)


def _changes(then: Json, now: Json, place: str) -> Iterator[str]:
    """Where two values are not the same, or numbers lie further apart than another machine explains."""
    if isinstance(then, Mapping) and isinstance(now, Mapping):
        for key in sorted({*then, *now}):
            yield from _changes(then.get(key), now.get(key), f"{place}.{key}" if place else str(key))
    elif isinstance(then, list) and isinstance(now, list) and len(then) == len(now):
        for number, pair in enumerate(zip(then, now, strict=True)):
            yield from _changes(*pair, f"{place}[{number}]")
    elif _is_number(then) and _is_number(now):
        if abs(then - now) > SCORE_TOLERANCE * max(1.0, abs(then)):
            yield place
    elif then != now:
        yield place


def _is_number(value: Json) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _answers(case: Case, report: Report, bench: Workbench) -> Iterator[ReplayedAnswers]:
    now = case.inputs()
    for who, measured, key in (
        ("candidate", case.measured, "outputs"),
        ("baseline", case.against, "baseline_outputs"),
    ):
        then = report.table("inputs").get(key)
        if then is None:
            continue
        if measured is None:
            why = case.trouble or case.against_trouble
            yield ReplayedAnswers(who, None, trouble="it was not asked" if why is None else why.message)
        elif then == now[key]:
            yield ReplayedAnswers(who, same=True, rows=0)
        else:
            yield _told_apart(who, measured, report, bench)


def _told_apart(who: str, measured: Measured, report: Report, bench: Workbench) -> ReplayedAnswers:
    """Which rows are answered otherwise, by the digests that were kept of them."""
    kept = report.table("answers", who).get("row_digests")
    if kept is None:
        return ReplayedAnswers(who, same=False, trouble="the verdict keeps no digests of single rows")
    try:
        then = read_row_digests(bench.store.read(Digest.parse(str(kept)), bytes_max=ROW_DIGESTS_BYTES_MAX))
    except HoldfastError as error:
        return ReplayedAnswers(who, same=False, trouble=error.message)
    rows = rows_that_differ(then, read_row_digests(row_digests(measured.answer)))
    return ReplayedAnswers(who, same=False, rows=len(rows), named=rows[:_ROWS_NAMED_MAX])
