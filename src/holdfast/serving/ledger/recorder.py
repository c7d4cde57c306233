"""The recorder: sees what a replica answers, and writes it into the ledger, off the path of the answers.

    the event loop    see: decides by the request's id, and puts what is kept into a bounded queue
    the writer        a thread: drops fields, writes the journal every 50 ms, syncs it every second
    the sealer        a thread: makes full journals into pages, and tries again where the store or the registry is away

A queue that is full drops the decision and counts it; the count goes into the page, into its event and into the
replica's log. An answer never waits for the ledger: where it did, a full disk of a log would be an outage of the
service.
"""

import asyncio
import logging
import threading
import time
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from holdfast.errors import HoldfastError, Unavailable
from holdfast.names import ModelName, StageName
from holdfast.serving.ledger.breathing import breathing
from holdfast.serving.ledger.decision import Decision, salted
from holdfast.serving.ledger.journal import Head, Journal
from holdfast.serving.ledger.keeping import chosen, kept
from holdfast.serving.ledger.page import require_parquet
from holdfast.serving.ledger.sealing import Bench, seal
from holdfast.serving.ledger.spool import Spool, folder_of, left_behind
from holdfast.serving.observing import Observed
from holdfast.serving.settings import LedgerSettings
from holdfast.store.disk import refusing

__all__ = ["QUEUE_BYTES_MAX", "QUEUE_MAX", "Recorder"]

_LOG = logging.getLogger("holdfast.serving")

QUEUE_MAX = 20_000
"""Decisions that wait for the writer: two seconds of more than a replica answers."""

QUEUE_BYTES_MAX = 64 << 20
"""And the bytes of their requests and answers."""

SPOOL_BYTES_MAX = 1 << 30
"""What waits to be sealed while the store or the registry is away: hours of a busy service. Past it decisions are
dropped and counted."""

JOURNAL_BYTES_MAX = 64 << 20
"""A page is sealed when its journal has so many bytes, whatever its rows are: so much is read again to seal it."""

_DRAIN_SECONDS = 0.05
"""How often the queue is emptied: what a kill costs of the decisions before it."""

_TAKE_SECONDS_MAX = 60.0
"""How long another replica may look at our folder, which is empty."""

_SYNC_SECONDS = 1.0
"""How often the journal is made to survive a loss of power."""

_RETRY_SECONDS_MIN = 1.0
_RETRY_SECONDS_MAX = 60.0
"""The pauses between attempts to seal what could not be sealed."""

_END_SECONDS_MAX = 15.0
"""What the last page may take at the end of a replica; its journal stays otherwise, for the next one."""


