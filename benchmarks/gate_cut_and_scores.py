"""How often the rules `threshold` and `calibration` are wrong: simulated holdouts, judged by the rules themselves.

    python benchmarks/gate_cut_and_scores.py [--trials 400] [--json FILE]

Scores are drawn that are right, or bent so that they are wrong by a known amount in the population; a cut-off is pinned
where it is best, or where it truly loses a known amount. At the limit of a policy (0.02 and 0.05 under `strict`; 0.05
more under `default`) to pass is an error, and up to 0.02 and 0.05 so is to fail: each must happen in at most alpha of
all cases. `alone` is what a comparison without an interval says: the error as it stands, or the lead of the best
cut-off on these rows, is within 0.02 or 0.05.
"""

import argparse
import json
import sys
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from scipy.optimize import brentq
from scipy.special import expit, logit

sys.path.insert(0, str(Path(__file__).parents[1]))

from holdfast.evidence import Metrics
from holdfast.flow.gate.calibration import calibration
from holdfast.flow.gate.case import Case, Measured
from holdfast.flow.gate.stage_policy import StagePolicy
from holdfast.flow.gate.threshold import threshold
from holdfast.runtime.pipeline import Answer
from holdfast.statistics.cut import METRICS
from tests.flow.gate.cases import CUT_OFF, case, manifest

SEED = 20_260_101
ALPHA = 0.05
LOSS_MAX, ERROR_MAX, HARM = 0.02, 0.05, 0.05
_POPULATION = 400_000


@dataclass(frozen=True)
class Truth:
    """A population and a rule that is asked about it.

    Attributes:
        rule: `threshold` or `calibration`.
        what: the metric of the cut-off, or how the scores are bent.
        amount: what is truly lost, or the true error.
        cut: where the version cuts.
        slope: by how much the log odds of what happens are those that were said; 1 when the scores are right.
    """

    rule: str
    what: str
    amount: float
    cut: float = 0.5
    slope: float = 1.0


def scores(chance: np.random.Generator, rows: int) -> np.ndarray:
    """One row in four is positive, and the two kinds overlap."""
    return np.asarray(expit(chance.normal(-1.5, 1.5, rows)))


def truths() -> Iterator[Truth]:
    """What is looked at: nothing lost, and as much as makes passing an error, under each policy."""
    said = np.sort(scores(np.random.default_rng(SEED), _POPULATION))
    above = np.concatenate([[0.0], np.cumsum(said)])
    places = np.linspace(0, said.size - 1, 2_001).astype(int)
    right = said.sum() - above[places]
    positive, others = np.full_like(right, said.sum()), np.full_like(right, said.size - said.sum())
    for name in ("accuracy", "f1"):
        truly = METRICS[name](right, said.size - places - right, positive, others)
        best = int(truly.argmax())
        for amount in (0.0, LOSS_MAX, LOSS_MAX + HARM):
            place = best - int(np.argmax(truly[best::-1] <= truly[best] - amount)) if amount else best
            yield Truth("threshold", name, float(truly[best] - truly[place]), cut=float(said[places[place]]))
    for amount in (0.0, ERROR_MAX, ERROR_MAX + HARM):
        slope = brentq(lambda one, want=amount: _error(said, one) - want, 0.05, 1.0) if amount else 1.0
        yield Truth("calibration", "too extreme", _error(said, slope), slope=float(slope))


def _error(said: np.ndarray, slope: float) -> float:
    """The true error in ten bins of the population."""
    away = (expit(slope * logit(said)) - said).reshape(10, -1).mean(axis=1)
    return float(np.sqrt((away**2).mean()))


def drawn(truth: Truth, chance: np.random.Generator, rows: int, policy: str) -> Case:
    """What the gate would have collected."""
    said = scores(chance, rows)
    happened = (chance.random(rows) < expit(truth.slope * logit(said))).astype(int)
    answer = Answer([int(score >= truth.cut) for score in said], [float(score) for score in said], None)
    metrics = Metrics("f1", {"f1": 0.0}, {"f1": True}, rows)  # the rules measure for themselves
    return replace(
        _EMPTY,
        policy=StagePolicy(
            policy=policy, alpha=ALPHA, threshold_metric=truth.what if truth.rule == "threshold" else None
        ),
        targets=tuple(int(one) for one in happened),
        manifest=manifest(eval_threshold=replace(CUT_OFF, value=truth.cut)),
        measured=Measured(answer, metrics),
    )


_EMPTY = case()


def rates(truth: Truth, rows: int, trials: int, policy: str) -> dict[str, float]:
    """The shares of outcomes, and of trials in which the number alone is within the limit."""
    chance, outcomes, alone = np.random.default_rng(SEED), Counter[str](), 0
    for _ in range(trials):
        found = drawn(truth, chance, rows, policy)
        finding = threshold(found) if truth.rule == "threshold" else calibration(found)
        outcomes[str(finding.outcome)] += 1
        alone += _alone(truth, found, finding.values)
    return {
        **{name: outcomes[name] / trials for name in ("pass", "inconclusive", "fail")},
        "numbers_alone": alone / trials,
    }


def _alone(truth: Truth, found: Case, values: Any) -> bool:
    if truth.rule == "threshold":
        return bool(values["best_value"] - values["value"] <= LOSS_MAX)
    assert found.measured is not None
    order = np.argsort(found.measured.answer.scores)
    away = np.asarray(found.targets)[order] - np.asarray(found.measured.answer.scores)[order]
    return bool(np.sqrt(np.mean([part.mean() ** 2 for part in np.array_split(away, 10)])) <= ERROR_MAX)


def main() -> None:
    """Simulate, print, and write JSON when asked."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--trials", type=int, default=400)
    parser.add_argument("--json", type=Path)
    given = parser.parse_args()
    print(f"{given.trials} simulated holdouts each; alpha {ALPHA}; seed {SEED}")
    print(
        f"{'rule':12} {'of':12} {'truly':>7} {'rows':>5} {'policy':8} {'pass':>6} {'open':>6} {'fail':>6} {'alone':>6}"
    )
    told: list[dict[str, Any]] = []
    for truth in truths():
        for rows in (300, 1_000):
            for policy in ("default", "strict"):
                found = rates(truth, rows, given.trials, policy)
                about = {"rule": truth.rule, "of": truth.what, "truly": truth.amount, "rows": rows, "policy": policy}
                told.append(about | found)
                print(
                    f"{truth.rule:12} {truth.what:12} {truth.amount:7.3f} {rows:5} {policy:8} {found['pass']:6.3f} "
                    f"{found['inconclusive']:6.3f} {found['fail']:6.3f} {found['numbers_alone']:6.3f}",
                    flush=True,
                )
    if given.json:
        given.json.write_text(json.dumps({"trials": given.trials, "alpha": ALPHA, "seed": SEED, "rates": told}))


if __name__ == "__main__":
    main()
