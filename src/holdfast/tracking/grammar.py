"""The language of searches, read into a tree; nothing is executed and nothing is guessed.

    metrics.accuracy > 0.9 and params.lr = 0.1
    (tags.team = 'x' or tags.team = 'y') and status = 'finished'
    metrics."val/loss" <= 0.2 and name like 'base%'

    filter     := all ( "or" all )*
    all        := one ( "and" one )*
    one        := "(" filter ")" | field operator literal
    field      := ( "metrics" | "params" | "tags" ) "." key | attribute
    key        := letters, digits and _ - . /  |  anything in double quotes or backticks
    attribute  := id | model | name | status | actor | started_at | finished_at
    operator   := = | != | > | >= | < | <= | like
    literal    := a number, or text in single quotes (a quote in it is written twice)
    order      := field [ "asc" | "desc" ] ( "," … )*

Metrics are compared with numbers, tags and attributes with text, params with either: a number finds params that are
numbers. A comparison, `!=` too, holds only for runs that have the value; one that is not a number fits nothing. `like`
knows `%` and `_`, and does not tell capitals from small letters. Keywords may be written in capitals.
"""

import re
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Literal, TypeAlias

from holdfast.database.times import to_text
from holdfast.errors import UsageError
from holdfast.tracking.limits import SEARCHED_CHARACTERS_MAX

__all__ = ["Compare", "Either", "Every", "Field", "Filter", "Order", "parse_filter", "parse_order"]

_CHARACTERS_MAX = 4_096
"""Of a filter or an order: what fits a URL; nobody writes longer ones by hand."""

_COMPARISONS_MAX = 32
"""Each costs the database a subquery."""

_DEPTH_MAX = 16
"""Parentheses inside parentheses; far from Python's recursion limit."""

_ORDERS_MAX = 4
"""Each costs the database a join."""

_WILDCARDS_MAX = 8
"""In a pattern of `like`: each multiplies the work of matching one text."""

_ATTRIBUTES = frozenset({"id", "model", "name", "status", "actor", "started_at", "finished_at"})

_TIMES = frozenset({"started_at", "finished_at"})

_KINDS = {"metrics": "metric", "params": "param", "tags": "tag"}

_TOKEN = re.compile(
    r"""\s*(?:
        (?P<number>[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?)(?![\w.])
      | (?P<text>'(?:[^']|'')*')
      | (?P<quoted>"[^"]*"|`[^`]*`)
      | (?P<sign>>=|<=|!=|=|>|<|\(|\)|,)
      | (?P<word>[A-Za-z_][\w./-]*)
    )""",
    re.VERBOSE | re.ASCII,
)


@dataclass(frozen=True, slots=True)
class Field:
    """What is compared or sorted by: `kind` is metric, param, tag or attribute."""

    kind: str
    key: str


@dataclass(frozen=True, slots=True)
class Compare:
    """A field, an operator and a literal."""

    field: Field
    operator: Literal["=", "!=", ">", ">=", "<", "<=", "like"]
    literal: float | str


@dataclass(frozen=True, slots=True)
class Every:
    """Every one of these holds; with none of them, always."""

    filters: tuple["Filter", ...]


@dataclass(frozen=True, slots=True)
class Either:
    """At least one of these holds."""

    filters: tuple["Filter", ...]


Filter: TypeAlias = Every | Either | Compare


@dataclass(frozen=True, slots=True)
class Order:
    """One thing to sort by."""

    field: Field
    descending: bool


def parse_filter(text: str) -> Filter:
    """The filter that the text writes; an empty text lets every run through.

    Raises:
        UsageError: it cannot be read, or is past a limit; the details give the `place`, counted from 0.
    """
    parser = _Parser(text, "filter")
    if parser.peek() is None:
        return Every(())
    found = parser.any_of(0)
    parser.end()
    return found


def parse_order(text: str) -> tuple[Order, ...]:
    """What the text sorts by, the first first; empty for an empty text.

    Raises:
        UsageError: it cannot be read, or is past a limit.
    """
    parser = _Parser(text, "order")
    found: list[Order] = []
    while parser.peek() is not None:
        if found:
            parser.expect(",")
        field = parser.field()
        found.append(Order(field, parser.word("asc", "desc") == "desc"))
        if len(found) > _ORDERS_MAX:
            raise parser.error(f"more than {_ORDERS_MAX} things to sort by")
    return tuple(found)


