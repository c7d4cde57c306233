"""Is the version of a canary worse? What both versions did, and what follows from it: go on, advance, hold or abort.

    judge(plan, step, counts, seconds) -> Judgement(Outcome.ABORT, "…", {…})

Each guard brings evidence against "the candidate is no worse", and their weighted mean is evidence too. When it reaches
1 / alpha the canary is aborted. It may be looked at after every request: `holdfast.statistics` says why, and how often
this is wrong. Nothing here reads a clock or a registry, so what was decided can be decided again from the same figures.

A split of the requests that is not as the plan orders makes every comparison doubtful. Such a canary is held for a
person, and only its errors are still looked at, against the split that was found: stopping costs less than going on.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from math import ceil, log10

from holdfast.canonical import JsonObject
from holdfast.serving.bucketing import WHOLE
from holdfast.serving.counting import LATENCY_EDGES_SECONDS, Arm, Counted
from holdfast.serving.keys import Origin
from holdfast.serving.plan import CanaryPlan, Guard
from holdfast.statistics.firsts import Firsts
from holdfast.statistics.means import Means, Sums, mean_difference
from holdfast.statistics.ordered import Apart, Histograms, moved, slower
from holdfast.statistics.sequential import Counts, error_evidence, split_evidence, together

__all__ = ["FAILURES_PART", "Judgement", "Outcome", "StepCounts", "failures_alpha", "judge", "seen"]

StepCounts = Mapping[int, Mapping[str, Counted]]
"""For each step what each replica has counted at it, by the replica's id."""

_SPLIT_EVIDENCE = 1000.0
"""How sure it must be that the split is not as ordered: wrong in one rollout of a thousand."""

_WEIGHTS = {Guard.ERRORS: 3.0, Guard.LATENCY: 1.0, Guard.SCORES: 1.0, Guard.TRUTH: 1.0}
"""Parts of the level: errors harm at once, and what is found of them earlier is worth most."""

FAILURES_PART = 0.8
"""Of the errors' part, what failures get; refusals of rows get the rest."""

_SECONDS_A_DAY = 86400.0


class Outcome(StrEnum):
    """What follows."""

    GO_ON = "go_on"
    ADVANCE = "advance"
    HOLD = "hold"
    ABORT = "abort"


@dataclass(frozen=True, slots=True)
class Judgement:
    """What was found.

    Attributes:
        outcome: what follows.
        sentence: why, with numbers.
        figures: what it rests on.
    """

    outcome: Outcome
    sentence: str
    figures: JsonObject


def failures_alpha(plan: CanaryPlan) -> float:
    """The part of the level at which failures alone stop the canary."""
    if Guard.ERRORS not in plan.guards:
        return 0.0
    whole = sum(_WEIGHTS[guard] for guard in plan.guards)
    return plan.alpha * FAILURES_PART * _WEIGHTS[Guard.ERRORS] / whole


def judge(plan: CanaryPlan, step: int, counts: StepCounts, seconds: float) -> Judgement:
    """What follows from what has been counted.

    Args:
        plan: the canary's.
        step: at which it is, from 0; a canary behind its last step can only be aborted, and its figures tell the
            requests of all steps.
        counts: of this step and the earlier ones.
        seconds: how long it has been at this step.
    """
    split = _split(plan, counts)
    replicas = [*counts.get(step, {}).values()]
    here = _sum(replicas)
    if split < _SPLIT_EVIDENCE:
        evidence = {guard: _GUARDS[guard](plan, counts) for guard in plan.guards}
    else:
        found_share = here[0].counted / max(1, here[0].counted + here[1].counted)
        evidence = {Guard.ERRORS: _errors(plan, counts, found_share)}
    found = together(
        {guard: one.evidence for guard, one in evidence.items()}, {guard: _WEIGHTS[guard] for guard in evidence}
    )
    if step >= len(plan.steps):
        replicas = [counted for one in counts.values() for counted in one.values()]
    candidate, other = _sum(replicas)
    figures: JsonObject = {
        "step": step,
        "share": plan.step(step).share / WHOLE,
        "seconds": round(seconds, 3),
        "candidate": seen(candidate),
        "other": seen(other),
        "without_key": sum(one.without_key for one in replicas),
        "evidence": {str(guard): _short(one.evidence) for guard, one in evidence.items()},
        "evidence_together": _short(found),
        "evidence_needed": _short(1.0 / plan.alpha),
        "split_evidence": _short(split),
        "alpha": plan.alpha,
    }
    if found >= 1.0 / plan.alpha:
        guard = max(evidence, key=lambda one: evidence[one].evidence * _WEIGHTS[one])
        sentence = f"{guard}: {evidence[guard].sentence}; evidence {found:.3g}, {1.0 / plan.alpha:.3g} is enough"
        return Judgement(Outcome.ABORT, sentence, {**figures, "guard": str(guard)})
    if step >= len(plan.steps):
        return Judgement(Outcome.GO_ON, "every step is done, and no guard speaks against it", figures)
    if split >= _SPLIT_EVIDENCE:
        sentence = (
            f"{here[0].counted} of {here[0].counted + here[1].counted} requests or keys came to the candidate, and the "
            f"plan gives it {plan.step(step).share / 100:g} %: nothing can be compared"
        )
        return Judgement(Outcome.HOLD, sentence, figures)
    return _by_minimum(plan, step, here[0], seconds, figures)


