"""Replaying a verdict: the same bundles on the same rows under the same policy, and what comes out now.

    replayed = replay(digest, bench, registry)
    replayed.standing        holds, differs or open
    replayed.rules           rule by rule

A rule holds when it ends as it ended. Numbers may be a last digit apart on another machine, within the tolerance that
smoke has, and are said to be so. Times are not measured again unless somebody asks: those that were kept are judged.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum
from pathlib import Path

from holdfast.canonical import Json, JsonObject, Reader, plain
from holdfast.digest import Digest
from holdfast.errors import HoldfastError, UnsupportedFormat, UsageError
from holdfast.flow.gate.answered import ROW_DIGESTS_BYTES_MAX, read_row_digests, row_digests, rows_that_differ
from holdfast.flow.gate.case import Case, Measured, Workbench, examine
from holdfast.flow.gate.catalogue import Need, needed
from holdfast.flow.gate.finding import Finding, Outcome
from holdfast.flow.gate.own_rules import with_own_rules
from holdfast.flow.gate.rendering.report import Report
from holdfast.flow.gate.rules import RULES
from holdfast.flow.gate.signature import with_signatures
from holdfast.flow.gate.stage_policy import StagePolicy
from holdfast.names import Reference, VersionNumber
from holdfast.registry.certificates import Rehearsal
from holdfast.registry.interface import Registry
from holdfast.registry.records import Approval, Verdict
from holdfast.registry.values import Version
from holdfast.runtime.at_hand import require_at_hand
from holdfast.runtime.smoke import SCORE_TOLERANCE

__all__ = ["Replayed", "ReplayedAnswers", "ReplayedRule", "Standing", "replay"]

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
        rules: each rule, in the order of the verdict.
        answers: of the candidate, and of the version that held the stage where there was one.
        evidence: what is wrong with the blobs that the verdict keeps, one sentence each.
    """

    report: Report
    rules: tuple[ReplayedRule, ...]
    answers: tuple[ReplayedAnswers, ...]
    evidence: tuple[str, ...] = ()

    @property
    def standing(self) -> Standing:
        """Of the whole: it differs where a rule does, and is open where one is, or where evidence was lost."""
        found = {rule.standing for rule in self.rules}
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
        timed: whether single rows are timed anew, instead of judging the times that were kept.

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
    policy = _policy(report)
    case = Case(
        _version(report, "candidate", registry, bench),
        kept.stage,
        policy,
        str(kept.body.get("asked_by", "")),
        baseline=None if report.against is None else _version(report, "baseline", registry, bench),
        approvals=_approvals(kept, registry),
        judged_before=_judged_before(kept.body),
        at=kept.created_at,
    )
    case = replace(case, rehearsal=_rehearsal(case, registry))
    case = _examined(case, bench, report, timed=timed)
    case = _signed_by_then(with_signatures(case, registry, bench.project or Path()), kept.created_at)
    case = with_own_rules(case, bench)
    rules = tuple(_again(finding, case, report, timed=timed) for finding in report.findings)
    return Replayed(report, rules, tuple(_answers(case, report, bench)), tuple(_damage(report, bench)))


def _damage(report: Report, bench: Workbench) -> Iterator[str]:
    """What became of the blobs that the verdict keeps."""
    for name in report.body.get("blobs") or ():
        try:
            bench.store.verify(Digest.parse(name))
        except HoldfastError as error:
            yield error.message


def _policy(report: Report) -> StagePolicy:
    """The policy that was asked then; keys that it did not have say what they say by default."""
    try:
        policy = StagePolicy.from_json(str(report.stage), dict(report.table("policy")), "the verdict's policy")
        # What was asked then stands there; a key that is written now may ask for more than it did.
        return replace(policy, rules=Reader(dict(report.table("policy")), "policy").texts("rules") or policy.rules)
    except UsageError as error:
        raise UnsupportedFormat(
            f"{error.message}: this Holdfast cannot ask what was asked then",
            hint=f"Replay it with the Holdfast that judged: {report.body.get('holdfast', 'a newer one')}",
        ) from error


