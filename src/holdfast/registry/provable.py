"""What a registry promises beyond `Registry` when its log can be proven: `sql.py` keeps it."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Protocol

from holdfast.names import ModelName, Reference, StageName
from holdfast.registry.interface import Registry
from holdfast.registry.merkle import Head
from holdfast.registry.proofs import Consistency, Inclusion
from holdfast.registry.records import Audit
from holdfast.registry.values import Stage, Version

__all__ = ["ProvableRegistry"]


class ProvableRegistry(Registry, Protocol):
    """A registry that has the Merkle tree over its log at hand."""

    def stage_at_hand(self, model: ModelName, name: StageName) -> Stage | None:
        """As `Registry.stage`, if it is there and can be told without waiting for anybody; None says nothing."""

    def version_at_hand(self, reference: Reference) -> Version | None:
        """As `Registry.resolve`, if it is there and can be told without waiting for anybody; None says nothing."""

    def heads(self, earlier: Sequence[int] = ()) -> tuple[Head, Mapping[int, Head]]:
        """What the log is, and what it was at earlier sizes; sizes that it has not come to are left out. Two reads.

        Raises:
            IntegrityError: the log and its tree do not have the same size.
        """

    def prove(self, index: int, size: int | None = None) -> Inclusion:
        """That an event is in the log, or in what the log was with `size` events; a handful of reads.

        Raises:
            NotFound: the log has no such event, or not so many.
        """

    def prove_growth(self, since: int, size: int | None = None) -> Consistency:
        """That the log, or what it was with `size` events, begins with what it was with `since`; a handful of reads.

        Raises:
            NotFound: the log does not have so many events.
        """

    def edge(self, size: int) -> tuple[bytes, ...]:
        """The hashes of the full subtrees that the log with `size` events consists of: what a reader needs to go on.

        Raises:
            NotFound: the log does not have so many events.
        """

    def bodies(self, since: int, size: int) -> Iterator[bytes]:
        """The canonical bytes of the events from `since` up to `size`, in flat memory."""

    def audit_verify(self, seen: Sequence[Head] = ()) -> Audit:
        """As `Registry.audit_verify`, and held against what was seen.

        Args:
            seen: heads that somebody saw before; the log must begin with what they pin.
        """