def _by_minimum(plan: CanaryPlan, step: int, candidate: Arm, seconds: float, figures: JsonObject) -> Judgement:
    asked = plan.step(step)
    done = f"{candidate.requests} requests in {_time(seconds)} at {asked.share / 100:g} %"
    if candidate.requests >= asked.requests and seconds >= asked.seconds:
        return Judgement(Outcome.ADVANCE, f"{done}, and no guard speaks against it", figures)
    if seconds >= max(plan.patience_seconds, asked.seconds):
        return Judgement(Outcome.HOLD, f"only {done}, and {asked.requests} were asked for", figures)
    return Judgement(Outcome.GO_ON, f"{done} of {asked.requests} in {_time(asked.seconds)}", figures)


@dataclass(frozen=True, slots=True)
class _Found:
    evidence: float
    sentence: str


def _shares(plan: CanaryPlan, counts: StepCounts) -> list[float]:
    return [plan.step(step).share / WHOLE for step in range(max(counts, default=0) + 1)]


def _errors(plan: CanaryPlan, counts: StepCounts, share_min: float = 0.0) -> _Found:
    shares = [max(share_min, share) for share in _shares(plan, counts)]
    failed = _of_errors(plan, counts, shares, lambda one: one.failed, lambda arm: arm.failed)
    refused = _of_errors(plan, counts, shares, lambda one: one.refused, lambda arm: arm.refused)
    evidence = FAILURES_PART * error_evidence(failed) + (1.0 - FAILURES_PART) * error_evidence(refused)
    mine, theirs = _sum(one for replicas in counts.values() for one in replicas.values())
    worst = mine.codes.most_common(1)
    named = f", most often {worst[0][0]}" if worst else ""
    return _Found(
        evidence,
        f"{mine.errors} of {mine.requests} requests to the candidate were answered with an error{named}, and "
        f"{theirs.errors} of {theirs.requests} to the other version",
    )


def _of_errors(
    plan: CanaryPlan,
    counts: StepCounts,
    shares: Sequence[float],
    keys: Callable[[Counted], Firsts],
    number: Callable[[Arm], int],
) -> list[Counts]:
    if plan.key.origin is not Origin.REQUEST:
        merged = Firsts.merged(keys(one) for replicas in counts.values() for one in replicas.values())
        return merged.counts(shares)
    return [
        Counts(number(mine), number(theirs), shares[step])
        for step, (mine, theirs) in ((step, _sum(replicas.values())) for step, replicas in counts.items())
    ]


def _latency(plan: CanaryPlan, counts: StepCounts) -> _Found:
    tolerated = max(0, ceil(log10(plan.latency_ratio_max) * 10 - 1e-9))
    apart = _apart(plan, counts, lambda arm: arm.latencies, lambda steps: slower(steps, tolerated_buckets=tolerated))
    edge = LATENCY_EDGES_SECONDS[max(0, min(apart.bucket - 1, len(LATENCY_EDGES_SECONDS) - 1))] * 1000
    over = LATENCY_EDGES_SECONDS[min(apart.bucket - 1 + tolerated, len(LATENCY_EDGES_SECONDS) - 1)] * 1000
    return _Found(
        apart.evidence,
        f"{apart.candidate_above:.1%} of the candidate's answers took longer than {over:.3g} ms, and "
        f"{apart.other_above:.1%} of the other version's longer than {edge:.3g} ms",
    )


def _scores(plan: CanaryPlan, counts: StepCounts) -> _Found:
    if not plan.score_edges:
        return _Found(1.0, "scores are not compared")
    apart = _apart(plan, counts, lambda arm: arm.scores, lambda steps: moved(steps, tolerated=plan.score_shift_max))
    edge = plan.score_edges[max(0, min(apart.bucket - 1, len(plan.score_edges) - 1))]
    return _Found(
        apart.evidence,
        f"{apart.candidate_above:.1%} of the candidate's scores are above {edge:.4g}, and {apart.other_above:.1%} of "
        "the other version's",
    )


def _apart(
    plan: CanaryPlan,
    counts: StepCounts,
    of: Callable[[Arm], list[int]],
    compare: Callable[[list[Histograms]], Apart],
) -> Apart:
    """The evidence of histograms, and the place of the loudest replica, or of all together."""
    found = [
        compare(
            [
                Histograms(
                    of(mine), of(theirs), plan.step(step).share / WHOLE, _without(mine, of), _without(theirs, of)
                )
                for step, mine, theirs in group
            ]
        )
        for group in _groups(plan, counts)
    ]
    if not found:
        return Apart(1.0, 0, 0.0, 0.0)
    loudest = max(found, key=lambda one: one.evidence)
    mean = sum(one.evidence for one in found) / len(found)
    return Apart(mean, loudest.bucket, loudest.candidate_above, loudest.other_above)


