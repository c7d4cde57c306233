"""What can be asked of a registry beyond names: searches, spells of stages, walks along lineage."""

from typing import Protocol

from holdfast.digest import Digest
from holdfast.names import ModelName, Reference, StageName, VersionNumber
from holdfast.registry.answers import Direction, Found, Indexed, Spell, Walk
from holdfast.registry.facts import Facts
from holdfast.registry.records import VerdictEntry
from holdfast.registry.values import Version

__all__ = ["DEPTH_MAX", "FOUND_MAX", "SPELLS_MAX", "VERDICTS_MAX", "Questions"]

FOUND_MAX = 1_000
"""Versions in one answer: half a megabyte of JSON; more is read in pages."""

SPELLS_MAX = 1_000
"""Spells in one answer: more than a stage that moves daily has in two years."""

VERDICTS_MAX = 100
"""Verdicts in one answer: each is read whole and hashed, and may have a few megabytes."""

DEPTH_MAX = 16
"""Steps of one walk along lineage; each costs a statement."""


class Questions(Protocol):
    """What a registry answers about the versions that it numbers, from what it has written down of them."""

    def search(
        self,
        filter: str = "",  # noqa: A002 - its name
        *,
        model: ModelName | None = None,
        order_by: str = "",
        limit: int = 100,
        after: str | None = None,
    ) -> Found:
        """The versions that fit, the newest first unless an order says otherwise.

        Args:
            filter: as `docs/reference/search.md` describes it; empty for every version.
            model: whose; None: everybody's.
            order_by: `created`, or a metric or param, with `asc` or `desc`. What lacks it comes last.
            limit: how many at most.
            after: what the page before said in `next`.

        Raises:
            UsageError: the filter, the order or `after` cannot be read, or the limit is not 1 to `FOUND_MAX`.
            NotFound: no such model.
        """

    def named_snapshots(self, *, after: Digest | None = None, limit: int | None = None) -> tuple[Digest, ...]:
        """Every snapshot that an indexed version names, by digest; or the first `limit` of those behind `after`."""

    def not_indexed(self, *, after: Reference | None = None, limit: int = 100) -> tuple[Version, ...]:
        """Versions whose facts are not written down, by model and number: those of before there was an index.

        Args:
            after: only those behind this one, such as `churn@4`.
            limit: how many at most.

        Raises:
            UsageError: `after` names a version in another way than by its number.
        """

    def index(self, model: ModelName, number: VersionNumber, facts: Facts) -> Indexed:
        """Writes down the facts of a version that has none; what is there stays as it is.

        Args:
            model: whose.
            number: which version.
            facts: what its bytes say. A registry that reaches the bytes reads them itself.

        Raises:
            NotFound: no such model or version.
        """

    def history(
        self, model: ModelName, stage: StageName | None = None, *, before: int | None = None, limit: int = 100
    ) -> tuple[Spell, ...]:
        """The times that versions held a stage, or any stage, of a model; the newest first.

        Args:
            model: whose stages.
            stage: which one; None: all.
            before: only spells that an event with a smaller index began: the next page.
            limit: how many at most.

        Raises:
            NotFound: no such model or stage.
            UsageError: the limit is not 1 to `SPELLS_MAX`.
        """

    def walk(self, kind: str, name: str, direction: Direction, *, depth: int = 3) -> Walk:
        """What a thing was made from, or what was made from it; only itself when nobody knows it.

        Args:
            kind: what it is: `version`, `run`, `snapshot` …
            name: its digest or id.
            direction: which way to go.
            depth: how many steps.

        Raises:
            UsageError: the depth is not 1 to `DEPTH_MAX`.
        """

    def verdicts(
        self,
        *,
        model: ModelName | None = None,
        number: VersionNumber | None = None,
        stage: StageName | None = None,
        beginning: str = "",
        after: Digest | None = None,
        limit: int = VERDICTS_MAX,
    ) -> tuple[VerdictEntry, ...]:
        """The verdicts that are kept, in the order of their digests; empty where there are none.

        Args:
            model: on whose versions; None: all.
            number: on which version; None: all.
            stage: for which stage; None: all.
            beginning: only those whose digests begin so, such as `sha256:ab12`.
            after: only those behind this one: the next page.
            limit: how many at most.

        Raises:
            UsageError: the limit is not 1 to `VERDICTS_MAX`.
            IntegrityError: one is not what its digest names.
        """
