"""Is the version beside the stage worse? Evidence that may be looked at after every request.

    evidence = error_evidence([Counts(candidate=9, other=21, share=0.1)])
    evidence >= 1 / alpha                   the candidate has more errors than it should; wrong in alpha of all rollouts

Evidence of E against "nothing is wrong" is a bet that is fair, or worse than fair, as long as nothing is: started with
1, it ever reaches 1 / alpha with chance alpha at most (Ville's inequality), however often and whenever somebody looks.
Ramdas, Grünwald, Vovk and Shafer, "Game-theoretic statistics and safe anytime-valid inference", Statistical Science 38
(2023). A test that is made for one look, taken again and again, finds something in every rollout that lasts.

**The share is the chance with which a request goes to the candidate**, as the plan has it, and never the share that was
observed: the bet is that an error, whenever it comes, belongs to the candidate with this chance. So it does not matter
how the rate of errors moves with the hour of day, as long as each request is assigned by itself. Steps of a rollout
with different shares are not added up: each is counted for itself, and their bets are multiplied.

**What is assigned must be what is counted.** Where all requests of one key go the same way, a key that fails always
fails on one side only, and its hundred errors are one: count the first error of each key in the whole rollout
(`holdfast.statistics.firsts`), not the first of each hour or step. That stays fair when the candidate is better, too:
let every key of the candidate fail as early as it would have failed elsewhere, and the evidence only grows. And all
that were assigned are counted: where mistakes are counted once the truth is known, a request that failed is one, or
the version that answers more would be mistaken more often.

Replicas count apart: adding their counts at each step loses nothing. Pure arithmetic, without numpy: a replica asks
after every error.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from math import exp, fsum, lgamma, log

__all__ = [
    "EVIDENCE_MAX",
    "RELATIVE_RISKS",
    "Counts",
    "error_bets",
    "error_evidence",
    "mixture",
    "split_evidence",
    "together",
]

RELATIVE_RISKS = (1.25, 1.5, 2.0, 3.0, 5.0, 10.0, 20.0)
"""The bets: how many times as often the candidate may fail. Each gets the same stake. Below about 1.12 the first of
them loses too, so a candidate that is worse by so little is never found to be; that is meant."""

EVIDENCE_MAX = 1e300
"""What evidence is cut off at, since JSON knows no infinity; no level asks for more."""

_PRIOR_REQUESTS = 1000.0
"""How many requests the split's prior is worth: it bets on departures of a few hundredths of the share and more."""


@dataclass(frozen=True, slots=True)
class Counts:
    """What was counted at one step of a rollout: errors, or requests, over all replicas.

    Attributes:
        candidate: of the version that is tried.
        other: of the version that it is compared with.
        share: the chance with which a request, or a key, was assigned to the candidate at this step.
    """

    candidate: int
    other: int
    share: float

    def __post_init__(self) -> None:
        if min(self.candidate, self.other) < 0:
            raise ValueError(f"{self.candidate} and {self.other} were counted, and nothing is counted below zero")
        if not 0.0 < self.share <= 1.0:
            raise ValueError(f"a share of {self.share} is none")


def error_evidence(steps: Iterable[Counts]) -> float:
    """Evidence against "the candidate fails no more often than the other version".

    Given an error, it is the candidate's with the chance `share` if both fail equally often, and with
    `share * r / (share * r + 1 - share)` if the candidate fails r times as often. The mean over `RELATIVE_RISKS` of the
    ratios of these likelihoods. At a share of 1 there is nothing to compare with, and nothing is said.

    Args:
        steps: the errors of each step; in any order.

    Returns:
        From 0 to `EVIDENCE_MAX`; 1 when there is none yet.
    """
    logs = [0.0] * len(RELATIVE_RISKS)
    for step in steps:
        if step.share < 1.0:
            for place, (mine, theirs) in enumerate(error_bets(step.share)):
                logs[place] += step.candidate * mine + step.other * theirs
    return mixture(logs)


def split_evidence(steps: Iterable[Counts]) -> float:
    """Evidence against "requests went to the candidate with the chance that the plan says", on either side.

    A split that is not as ordered (lost requests, a balancer that knows better, a key that few have) makes every other
    comparison worthless: ask this first. A beta prior around the share of each step, so that the evidence is a ratio of
    beta functions: Lindon and Malek, "Anytime-valid inference for multinomial count data", NeurIPS 35 (2022).

    Args:
        steps: the requests that were assigned at each step, answered or not; where all requests of a key go the same
            way, the keys.
    """
    found = 0.0
    for step in steps:
        if step.share < 1.0:
            mine, theirs = _PRIOR_REQUESTS * step.share, _PRIOR_REQUESTS * (1.0 - step.share)
            found += _log_beta(mine + step.candidate, theirs + step.other) - _log_beta(mine, theirs)
            found -= step.candidate * log(step.share) + step.other * log(1.0 - step.share)
    return mixture([found])


def together(evidence: Mapping[str, float], weights: Mapping[str, float] | None = None) -> float:
    """The evidence of several guards against "nothing is wrong with any of them", at one level for all.

    Their mean is evidence again, however much they hang together. It reaches 1 / alpha no later than the first guard
    that is asked at its own part of alpha, which is what Bonferroni's inequality would do. The guard to name is the one
    with the largest part of the sum.

    Args:
        evidence: of each guard.
        weights: how much of the level each gets; equal parts when not given.

    Raises:
        ValueError: no guards, or weights that are not theirs.
    """
    if not evidence or (weights is not None and weights.keys() != evidence.keys()):
        raise ValueError("each guard has a weight, and there is one at least")
    parts = weights or dict.fromkeys(evidence, 1.0)
    whole = fsum(parts.values())
    return min(EVIDENCE_MAX, fsum(found * (parts[name] / whole) for name, found in evidence.items()))


def mixture(logs: Sequence[float]) -> float:
    """The mean of bets of equal stakes, each given as the logarithm of what has become of 1."""
    found = log_mixture(logs)
    return exp(found) if found < _LOG_MAX else EVIDENCE_MAX


def log_mixture(logs: Sequence[float]) -> float:
    """The logarithm of `mixture`, which may be as large as it is."""
    highest = max(logs)
    return highest + log(fsum(exp(one - highest) for one in logs) / len(logs))


_LOG_MAX = log(EVIDENCE_MAX)


@lru_cache(maxsize=1024)
def error_bets(share: float) -> tuple[tuple[float, float], ...]:
    """For each relative risk: what an error of the candidate adds to the logarithm, and an error of the other."""
    spread = [share * risk + 1.0 - share for risk in RELATIVE_RISKS]
    return tuple((log(risk / whole), -log(whole)) for risk, whole in zip(RELATIVE_RISKS, spread, strict=True))


def _log_beta(a: float, b: float) -> float:
    return lgamma(a) + lgamma(b) - lgamma(a + b)
