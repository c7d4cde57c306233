"""Many questions at once: what is still sure when one of them had to come out badly by chance.

Holm, "A simple sequentially rejective multiple test procedure", Scandinavian Journal of Statistics 6 (1979). Bounds
that hold together are Bonferroni's: each is asked for at a level so much stricter that all of them hold at once.
"""

from collections.abc import Sequence

__all__ = ["confidence_of_each", "holm"]


def holm(ps: Sequence[float]) -> list[float]:
    """Each p adjusted: refusing what is then at most alpha refuses a true hypothesis in alpha of all cases at most."""
    order = sorted(range(len(ps)), key=lambda place: ps[place])
    adjusted, highest = [0.0] * len(ps), 0.0
    for rank, place in enumerate(order):
        highest = max(highest, min(1.0, (len(ps) - rank) * ps[place]))
        adjusted[place] = highest
    return adjusted


def confidence_of_each(confidence: float, count: int) -> float:
    """The confidence that each of so many two-sided intervals needs for all of them to hold with `confidence`."""
    return 1.0 - (1.0 - confidence) / max(count, 1)
