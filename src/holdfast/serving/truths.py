"""Files of what turned out to be right: lines of JSON, or CSV with a head.

    request,value               {"request": "4f1c…", "value": true}
    4f1c…,true                  {"request": "9a07…", "value": 12.5, "place": 3}

A value of CSV is what it would be in JSON, and otherwise a text: `1` is a number and `yes` a class.
"""

import csv
import json
from collections.abc import Iterator, Sequence
from itertools import islice
from math import isfinite
from pathlib import Path
from typing import TextIO

from holdfast.errors import InvalidInput, NotFound, Unavailable
from holdfast.registry.rollouts import TRUTHS_AT_ONCE_MAX, Truth

__all__ = ["batches", "truth_of"]

_KNOWN = {"request", "value", "place"}


def batches(path: Path) -> Iterator[Sequence[Truth]]:
    """The truths of a file, as many at once as a registry takes.

    Raises:
        NotFound: there is no such file.
        InvalidInput: a line is no truth; the message names it.
        Unavailable: the file cannot be read.
    """
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            rows = enumerate(_rows(file, as_csv=path.suffix.lower() == ".csv"), start=1)
            while batch := [truth_of(row, f"{path.name}, row {number}") for number, row in _some(rows)]:
                yield batch
    except FileNotFoundError as error:
        raise NotFound(f"there is no file {path}", hint="Name a .csv or a .jsonl file.") from error
    except UnicodeDecodeError as error:
        raise InvalidInput(f"{path} is not UTF-8", hint="Save it as UTF-8.") from error
    except OSError as error:
        raise Unavailable(f"{path} cannot be read: {error.strerror}", hint="Look at the file.") from error


def _some(rows: "Iterator[tuple[int, object]]") -> "list[tuple[int, object]]":
    return list(islice(rows, TRUTHS_AT_ONCE_MAX))


def _rows(file: TextIO, *, as_csv: bool) -> Iterator[object]:
    try:
        if as_csv:
            for row in csv.DictReader(file, strict=True):
                yield {name: _cell(name, text) for name, text in row.items()}
            return
        for line in file:
            if line.strip():
                yield json.loads(line)
    except UnicodeDecodeError:
        raise
    except (csv.Error, ValueError, RecursionError) as error:
        raise InvalidInput(f"a line is neither CSV nor JSON: {error}", hint="Write request and value.") from error


def _cell(name: object, text: object) -> object:
    if name == "request" or not isinstance(text, str):
        return text
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        return text
    return found if isinstance(found, bool | int | float) else text


def truth_of(row: object, where: str) -> Truth:
    """One truth from its JSON.

    Args:
        row: an object with `request`, `value` and perhaps `place`.
        where: what it is called in errors.

    Raises:
        InvalidInput: it is something else.
    """
    if not isinstance(row, dict) or not {"request", "value"} <= row.keys() <= _KNOWN:
        raise InvalidInput(f"{where} does not have request and value", hint="The place of a row may stand beside them.")
    request, value, place = row["request"], row["value"], row.get("place", 0)
    if not isinstance(request, str) or not request:
        raise InvalidInput(f"{where} names no request", hint="Its id is in X-Request-Id of the answer.")
    if not isinstance(value, bool | int | float | str) or (isinstance(value, float) and not isfinite(value)):
        raise InvalidInput(f"{where} has a value that is neither a class nor a number", hint="Give one of them.")
    if not isinstance(place, int) or isinstance(place, bool) or place < 0:
        raise InvalidInput(f"{where} has a place that is no number of a row", hint="Rows are counted from 0.")
    return Truth(request, value, place)
