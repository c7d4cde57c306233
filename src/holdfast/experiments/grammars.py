"""What each of MLflow's searches knows: its families and attributes, and what those are compared by."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Literal, TypeAlias

__all__ = ["EXPERIMENTS", "LOGGED_MODELS", "REGISTERED_MODELS", "RUNS", "VERSIONS", "Grammar", "Kind"]

Kind: TypeAlias = Literal["metric", "parameter", "tag", "attribute", "dataset"]
"""What a field belongs to, in MLflow's words."""

_NUMBERS = frozenset({">", ">=", "!=", "=", "<", "<="})
_TEXTS = frozenset({"!=", "=", "LIKE", "ILIKE"})
_LISTS = frozenset({"IN", "NOT IN"})
_NULLS = frozenset({"IS NULL", "IS NOT NULL"})


@dataclass(frozen=True, slots=True)
class Grammar:
    """What a search knows.

    Attributes:
        families: how a field with a key begins, and its kind.
        families_said: the families, as a refusal names them.
        numbers: attributes that are compared with numbers.
        texts: attributes that are compared with texts.
        sortable: attributes to sort by.
        listed: attributes that are compared with lists; None: all.
        nullable: kinds of which may be asked whether they are there.
        aliases: second names of attributes.
        quotes_invalid: what cannot be read is told in quotes.
        numbers_in_quotes: a number may stand in quotes.
    """

    families: Mapping[str, Kind]
    families_said: str
    numbers: frozenset[str]
    texts: frozenset[str]
    sortable: frozenset[str]
    listed: frozenset[str] | None
    nullable: frozenset[str] = frozenset()
    aliases: Mapping[str, str] = field(default_factory=dict)
    quotes_invalid: bool = False
    numbers_in_quotes: bool = False

    def operators(self, kind: Kind, key: str) -> frozenset[str]:
        """What a field may be compared by."""
        if kind == "metric" or (kind == "attribute" and key in self.numbers):
            return _NUMBERS
        if kind in {"attribute", "dataset"}:
            return _TEXTS | _LISTS
        return _TEXTS | _NULLS if kind in self.nullable else _TEXTS


_TAGS: Mapping[str, Kind] = MappingProxyType({"attribute": "attribute", "tag": "tag", "tags": "tag"})
_TAGS_SAID = "Valid entity types are ('attribute', 'tag', 'tags')"

_RUN_TIMES = frozenset({"start_time", "end_time"})
_RUN_TEXTS = frozenset({"run_id", "run_name", "user_id", "status", "artifact_uri"})

_ALL_FAMILIES: Mapping[str, Kind] = MappingProxyType(
    {
        "metric": "metric",
        "metrics": "metric",
        "parameter": "parameter",
        "parameters": "parameter",
        "param": "parameter",
        "params": "parameter",
        "tag": "tag",
        "tags": "tag",
        "attribute": "attribute",
        "attributes": "attribute",
        "attr": "attribute",
        "run": "attribute",
        "dataset": "dataset",
        "datasets": "dataset",
    }
)

RUNS = Grammar(
    families=_ALL_FAMILIES,
    families_said="Valid values are ['metric', 'parameter', 'tag', 'attribute', 'dataset']",
    numbers=_RUN_TIMES,
    texts=_RUN_TEXTS,
    sortable=_RUN_TIMES | _RUN_TEXTS,
    listed=frozenset({"run_id"}),
    nullable=frozenset({"parameter", "tag"}),
    aliases=MappingProxyType(
        {
            "created": "start_time",
            "Created": "start_time",
            "run name": "run_name",
            "Run name": "run_name",
            "Run Name": "run_name",
        }
    ),
    quotes_invalid=True,
)

_EXPERIMENT_TIMES = frozenset({"creation_time", "last_update_time"})

EXPERIMENTS = Grammar(
    families=_TAGS,
    families_said=_TAGS_SAID,
    numbers=_EXPERIMENT_TIMES,
    texts=frozenset({"name", "experiment_id"}),
    sortable=_EXPERIMENT_TIMES | {"name", "experiment_id"},
    listed=frozenset({"experiment_id"}),
    nullable=frozenset({"tag"}),
)

_REGISTERED_TIMES = frozenset({"creation_timestamp", "last_updated_timestamp"})

REGISTERED_MODELS = Grammar(
    families=_TAGS,
    families_said=_TAGS_SAID,
    numbers=frozenset(),
    texts=frozenset({"name"}),
    sortable=_REGISTERED_TIMES | {"name"},
    listed=frozenset({"name"}),
    aliases=MappingProxyType({"timestamp": "last_updated_timestamp"}),
)

VERSIONS = Grammar(
    families=_TAGS,
    families_said=_TAGS_SAID,
    numbers=frozenset({"version_number"}),
    texts=frozenset({"name", "run_id", "source_path"}),
    sortable=_REGISTERED_TIMES | {"name", "version_number"},
    listed=frozenset({"name", "run_id"}),
    numbers_in_quotes=True,
)

_LOGGED_TEXTS = frozenset({"name", "model_id", "model_type", "status", "source_run_id"})

LOGGED_MODELS = Grammar(
    families=MappingProxyType(
        {"attributes": "attribute", "metrics": "metric", "params": "parameter", "tags": "tag"},
    ),
    families_said="Expected one of ['attributes', 'metrics', 'params', 'tags'].",
    numbers=_REGISTERED_TIMES,
    texts=_LOGGED_TEXTS,
    sortable=_REGISTERED_TIMES | _LOGGED_TEXTS,
    listed=None,
    aliases=MappingProxyType(
        {"creation_time": "creation_timestamp", "last_updated_time": "last_updated_timestamp"},
    ),
)
