"""The language of searches, read into a tree; nothing is executed and nothing is guessed.

    metrics.accuracy > 0.9 and params.lr = 0.1
    (tags.team = 'x' or tags.team = 'y') and not status = finished
    package.numpy in (1.26.0, 1.26.1) and live

    filter     := all ( "or" all )*
    all        := one ( "and" one )*
    one        := "not" one | "(" filter ")" | flag | field operator literal | field [ "not" ] "in" "(" literals ")"
                | field "not" "like" literal
    field      := family "." key | attribute
    key        := letters, digits and _ - . /  |  anything in double quotes or backticks
    operator   := = | != | > | >= | < | <= | like
    literal    := a number | text in single or double quotes (a quote in it is written twice) | one word
    literals   := literal ( "," literal )*
    order      := field [ "asc" | "desc" ] ( "," … )*

Which families, attributes and flags there are, and what each is compared with, a `Language` says: that of runs stands
in `tracking`, that of versions in `registry`. A comparison, `!=` too, holds only for what has the value; `not` holds
whenever the rest does not. `like` knows `%` and `_`, and does not tell capitals from small letters. Keywords may be
written in capitals.
"""

import re
from collections.abc import Mapping
from datetime import UTC, datetime

from holdfast.database.filters import (
    SEARCHED_CHARACTERS_MAX,
    Compare,
    Either,
    Every,
    Field,
    Filter,
    Flag,
    Language,
    Not,
    Operator,
    Order,
    Sort,
)
from holdfast.database.times import to_text
from holdfast.errors import UsageError

__all__ = ["parse_filter", "parse_order"]

_CHARACTERS_MAX = 16_384
"""Of a filter or an order: a list of digests, as long as lists may be, and still what fits a URL."""

_COMPARISONS_MAX = 32
"""Each costs the database a subquery."""

_DEPTH_MAX = 16
"""Parentheses and `not` inside each other; far from Python's recursion limit."""

_WILDCARDS_MAX = 8
"""In a pattern of `like`: each multiplies the work of matching one text."""

_LISTED_MAX = 128
"""In a list behind `in`: each is a parameter of the statement, and every database has a limit of those."""

_NEAR_CHARACTERS = 24
"""Of the filter, as much is quoted where it cannot be read."""

_TOKEN = re.compile(
    r"""\s*(?:
        (?P<quoted>"[^"]*"|`[^`]*`)
      | (?P<sign>==|=>|=<|<>|>=|<=|!=|=|>|<|\(|\)|,)
      | (?P<word>[A-Za-z_][\w./-]*)
    )""",
    re.VERBOSE | re.ASCII,
)

_LITERAL = re.compile(
    r"""\s*(?:
        (?P<text>'(?:[^']|'')*'|"(?:[^"]|"")*")
      | (?P<bare>[\w+.-][\w+.:/@-]*)
    )""",
    re.VERBOSE | re.ASCII,
)

_NUMBER = re.compile(r"[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?")

_DIGEST = re.compile(r"sha256:[0-9a-f]{64}")

_DIGEST_BEGUN = re.compile(r"sha256:[0-9a-f]{0,64}%")

_KEYWORDS = frozenset({"and", "or", "not", "in", "like", "asc", "desc"})

_EQUALITY = frozenset({"=", "!=", "in"})
_SIZES = frozenset({">", ">=", "<", "<="})

_ALLOWED: Mapping[Sort, frozenset[str]] = {
    Sort.NUMBER: _EQUALITY | _SIZES,
    Sort.TEXT: _EQUALITY | _SIZES | {"like"},
    Sort.EITHER: _EQUALITY | _SIZES | {"like"},
    Sort.WORD: _EQUALITY | {"like"},
    Sort.PINNED: _EQUALITY | _SIZES | {"like"},
    Sort.DIGEST: _EQUALITY | {"like"},
    Sort.MOMENT: _EQUALITY | _SIZES | {"like"},
    Sort.FLAG: frozenset(),
}


