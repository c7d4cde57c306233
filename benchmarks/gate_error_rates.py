"""How often the gate is wrong: simulated holdouts, with a seed, judged by the gate's own rules and by point estimates.

    python benchmarks/gate_error_rates.py [--trials 1000] [--rows 500] [--json FILE]

Two versions answer the same rows. Their answers are drawn so that the true difference in the population is known: none;
a loss of just what policy allows (`margin`, under `strict`; `margin + harm_margin`, under `default`), where passing is
an error that must happen in at most alpha of all cases; and a real gain. For each the share of trials that pass, fail
and stay open is printed, beside what the comparison of two numbers says that other tools make: "the new one is at least
as good".

Then how often a real difference is found: for each metric and policy the number of rows is calculated with which four
of five holdouts should tell, from one large sample, and so many rows are drawn again and again.

Metrics: accuracy, roc_auc, f1, root_mean_squared_error. Then groups: five of them, one of which loses.
"""

import argparse
import json
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1]))

from holdfast.evidence import Metrics
from holdfast.flow.bundle.metrics import DIRECTIONS
from holdfast.flow.gate.case import Case, Measured
from holdfast.flow.gate.gain import gain_in
from holdfast.flow.gate.groups import groups
from holdfast.flow.gate.not_worse import not_worse
from holdfast.flow.gate.stage_policy import StagePolicy
from holdfast.runtime.pipeline import Answer
from holdfast.statistics.estimate import rows_needed
from holdfast.statistics.ranking import auc
from tests.flow.gate.cases import CUT_OFF, NUMBERS, RIGHT, case, manifest

SEED = 20_260_101
ALPHA = 0.05

Draw = Callable[[np.random.Generator, int, float], tuple[list[Any], Answer, Answer]]


@dataclass(frozen=True)
class Metric:
    """How two versions with a known true difference are drawn.

    Attributes:
        name: of the metric.
        draw: targets and the answers of both, the new one better by about this much in truth.
        unit: what a share of a margin is in the metric itself.
    """

    name: str
    draw: Draw
    unit: float = 1.0


def answers(scores: np.ndarray) -> Answer:
    """What a classifier says that cuts at a half."""
    return Answer([int(score >= 0.5) for score in scores], [float(score) for score in scores], None)


def by_accuracy(chance: np.random.Generator, rows: int, gain: float) -> tuple[list[Any], Answer, Answer]:
    """Nine of ten rows are answered alike; on the others either is right, the new one more often by the gain."""
    truth = chance.integers(0, 2, rows)
    kind = chance.random(rows)
    both_right, differ = kind < 0.8, kind >= 0.9
    new_wins = chance.random(rows) < 0.5 + gain / 0.2
    new_right = both_right | (differ & new_wins)
    old_right = both_right | (differ & ~new_wins)
    said = [np.where(right, truth, 1 - truth).astype(float) for right in (new_right, old_right)]
    return [int(t) for t in truth], answers(said[0]), answers(said[1])


def by_f1(chance: np.random.Generator, rows: int, gain: float) -> tuple[list[Any], Answer, Answer]:
    """A third of the rows are positive; each version finds some of them and is wrong about some others."""
    truth = (chance.random(rows) < 1 / 3).astype(int)
    shared = chance.random(rows)
    own = chance.random((2, rows))
    lift = _F1_LIFT * gain
    said = []
    for mine, more in zip(own, (lift, 0.0), strict=True):
        luck = np.where(chance.random(rows) < 0.6, shared, mine)
        said.append(np.where(truth == 1, luck < 0.75 + more, luck < 0.12).astype(float))
    return [int(t) for t in truth], answers(said[0]), answers(said[1])


_F1_LIFT = 1.66
"""How much recall has to rise for F1 to rise by one, near where `by_f1` stands; `main` prints what it truly is."""


def by_area(chance: np.random.Generator, rows: int, gain: float) -> tuple[list[Any], Answer, Answer]:
    """Two noisy views of the same signal; the new one sees it a little better."""
    truth = (chance.random(rows) < 0.3).astype(int)
    common = chance.normal(size=rows)
    said = []
    for signal in (1.0 + _AREA_LIFT * gain, 1.0):
        noise = 0.8 * common + 0.6 * chance.normal(size=rows)
        said.append(1 / (1 + np.exp(-(signal * (truth - 0.5) + noise))))
    return [int(t) for t in truth], answers(said[0]), answers(said[1])


_AREA_LIFT = 4.55
"""How far the signal has to rise for the area to rise by one, near where `by_area` stands."""


