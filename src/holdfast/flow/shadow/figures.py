"""Counts to figures, each with its interval. Pure: the same counts give the same figures anywhere."""

from collections import Counter
from itertools import pairwise
from math import isfinite

from holdfast.canonical import JsonObject
from holdfast.flow.shadow.counts import BOTH, ONLY_PRIMARY, ONLY_SHADOW, STEPS, Counts, edge_above
from holdfast.flow.shadow.plan import Plan
from holdfast.statistics.shift import Between, agreement, distance, flips, quantile, shift

__all__ = ["figures"]

_PARTS = {"p50": 0.5, "p95": 0.95, "p99": 0.99}

_TENTHS = 10
"""Bins of the stability index: with fewer, larger ones its scale holds at a hundred rows."""


def figures(counts: Counts, plan: Plan) -> JsonObject:
    """What a report shows, and what a gate may look at.

    A share is of the requests that both answered, or for errors of those that one of the two was to answer. Its
    interval is Wilson's, at 95 %.
    """
    return {
        "requests": counts.requests,
        "requests_wanted": plan.requests,
        "rows": counts.rows,
        "agreement": _share(counts.agreed, counts.requests),
        "rows_agreed": counts.rows_agreed,
        "errors": {
            ONLY_SHADOW: _share(counts.errors[ONLY_SHADOW], counts.pairs),
            ONLY_PRIMARY: _share(counts.errors[ONLY_PRIMARY], counts.requests + counts.errors[ONLY_PRIMARY]),
            BOTH: {"count": counts.errors[BOTH]},
            "codes": dict(sorted(counts.codes.items())),
        },
        "flips": _flips(counts),
        "score_difference": _quantiles(counts.differences),
        "score_shift": _score_shift(counts, plan),
        "latency_ratio": _quantiles(counts.ratios),
        "primary_ms": _quantiles(counts.primary_ms),
        "shadow_ms": _quantiles(counts.shadow_ms),
        "groups": _groups(counts),
        "dropped": dict(sorted(counts.drops.items())),
        "unread": counts.unread,
    }


def _share(count: int, of: int) -> JsonObject:
    return {"count": count, "of": of, **_between(agreement(count, of))}


def _between(found: Between) -> JsonObject:
    """A value with its bounds; None where there is none."""
    named = {"value": found.value, "low": found.low, "high": found.high}
    return {name: round(one, 6) if isfinite(one) else None for name, one in named.items()}


def _flips(counts: Counts) -> JsonObject | None:
    if not counts.flips:
        return None
    found = flips(counts.flips)
    return {"labels": list(found.answers), "rows": [list(row) for row in found.table]}


def _quantiles(found: Counter[int]) -> JsonObject | None:
    """Quantiles of what was counted in bins of a logarithm, as exactly as these allow."""
    if not found:
        return None
    places = range(min(found), max(found) + 1)
    edges = [edge_above(places[0] - 1), *map(edge_above, places)]
    return {
        **{name: _between(quantile(edges, [found[one] for one in places], part)) for name, part in _PARTS.items()},
        "resolution": round(2.0 ** (1.0 / STEPS), 4),
    }


def _score_shift(counts: Counts, plan: Plan) -> JsonObject | None:
    """How far the scores of the shadow lie from the primary's.

    Both scored the same rows, so chance moves them together: what an index reaches by chance is less than is said here.
    """
    bins = len(plan.edges) + 1
    before, after = ([side[place] for place in range(bins)] for side in (counts.primary_scores, counts.shadow_scores))
    if not sum(before) or bins == 1:
        return None
    each = -(-bins // _TENTHS)
    tenths = [[sum(side[at : at + each]) for at in range(0, bins, each)] for side in (before, after)]
    coarse, fine = shift(*tenths), shift(before, after)
    return {
        "psi": round(coarse.psi, 6),
        "psi_by_chance": round(coarse.psi_by_chance, 6),
        "psi_p": coarse.psi_p,
        "ks": round(fine.ks, 6),
        "ks_p": fine.ks_p,
        "wasserstein": round(distance(_middles(plan), before, after), 6),
        "rows": sum(after),
        "bins": {"edges": list(plan.edges), "primary": before, "shadow": after},
    }


def _middles(plan: Plan) -> list[float]:
    """Where the numbers of each bin are taken to be; those of the outer ones as far out as the next bin is wide."""
    edges = plan.edges
    inner = [(low + high) / 2.0 for low, high in pairwise(edges)]
    first, last = (inner[0] - edges[0], edges[-1] - inner[-1]) if inner else (0.5, 0.5)
    return [edges[0] - first, *inner, edges[-1] + last]


def _groups(counts: Counts) -> list[JsonObject]:
    """Agreement within each group, the least sure of agreeing first."""
    found: list[JsonObject] = [
        {"column": column, "group": group, "agreement": _share(counts.groups_agreed[column, group], requests)}
        for (column, group), requests in counts.groups.items()
    ]
    return sorted(found, key=lambda one: (one["agreement"]["low"], one["column"], one["group"]))