def parse_filter(text: str, language: Language) -> Filter:
    """The filter that the text writes; an empty text lets everything through.

    Raises:
        UsageError: it cannot be read, or is past a limit; the details give the `place`, counted from 0.
    """
    parser = _Parser(text, "filter", language)
    if parser.at_end():
        return Every(())
    found = parser.any_of(0)
    parser.end()
    return found


def parse_order(text: str, language: Language) -> tuple[Order, ...]:
    """What the text sorts by, the first first; empty for an empty text.

    Raises:
        UsageError: it cannot be read, or is past a limit.
    """
    parser = _Parser(text, "order", language)
    found: list[Order] = []
    while not parser.at_end():
        if found:
            parser.expect(",")
        wanted, _ = parser.field()
        found.append(Order(wanted, parser.word("asc", "desc") == "desc"))
        if len(found) > language.orders_max:
            raise parser.error(f"more than {language.orders_max} to sort by")
    return tuple(found)


class _Parser:
    """Reads one text from left to right; one token of foresight."""

    def __init__(self, text: str, what: str, language: Language) -> None:
        self._text = text
        self._what = what
        self._language = language
        self._at = 0
        self._comparisons = 0
        if len(text) > _CHARACTERS_MAX:
            raise self.error(f"more than {_CHARACTERS_MAX} characters")

    def error(self, why: str, hint: str | None = None) -> UsageError:
        near = self._text[self._at : self._at + _NEAR_CHARACTERS].strip()
        return UsageError(
            f"the {self._what} cannot be read at character {self._at}{f', {near!r}' if near else ''}: {why}",
            hint=hint or f"It is written like this: {self._language.example}",
            place=self._at,
        )

    def at_end(self) -> bool:
        return not self._text[self._at :].strip()

    def peek(self) -> re.Match[str] | None:
        if self.at_end():
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
        if not self.at_end():
            raise self.error(
                "the filter was complete before this",
                "Join comparisons with and, or; text with a space in it is quoted.",
            )

    def sign(self, sign: str) -> bool:
        found = None if self.at_end() else _TOKEN.match(self._text, self._at)
        if found is None or found["sign"] != sign:
            return False
        self._at = found.end()
        return True

    def expect(self, sign: str) -> None:
        if not self.sign(sign):
            raise self.error(f"{sign!r} is missing")

    def word(self, *words: str) -> str | None:
        found = None if self.at_end() else _TOKEN.match(self._text, self._at)
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
        if depth == _DEPTH_MAX:
            raise self.error(f"more than {_DEPTH_MAX} parentheses, or not, inside each other")
        if self.word("not"):
            return Not(self.one(depth + 1))
        if not self.sign("("):
            return self.compare()
        found = self.any_of(depth + 1)
        self.expect(")")
        return found

    def field(self) -> tuple[Field, Sort]:
        before = self._at
        word = self.take("a field")["word"] or ""
        head, dot, key = word.partition(".")
        families, attributes = self._language.families, self._language.attributes
        if head in families and dot:
            kind, sort = families[head]
            return Field(kind, key or self._quoted()), sort
        if word in attributes:
            return Field("attribute", word), attributes[word]
        self._at = before
        near = self._language.nearest(word)
        known = ", ".join([*self._language.names(), *sorted(attributes)])
        raise self.error(f"a field is one of {known}", f"Did you mean {near}?" if near else None)

    def _quoted(self) -> str:
        key = (self.take("a name")["quoted"] or "")[1:-1]
        if not key:
            raise self.error("a name is missing")
        return key

    def compare(self) -> Filter:
        self._comparisons += 1
        if self._comparisons > _COMPARISONS_MAX:
            raise self.error(f"more than {_COMPARISONS_MAX} comparisons")
        wanted, sort = self.field()
        if sort is Sort.FLAG:
            return Flag(wanted.key)
        is_negated = self.word("not") is not None
        operator = self._operator(sort, is_negated=is_negated)
        found = self._list(wanted, sort) if operator == "in" else Compare(wanted, operator, self._one(sort, operator))
        return Not(found) if is_negated else found

    def _operator(self, sort: Sort, *, is_negated: bool) -> Operator:
        before = self._at
        found = self.take("an operator")
        operator = (found["sign"] or found["word"] or "").lower()
        if operator in _ALLOWED[sort] and (not is_negated or operator in {"in", "like"}):
            return operator  # type: ignore[return-value]  # the table holds nothing else
        self._at = before
        near = {"==": "=", "is": "=", "<>": "!=", "=>": ">=", "=<": "<=", "contains": "like"}.get(operator)
        known = " ".join(sorted(_ALLOWED[sort] & ({"in", "like"} if is_negated else _ALLOWED[sort])))
        raise self.error(f"an operator is one of {known} here", f"Did you mean {near}?" if near else None)

    def _list(self, wanted: Field, sort: Sort) -> Filter:
        self.expect("(")
        values = [self._one(sort, "in")]
        while self.sign(","):
            values.append(self._one(sort, "in"))
            if len(values) > _LISTED_MAX:
                raise self.error(f"more than {_LISTED_MAX} in a list")
        self.expect(")")
        sorts = [tuple(value for value in values if isinstance(value, kind)) for kind in (float, str)]
        lists = [Compare(wanted, "in", some) for some in sorts if some]
        return lists[0] if len(lists) == 1 else Either(tuple(lists))

    def _one(self, sort: Sort, operator: str) -> float | str:
        before = self._at
        found = _LITERAL.match(self._text, self._at)
        if found is None or (found["bare"] or "").lower() in _KEYWORDS:
            raise self.error(f"{sort.value}, was expected here" if not self.at_end() else f"{sort.value}, is missing")
        self._at = found.end()
        if found["bare"] is not None:
            text, is_number = found["bare"], _NUMBER.fullmatch(found["bare"]) is not None
        else:
            quote = found["text"][0]
            text, is_number = found["text"][1:-1].replace(quote * 2, quote), False
        if len(text) >= SEARCHED_CHARACTERS_MAX:
            raise self.error(f"a text that is compared has less than {SEARCHED_CHARACTERS_MAX} characters")
        try:
            return _fitting(sort, operator, text, is_number=is_number)
        except ValueError as error:
            self._at = before
            raise self.error(str(error)) from error