def by_error(chance: np.random.Generator, rows: int, gain: float) -> tuple[list[Any], Answer, Answer]:
    """Errors of the size 1; the new one's are smaller by the gain."""
    truth = chance.normal(10, 5, rows)
    common = chance.normal(size=rows)
    said = [truth + size * (0.8 * common + 0.6 * chance.normal(size=rows)) for size in (1.0 - gain, 1.0)]
    found = [Answer([float(v) for v in one], [float(v) for v in one], None) for one in said]
    return [float(t) for t in truth], found[0], found[1]


METRICS = (
    Metric("accuracy", by_accuracy),
    Metric("roc_auc", by_area),
    Metric("f1", by_f1),
    Metric("root_mean_squared_error", by_error),
)


def judged(metric: Metric, drawn: tuple[list[Any], Answer, Answer], **policy: Any) -> Case:
    """What the gate would have collected."""
    targets, new, old = drawn
    threshold = NUMBERS if metric.name == "root_mean_squared_error" else CUT_OFF
    found = replace(
        _EMPTY,
        policy=StagePolicy(alpha=ALPHA, **policy),
        targets=tuple(targets),
        manifest=manifest(eval_threshold=threshold),
    )
    mine, theirs = (Measured(one, measured(metric.name, targets, one)) for one in (new, old))
    return replace(found, measured=mine, against=theirs)


_EMPTY = case(RIGHT, RIGHT)


def measured(name: str, targets: list[Any], answer: Answer) -> Metrics:
    """The one metric that is asked for: measuring all of them a thousand times would take an hour."""
    truth, said = np.asarray(targets), np.asarray(answer.predictions)
    if name == "accuracy":
        value = float((truth == said).mean())
    elif name == "roc_auc":
        value = auc(truth == 1, answer.scores)
    elif name == "f1":
        value = float(2 * ((truth == 1) & (said == 1)).sum() / ((truth == 1).sum() + (said == 1).sum()))
    else:
        value = float(np.sqrt(((truth - said) ** 2).mean()))
    return Metrics(name, {name: value}, {name: DIRECTIONS[name]}, len(truth), 0.5)


@cache
def true_gain(metric: Metric, asked: float) -> float:
    """What the difference is in the population, from very large samples of it."""
    chance = np.random.default_rng(SEED)
    return float(np.mean([_gain_of(metric, metric.draw(chance, 400_000, asked)) for _ in range(_LARGE_SAMPLES)]))


_LARGE_SAMPLES = 10
"""So many of 400,000 rows: what is left of chance is a twentieth of the smallest difference that is looked for."""


def _gain_of(metric: Metric, drawn: tuple[list[Any], Answer, Answer]) -> float:
    targets, new, old = drawn
    mine, theirs = (measured(metric.name, targets, one).values[metric.name] for one in (new, old))
    return mine - theirs if metric.name != "root_mean_squared_error" else (theirs - mine) / theirs


def rates(metric: Metric, gain: float, rows: int, trials: int, **policy: Any) -> dict[str, float]:
    """The shares of outcomes, and of trials in which the new number is at least the old one."""
    chance = np.random.default_rng(SEED)
    outcomes: Counter[str] = Counter()
    at_least = 0
    for _ in range(trials):
        finding = not_worse(judged(metric, metric.draw(chance, rows, gain), **policy))
        outcomes[str(finding.outcome)] += 1
        at_least += finding.values["gain"] >= 0
    return {
        **{name: outcomes[name] / trials for name in ("pass", "inconclusive", "fail")},
        "point_estimate_passes": at_least / trials,
    }


def rows_that_tell(metric: Metric, gain: float, bound: float) -> int:
    """What the power calculation asks for: rows with which four of five holdouts should rule a loss of `-bound` out."""
    drawn = judged(metric, metric.draw(np.random.default_rng(SEED + 1), _PILOT_ROWS, gain))
    found = gain_in(drawn, metric.name, 1 - 2 * ALPHA)
    width = (found.estimate.value - found.estimate.low) / found.scale * np.sqrt(_PILOT_ROWS)
    truth = true_gain(metric, gain)
    needed = rows_needed(replace(found.estimate, value=truth, low=truth - width, rows=1), bound)
    assert needed is not None
    return needed


_PILOT_ROWS = 20_000
"""The sample that says how much a row tells, by the width of its interval."""


