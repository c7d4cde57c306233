"""What a key of policy takes: readers that turn a value of the file into the value it means, or into None.

Each reader says in words what it takes, for the hint of the error.
"""

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from math import isfinite
from typing import Any, Generic, TypeVar

from holdfast.canonical import JsonObject, plain
from holdfast.errors import TooLarge

__all__ = [
    "Reader",
    "amount",
    "choice",
    "count",
    "floors",
    "margins",
    "sets",
    "share",
    "switch",
    "tables",
    "text",
    "texts",
]

T = TypeVar("T")

_WHOLE_MAX = 2**53 - 1
"""The largest whole number that canonical JSON, and with it every verdict, can hold; the system takes it as a limit."""


@dataclass(frozen=True, slots=True)
class Reader(Generic[T]):
    """How one kind of value is read.

    Attributes:
        takes: what it takes, to stand behind "It takes".
        read: the value that was written, or None when it is none of these. It may raise a `UsageError` that goes on
            where "[gate.STAGE] key" ends, when it can say better what is wrong.
    """

    takes: str
    read: Callable[[Any], T | None]


def amount(takes: str = "a number, zero or more") -> Reader[float]:
    """A finite number that is not negative."""
    return Reader(takes, lambda value: float(value) if _is_number(value) and value >= 0 else None)


def share(below: float, takes: str) -> Reader[float]:
    """A number between 0 and `below`, both excluded."""
    return Reader(takes, lambda value: float(value) if _is_number(value) and 0 < value < below else None)


def count(least: int, most: int = _WHOLE_MAX) -> Reader[int]:
    """A whole number, `least` or more and `most` at most; by itself one that a verdict can keep."""

    def read(value: Any) -> int | None:
        good = isinstance(value, int) and not isinstance(value, bool) and least <= value <= most
        return value if good else None

    return Reader(f"a whole number, {least} " + ("or more" if most == _WHOLE_MAX else f"to {most}"), read)


def switch() -> Reader[bool]:
    """True or false."""
    return Reader("true or false", lambda value: value if isinstance(value, bool) else None)


def choice(names: Collection[str], takes: str) -> Reader[str]:
    """One of these words."""
    return Reader(takes, lambda value: value if isinstance(value, str) and value in names else None)


def text(takes: str) -> Reader[str]:
    """A word that is not empty."""
    return Reader(takes, lambda value: value if isinstance(value, str) and value else None)


def texts(takes: str, fits: Callable[[str], bool] = lambda _: True) -> Reader[tuple[str, ...]]:
    """A list of words, each of which fits."""

    def read(value: Any) -> tuple[str, ...] | None:
        good = isinstance(value, list) and all(isinstance(item, str) and fits(item) for item in value)
        return tuple(value) if good else None

    return Reader(takes, read)


def sets(takes: str, fits: Callable[[str], bool]) -> Reader[tuple[tuple[str, ...], ...]]:
    """A list of lists of words: two words or more in each, all different, each of which fits."""

    def read(value: Any) -> tuple[tuple[str, ...], ...] | None:
        if not isinstance(value, list) or not all(isinstance(one, list) and len(one) > 1 for one in value):
            return None
        good = all(isinstance(item, str) and fits(item) for one in value for item in one)
        return tuple(map(tuple, value)) if good and all(len(set(one)) == len(one) for one in value) else None

    return Reader(takes, read)


def floors(names: Collection[str], takes: str) -> Reader[Mapping[str, float]]:
    """A table of numbers by one of these names."""

    def read(value: Any) -> Mapping[str, float] | None:
        if not isinstance(value, dict) or not set(value) <= set(names) or not all(map(_is_number, value.values())):
            return None
        return {name: float(number) for name, number in value.items()}

    return Reader(takes, read)


def margins(names: Collection[str], takes: str) -> Reader[Mapping[str, Mapping[str, float]]]:
    """A table, by one of these names, of a margin, or of a table with `margin` and `harm_margin`."""

    def read(value: Any) -> Mapping[str, Mapping[str, float]] | None:
        if not isinstance(value, dict) or not set(value) <= set(names):
            return None
        given = {name: one if isinstance(one, dict) else {"margin": one} for name, one in value.items()}
        keys_fit = all(set(one) <= {"margin", "harm_margin"} for one in given.values())
        if not keys_fit or not all(_is_number(n) and n >= 0 for one in given.values() for n in one.values()):
            return None
        return {name: {key: float(number) for key, number in one.items()} for name, one in given.items()}

    return Reader(takes, read)


def tables(takes: str) -> Reader[Mapping[str, JsonObject]]:
    """Tables by name; what TOML knows and JSON does not, such as a date, becomes a text."""

    def read(value: Any) -> Mapping[str, JsonObject] | None:
        if not isinstance(value, dict) or not all(isinstance(table, dict) for table in value.values()):
            return None
        try:
            return {name: plain(table) for name, table in value.items()}
        except TooLarge:
            return None

    return Reader(takes, read)


def _is_number(value: Any) -> bool:
    # TOML has nan and inf; a bound that nothing can pass, or that everything does, is a mistake.
    if isinstance(value, int):
        return not isinstance(value, bool) and abs(value) <= _WHOLE_MAX
    return isinstance(value, float) and isfinite(value)
