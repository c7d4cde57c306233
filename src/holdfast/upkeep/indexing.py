"""Writing down the facts of versions that were numbered before there was an index for searches."""

from holdfast.errors import IntegrityError, NotFound
from holdfast.names import ByNumber, Reference
from holdfast.registry.asking import FOUND_MAX
from holdfast.registry.interface import Registry
from holdfast.runtime.facts import read_facts
from holdfast.store.interface import Store

__all__ = ["index_versions"]


def index_versions(registry: Registry, store: Store) -> tuple[int, int]:
    """Read the facts of every version that has none from its bytes.

    Returns:
        How many were written down, and how many could not be: their manifest is archived, lost or damaged.
    """
    done = left = 0
    after = None
    while some := registry.not_indexed(after=after, limit=FOUND_MAX):
        for version in some:
            try:
                registry.index(version.model, version.number, read_facts(store, version.digest))
                done += 1
            except (NotFound, IntegrityError):
                left += 1  # what is lost or damaged, the check itself says
        after = Reference(some[-1].model, ByNumber(some[-1].number))
    return done, left