def _without(arm: Arm, of: Callable[[Arm], list[int]]) -> int:
    """How many requests were counted and are in no bucket: they failed, or their answer has no score."""
    return max(0, arm.counted - sum(of(arm)))


def _truth(plan: CanaryPlan, counts: StepCounts) -> _Found:
    groups = list(_groups(plan, counts))
    share = plan.step
    if _split(plan, counts, lambda arm: arm.truths + arm.distances.count) >= _SPLIT_EVIDENCE:
        return _Found(1.0, "what is right is known of one version more often than of the other: nothing is compared")
    by_class = [
        error_evidence(
            [Counts(mine.mistakes, theirs.mistakes, share(step).share / WHOLE) for step, mine, theirs in one]
        )
        for one in groups
    ]
    mine, theirs = _sum(one for replicas in counts.values() for one in replicas.values())
    evidence = _mean(by_class)
    sentence = (
        f"{mine.mistakes} of {mine.truths} answers of the candidate were wrong, and {theirs.mistakes} of "
        f"{theirs.truths} of the other version"
    )
    if plan.truth_effect is not None and mine.distances.count and theirs.distances.count:
        numbers = [
            mean_difference(
                [Means(a.distances, b.distances) for _, a, b in one], alpha=plan.alpha, effect=plan.truth_effect
            )
            for one in groups
        ]
        evidence = (evidence + _mean([one.evidence for one in numbers])) / 2.0
        sentence += (
            f"; numbers were {mine.distances.mean:.4g} from the truth in the mean, and {theirs.distances.mean:.4g}"
        )
    return _Found(evidence, sentence)


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values) if values else 1.0


_GUARDS: dict[Guard, Callable[[CanaryPlan, StepCounts], _Found]] = {
    Guard.ERRORS: _errors,
    Guard.LATENCY: _latency,
    Guard.SCORES: _scores,
    Guard.TRUTH: _truth,
}


def _split(plan: CanaryPlan, counts: StepCounts, number: Callable[[Arm], int] = lambda arm: arm.counted) -> float:
    """Evidence that both versions did not get their parts of what is counted."""
    return _mean(
        [
            split_evidence(
                [Counts(number(mine), number(theirs), plan.step(step).share / WHOLE) for step, mine, theirs in group]
            )
            for group in _groups(plan, counts)
        ]
    )


def _groups(plan: CanaryPlan, counts: StepCounts) -> Iterable[list[tuple[int, Arm, Arm]]]:
    """What may be added up: all of it, where requests are their own keys.

    Otherwise a key is counted once at each replica, so that replicas are judged apart: the mean of what each of them
    finds is evidence again, however much their keys are the same ones.
    """
    if plan.key.origin is Origin.REQUEST:
        yield [(step, *_sum(replicas.values())) for step, replicas in counts.items()]
        return
    for name in sorted({name for replicas in counts.values() for name in replicas}):
        alone = ((step, replicas[name]) for step, replicas in counts.items() if name in replicas)
        yield [(step, one.candidate, one.other) for step, one in alone]


def _sum(replicas: Iterable[Counted]) -> tuple[Arm, Arm]:
    found = None
    for one in replicas:
        found = (
            (one.candidate, one.other)
            if found is None
            else (_added(found[0], one.candidate), _added(found[1], one.other))
        )
    return found or (Arm(), Arm())


def _added(one: Arm, two: Arm) -> Arm:
    a, b = one.distances, two.distances
    return Arm(
        requests=one.requests + two.requests,
        counted=one.counted + two.counted,
        failed=one.failed + two.failed,
        refused=one.refused + two.refused,
        codes=one.codes + two.codes,
        latencies=list(map(int.__add__, one.latencies, two.latencies)),
        scores=list(map(int.__add__, one.scores, two.scores)),
        truths=one.truths + two.truths,
        mistakes=one.mistakes + two.mistakes,
        distances=Sums(a.count + b.count, a.total + b.total, a.squares + b.squares),
    )


def seen(arm: Arm) -> JsonObject:
    """What is told of one version: counts, without the histograms."""
    return {
        "requests": arm.requests,
        "errors": arm.errors,
        "codes": dict(arm.codes),
        "truths": arm.truths,
        "mistakes": arm.mistakes,
    }


def _short(value: float) -> float:
    return float(f"{value:.6g}")


def _time(seconds: float) -> str:
    for name, unit in (("d", _SECONDS_A_DAY), ("h", 3600.0), ("min", 60.0)):
        if seconds >= unit:
            return f"{seconds / unit:.3g} {name}"
    return f"{seconds:.3g} s"
