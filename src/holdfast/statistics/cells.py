"""When two cells of two tables hold the same: one mark of 64 bits for each cell, whatever file the table came from.

    missing            None, NaN, and text without a character
    number             any number or truth value, and text that writes one: `1`, `1.0`, "1", "1e0" and true are the same
    moment             text that begins as a date and goes on with a T or a space, no matter which; midnight is the day
    text               everything else, without the blanks around it; lists and mappings by their JSON

Whole numbers past 2^53, which a float64 cannot tell apart, are compared digit by digit where the table still has the
digits. Marks are sums and products of 64 bits, so that two cells that differ have the same mark about once in 10^19.
"""

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import blake2b
from math import isfinite, nan
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["Cells", "Marks", "cells", "mixed", "seed_of"]

Marks = NDArray[np.uint64]

_WHOLE_MAX = 2**53
"""Up to here a float64 holds every whole number."""

_MISSING = 0x9E3779B97F4A7C15
"""The mark of nothing: any number will do."""

_MOMENT = re.compile(r"\d{4}-\d\d-\d\d[T ]")
_DAY_CHARACTERS = 10
_MIDNIGHT = re.compile(r" 00:00(:00(\.0+)?)?\Z")
_NUMBER_BEGINS = frozenset("+-.0123456789")


@dataclass(frozen=True, slots=True)
class Cells:
    """One column, cell by cell.

    Attributes:
        numbers: what is a finite number; NaN where it is none.
        marks: equal for equal cells.
        missing: where there is nothing.
    """

    numbers: NDArray[np.float64]
    marks: Marks
    missing: NDArray[np.bool_]


def cells(values: Any) -> Cells:
    """The cells of a column: an array of numbers, or a list of JSON values."""
    if isinstance(values, np.ndarray) and values.dtype.kind in "fiub":
        return _of_numbers(values)
    return _of_values(list(values))


def mixed(marks: Marks) -> Marks:
    """Each mark scattered over all 64 bits.

    By splitmix64: Steele, Lea and Flood, "Fast splittable pseudorandom number generators" (2014).
    """
    found = marks + np.uint64(0x9E3779B97F4A7C15)
    found ^= found >> np.uint64(30)
    found *= np.uint64(0xBF58476D1CE4E5B9)
    found ^= found >> np.uint64(27)
    found *= np.uint64(0x94D049BB133111EB)
    found ^= found >> np.uint64(31)
    return found


def seed_of(name: str) -> int:
    """A number of 64 bits that a column's name, or a text, gives."""
    return int.from_bytes(blake2b(name.encode("utf-8", "surrogatepass"), digest_size=8).digest(), "little")


def _of_numbers(values: NDArray[Any]) -> Cells:
    numbers = values.astype(np.float64)
    missing = np.isnan(numbers)
    marks = _marks_of(numbers)
    marks[missing] = np.uint64(_MISSING)
    if values.dtype.kind in "iu":
        for place in np.flatnonzero(np.abs(numbers) > _WHOLE_MAX):
            marks[place] = seed_of(str(values[place]))
    endless = np.isinf(numbers)
    if endless.any():
        # JSON has no such number, and a frozen table writes it as a word.
        marks[endless] = [seed_of(str(number)) for number in numbers[endless].tolist()]
        numbers[endless] = nan
    return Cells(numbers, marks, missing)


def _of_values(values: Sequence[Any]) -> Cells:
    order: dict[Any, int] = {}
    codes = np.fromiter((order.setdefault(_hashable(value), len(order)) for value in values), np.int64, len(values))
    read = [_read(value) for value in order]
    numbers = np.array([one if isinstance(one, float) else nan for one in read], np.float64)
    missing = np.array([one is None for one in read], np.bool_)
    marks = _marks_of(numbers)
    for place, one in enumerate(read):
        if isinstance(one, str):
            marks[place] = seed_of(one)
    marks[missing] = np.uint64(_MISSING)
    return Cells(numbers[codes], marks[codes], missing[codes])


def _marks_of(numbers: NDArray[np.float64]) -> Marks:
    whole: Marks = (numbers + 0.0).view(np.uint64)  # adding 0.0 makes one zero of the two
    return mixed(whole)


def _hashable(value: Any) -> Any:
    return json.dumps(value, sort_keys=True) if isinstance(value, list | dict) else value


def _read(value: Any) -> float | str | None:
    """A cell as what it means: a finite number, a text, or None."""
    if value is None:
        return None
    if isinstance(value, int | float):
        if isinstance(value, int) and abs(value) > _WHOLE_MAX:
            return str(value)
        return None if value != value else float(value) if isfinite(value) else str(value)  # noqa: PLR0124 - NaN
    text = str(value).strip()
    if not text:
        return None
    if text.lower() in {"true", "false"}:
        return float(text.lower() == "true")
    if text[0] in _NUMBER_BEGINS:
        if _MOMENT.match(text):
            return _MIDNIGHT.sub("", f"{text[:_DAY_CHARACTERS]} {text[_DAY_CHARACTERS + 1 :]}")
        return _number(text)
    return text


def _number(text: str) -> float | str:
    try:
        number = float(text)
    except ValueError:
        return text
    if "_" in text or not isfinite(number):
        return text
    return text if number.is_integer() and abs(number) > _WHOLE_MAX else number
