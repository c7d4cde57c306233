"""Reading the ledger: one decision by its request's id, many by time and version, pages as plain files.

Pages are looked for in the log, and what this machine has not sealed yet in its journals, so that a decision can be
shown a moment after it was made.
"""

from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from heapq import nsmallest
from pathlib import Path

from holdfast.canonical import JsonObject
from holdfast.database.times import to_text
from holdfast.digest import Digest
from holdfast.errors import HoldfastError, IntegrityError, NotFound
from holdfast.names import ModelName, VersionNumber
from holdfast.registry import Registry
from holdfast.registry.ledger_pages import LedgerPage, ledger_pages
from holdfast.serving.ledger.decision import Decision
from holdfast.serving.ledger.journal import read_journal
from holdfast.serving.ledger.page import BRIEF, FINDER_BYTES_MAX, may_have, read_page
from holdfast.serving.ledger.spool import waiting
from holdfast.store.disk import refusing
from holdfast.store.interface import Store

__all__ = ["DECISIONS_MAX", "Found", "Ledger", "Wanted"]

DECISIONS_MAX = 10_000
"""Decisions in one list; whoever wants more wants the pages: `--export`."""

_ABOUT = timedelta(hours=1)
"""How exactly somebody remembers when a decision was made."""


@dataclass(frozen=True, slots=True)
class Found:
    """A decision, and where it stands.

    Attributes:
        decision: the row.
        model: whose.
        stage: of the replica that answered.
        rows: how many rows were answered; None where nobody counted.
        page: the page that it is on; None while it waits in a journal of this machine.
    """

    decision: Decision
    model: ModelName
    stage: str
    rows: int | None
    page: LedgerPage | None

    def brief(self) -> JsonObject:
        """One line of a list."""
        return {
            "model": str(self.model),
            "stage": self.stage,
            **self.decision.brief(),
            "page": None if self.page is None else str(self.page.digest),
        }


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which decisions are looked for.

    Attributes:
        model: whose; None: everybody's.
        since: not before then.
        until: not after then.
        version: only of this version; None: of all.
    """

    model: ModelName | None = None
    since: datetime | None = None
    until: datetime | None = None
    version: VersionNumber | None = None

    @classmethod
    def about(cls, model: ModelName | None, at: datetime | None) -> "Wanted":
        """Those around a moment that somebody remembers, or of all times."""
        return cls(model) if at is None else cls(model, at - _ABOUT, at + _ABOUT)

    def has(self, decision: Decision) -> bool:
        """Whether a decision is one of them."""
        at = decision.at
        return (
            (self.since is None or at >= self.since)
            and (self.until is None or at <= self.until)
            and (self.version is None or decision.version == self.version)
        )


@dataclass
class Ledger:
    """The ledger of a project.

    Attributes:
        registry: in whose log the pages are named.
        store: has them.
        home: of the project, where the journals of this machine are.
        now: the moment, which tells the pages that may be gone.
        gone: pages that were looked for and are no more, since their time is over.
        lost: pages that were looked for and should be there.
    """

    registry: Registry
    store: Store
    home: Path
    now: datetime
    gone: list[LedgerPage] = field(default_factory=list)
    lost: list[LedgerPage] = field(default_factory=list)

    def pages(self, wanted: Wanted) -> tuple[LedgerPage, ...]:
        """The pages on which such decisions can be, newest first, as far as they are there.

        Raises:
            NotFound: no such model.
        """
        if wanted.model is not None:
            self.registry.stages(wanted.model)  # a name that was mistyped has no pages either
        found = [*ledger_pages(self.registry, wanted.model, since=wanted.since, until=wanted.until)]
        absent = self.store.missing(page.digest for page in found)
        for page in found:
            if page.digest in absent:
                (self.lost if page.is_needed(self.now) else self.gone).append(page)
        return tuple(page for page in reversed(found) if page.digest not in absent)

    def decisions_of(self, request_id: str, wanted: Wanted) -> tuple[Found, ...]:
        """Every decision on a request, the newest first: a caller may have used its id twice.

        Raises:
            NotFound: there is none; the message says what was looked through, and what is missing there.
            IntegrityError: a page is damaged, or one on which it may be is lost.
            MissingExtra: pyarrow is not installed.
        """
        pages = self.pages(wanted)
        found = [one for one in self._waiting(wanted) if one.decision.request_id == request_id]
        unknown = self.store.missing(page.finder for page in pages if page.finder is not None)
        for page in pages:
            if page.finder is None or page.finder in unknown or self._may_have(page.finder, request_id):
                found += self._on(page, wanted, request_id)
        if not found:
            raise self._not_found(request_id, wanted, pages)
        return tuple(sorted(_once(found), key=lambda one: -one.decision.at_us))

    def decisions(self, wanted: Wanted, limit: int) -> tuple[Found, ...]:
        """The newest of the decisions that are wanted, without their inputs and answers; the newest first.

        Raises:
            NotFound: no such model.
            IntegrityError: a page is damaged.
            MissingExtra: pyarrow is not installed.
        """
        # Pages overlap in time, since replicas answer beside each other: none is passed over that may have a newer one.
        found = list(self._waiting(wanted))
        for page in sorted(self.pages(wanted), key=lambda one: one.last_at, reverse=True):
            if len(found) >= limit and min(one.decision.at for one in found) > page.last_at:
                break
            found += self._on(page, wanted, None)
            found = nsmallest(limit, _once(found), key=lambda one: -one.decision.at_us)
        return tuple(nsmallest(limit, found, key=lambda one: -one.decision.at_us))

    def export(self, wanted: Wanted, folder: Path) -> tuple[tuple[LedgerPage, Path], ...]:
        """The pages as files below `folder`; those that stand there already are left.

        Raises:
            NotFound: no such model.
            IntegrityError: a page is damaged, or lost.
            NoSpace, PermissionRefused: the operating system refused.
        """
        made = []
        for page in self.pages(wanted):
            place = folder / str(page.model)
            name = f"{to_text(page.first_at)[:19].replace(':', '')}-{page.digest.short}.parquet"
            with refusing(place):
                place.mkdir(parents=True, exist_ok=True)
            if not (place / name).exists():
                self.store.copy_to(page.digest, place / name, mode=0o644)
            made.append((page, place / name))
        if self.lost:
            raise self._lost_pages()
        return tuple(made)

    def _may_have(self, finder: Digest, request_id: str) -> bool:
        return may_have(self.store.read(finder, bytes_max=FINDER_BYTES_MAX), request_id)

    def _on(self, page: LedgerPage, wanted: Wanted, request_id: str | None) -> Iterator[Found]:
        columns = BRIEF if request_id is None else None
        with self.store.open(page.digest) as source:
            for decision, beside in read_page(source, request_id, columns=columns):
                if wanted.has(decision):
                    yield Found(decision, page.model, str(page.stage), beside["rows"], page)

    def _waiting(self, wanted: Wanted) -> Iterator[Found]:
        """What this machine has not sealed yet; a journal that is sealed meanwhile is on its page by then."""
        for path in waiting(self.home, wanted.model):
            with suppress(FileNotFoundError, HoldfastError), path.open("rb") as stream:
                journal = read_journal(stream, path.name)
                for decision in journal.decisions():
                    if wanted.has(decision):
                        yield Found(decision, journal.head.model, str(journal.head.stage), None, None)

    def _lost_pages(self) -> IntegrityError:
        return IntegrityError(
            f"{len(self.lost)} pages of the ledger are lost, such as {self.lost[0].digest}",
            hint="Run: holdfast check",
            lost=[str(page.digest) for page in self.lost],
        )

    def _not_found(self, request_id: str, wanted: Wanted, pages: Iterable[LedgerPage]) -> HoldfastError:
        if self.lost:
            return self._lost_pages()
        looked = list(pages)
        dropped, share = sum(page.dropped for page in looked), min((page.sample for page in looked), default=1.0)
        whose = "any model" if wanted.model is None else str(wanted.model)
        said = f"no decision on request {request_id[:128]} of {whose} is in the {len(looked)} pages of the ledger"
        if self.gone:
            said += f"; {len(self.gone)} more are gone, since their time is over"
        if dropped:
            said += f"; {dropped} decisions were dropped there"
        if any(page.interrupted for page in looked):
            said += "; a replica was killed there, and its last second is missing"
        if share < 1:
            said += f"; a share of {share:g} was kept"
        return NotFound(
            said,
            hint="A replica on another machine seals its page within `page_seconds`; without --at all times are read.",
            pages=len(looked),
            dropped=dropped,
        )


def _once(found: Iterable[Found]) -> Iterator[Found]:
    """Each once: a journal may be sealed between the two looks."""
    seen: dict[tuple[object, ...], Found] = {}
    for one in found:
        mark = (one.decision.request_id, one.decision.at_us, one.decision.digest, one.decision.seconds)
        if one.page is not None or mark not in seen:
            seen[mark] = one
    return iter(seen.values())
