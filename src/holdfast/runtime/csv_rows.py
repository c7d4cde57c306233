"""Rows as comma-separated text (RFC 4180): a line of names, then a line for each row.

Text has no types, so the version's own schema says what each field is: `41` is a number in a column of numbers and text
in a column of text. What cannot be read as the schema says is left as it came, and the schema's check says so with
column and row, as for every other body.
"""

import csv
import io
from collections.abc import Callable
from contextlib import suppress

from holdfast.canonical import Json
from holdfast.errors import InvalidInput
from holdfast.evidence import Column, FeatureSchema
from holdfast.runtime.pipeline import Answer
from holdfast.runtime.rows import ROWS_MAX, Table, too_many_rows
from holdfast.runtime.schema import family

__all__ = ["answer_columns", "csv_answer", "csv_rows"]

_WORDS = {"true": True, "false": False, "1": True, "0": False}


def csv_rows(body: bytes, schema: FeatureSchema) -> Table:
    """The rows of a CSV document.

    Raises:
        InvalidInput: not UTF-8, no header, or a line with more or fewer fields than the header has names.
        TooLarge: more than `ROWS_MAX` rows.
    """
    try:
        text = body.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise InvalidInput(f"the CSV is not UTF-8: {error.reason} at byte {error.start}", hint="Send UTF-8.") from error
    lines: list[list[str]] = []
    reader = csv.reader(io.StringIO(text, newline=""), strict=True)
    try:
        names = next(reader, [])
        for fields in reader:
            if len(fields) != len(names):
                if not fields:
                    continue
                raise InvalidInput(
                    f"row {len(lines)}: {len(names)} values were expected, {len(fields)} were sent",
                    hint="Give each row one field for each name in the first line; quote fields that hold commas.",
                    row=len(lines),
                )
            if len(lines) >= ROWS_MAX:
                raise too_many_rows(len(lines) + 1)
            lines.append(fields)
    except csv.Error as error:
        raise InvalidInput(f"row {len(lines)} is no CSV: {error}", hint="Quote fields as RFC 4180 says.") from error
    if not names:
        raise InvalidInput("the CSV has no header", hint="Name the columns in its first line.")
    columns = [list(values) for values in zip(*lines, strict=True)] if lines else [[] for _ in names]
    known = {column.name: column for column in schema.columns}
    return Table.of_columns(
        names, [_read(known.get(name), values) for name, values in zip(names, columns, strict=True)], count=len(lines)
    )


def _read(column: Column | None, texts: list[str]) -> list[Json]:
    """What the fields of one column mean. An empty field is a missing value, and no text where text must be."""
    if column is None:
        return list(texts)
    kind = family(column.dtype)
    if kind == "text" and not column.nullable:
        return list(texts)
    read = _reader(column, kind)
    return [read(text) if text else None for text in texts]


def _reader(column: Column, kind: str) -> Callable[[str], Json]:
    if kind in {"number", "integer"}:
        return _number
    if kind == "boolean":
        return lambda text: _WORDS.get(text.strip().lower(), text)
    if kind == "any":
        known = {str(one): one for one in column.categories}
        return lambda text: known.get(text, text)
    return str


def _number(text: str) -> Json:
    # Python reads more than anybody writes into a CSV: digits of other scripts, and underscores between digits.
    if text.isascii() and "_" not in text:
        with suppress(ValueError):
            return int(text)
        with suppress(ValueError):
            return float(text)
    return text


def answer_columns(answer: Answer, *, scores: bool) -> dict[str, list[Json]]:
    """An answer as columns: `prediction`, and the score, or one for each class.

    Args:
        answer: what the version says.
        scores: whether the scores are told too.
    """
    columns = {"prediction": answer.predictions}
    if scores and answer.scores:
        first = answer.scores[0]
        if not isinstance(first, list):
            return {**columns, "score": answer.scores}
        names = answer.classes if answer.classes is not None else list(range(len(first)))
        rows = [row if isinstance(row, list) else [row] for row in answer.scores]
        columns |= {f"score_{name}": [row[place] for row in rows] for place, name in enumerate(names)}
    return columns


def csv_answer(answer: Answer, *, scores: bool) -> bytes:
    """The answer as CSV, with a header."""
    columns = answer_columns(answer, scores=scores)
    written = io.StringIO(newline="")
    writer = csv.writer(written, lineterminator="\r\n")
    writer.writerow(columns)
    writer.writerows(zip(*([_field(value) for value in values] for values in columns.values()), strict=True))
    return written.getvalue().encode()


def _field(value: Json) -> Json:
    return str(value).lower() if isinstance(value, bool) else value
