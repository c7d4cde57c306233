"""A search, read: the tree that `holdfast.database.parsing` makes of a text, and the fields that a search may know."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from difflib import get_close_matches
from enum import Enum
from typing import Literal, TypeAlias

__all__ = [
    "SEARCHED_CHARACTERS_MAX",
    "Compare",
    "Either",
    "Every",
    "Field",
    "Filter",
    "Flag",
    "Language",
    "Not",
    "Operator",
    "Order",
    "Sort",
    "Value",
]

SEARCHED_CHARACTERS_MAX = 256
"""Of a param or tag, as many characters are indexed and compared by a search; longer literals are refused."""

_ORDERS_MAX = 4
"""Each costs the database a join."""

Operator: TypeAlias = Literal["=", "!=", ">", ">=", "<", "<=", "like", "in"]

Value: TypeAlias = float | str | tuple[float | str, ...]
"""What a field is compared with; a tuple behind `in`."""


class Sort(Enum):
    """What a field is compared with."""

    NUMBER = "a number"
    TEXT = "text, such as 'x'"
    EITHER = "a number, or text such as 'x'"
    WORD = "a word, such as ana or 1.26.0"
    PINNED = "the number of a Python package's version, such as 1.26.0"
    DIGEST = "a digest, sha256: and 64 hexadecimal digits"
    MOMENT = "a moment, such as 2026-03-01 or 2026-03-01T09:00:00Z"
    FLAG = "nothing: it stands alone"


@dataclass(frozen=True, slots=True)
class Language:
    """The fields that a search knows.

    Attributes:
        example: a filter, for hints.
        families: how a field with a key begins, such as `metrics`: its kind, and what it is compared with.
        attributes: the fields without a key.
        orders_max: how many things may be sorted by.
    """

    example: str
    families: Mapping[str, tuple[str, Sort]]
    attributes: Mapping[str, Sort] = field(default_factory=dict)
    orders_max: int = _ORDERS_MAX

    def names(self) -> list[str]:
        """Every family as a person writes it: the longer of two spellings."""
        return sorted(f"{name}.…" for name in self.families if f"{name}s" not in self.families)

    def nearest(self, word: str) -> str | None:
        """What was probably meant by a field that is not known."""
        head, dot, key = word.partition(".")
        near = get_close_matches(head.lower(), self.families if dot else [*self.attributes, *self.families], n=1)
        if near:
            return near[0] if near[0] in self.attributes and not dot else f"{near[0]}.{key or '…'}"
        return None if dot else f"metrics.{head} or params.{head}"


@dataclass(frozen=True, slots=True)
class Field:
    """What is compared or sorted by: `kind` is that of a family, or `attribute`."""

    kind: str
    key: str


@dataclass(frozen=True, slots=True)
class Compare:
    """A field, an operator and a literal."""

    field: Field
    operator: Operator
    literal: Value


@dataclass(frozen=True, slots=True)
class Flag:
    """Something that holds or does not, such as `live`."""

    name: str


@dataclass(frozen=True, slots=True)
class Every:
    """Every one of these holds; with none of them, always."""

    filters: tuple["Filter", ...]


@dataclass(frozen=True, slots=True)
class Either:
    """At least one of these holds."""

    filters: tuple["Filter", ...]


@dataclass(frozen=True, slots=True)
class Not:
    """This does not hold."""

    filter: "Filter"


Filter: TypeAlias = Every | Either | Not | Compare | Flag


@dataclass(frozen=True, slots=True)
class Order:
    """One thing to sort by."""

    field: Field
    descending: bool