class Recorder:
    """An `Observer` that writes the ledger of one replica.

    Attributes:
        dropped: how many decisions were dropped since the start.
    """

    def __init__(
        self,
        home: Path,
        model: ModelName,
        stage: StageName,
        replica: str,
        *,
        settings: LedgerSettings,
        bench: Bench,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        """Args: home: the project's; settings: which decisions, and what of them; bench: where pages go.

        Raises:
            MissingExtra: pyarrow is not installed.
        """
        require_parquet()
        self.dropped = 0
        self._root = folder_of(home, model, stage)
        self._folder = self._root / replica
        self._model, self._stage, self._replica = model, stage, replica
        self._settings = settings
        self._bench = bench
        self._monotonic = monotonic
        self._queue: deque[Observed] = deque()
        # Each is counted by one thread alone, so that neither needs a lock.
        self._put_bytes = self._taken_bytes = 0
        self._told_dropped = 0
        self._unwritten = 0
        self._spool: Spool | None = None
        self._journal: Journal | None = None
        self._began = self._synced = 0.0
        self._sequence = 0
        self._written = False
        self._ending = threading.Event()
        self._full = threading.Event()
        self._threads: list[threading.Thread] = []
        self._warned: set[str] = set()

    def see(self, observed: Observed) -> None:
        """See `Observer.see`."""
        if not chosen(observed.request_id, self._settings.share):
            return
        size = _size(observed)
        if len(self._queue) >= QUEUE_MAX or self._put_bytes - self._taken_bytes + size > QUEUE_BYTES_MAX:
            self.dropped += 1
            return
        self._put_bytes += size
        self._queue.append(observed)

    async def start(self) -> None:
        """See `Observer.start`.

        Raises:
            NoSpace, PermissionRefused, Unavailable: there can be no folder for the journals.
        """
        await asyncio.to_thread(self._take)
        for work, name in ((self._write, "ledger-writer"), (self._seal, "ledger-sealer")):
            thread = threading.Thread(target=work, name=name, daemon=True)
            thread.start()
            self._threads.append(thread)

    async def stop(self) -> None:
        """See `Observer.stop`: what is written is sealed, unless that takes too long."""
        self._ending.set()
        await asyncio.to_thread(self._wait)

    def _take(self) -> None:
        end = self._monotonic() + _TAKE_SECONDS_MAX
        with refusing(self._folder):
            # A replica that starts at the same time may take the new folder for one that was left behind, for a moment.
            while (spool := Spool.take(self._folder)) is None:
                if self._monotonic() > end:
                    raise Unavailable("the ledger's folder is taken", hint=f"Who has {self._folder}/lock open?")
                time.sleep(_DRAIN_SECONDS)
        self._spool = spool

    def _wait(self) -> None:
        for thread in self._threads:
            thread.join(_END_SECONDS_MAX)
        if self._spool is not None and not any(thread.is_alive() for thread in self._threads):
            self._spool.leave()
            self._spool = None

    # The writer.

    def _write(self) -> None:
        ended, said = False, ""
        while not ended:
            ended = self._ending.wait(_DRAIN_SECONDS)
            try:
                self.write_down()
                if self._journal is not None and (ended or self._is_due(self._journal)):
                    self._turn(self._journal)
                trouble = "" if not self._unwritten else f"more than {SPOOL_BYTES_MAX} bytes wait to be sealed"
            except OSError as error:
                trouble = str(error.strerror)
            if trouble and trouble != said:
                _LOG.error("%s@%s: the ledger drops decisions: %s", self._model, self._stage, trouble)
            said = trouble
        self._written = True
        self._full.set()

    def write_down(self) -> None:
        """Write what waits into the journal; what the disk refuses is dropped and counted.

        Raises:
            OSError: it refused.
        """
        taken = [self._queue.popleft() for _ in range(len(self._queue))]
        lost = self.dropped - self._told_dropped + self._unwritten
        if not taken and not lost:
            if self._journal is not None:
                self._sync(self._journal)
            return
        self._taken_bytes += sum(map(_size, taken))
        self._told_dropped = self.dropped
        self._unwritten = 0
        if self._spool is None or self._spool.bytes > SPOOL_BYTES_MAX:
            self._unwritten = lost + len(taken)
            return
        try:
            self._begun().append([self._decision(one) for one in breathing(taken)], lost)
            self._sync(self._begun())
        except OSError:
            self._unwritten = lost + len(taken)
            raise
        if lost:
            _LOG.warning("%s@%s: %s decisions are missing in the ledger", self._model, self._stage, lost)

    def _warn(self, observed: Observed) -> None:
        """Say once for each version which fields to be dropped its rows do not have: a misspelt one stays in."""
        digest, schema = str(observed.live.digest), observed.live.schema
        if digest in self._warned or schema is None:
            return
        self._warned.add(digest)
        there = {column.name.casefold() for column in schema.columns}
        if lacking := [name for name in self._settings.redact if name.casefold() not in there]:
            _LOG.warning(
                "%s@%s: the ledger is to drop %s; version %s takes no such column, and other names are kept",
                self._model,
                self._stage,
                ", ".join(lacking),
                observed.live.number,
            )

    def _decision(self, observed: Observed) -> Decision:
        if self._settings.redact:
            self._warn(observed)
        left = kept(self._settings, observed.shape, observed.request, observed.sent)
        # A key of JSON may be no Unicode, as for `bucketing`.
        key = None if observed.key is None else observed.key.encode("utf-8", "surrogatepass")
        return Decision(
            request_id=observed.request_id,
            at_us=round(observed.at * 1_000_000),
            version=observed.live.number,
            digest=str(observed.live.digest),
            epoch=observed.route.epoch,
            reason=observed.reason,
            key_digest=None if key is None else str(salted(left.salt, key)),
            salt=left.salt,
            shape=observed.shape,
            input_kept=left.how,
            input_digest=None if left.digest is None else str(left.digest),
            input=left.data,
            output=observed.answer,
            error=observed.error,
            seconds=observed.seconds,
            sent=observed.sent.kind,
            wanted=observed.sent.wanted,
            head=observed.sent.head,
        )

    def _begun(self) -> Journal:
        if self._journal is None:
            assert self._spool is not None  # noqa: S101 - the caller looked, for the type checker
            head = Head(
                model=self._model,
                stage=self._stage,
                replica=self._replica,
                sequence=self._sequence + 1,
                sample=self._settings.share,
                days_keep=self._settings.days_keep,
            )
            self._journal = Journal(self._spool.next_path(head.sequence), head)
            self._sequence = head.sequence
            self._began = self._synced = self._monotonic()
        return self._journal

    def _sync(self, journal: Journal) -> None:
        if (now := self._monotonic()) - self._synced >= _SYNC_SECONDS:
            journal.sync()
            self._synced = now

    def _is_due(self, journal: Journal) -> bool:
        old = self._monotonic() - self._began >= self._settings.page_seconds
        return old or journal.rows >= self._settings.page_rows or journal.bytes >= JOURNAL_BYTES_MAX

    def _turn(self, journal: Journal) -> None:
        """Begin another journal, and leave this one to the sealer."""
        assert self._spool is not None  # noqa: S101 - it has a journal, for the type checker
        self._journal = None
        with suppress(OSError):
            journal.sync()  # the store makes the page durable in any case
        journal.close()
        self._spool.full(journal.path)
        self._full.set()

    # The sealer.

    def _seal(self) -> None:
        for spool in left_behind(self._root):
            self._seal_left(spool)
        pause, trouble = 0.0, ""
        while True:
            self._full.wait(pause or None)
            self._full.clear()
            ended = self._written
            said = self._seal_full(again=bool(trouble))
            if said and said != trouble:
                _LOG.error("%s@%s: pages of the ledger wait to be sealed: %s", self._model, self._stage, said)
            trouble = said
            pause = min(pause * 2 or _RETRY_SECONDS_MIN, _RETRY_SECONDS_MAX) if trouble else 0.0
            if ended:
                return

    def _seal_full(self, *, again: bool) -> str:
        """Seal what waits; why not, where it could not be."""
        assert self._spool is not None  # noqa: S101 - it was taken before this thread began, for the type checker
        trouble = ""
        for path in self._spool.waiting():
            try:
                page = seal(path, self._bench, interrupted=False, known=again)
            except (Unavailable, OSError) as error:
                return str(error)  # what keeps pages is away: the next one would fare no better
            except (HoldfastError, ValueError) as error:
                trouble = trouble or str(error)  # one that cannot be sealed keeps none of the others waiting
                continue
            if page is not None:
                _LOG.info("%s@%s: sealed %s decisions of the ledger", self._model, self._stage, page.rows)
        return trouble

    def _seal_left(self, spool: Spool) -> None:
        """Seal what a replica left that was killed; what cannot be sealed waits for the next start."""
        try:
            for path, interrupted in (
                *((path, False) for path in spool.waiting()),
                *((path, True) for path in spool.interrupted()),
            ):
                page = seal(path, self._bench, interrupted=interrupted, known=True)
                rows = 0 if page is None else page.rows
                _LOG.warning("%s@%s: %s decisions of a killed replica sealed", self._model, self._stage, rows)
        except (HoldfastError, OSError, ValueError) as error:
            _LOG.error("%s@%s: a killed replica's ledger waits: %s", self._model, self._stage, error)
        finally:
            spool.leave()


def _size(observed: Observed) -> int:
    return len(observed.request) + len(observed.answer or b"")
