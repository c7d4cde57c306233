"""The filters and orders of MLflow's searches, read into values; nothing is executed and nothing is guessed.

    metrics.accuracy > 0.9 and params.`batch size` = '64' and tags.team like 'r%'
    attributes.run_id in ('ab', 'cd') and dataset.context = 'train' and tags.note is null

    filter  := clause ( "and" clause )*
    clause  := field operator value | field "is" [ "not" ] "null"
    field   := [ family "." ] key
    key     := letters, digits and _ .  |  anything in backticks or double quotes
    value   := a number | text in single or double quotes | "(" text ( "," text )* ")"
    order   := field [ "asc" | "desc" ]

Which families and attributes there are a `Grammar` says: MLflow has one for each thing that is searched. It is told by
MLflow's documentation, "Search Runs"; the refusals have MLflow's own words, since scripts look for them.
"""

import ast
import re
from dataclasses import dataclass
from typing import TypeAlias

from holdfast.errors import UsageError
from holdfast.experiments.grammars import (
    EXPERIMENTS,
    LOGGED_MODELS,
    REGISTERED_MODELS,
    RUNS,
    VERSIONS,
    Grammar,
    Kind,
)

__all__ = [
    "EXPERIMENTS",
    "LOGGED_MODELS",
    "REGISTERED_MODELS",
    "RUNS",
    "VERSIONS",
    "Clause",
    "Grammar",
    "Kind",
    "Sorting",
    "Value",
    "parse_filter",
    "parse_order",
]

Value: TypeAlias = int | float | str | tuple[str, ...] | None
"""What a field is compared with: a number, a text, a list behind `IN`, nothing behind `IS NULL`."""

_CHARACTERS_MAX = 200_000
"""Of a filter: a list of several thousand ids of runs, as MLflow's pages send it."""

_CLAUSES_MAX = 64
"""Each costs the database a subquery."""

_LISTED_MAX = 10_000
"""In a list behind `IN`: each is a parameter of the statement, and every database has a limit of those."""

_WHOLE_MAX = 2.0**63
"""Beyond what a column of whole numbers holds."""

_INVALID_MAX = 16
"""Of what cannot be read, as much is told: enough to see what was meant."""

_LISTS = frozenset({"IN", "NOT IN"})

_QUOTED = r"""'(?:''|\\'|[^'])*'|"(?:""|\\"|[^"])*\""""
_NAME = r"""(?:`[^`]*`|"[^"]*"|[A-Za-z_]\w*)"""
_FIELD = rf"""{_NAME}(?:\.(?:`[^`]*`|"[^"]*"|\w+))*"""
_NUMBER = r"-?(?:\d+(?:\.\d*)?|\.\d+)(?:[eE][+-]?\d+)?(?!\w)"
_LIST = r"""\((?:'[^']*'|"[^"]*"|[^()'"])*\)"""
_VALUE = rf"(?P<number>{_NUMBER})|(?P<text>{_QUOTED})|(?P<list>{_LIST})|(?P<word>{_FIELD})"

