"""What a shadow is to do. Law: `Plan.from_json(plan.to_json()) == plan`."""

from dataclasses import dataclass
from math import isfinite

from holdfast.canonical import JsonObject, Reader
from holdfast.errors import UsageError

__all__ = ["BINS_MAX", "COLUMNS_MAX", "FORMAT", "Plan"]

FORMAT = "holdfast.shadow"
FORMAT_VERSION = "1.0"

COLUMNS_MAX = 5
"""Columns by which pairs are told apart: each multiplies what every replica counts and reports."""

BINS_MAX = 50
"""Bins of scores: each fiftieth of the holdout's scores, as fine as a report of a thousand pairs can show."""

_COLUMN_BYTES_MAX = 256
"""A column's name in UTF-8; a longer one is no name."""

_REQUESTS_MAX = 100_000_000
"""A shadow of more requests than this is not waited for."""

_UNIT_EDGES = tuple(round(index / BINS_MAX, 2) for index in range(1, BINS_MAX))


@dataclass(frozen=True, slots=True)
class Plan:
    """What a shadow is to do.

    Attributes:
        sample: the share of the requests that are mirrored, above 0 and up to 1; chosen by the request's id.
        requests: how many pairs of answers are wanted.
        by: columns of the requests; agreement is counted for each of their values, too.
        tolerance: up to which difference two numbers count as the same answer, absolutely, and in proportion to a
            number past 1.
        edges: between the bins of scores, ascending; so that the bins of all replicas are the same.
    """

    sample: float = 1.0
    requests: int = 1_000
    by: tuple[str, ...] = ()
    tolerance: float = 1e-6
    edges: tuple[float, ...] = _UNIT_EDGES

    def __post_init__(self) -> None:
        ascending = all(low < high for low, high in zip(self.edges, self.edges[1:], strict=False))
        for sound, what, takes in (
            (0.0 < self.sample <= 1.0, f"a sample of {self.sample}", "a share above 0 and up to 1, such as 25%"),
            (1 <= self.requests <= _REQUESTS_MAX, f"{self.requests} requests", f"a number from 1 to {_REQUESTS_MAX}"),
            (len(set(self.by)) == len(self.by) <= COLUMNS_MAX, f"by {', '.join(self.by)}", f"{COLUMNS_MAX} columns"),
            (all(0 < len(name.encode()) <= _COLUMN_BYTES_MAX for name in self.by), "such columns", "names of columns"),
            (0.0 <= self.tolerance < float("inf"), f"a tolerance of {self.tolerance}", "a number from 0"),
            (len(self.edges) < BINS_MAX, f"{len(self.edges)} edges of bins", f"fewer than {BINS_MAX}"),
            (ascending and all(map(isfinite, self.edges)), "edges that do not ascend", "each number once, in order"),
        ):
            if not sound:
                raise UsageError(f"a shadow cannot have {what}", hint=f"It takes {takes}.")

    def to_json(self) -> JsonObject:
        """The plan as the registry keeps it."""
        return {
            "format": FORMAT,
            "format_version": FORMAT_VERSION,
            "sample": self.sample,
            "requests": self.requests,
            "by": list(self.by),
            "tolerance": self.tolerance,
            "edges": list(self.edges),
        }

    @classmethod
    def from_json(cls, value: JsonObject) -> "Plan":
        """The plan that `to_json` wrote.

        Raises:
            UnsupportedFormat: it is none.
            UsageError: it is a newer one, or asks for what cannot be.
        """
        reader = Reader(value, "the plan")
        name, version = reader.text("format"), reader.text("format_version")
        if name != FORMAT or version.partition(".")[0] != FORMAT_VERSION.partition(".")[0]:
            raise UsageError(
                f"a plan of format {name[:40]} {version[:20]}, and a shadow has {FORMAT} {FORMAT_VERSION}",
                hint="A newer Holdfast began it: install that one here too.",
            )
        edges = reader.items("edges")
        if not all(isinstance(one, int | float) and not isinstance(one, bool) for one in edges):
            raise UsageError("the edges of the plan are no numbers", hint="Begin the shadow with Holdfast.")
        return cls(
            sample=reader.number("sample"),
            requests=reader.integer("requests"),
            by=reader.texts("by"),
            tolerance=reader.number("tolerance"),
            edges=tuple(float(one) for one in edges),
        )
