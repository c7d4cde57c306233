"""What servers are asked for, one thing after the other, and how the figures are shown."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from _registries import SEARCHES, Registry

S_contra = TypeVar("S_contra", bound=Registry, contravariant=True)


@dataclass(frozen=True, slots=True)
class Step(Generic[S_contra]):
    """One thing that each server is asked for.

    Attributes:
        name: as the table says it.
        clients: how many ask at once.
        request: the next request of a client.
        target: how many times MLflow's throughput Holdfast must have; None where it is context.
    """

    name: str
    clients: int
    request: Callable[[S_contra], Callable[[int], bytes]]
    target: float | None = None


def searches() -> tuple[Step[Registry], ...]:
    """The searches of runs."""
    targets = (20, 10, 100)
    return tuple(
        Step(name, 1, _searching(said), target) for (name, said), target in zip(SEARCHES.items(), targets, strict=True)
    )


def _searching(said: tuple[str, str, int]) -> Callable[[Registry], Callable[[int], bytes]]:
    return lambda server: lambda _: server.search(said)


def show(names: Sequence[str], rows: Sequence[tuple[Step[Any], Sequence[dict[str, Any]]]]) -> None:
    """A line for each step, with the ratio of the first server to the last where there are two."""
    heading = "".join(f"{f'{name}: a second':>22}{'p50 ms':>10}{'p99 ms':>10}" for name in names)
    print(f"\n{'':<28}{'clients':>8}{heading}{'ratio':>9}{'target':>8}")
    for step, figures in rows:
        cells = "".join(f"{one['per_second']:>22.1f}{one['p50_ms']:>10.2f}{one['p99_ms']:>10.2f}" for one in figures)
        ratio = f"{figures[0]['per_second'] / figures[-1]['per_second']:.1f}x" if len(figures) > 1 else ""
        target = f"{step.target}x" if step.target else ""
        print(f"{step.name:<28}{step.clients:>8}{cells}{ratio:>9}{target:>8}")
