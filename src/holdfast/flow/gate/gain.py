"""By how much the candidate is better than the version that holds the stage, on the same rows, and how surely.

Gains are turned so that higher is better, whatever the metric. Each metric has the method that fits it:

    accuracy                        Tango's interval: the rows on which the two differ are counted
    roc_auc                         DeLong's interval
    all others                      the bootstrap of sums over rows
    average_precision               the bootstrap of how often each row counts
    cost                            the bootstrap of what each row costs
    rows that belong together       the bootstrap, by clusters
"""

from collections.abc import Sequence
from dataclasses import dataclass
from math import isfinite
from typing import TYPE_CHECKING

from holdfast.canonical import Json, JsonObject
from holdfast.errors import MissingExtra, UsageError
from holdfast.flow.bundle.metrics import DIRECTIONS, positive_scores
from holdfast.flow.gate.case import Case, Measured
from holdfast.parts import EvalThreshold
from holdfast.parts.eval_threshold import CUT_OFF, IDENTITY

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from holdfast.statistics.estimate import Estimate
    from holdfast.statistics.resampling import Statistic

__all__ = ["SEED", "Gain", "clusters_of", "estimate_json", "gain_in", "of_rows", "require_statistics"]

SEED = 1
"""One for all: a gate that may be asked again with another seed is asked until it says yes."""

_RANKED = {"roc_auc", "average_precision"}


@dataclass(frozen=True, slots=True)
class Gain:
    """How much is gained, and in what unit.

    Attributes:
        estimate: of the gain; above 0 the candidate is better.
        scale: what a margin is a share of: 1 for what lies between 0 and 1, the other version's error for errors, and
            what it costs for costs.
        alike: whether all answers are the same, so that there is nothing to estimate.
    """

    estimate: "Estimate"
    scale: float
    alike: bool


def gain_in(case: Case, metric: str, confidence: float) -> Gain:
    """What is gained in a metric.

    Args:
        case: with answers of both versions, and the true ones.
        metric: one that both were measured by.
        confidence: of the interval, two-sided.

    Raises:
        UsageError: the column whose rows belong together is not among the rows.
        MissingExtra: numpy or scipy is not installed.
    """
    mine, theirs, threshold = _both(case)
    alike = _alike(mine, theirs, metric)
    require_statistics()
    clusters = clusters_of(case)
    found = _estimate(case, metric, confidence, clusters)
    scale = 1.0
    if metric == "cost" or (threshold.rule == IDENTITY and metric != "r2"):
        scale = theirs.metrics.values[metric] if theirs.metrics is not None else 1.0
    return Gain(found if DIRECTIONS[metric] else found.reversed(), scale, alike)


def require_statistics() -> None:
    """Load the libraries of numbers.

    Raises:
        MissingExtra: numpy or scipy is not installed.
    """
    try:
        from holdfast.statistics import estimate  # noqa: F401 - loads what all of it needs
    except ImportError as error:
        raise MissingExtra(
            f"a gate needs {error.name}", hint="Install what it needs: pip install 'holdfast[gate]'"
        ) from error


def of_rows(
    mine: Sequence[float], theirs: Sequence[float], confidence: float, bound: float
) -> "tuple[Estimate, float]":
    """The mean gain over some rows, and the p of "it is at least `bound`".

    Args:
        mine: how good the candidate was on each row, higher being better; either 0 and 1 throughout, or any numbers.
        theirs: the same of the other version.
        confidence: of the interval, two-sided.
        bound: what is to be spoken against.
    """
    import numpy as np

    from holdfast.statistics.proportions import chance_of, paired_difference
    from holdfast.statistics.resampling import bootstrap

    new, old = np.asarray(mine, float), np.asarray(theirs, float)
    if {*np.unique(new), *np.unique(old)} <= {0.0, 1.0}:
        gained, lost = int((new > old).sum()), int((new < old).sum())
        found = paired_difference(gained, lost, new.size, confidence=confidence)
        return found, chance_of(gained, lost, new.size, bound)
    rows = new.size
    drawn = bootstrap((new - old)[:, None], lambda sums: sums[..., 0] / rows, confidence=confidence, seed=SEED)
    return drawn.estimate, drawn.chance_of(bound)


