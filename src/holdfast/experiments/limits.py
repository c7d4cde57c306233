"""The limits of what MLflow's clients may send, and the refusals in MLflow's words, for scripts look for them."""

import json
import posixpath
import re
from collections.abc import Sequence
from functools import lru_cache

from holdfast.canonical import Json
from holdfast.errors import UsageError

__all__ = [
    "EXPERIMENT_NAME_CHARACTERS_MAX",
    "KEY_CHARACTERS_MAX",
    "METRICS_MAX",
    "PAGE_MAX",
    "PARAM_CHARACTERS_MAX",
    "TAG_CHARACTERS_MAX",
    "bad_value",
    "check_batch",
    "check_experiment_name",
    "check_experiment_tag",
    "check_key",
    "check_length",
    "check_orders",
    "check_page",
    "check_param",
    "check_run_id",
    "check_tag",
]

# All of them are MLflow's own (its documentation, "REST API: Request Limits"), so that what works there works here.

METRICS_MAX = 1000
_PARAMS_MAX = 100
_TAGS_MAX = 100
_ALL_MAX = 1000
"""Of one batch."""

_ORDERS_MAX = 16
"""What one search sorts by: each metric, param or tag is one more table of the statement."""

_TAGS_AT_ONCE_MAX = 1000
"""Of one run, experiment, model, version or trace in one request: as much as a batch has in all. A file has one writer,
and a body of words has room for a million tags, which would keep everybody else waiting."""

KEY_CHARACTERS_MAX = 250
"""Names of metrics, params and tags: an entry of an index stays small."""

PARAM_CHARACTERS_MAX = 6000
TAG_CHARACTERS_MAX = 8000
"""Of values; what is longer is cut, as MLflow's servers do it unless they are told otherwise."""

ACTOR_CHARACTERS_MAX = 256
"""Of who runs it, where a client says so; of an account, a machine, or an address of mail."""

WORDS_CHARACTERS_MAX = 100_000
"""Of a description: a page has three thousand, and every answer that tells of a model or a version has all of it."""

ID_CHARACTERS_MAX = 500
"""Of an id, a kind or a link that a client makes up: MLflow's own tables hold as many, or less."""

DATASET_NAME_CHARACTERS_MAX = 500
DATASET_DIGEST_CHARACTERS_MAX = 36
"""As MLflow's own tables hold them."""

EXPERIMENT_NAME_CHARACTERS_MAX = 500
_EXPERIMENT_TAG_CHARACTERS_MAX = 20_000

PAGE_MAX = 50_000
"""Runs or experiments in one answer."""

_SHOWN_CHARACTERS_MAX = 1000
"""Of a wrong value in a refusal: enough to recognise it."""

_KEY = re.compile(r"[/\w.\- :]*")
_RUN_ID = re.compile(r"[a-zA-Z0-9][\w\-]{0,255}")

_CHARACTERS = (
    "Names may only contain alphanumerics, underscores (_), dashes (-), periods (.), spaces ( ), colon(:) "
    "and slashes (/)."
)


def bad_value(path: str, value: Json, why: str | None = None) -> UsageError:
    """The refusal for a value that cannot be."""
    shown = json.dumps(value, sort_keys=True, separators=(",", ":"))[:_SHOWN_CHARACTERS_MAX]
    because = f": {why}" if why else "."
    return UsageError(f"Invalid value {shown} for parameter '{path}' supplied{because}", hint="Give another value.")


def check_key(key: str, path: str) -> None:
    """Makes sure that this can be the name of a metric, a param or a tag.

    Raises:
        UsageError: it has other characters, or would be another name as a path of files.
    """
    wrong = _wrong_in(key) if len(key) <= KEY_CHARACTERS_MAX else _wrong_in.__wrapped__(key)
    if wrong is not None:
        raise bad_value(path, key, wrong)


@lru_cache(maxsize=4_096)
def _wrong_in(key: str) -> str | None:
    """Why this cannot be a name. A batch has a thousand values of a few names, and so has the next."""
    if not _KEY.fullmatch(key):
        return _CHARACTERS
    as_path = posixpath.normpath(key)
    if as_path != key or as_path == "." or as_path.startswith(("..", "/")):
        return (
            "Names may be treated as files in certain cases, and must not resolve to other names when treated as "
            f"such. This name would resolve to {as_path!r}"
        )
    return None