def _version(report: Report, who: str, registry: Registry, bench: Workbench) -> Version:
    named = Digest.parse(str(report.table("inputs", who).get("digest")))
    found = registry.resolve(Reference.parse(f"{report.model}@{named}"))
    require_at_hand(found, registry, bench.store)
    return found


def _approvals(kept: Verdict, registry: Registry) -> tuple[Approval, ...]:
    """What people had said by then; a verdict of before 1.1 does not name it, and then time tells."""
    every = registry.approvals(kept.model, kept.number)
    named = kept.body.get("approvals")
    if isinstance(named, list):
        return tuple(one for one in every if one.id in named)
    return tuple(one for one in every if one.stage == kept.stage and _had_spoken(one, kept.created_at))


def _judged_before(body: JsonObject) -> tuple[VersionNumber, ...]:
    """The versions that had been judged on the same rows by then."""
    return tuple(VersionNumber(number) for number in Reader(body, "the verdict").items("judged_before"))


def _rehearsal(case: Case, registry: Registry) -> Rehearsal | None:
    """The last rehearsal by then of going back to the version that held the stage."""
    if case.baseline is None or Need.REHEARSED not in needed(case.policy.rules):
        return None
    found = registry.rehearsals(case.baseline.model, case.stage, to=case.baseline.number)
    return next((one for one in found if one.created_at <= case.at), None)


def _signed_by_then(case: Case, moment: datetime) -> Case:
    """The case without signatures that were made later; the keys are those that the policy's files hold today."""
    if case.vouched is None:
        return case
    by_then = tuple(one for one in case.vouched.signatures if one.signature.at <= moment)
    return replace(case, vouched=replace(case.vouched, signatures=by_then))


def _had_spoken(approval: Approval, moment: datetime) -> bool:
    return approval.created_at <= moment and approval.verdict is None


def _examined(case: Case, bench: Workbench, report: Report, *, timed: bool) -> Case:
    """The case as it is found now, with the times that were kept."""
    asked = case.policy
    if not timed:
        untimed = tuple(name for name in asked.rules if Need.TIMED not in needed([name]))
        if needed(untimed) != needed(asked.rules) - {Need.TIMED}:
            untimed = asked.rules  # nothing else opens the bundles, and something must
        case = replace(examine(replace(case, policy=replace(asked, rules=untimed)), bench), policy=asked)
        return replace(
            case,
            measured=_with_times(case.measured, report, "candidate"),
            against=_with_times(case.against, report, "baseline"),
        )
    return examine(case, bench)


def _with_times(measured: Measured | None, report: Report, who: str) -> Measured | None:
    if measured is None:
        return None
    singles, batches = report.latencies_ms.get(who, ()), report.batch_latencies_ms.get(who, ())
    return replace(measured, latencies_ms=tuple(singles), batch_latencies_ms=tuple(batches))


def _again(then: Finding, case: Case, report: Report, *, timed: bool) -> ReplayedRule:
    if then.rule not in RULES and then.rule not in case.own:
        return ReplayedRule(then.rule, Standing.OPEN, then.outcome, None, "this Holdfast does not know the rule")
    if not timed and Need.TIMED in needed([then.rule]) and not report.latencies_ms and case.trouble is None:
        why = "no times were kept with this verdict; measure anew with: --time"
        return ReplayedRule(then.rule, Standing.OPEN, then.outcome, None, why)
    try:
        now = case.own[then.rule] if then.rule in case.own else RULES[then.rule](case)
    except HoldfastError as error:
        return ReplayedRule(then.rule, Standing.OPEN, then.outcome, None, error.message)
    standing = Standing.HOLDS if now.outcome is then.outcome else Standing.DIFFERS
    if now.outcome is Outcome.INCONCLUSIVE and standing is Standing.DIFFERS and not case.damage:
        standing = Standing.OPEN
    changed = tuple(_changes(plain(dict(then.values)), plain(dict(now.values)), ""))
    return ReplayedRule(then.rule, standing, then.outcome, now.outcome, now.sentence, changed)


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