def estimate_json(found: "Estimate") -> JsonObject:
    """An estimate as a finding keeps it; what is infinite is null."""
    return {
        "value": found.value,
        "low": found.low if isfinite(found.low) else None,
        "high": found.high if isfinite(found.high) else None,
        "confidence": found.confidence,
        "method": found.method,
        "rows": found.rows,
        "p": found.p,
    }


def _both(case: Case) -> tuple[Measured, Measured, EvalThreshold]:
    assert case.measured is not None  # noqa: S101 - the rule asked before
    assert case.against is not None  # noqa: S101 - likewise
    assert case.manifest is not None  # noqa: S101 - likewise
    threshold = case.manifest.parts.eval_threshold
    assert isinstance(threshold, EvalThreshold)  # noqa: S101 - likewise
    return case.measured, case.against, threshold


def _alike(mine: Measured, theirs: Measured, metric: str) -> bool:
    if metric == "cost":
        return mine.costs == theirs.costs
    if metric in _RANKED:
        return mine.answer.scores == theirs.answer.scores
    return mine.answer.predictions == theirs.answer.predictions


def clusters_of(case: Case) -> "NDArray | None":  # type: ignore[type-arg]
    """Which rows belong together, by the column that policy names; None when it names none.

    Raises:
        UsageError: the column is not among the rows.
    """
    column = case.policy.cluster
    if column is None or case.rows is None:
        return None
    if case.rows.names is None or column not in case.rows.names:
        raise UsageError(
            f"policy says that rows of one {column!r} belong together, and the holdout has no such column",
            hint="Name another column in cluster, or register with a holdout that has it.",
        )
    import numpy as np

    _, places = np.unique([str(value) for value in case.rows.column(column)], return_inverse=True)
    return np.asarray(places)


def _estimate(case: Case, metric: str, confidence: float, clusters: "NDArray | None") -> "Estimate":  # type: ignore[type-arg]
    from holdfast.statistics import proportions, ranking, resampling, scores

    mine, theirs, threshold = _both(case)
    targets: Sequence[Json] = case.targets or ()
    if metric in _RANKED:
        positive = [target == threshold.positive for target in targets]
        new, old = (positive_scores(one.answer, threshold) for one in (mine, theirs))
        if metric == "roc_auc" and clusters is None:
            return ranking.auc_difference(positive, new or [], old or [], confidence=confidence)
        weighted = ranking.weighted_areas if metric == "roc_auc" else ranking.weighted_precisions
        of_new, of_old = weighted(positive, new or []), weighted(positive, old or [])
        units = len(targets) if clusters is None else int(clusters.max()) + 1

        def difference(weights: "NDArray") -> "NDArray":  # type: ignore[type-arg]
            spread = weights if clusters is None else weights[..., clusters]
            return of_new(spread) - of_old(spread)

        return resampling.by_weights(units, difference, confidence=confidence, seed=SEED).estimate
    if metric == "cost":
        table = scores.of_costs(mine.costs or (), theirs.costs or ())
        statistic: Statistic = scores.cost_difference
    elif threshold.rule == IDENTITY:
        table = scores.of_numbers(targets, mine.answer.predictions, theirs.answer.predictions)
        statistic = scores.number_difference(metric)
    else:
        truth, new_said, old_said = _numbered(targets, mine.answer.predictions, theirs.answer.predictions)
        if metric == "accuracy" and clusters is None:
            gained = sum(t == n != o for t, n, o in zip(truth, new_said, old_said, strict=True))
            lost = sum(t == o != n for t, n, o in zip(truth, new_said, old_said, strict=True))
            return proportions.paired_difference(gained, lost, len(truth), confidence=confidence)
        of_one = threshold.rule == CUT_OFF and metric != "balanced_accuracy"
        positive_number = next((n for n, t in zip(truth, targets, strict=True) if t == threshold.positive), -1)
        counted = [positive_number] if of_one else sorted(set(truth))
        table = scores.of_labels(truth, new_said, old_said, counted)
        statistic = scores.difference(metric, len(counted), len(truth))
    if clusters is not None:
        table = resampling.by_cluster(table, clusters)
    return resampling.bootstrap(table, statistic, confidence=confidence, seed=SEED).estimate


def _numbered(*columns: Sequence[Json]) -> list[list[int]]:
    """Each value as the number of its first occurrence: they are compared as JSON values, whatever they are."""
    order: dict[Json, int] = {}
    return [[order.setdefault(value, len(order)) for value in column] for column in columns]
