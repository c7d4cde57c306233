"""Pages of the decision ledger: what the log says of each. All frozen.

A page is a blob, and the event that sealed it is all that the registry keeps: what is never changed and never deleted
needs no table beside the log. The event says until when the page is kept, so that no policy that is written later can
let it go sooner.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

from holdfast.canonical import JsonObject, Reader, plain
from holdfast.database.times import from_text, to_text
from holdfast.digest import Digest
from holdfast.errors import HoldfastError, UnsupportedFormat, UsageError
from holdfast.names import ModelName, StageName
from holdfast.registry.actions import Action
from holdfast.registry.records import Event, NewEvent

if TYPE_CHECKING:
    from holdfast.registry.interface import Registry

__all__ = ["PAGE_FORMAT", "PAGE_VERSION", "LedgerPage", "ledger_pages", "require_page"]

PAGE_FORMAT = "holdfast.ledger"
PAGE_VERSION = "1.0"

_AT_ONCE = 1_000
"""Events read together: each is half a kilobyte."""


@dataclass(frozen=True, slots=True)
class LedgerPage:
    """One sealed page, as its event tells it.

    Attributes:
        model: whose decisions.
        stage: of the replica that answered.
        replica: the replica's id.
        sequence: the place of the page among those of its replica, from 1 without a gap.
        digest: of the page, a Parquet file in the store.
        finder: digest of the list by which request ids are looked up; None where there is none.
        rows: decisions on it.
        bytes: of the page.
        first_at: when the first decision on it was made, UTC.
        last_at: when the last one was.
        dropped: decisions that should be on it and are not, because they came faster than they could be written.
        sample: the share of requests that was to be kept, above 0 up to 1.
        interrupted: whether decisions may be missing that nobody counted: its replica was killed, which costs the last
            second, or the disk damaged its journal.
        kept_until: until when nothing deletes it; None: for ever.
        event: the index of the event that sealed it; -1 before there is one.
    """

    model: ModelName
    stage: StageName
    replica: str
    sequence: int
    digest: Digest
    finder: Digest | None
    rows: int
    bytes: int
    first_at: datetime
    last_at: datetime
    dropped: int
    sample: float
    interrupted: bool
    kept_until: datetime | None
    event: int = -1

    @classmethod
    def of(cls, said: Event | NewEvent) -> "LedgerPage":
        """The page that an event sealed.

        Raises:
            UnsupportedFormat: its details are not those of a page, or of a newer kind.
        """
        found = Reader(plain(said.details), "page")
        name, version = found.text("format"), found.text("format_version")
        if name != PAGE_FORMAT or version.partition(".")[0] != PAGE_VERSION.partition(".")[0]:
            raise UnsupportedFormat(
                f"a page of format {name[:40]} {version[:20]}", hint="A newer Holdfast sealed it: install that one."
            )
        finder, until = found.maybe_text("finder"), found.maybe_text("kept_until")
        return cls(
            model=ModelName(str(said.model or "")),
            stage=StageName(str(said.stage or "")),
            replica=found.text("replica"),
            sequence=found.integer("sequence"),
            digest=Digest.parse(found.text("page")),
            finder=None if finder is None else Digest.parse(finder),
            rows=found.integer("rows"),
            bytes=found.integer("bytes"),
            first_at=from_text(found.text("first_at")),
            last_at=from_text(found.text("last_at")),
            dropped=found.integer("dropped"),
            sample=found.number("sample"),
            interrupted=found.flag("interrupted"),
            kept_until=None if until is None else from_text(until),
            event=said.index if isinstance(said, Event) else -1,
        )

    def details(self) -> JsonObject:
        """What the event says of it."""
        return {
            "format": PAGE_FORMAT,
            "format_version": PAGE_VERSION,
            "page": str(self.digest),
            "finder": None if self.finder is None else str(self.finder),
            "replica": self.replica,
            "sequence": self.sequence,
            "rows": self.rows,
            "bytes": self.bytes,
            "first_at": to_text(self.first_at),
            "last_at": to_text(self.last_at),
            "dropped": self.dropped,
            "sample": self.sample,
            "interrupted": self.interrupted,
            "kept_until": None if self.kept_until is None else to_text(self.kept_until),
        }

    def to_json(self) -> JsonObject:
        """What the commands print of it."""
        return {"model": str(self.model), "stage": str(self.stage), "event": self.event, **self.details()}

    def is_needed(self, now: datetime) -> bool:
        """Whether its time to be kept is not over."""
        return self.kept_until is None or now < self.kept_until

    @property
    def blobs(self) -> tuple[Digest, ...]:
        """What of the store it needs."""
        return (self.digest,) if self.finder is None else (self.digest, self.finder)


def require_page(new: NewEvent) -> None:
    """Makes sure that an event which is about to be written tells of a page.

    Raises:
        UsageError: it does not.
    """
    try:
        page = LedgerPage.of(new)
    except HoldfastError as error:
        raise UsageError(f"this seals no page: {error.message}", hint="Only a replica seals pages.") from error
    if page.sequence < 1 or min(page.rows, page.bytes, page.dropped) < 0 or not 0 < page.sample <= 1:
        raise UsageError("a page with an impossible number", hint="Only a replica seals pages.")
    if page.last_at < page.first_at or plain(page.details()) != plain(new.details):
        raise UsageError("a page whose details do not fit together", hint="Only a replica seals pages.")


def ledger_pages(
    registry: "Registry",
    model: ModelName | None = None,
    *,
    since: datetime | None = None,
    until: datetime | None = None,
) -> Iterator[LedgerPage]:
    """The pages that were sealed, in the order of the log.

    Args:
        registry: whose log it is.
        model: whose decisions; None: everybody's.
        since: only pages that go on to then or behind it.
        until: only pages that begin then or before.

    Raises:
        UnsupportedFormat: a newer Holdfast sealed one of them.
    """
    after = -1
    while found := registry.following(after, model=model, actions=[Action.PAGE_SEAL], limit=_AT_ONCE):
        for event in found:
            page = LedgerPage.of(event)
            if (since is None or page.last_at >= since) and (until is None or page.first_at <= until):
                yield page
        after = found[-1].index
