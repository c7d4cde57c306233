"""Sealing: from a journal to a page in the store, and its event in the log.

(1) write the page and its finder from the journal
(2) put both into the store, durable
(3) write the event that names them, under a key of its own
(4) remove the journal

A crash between any two of these is taken up by whoever seals the journal next: what (2) left is the same bytes again,
and what (3) left is found in the log.
"""

from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from holdfast.errors import HoldfastError, IntegrityError, UsageError
from holdfast.registry import Action, NewEvent, Registry
from holdfast.registry.ledger_pages import LedgerPage, ledger_pages
from holdfast.serving.ledger.breathing import breathing
from holdfast.serving.ledger.decision import Decision
from holdfast.serving.ledger.journal import Head, read_journal
from holdfast.serving.ledger.page import finder, write_page
from holdfast.store.interface import Store

__all__ = ["Bench", "seal"]


@dataclass(frozen=True, slots=True)
class Bench:
    """What sealing works with.

    Attributes:
        store: where pages go.
        registry: in whose log they are named.
        actor: who seals: as whom the replica is known.
        clock: gives the moment, in UTC.
    """

    store: Store
    registry: Registry
    actor: str
    clock: Callable[[], datetime]


class _Seen:
    """What passes by on its way into a page."""

    def __init__(self) -> None:
        self.ids: list[str] = []
        self.first_us = self.last_us = 0

    def watching(self, decisions: Iterator[Decision]) -> Iterator[Decision]:
        for decision in decisions:
            at = decision.at_us
            self.first_us = min(self.first_us or at, at)
            self.last_us = max(self.last_us, at)
            self.ids.append(decision.request_id)
            yield decision


def seal(journal: Path, bench: Bench, *, interrupted: bool, known: bool) -> LedgerPage | None:
    """Seal a journal; the page, or None where nothing was in it.

    Args:
        journal: that nobody writes to any more.
        bench: where to.
        interrupted: whether its replica was killed while it wrote to it.
        known: whether an earlier attempt may have sealed it.

    Raises:
        MissingExtra: pyarrow is not installed.
        Unavailable, NoSpace, PermissionRefused: the store or the registry refused; the journal stays.
        OSError: this machine's disk did.
    """
    scratch = journal.with_suffix(".parquet")
    try:
        page, whole = _sealed(journal, scratch, bench, interrupted=interrupted, known=known)
    finally:
        scratch.unlink(missing_ok=True)
    # (4) Only now.
    if whole or interrupted:
        journal.unlink()
    else:
        # Nobody was killed while it was written, so the disk has damaged it: somebody may want to look at the rest.
        journal.rename(journal.with_suffix(".damaged"))
    return page


def _sealed(
    journal: Path, scratch: Path, bench: Bench, *, interrupted: bool, known: bool
) -> tuple[LedgerPage | None, bool]:
    """The page, and whether the journal could be read to its end."""
    seen = _Seen()
    with journal.open("rb") as stream:
        try:
            found = read_journal(stream, journal.name)
        except IntegrityError:
            return None, False  # it was killed before its first frame was whole
        head = found.head
        if known and (there := _known(head, bench.registry)) is not None:
            return there, True
        # (1) From the first decision to the last that is whole.
        scratch.unlink(missing_ok=True)
        write_page(scratch, head, seen.watching(breathing(found.decisions())))
        dropped, whole = found.dropped, found.whole
    if not seen.ids and not dropped:
        return None, whole
    # (2) Both, or none.
    with bench.store.writer() as writer:
        page = writer.add_file(scratch)
        ids = writer.add_bytes(finder(seen.ids))
        writer.commit()
    # (3) The one commit point.
    now = bench.clock()
    last = _moment(seen.last_us) if seen.ids else now
    sealed = LedgerPage(
        model=head.model,
        stage=head.stage,
        replica=head.replica,
        sequence=head.sequence,
        digest=page.digest,
        finder=ids.digest,
        rows=len(seen.ids),
        bytes=page.size,
        first_at=_moment(seen.first_us) if seen.ids else now,
        last_at=last,
        dropped=dropped,
        sample=head.sample,
        interrupted=interrupted or not whole,
        kept_until=last + timedelta(days=head.days_keep) if head.days_keep else None,
    )
    new = NewEvent(Action.PAGE_SEAL, head.model, head.stage, details=sealed.details())
    key = f"ledger:{head.replica}:{head.sequence}"
    try:
        return LedgerPage.of(bench.registry.record(new, bench.actor, key=key)), whole
    except UsageError:
        # The key is taken: it was sealed before, by another Holdfast that wrote other bytes.
        there = _known(head, bench.registry)
        if there is None:
            raise
        return there, whole


def _known(head: Head, registry: Registry) -> LedgerPage | None:
    """The page that this journal became already."""
    with suppress(HoldfastError):
        for page in ledger_pages(registry, head.model):
            if (page.replica, page.sequence) == (head.replica, head.sequence):
                return page
    return None


def _moment(at_us: int) -> datetime:
    return datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=at_us)
