"""What a search for runs may say, in the language of `holdfast.database.parsing`.

    metrics.accuracy > 0.9 and params.lr = 0.1
    (tags.team = 'x' or tags.team = 'y') and status = finished
    metrics."val/loss" <= 0.2 and name like 'base%'

Metrics are compared with numbers, tags and attributes with text, params with either: a number finds params that are
numbers. One that is not a number fits nothing.
"""

from types import MappingProxyType

from holdfast.database import parsing
from holdfast.database.filters import Compare, Either, Every, Field, Filter, Flag, Language, Not, Order, Sort

__all__ = ["Compare", "Either", "Every", "Field", "Filter", "Flag", "Not", "Order", "parse_filter", "parse_order"]

_LANGUAGE = Language(
    example="metrics.accuracy > 0.9 and params.lr = 0.1 and tags.team = 'x'",
    families=MappingProxyType(
        {
            "metrics": ("metric", Sort.NUMBER),
            "metric": ("metric", Sort.NUMBER),
            "params": ("param", Sort.EITHER),
            "param": ("param", Sort.EITHER),
            "tags": ("tag", Sort.TEXT),
            "tag": ("tag", Sort.TEXT),
        }
    ),
    attributes=MappingProxyType(
        {
            "id": Sort.TEXT,
            "model": Sort.TEXT,
            "experiment": Sort.TEXT,
            "name": Sort.TEXT,
            "status": Sort.TEXT,
            "actor": Sort.TEXT,
            "started_at": Sort.MOMENT,
            "finished_at": Sort.MOMENT,
        }
    ),
)


def parse_filter(text: str) -> Filter:
    """The filter that the text writes; an empty text lets every run through.

    Raises:
        UsageError: it cannot be read, or is past a limit; the details give the `place`, counted from 0.
    """
    return parsing.parse_filter(text, _LANGUAGE)


def parse_order(text: str) -> tuple[Order, ...]:
    """What the text sorts by, the first first; empty for an empty text.

    Raises:
        UsageError: it cannot be read, or is past a limit.
    """
    return parsing.parse_order(text, _LANGUAGE)