_CLAUSE = re.compile(
    rf"\s*(?P<field>{_FIELD})\s*"
    rf"(?:(?P<null>IS\s+(?:NOT\s+)?NULL)\b|(?P<operator>[<>=!]+|NOT\s+IN\b|IN\b|[IR]?LIKE\b)\s*(?:{_VALUE}))",
    re.IGNORECASE | re.DOTALL,
)
_NO_FIELD = re.compile(rf"\s*(?P<found>{_QUOTED}|{_NUMBER})\s*[<>=!]+\s*(?:{_QUOTED}|{_NUMBER}|{_FIELD})", re.DOTALL)
_AND = re.compile(r"\s*AND\b", re.IGNORECASE)
_PIECE = re.compile(rf"\s*(?P<piece>--[^\n]*|{_LIST}|{_QUOTED}|{_FIELD}|{_NUMBER}|[<>=!]+|\S)", re.DOTALL)
_ORDER = re.compile(rf"\s*(?P<field>{_FIELD})(?:\s+(?P<way>\w+))?\s*", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Clause:
    """One comparison.

    Attributes:
        kind: of the field.
        key: of the metric, param or tag; the attribute, by its first name.
        operator: in capitals.
        value: a number for metrics and attributes that are numbers.
    """

    kind: Kind
    key: str
    operator: str
    value: Value


@dataclass(frozen=True, slots=True)
class Sorting:
    """One thing to sort by."""

    kind: Kind
    key: str
    ascending: bool


def parse_filter(text: str, grammar: Grammar) -> tuple[Clause, ...]:
    """The clauses that the text writes, all of which have to hold; none for an empty text.

    Raises:
        UsageError: it cannot be read, or is past a limit.
    """
    if not text:
        return ()
    if len(text) > _CHARACTERS_MAX:
        raise _unreadable(f"Invalid filter: it has {len(text)} characters, and may have {_CHARACTERS_MAX}")
    if not text.strip():
        raise _unreadable(f"Invalid filter '{text}'. Could not be parsed.")
    found, invalid = _split(text)
    if invalid:
        said = ", ".join(f"'{piece}'" if grammar.quotes_invalid else piece for piece in invalid)
        raise _unreadable(f"Invalid clause(s) in filter string: {said}")
    return tuple(_clause(one, grammar) for one in found)


def _split(text: str) -> tuple[list[re.Match[str]], list[str]]:
    """What looks like clauses, and what does not."""
    found: list[re.Match[str]] = []
    invalid: list[str] = []
    at, end = 0, len(text.rstrip().removesuffix(";").rstrip())
    while at < end and len(invalid) < _INVALID_MAX:
        if (joined := _AND.match(text, at, end)) is not None:
            at = joined.end()
        elif (clause := _CLAUSE.match(text, at, end)) is not None:
            found.append(clause)
            at = clause.end()
        elif (other := _NO_FIELD.match(text, at, end)) is not None:
            raise _unreadable(f"Invalid comparison clause. Expected 'Identifier' found '{other['found']}'")
        elif (piece := _PIECE.match(text, at, end)) is not None:
            if piece["piece"] == ";":
                raise _unreadable(
                    f"Search filter contained multiple expression {text!r}. Provide AND-ed expression list."
                )
            invalid.append(piece["piece"])
            at = piece.end()
        else:
            break
        if len(found) > _CLAUSES_MAX:
            raise _unreadable(f"Invalid filter: it has more than {_CLAUSES_MAX} clauses")
    return found, invalid


def _clause(found: re.Match[str], grammar: Grammar) -> Clause:
    kind, key = _named(found["field"], grammar, grammar.numbers | grammar.texts)
    if found["null"] is not None:
        operator = " ".join(found["null"].upper().split())
        if kind not in grammar.nullable:
            raise _no_null(kind, key, grammar)
        return Clause(kind, key, operator, None)
    operator = " ".join(found["operator"].upper().split())
    value = _value(found, kind, key, grammar)
    known = grammar.operators(kind, key)
    if operator not in known or isinstance(value, tuple) != (operator in _LISTS):
        said = "{" + ", ".join(repr(one) for one in sorted(known)) + "}"
        raise _unreadable(f"Invalid comparator '{operator}' not one of '{said}'")
    return Clause(kind, key, operator, value)


def _no_null(kind: Kind, key: str, grammar: Grammar) -> UsageError:
    if "parameter" in grammar.nullable:
        return _unreadable(f"IS NULL / IS NOT NULL is only supported for tags and params, not for '{kind}' '{key}'")
    if grammar.nullable:
        return _unreadable(f"IS NULL / IS NOT NULL is only supported for tags, not for {kind} '{key}'")
    return _unreadable(f"IS NULL / IS NOT NULL is not supported here, not for {kind} '{key}'")


def _named(written: str, grammar: Grammar, attributes: frozenset[str]) -> tuple[Kind, str]:
    """The kind and the key of a field."""
    head, dot, rest = written.partition(".")
    kind: Kind = "attribute"
    if dot:
        head = _bare(head, "`")
        if head not in grammar.families:
            raise _unreadable(f"Invalid entity type '{head}'. {grammar.families_said}")
        kind = grammar.families[head]
    key = _bare(rest if dot else written, "'\"`")
    if kind == "attribute":
        if key not in attributes and grammar.aliases.get(key) not in attributes:
            raise _unreadable(f"Invalid attribute key '{key}' specified. Valid keys are '{_set(attributes, grammar)}'")
        key = grammar.aliases.get(key, key)
    elif kind == "dataset" and key not in {"name", "digest", "context"}:
        valid = "{'context', 'digest', 'name'}"
        raise _unreadable(f"Invalid dataset key '{key}' specified. Valid keys are '{valid}'")
    return kind, key


def _set(attributes: frozenset[str], grammar: Grammar) -> str:
    known = attributes | {name for name, meant in grammar.aliases.items() if meant in attributes}
    return "{" + ", ".join(repr(one) for one in sorted(known)) + "}"


def _bare(written: str, quotes: str) -> str:
    for quote in quotes:
        if len(written) > 1 and written[0] == written[-1] == quote:
            return written[1:-1]
    return written


def _value(found: re.Match[str], kind: Kind, key: str, grammar: Grammar) -> Value:
    if kind == "metric":
        if found["number"] is None:
            raise _unreadable(f"Expected numeric value type for metric. Found {_shown(found)}")
        return float(found["number"])
    if kind == "attribute" and key in grammar.numbers:
        return _number(found, key, grammar)
    if found["list"] is not None and kind in {"attribute", "dataset"}:
        if kind == "attribute" and grammar.listed is not None and key not in grammar.listed:
            raise _unreadable(
                f"Only {sorted(grammar.listed)} attributes support comparison with a list of quoted string values."
            )
        return _listed(found["list"])
    if found["text"] is not None:
        return found["text"][1:-1]
    if found["word"] is not None:
        if (found["word"][0], found["word"][-1]) == ('"', '"'):
            return found["word"][1:-1]
        raise _unreadable(
            "Parameter value is either not quoted or unidentified quote types used for string value "
            f"{found['word']}. Use either single or double quotes."
        )
    raise _unreadable(_expected_text(kind) + _shown(found))


def _expected_text(kind: Kind) -> str:
    if kind in {"parameter", "tag"}:
        return f"Expected a quoted string value for {kind} (e.g. 'my-value'). Got value "
    if kind == "dataset":
        return "Expected a quoted string value for dataset attributes. Got value "
    return "Expected a quoted string value for attributes. Got value "


def _number(found: re.Match[str], key: str, grammar: Grammar) -> int | float:
    written = found["number"]
    if written is None and grammar.numbers_in_quotes and found["text"] is not None:
        written = found["text"][1:-1]
    try:
        if written is not None:
            number = float(written)
            # What no column holds is compared as a float, which no number in a column is beyond.
            is_whole = not set(written) - set("-0123456789") and abs(number) < _WHOLE_MAX
            return int(written) if is_whole else number
    except ValueError:
        pass
    raise _unreadable(f"Expected numeric value type for numeric attribute: {key}. Found {_shown(found)}")


def _shown(found: re.Match[str]) -> str:
    return found["number"] or found["text"] or found["list"] or found["word"] or ""


def _listed(written: str) -> tuple[str, ...]:
    try:
        said = ast.literal_eval(written)
    except (SyntaxError, TypeError, ValueError, MemoryError, RecursionError) as error:
        raise _unreadable(
            "While parsing a list in the query, expected a non-empty list of string values, but got ill-formed list."
        ) from error
    listed = said if isinstance(said, tuple) else (said,)
    if not listed:
        raise _unreadable(
            "While parsing a list in the query, expected a non-empty list of string values, but got empty list"
        )
    if not all(isinstance(one, str) for one in listed):
        raise _unreadable(
            "While parsing a list in the query, expected string value, punctuation, or whitespace, "
            f"but got different type in list: {listed}"
        )
    if len(listed) > _LISTED_MAX:
        raise _unreadable(f"While parsing a list in the query, got more than {_LISTED_MAX} values")
    return listed


def parse_order(text: str, grammar: Grammar) -> Sorting:
    """The one thing that the text sorts by.

    Raises:
        UsageError: it cannot be read, or cannot be sorted by.
    """
    found = _ORDER.fullmatch(text) if len(text) <= _CHARACTERS_MAX else None
    if found is None:
        raise _unreadable(f"Invalid order_by clause '{text[:_CHARACTERS_MAX]}'. Could not be parsed.")
    way = (found["way"] or "asc").lower()
    if way not in {"asc", "desc"}:
        raise _unreadable(f"Invalid ordering key in order_by clause '{text}'.")
    kind, key = _named(found["field"], grammar, grammar.sortable)
    return Sorting(kind, key, way == "asc")


def _unreadable(message: str) -> UsageError:
    return UsageError(message, hint="MLflow's documentation, 'Search Runs', says how searches are written.")
