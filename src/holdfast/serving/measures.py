"""Numbers that a replica shows beside its requests, whoever has them: the replica itself, and those who observe it.

An observer that is `Measured` is asked for its numbers whenever somebody reads `/metrics`; nothing is registered, and
what is no longer told is no longer shown.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass, replace
from enum import StrEnum
from typing import Any, Protocol, runtime_checkable

from holdfast.canonical import JsonObject

__all__ = ["Measure", "Measured", "Together", "together"]


class Together(StrEnum):
    """What several processes of one port say together."""

    SUM = "sum"
    LEAST = "least"
    MOST = "most"


@dataclass(frozen=True, slots=True)
class Measure:
    """One number.

    Attributes:
        name: as Prometheus has it, without the ending of a counter.
        help: what it is, in a sentence.
        labels: names and values, in a fixed order; few, and of few values.
        value: the number.
        counts: whether it only ever grows.
        together: what several processes say together.
    """

    name: str
    help: str
    labels: tuple[tuple[str, str], ...]
    value: float
    counts: bool = False
    together: Together = Together.SUM

    def to_json(self) -> JsonObject:
        """For another process of the same port."""
        return {**asdict(self), "labels": [list(one) for one in self.labels]}

    @classmethod
    def from_json(cls, written: Any) -> "Measure":
        """The measure that `to_json` wrote."""
        labels = tuple((str(name), str(value)) for name, value in written["labels"])
        return cls(**{**written, "labels": labels, "together": Together(written["together"])})


@runtime_checkable
class Measured(Protocol):
    """Whoever has numbers to show."""

    def measures(self) -> Iterable[Measure]:
        """The numbers of this moment; called on the event loop, so it MUST be quick."""
        ...


_TOGETHER: Mapping[Together, Callable[[tuple[float, float]], float]] = {
    Together.SUM: sum,
    Together.LEAST: min,
    Together.MOST: max,
}


def together(measures: Iterable[Measure]) -> Iterator[Measure]:
    """One measure for each name and labels."""
    found: dict[tuple[str, tuple[tuple[str, str], ...]], Measure] = {}
    for one in measures:
        name = (one.name, one.labels)
        known = found.get(name)
        if known is not None:
            found[name] = replace(one, value=_TOGETHER[one.together]((known.value, one.value)))
        else:
            found[name] = one
    yield from found.values()
