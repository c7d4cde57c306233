"""Whether rows that versions take have a column: who names one that nobody sends would only learn of it by nothing."""

from collections.abc import Iterable
from difflib import get_close_matches
from textwrap import shorten

from holdfast.digest import Digest
from holdfast.errors import HoldfastError, UsageError
from holdfast.evidence import FeatureSchema
from holdfast.runtime.materialise import read_manifest
from holdfast.store.interface import Store

__all__ = ["require_columns"]

_HINT_CHARACTERS_MAX = 400
"""A schema may have a thousand columns, and a hint is read by people."""


def require_columns(asked: Iterable[str], versions: Iterable[Digest], store: Store) -> None:
    """Refuse a column that no schema of some versions has; nothing, where no schema is here.

    Args:
        asked: the names of columns.
        versions: their digests: those that are asked with the same rows.
        store: has their manifests.

    Raises:
        UsageError: a column is in none of the schemas; the details name it.
    """
    wanted = tuple(asked)
    known = dict.fromkeys(name for version in versions for name in _columns(version, store)) if wanted else {}
    for name in wanted if known else ():
        if name not in known:
            near = get_close_matches(name, known, n=1)
            meant = f"Did you mean {near[0]}? " if near else ""
            there = f"The rows have: {', '.join(known)}."
            raise UsageError(
                f"no row of these versions has a column {name!r}",
                hint=meant
                + shorten(there, _HINT_CHARACTERS_MAX, placeholder=" …")
                + " If callers send it besides these, say --any-column.",
                column=name,
            )


def _columns(version: Digest, store: Store) -> Iterable[str]:
    try:
        schema = read_manifest(store, version).evidence.schema
    except HoldfastError:
        return ()  # whoever opens this version says what is wrong with it
    return [column.name for column in schema.columns] if isinstance(schema, FeatureSchema) else ()