def _fitting(sort: Sort, operator: str, text: str, *, is_number: bool) -> float | str:
    """The literal as what the field is compared with.

    Raises:
        ValueError: it is nothing of the kind.
    """
    if operator == "like":
        if is_number:
            message = "like compares with text in quotes"
            raise ValueError(message)
        if sum(text.count(wild) for wild in "%_") > _WILDCARDS_MAX:
            message = f"more than {_WILDCARDS_MAX} of % and _"
            raise ValueError(message)
        if sort is Sort.DIGEST and not _DIGEST_BEGUN.fullmatch(text):
            message = "a digest is like its beginning and a %, as in 'sha256:ab12%'"
            raise ValueError(message)
        return text
    if is_number and sort in {Sort.NUMBER, Sort.EITHER}:
        return float(text)
    fits = {
        Sort.NUMBER: False,
        Sort.TEXT: not is_number,
        Sort.DIGEST: _DIGEST.fullmatch(text) is not None,
    }
    if not fits.get(sort, True):
        message = f"this is compared with {sort.value}"
        raise ValueError(message)
    return _moment(text) if sort is Sort.MOMENT else text


def _moment(text: str) -> str:
    try:
        moment = datetime.fromisoformat(text)
        return to_text(moment if moment.tzinfo else moment.replace(tzinfo=UTC))
    except (ValueError, OverflowError) as error:
        message = f"{text!r} is not a moment; write it like 2026-03-01 or 2026-03-01T09:00:00Z"
        raise ValueError(message) from error