class _Parser:
    """Reads one text from left to right; one token of foresight."""

    def __init__(self, text: str, what: str) -> None:
        self._text = text
        self._what = what
        self._at = 0
        self._comparisons = 0
        if len(text) > _CHARACTERS_MAX:
            raise self.error(f"more than {_CHARACTERS_MAX} characters")

    def error(self, why: str) -> UsageError:
        return UsageError(
            f"the {self._what} cannot be read at character {self._at}: {why}",
            hint="It is written like this: metrics.accuracy > 0.9 and params.lr = 0.1 and tags.team = 'x'",
            place=self._at,
        )

    def peek(self) -> re.Match[str] | None:
        if not self._text[self._at :].strip():
            return None
        found = _TOKEN.match(self._text, self._at)
        if found is None:
            raise self.error("nothing that is known begins here")
        return found

    def take(self, expected: str) -> re.Match[str]:
        found = self.peek()
        if found is None:
            raise self.error(f"{expected} is missing")
        self._at = found.end()
        return found

    def end(self) -> None:
        if self.peek() is not None:
            raise self.error("the filter was complete before this")

    def sign(self, sign: str) -> bool:
        found = self.peek()
        if found is None or found["sign"] != sign:
            return False
        self._at = found.end()
        return True

    def expect(self, sign: str) -> None:
        if not self.sign(sign):
            raise self.error(f"{sign!r} is missing")

    def word(self, *words: str) -> str | None:
        found = self.peek()
        if found is None or found["word"] is None or found["word"].lower() not in words:
            return None
        self._at = found.end()
        return found["word"].lower()

    def any_of(self, depth: int) -> Filter:
        filters = [self.all_of(depth)]
        while self.word("or"):
            filters.append(self.all_of(depth))
        return filters[0] if len(filters) == 1 else Either(tuple(filters))

    def all_of(self, depth: int) -> Filter:
        filters = [self.one(depth)]
        while self.word("and"):
            filters.append(self.one(depth))
        return filters[0] if len(filters) == 1 else Every(tuple(filters))

    def one(self, depth: int) -> Filter:
        if not self.sign("("):
            return self.compare()
        if depth == _DEPTH_MAX:
            raise self.error(f"more than {_DEPTH_MAX} parentheses inside each other")
        found = self.any_of(depth + 1)
        self.expect(")")
        return found

    def field(self) -> Field:
        before = self._at
        word = self.take("a field")["word"] or ""
        head, dot, key = word.partition(".")
        if head in _KINDS and dot:
            return Field(_KINDS[head], key or self._quoted())
        if word in _ATTRIBUTES:
            return Field("attribute", word)
        self._at = before
        raise self.error(f"a field is metrics.…, params.…, tags.… or one of {', '.join(sorted(_ATTRIBUTES))}")

    def _quoted(self) -> str:
        key = (self.take("a name")["quoted"] or "")[1:-1]
        if not key:
            raise self.error("a name is missing")
        return key

    def compare(self) -> Compare:
        self._comparisons += 1
        if self._comparisons > _COMPARISONS_MAX:
            raise self.error(f"more than {_COMPARISONS_MAX} comparisons")
        field = self.field()
        before = self._at
        found = self.take("an operator")
        operator = (found["sign"] or found["word"] or "").lower()
        literal = self._literal()
        match operator:
            case "=" | "!=" | ">" | ">=" | "<" | "<=" | "like":
                return Compare(field, operator, self._fitting(field, operator, literal))
        self._at = before
        raise self.error("an operator is one of = != > >= < <= like")

    def _literal(self) -> float | str:
        found = self.take("a number or a text in single quotes")
        if found["number"] is not None:
            return float(found["number"])
        if found["text"] is None:
            raise self.error("a number, or a text in single quotes, was expected before this")
        text = found["text"][1:-1].replace("''", "'")
        if len(text) >= SEARCHED_CHARACTERS_MAX:
            raise self.error(f"a text that is compared has less than {SEARCHED_CHARACTERS_MAX} characters")
        return text

    def _fitting(self, field: Field, operator: str, literal: float | str) -> float | str:
        if field.kind == "metric" and isinstance(literal, str):
            raise self.error("metrics are compared with numbers")
        if field.kind in {"tag", "attribute"} and not isinstance(literal, str):
            raise self.error("tags and attributes are compared with texts in single quotes")
        if operator == "like":
            if not isinstance(literal, str):
                raise self.error("like compares with a text in single quotes")
            if sum(literal.count(wild) for wild in "%_") > _WILDCARDS_MAX:
                raise self.error(f"more than {_WILDCARDS_MAX} of % and _")
        elif field.key in _TIMES and field.kind == "attribute":
            return self._moment(str(literal))
        return literal

    def _moment(self, text: str) -> str:
        try:
            moment = datetime.fromisoformat(text)
        except ValueError as error:
            why = f"{text!r} is not a moment; write it like 2026-03-01 or 2026-03-01T09:00:00Z"
            raise self.error(why) from error
        return to_text(moment if moment.tzinfo else moment.replace(tzinfo=UTC))