def powers() -> Iterator[tuple[str, str, float, float, dict[str, Any]]]:
    """Truth, policy, true gain, the bound that has to be shown, and the policy's keys."""
    yield "no difference", "strict", 0.0, -0.03, {"policy": "strict", "margin": 0.03}
    yield "a gain of 0.03", "strict", 0.03, -0.01, {"policy": "strict", "margin": 0.01}
    yield "a gain of 0.03", "default", 0.03, -0.05, {"harm_margin": 0.05}


def group_rates(rows: int, trials: int, loss: float, **policy: Any) -> dict[str, float]:
    """Five groups of equal size, of which one loses so much and the others nothing."""
    chance = np.random.default_rng(SEED)
    outcomes: Counter[str] = Counter()
    for _ in range(trials):
        parts = [by_accuracy(chance, rows // 5, -loss if place == 0 else 0.0) for place in range(5)]
        targets = [t for part in parts for t in part[0]]
        new = answers(np.array([score for part in parts for score in part[1].scores]))
        old = answers(np.array([score for part in parts for score in part[2].scores]))
        column = [f"group {place}" for place in range(5) for _ in range(rows // 5)]
        found = case(
            targets, targets, targets=targets, primary="accuracy", columns={"place": column}, groups=("place",),
            alpha=ALPHA, **policy,
        )  # fmt: skip
        mine, theirs = (Measured(one, measured("accuracy", targets, one)) for one in (new, old))
        outcomes[str(groups(replace(found, measured=mine, against=theirs)).outcome)] += 1
    return {name: outcomes[name] / trials for name in ("pass", "inconclusive", "fail")}


def scenarios() -> Iterator[tuple[str, str, float, dict[str, Any]]]:
    """Name, policy, true gain asked for, and the policy's keys."""
    yield "no difference", "default", 0.0, {}
    yield "a loss of 0.05: passing is an error", "default", -0.05, {"harm_margin": 0.05}
    yield "a gain of 0.03", "default", 0.03, {}
    yield "no difference", "strict", 0.0, {"policy": "strict", "margin": 0.03}
    yield "a loss of 0.03: passing is an error", "strict", -0.03, {"policy": "strict", "margin": 0.03}
    yield "a gain of 0.03", "strict", 0.03, {"policy": "strict", "margin": 0.03}


def main() -> None:
    """Simulate, print, and write JSON when asked."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--trials", type=int, default=1_000)
    parser.add_argument("--rows", type=int, default=500)
    parser.add_argument("--json", type=Path)
    given = parser.parse_args()
    rows, trials = given.rows, given.trials
    print(f"{trials} simulated holdouts of {rows} rows each; alpha {ALPHA}; seed {SEED}")
    print(f"{'metric':24} {'policy':8} {'truth':40} {'pass':>6} {'open':>6} {'fail':>6}   {'numbers alone pass':>18}")
    said: list[dict[str, Any]] = []
    for metric in METRICS:
        for name, policy, gain, keys in scenarios():
            found = rates(metric, gain, rows, trials, **keys)
            truth = f"{name} (truly {true_gain(metric, gain):+.4f})"
            said.append({"metric": metric.name, "policy": policy, "truth": truth, "asked": gain, **found})
            print(
                f"{metric.name:24} {policy:8} {truth:40} {found['pass']:6.3f} {found['inconclusive']:6.3f} "
                f"{found['fail']:6.3f}   {found['point_estimate_passes']:18.3f}",
                flush=True,
            )
    print(f"\n{'metric':24} {'policy':8} {'truth':40} {'rows for 0.8':>12} {'pass':>6}")
    for metric in METRICS:
        for name, policy, gain, bound, keys in powers():
            enough = rows_that_tell(metric, gain, bound)
            power = rates(metric, gain, enough, trials, **keys)["pass"]
            said.append({"metric": metric.name, "policy": policy, "truth": name, "rows": enough, "power": power})
            print(f"{metric.name:24} {policy:8} {name:40} {enough:12,} {power:6.3f}", flush=True)
    print()
    for policy in ("default", "strict"):
        for loss in (0.0, 0.05, 0.1):
            found = group_rates(rows * 5, max(1, trials // 5), loss, policy=policy)
            said.append({"metric": "groups", "policy": policy, "truth": f"one of five loses {loss}", **found})
            print(
                f"{'groups, 5 of ' + str(rows):24} {policy:8} {f'one of five loses {loss}':40} {found['pass']:6.3f} "
                f"{found['inconclusive']:6.3f} {found['fail']:6.3f}",
                flush=True,
            )
    if given.json:
        given.json.write_text(json.dumps({"rows": rows, "trials": trials, "alpha": ALPHA, "seed": SEED, "rates": said}))


if __name__ == "__main__":
    main()