def check_length(what: str, value: str, limit: int) -> None:
    """Raises `UsageError` when the text is longer than the limit."""
    if len(value) > limit:
        raise UsageError(f"'{what}' exceeds the maximum length of {limit} characters", hint="Shorten it.")


def check_tags(count: int) -> None:
    """Raises `UsageError` when one request gives so many tags."""
    if count > _TAGS_AT_ONCE_MAX:
        raise UsageError(
            f"A request can contain at most {_TAGS_AT_ONCE_MAX} tags. Got {count} tags.",
            hint="Set the others in further requests, or write a file.",
        )


def check_orders(order_by: Sequence[str]) -> None:
    """Raises `UsageError` when a search is to be sorted by so many things."""
    if len(order_by) > _ORDERS_MAX:
        raise UsageError(f"`order_by` has {len(order_by)} fields, and may have {_ORDERS_MAX}", hint="Sort by fewer.")


def check_param(key: str, value: str, path: str = "key") -> str:
    """Makes sure that this can be a param; its value, cut where it is too long.

    Raises:
        UsageError: it cannot.
    """
    check_key(key, path)
    check_length("Param key", key, KEY_CHARACTERS_MAX)
    return value[:PARAM_CHARACTERS_MAX]


def check_tag(key: str, value: str, path: str = "key") -> str:
    """Makes sure that this can be a tag of a run; its value, cut where it is too long.

    Raises:
        UsageError: it cannot.
    """
    check_key(key, path)
    check_length(path, key, KEY_CHARACTERS_MAX)
    return value[:TAG_CHARACTERS_MAX]


def check_experiment_tag(key: str, value: str) -> None:
    """Raises `UsageError` where this cannot be a tag of an experiment."""
    check_key(key, "key")
    check_length("key", key, KEY_CHARACTERS_MAX)
    check_length("value", value, _EXPERIMENT_TAG_CHARACTERS_MAX)


def check_experiment_name(name: str) -> None:
    """Raises `UsageError` where this cannot be the name of an experiment."""
    if not name:
        raise UsageError(f"Invalid experiment name: '{name}'", hint="Give it a name.")
    check_length("name", name, EXPERIMENT_NAME_CHARACTERS_MAX)


def check_run_id(run: str) -> None:
    """Raises `UsageError` where this cannot be the id of a run."""
    if not _RUN_ID.fullmatch(run):
        raise bad_value("run_id", run)


def check_page(size: int) -> None:
    """Raises `UsageError` where so many cannot be asked for at once."""
    wrong = "a positive integer" if size < 1 else f"at most {PAGE_MAX}" if size > PAGE_MAX else None
    if wrong is not None:
        raise UsageError(
            f"Invalid value {size} for parameter 'max_results' supplied. It must be {wrong}",
            hint=f"Ask for 1 to {PAGE_MAX}.",
        )


def check_batch(metrics: int, params: Sequence[str], tags: int) -> None:
    """Makes sure that a batch is one that MLflow takes.

    Args:
        metrics: how many.
        params: their names.
        tags: how many.

    Raises:
        UsageError: it has too much, or a param twice.
    """
    counts = (
        ("metrics", metrics, METRICS_MAX),
        ("params", len(params), _PARAMS_MAX),
        ("tags", tags, _TAGS_MAX),
        ("metrics, params, and tags", metrics + len(params) + tags, _ALL_MAX),
    )
    for what, count, limit in counts:
        if count > limit:
            raise UsageError(
                f"A batch logging request can contain at most {limit} {what}. Got {count} {what}. "
                f"Please split up {what} across multiple requests and try again.",
                hint="Send it in several requests.",
            )
    seen: set[str] = set()
    twice = [key for key in params if key in seen or seen.add(key)]  # type: ignore[func-returns-value]
    if twice:
        raise UsageError(
            f"Duplicate parameter keys have been submitted: {twice}. Please ensure the request contains only one "
            "param value per param key.",
            hint="Send each once.",
        )
