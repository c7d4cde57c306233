"""Reading records of a remote: neighbours together, a few windows ahead, and each proved before it is handed out.

A record that rests on a base is put together here and handed out in a codec of its own: nobody else has to know that it
ever rested on anything. Its base is a chunk in a codec without base, so a reader follows one step and never a chain.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

from holdfast.errors import IntegrityError, NotFound
from holdfast.store.codec import base_of, needs_base, pack_bytes, unpack_bytes, without_base
from holdfast.store.faults import UNREADABLE
from holdfast.store.index import Place
from holdfast.store.pack import CHUNK
from holdfast.store.remote.records import Known, Parcel, is_proved, unpacked
from holdfast.store.remote.remote import WINDOW_BYTES, Remote, segment_key

__all__ = ["Reading"]

_GAP_BYTES = 128 << 10
"""Read over rather than asked around: what a line carries in the time of a way there and back."""

_WINDOWS_AT_ONCE = 4
"""Asked for at the same time: a line is full, and memory stays flat."""

_RESTING_BYTES_MAX = 16 << 20
"""Of records that rest on others, so many bytes are put together at once, and as many of their bases held: a short
record may stand for a long chunk."""

_Wanted = tuple[bytes, Place]
_Read = tuple[bytes, Place, bytes, bytes | None]
"""Id, place and stored bytes of a record, and its bytes if they were proved."""

_T = TypeVar("_T")
_R = TypeVar("_R")


class Reading:
    """Reads from `remote`. Its answers are taken by one thread.

    Args:
        remote: whose records.
        known: the local store's: a base that is here is not asked for.
        before_bases: called when everything that rests on nothing was handed out; what was taken by then can serve
            as a base.

    Attributes:
        bytes: read from the remote so far.
    """

    def __init__(self, remote: Remote, known: Known, before_bases: Callable[[], None] = lambda: None) -> None:
        self._remote = remote
        self._known = known
        self._before_bases = before_bases
        self._wrong: dict[bytes, str] = {}
        self.bytes = 0

    def parcels(self, wanted: dict[bytes, int]) -> Iterator[Parcel]:
        """The records, each from the first place that has it whole, and in a codec without base.

        Args:
            wanted: the id of each, with its kind.

        Raises:
            NotFound: one is listed nowhere.
            IntegrityError: no place has it whole; the message says if that is for its base.
        """
        turn = 0
        while wanted:
            alone: list[_Wanted] = []
            resting: list[_Wanted] = []
            nowhere: dict[bytes, bool] = {}
            for id_, kind in wanted.items():
                places = self._places(id_, kind)
                if len(places) <= turn:
                    nowhere[id_] = bool(places)
                    continue
                place = places[turn]
                (resting if kind == CHUNK and needs_base(place.codec) else alone).append((id_, place))
            if nowhere:
                raise self._nowhere(nowhere)
            failed: dict[bytes, int] = {}
            for answer in self._answers(alone, resting):
                for id_, parcel in answer:
                    if parcel is None:
                        failed[id_] = wanted[id_]
                    else:
                        yield parcel
            wanted = failed
            turn += 1

    def bases(self, wanted: dict[bytes, int]) -> dict[bytes, bytes]:
        """The bytes of those chunks, by id with the length of each, that are whole in some place without a base."""
        found: dict[bytes, bytes] = {}
        for id_, length in wanted.items():
            data = self._own(id_, length)
            if data is not None:
                found[id_] = data
        left, turn = [id_ for id_ in wanted if id_ not in found], 0
        while left:
            chosen: list[_Wanted] = []
            for id_ in left:
                places = self._remote.catalog.bases(id_, wanted[id_])
                if turn < len(places):
                    chosen.append((id_, places[turn]))
            left = []
            for run in _neighbours(chosen):
                for id_, _, _, data in self._run(run):
                    if data is None:
                        left.append(id_)
                    else:
                        found[id_] = data
            turn += 1
        return found

    def windows(self, ranges: list[tuple[str, int, int]]) -> Iterator[bytes]:
        """What stands in these ranges, each a key, an offset and a length; not proved."""
        return _at_once(lambda one: self._range(*one), ranges)

    def _places(self, id_: bytes, kind: int) -> list[Place]:
        """Those that can be read by themselves come first."""
        places = (place for place in self._remote.catalog.places(id_) if place.kind == kind)
        return sorted(places, key=lambda place: needs_base(place.codec))

    def _nowhere(self, ids: dict[bytes, bool]) -> Exception:
        """These are whole nowhere; of each whether it is listed."""
        for id_, is_listed in ids.items():
            if is_listed:
                self._remote.note_damage(id_)
        id_, is_listed = next(iter(ids.items()))
        what, hint = f"a record of {self._remote.name} ({id_.hex()[:12]})", "Where the data is whole, run: holdfast "
        if is_listed:
            return IntegrityError(
                f"{what} is damaged: {self._wrong.get(id_, 'its bytes hash to something else')}",
                hint=f"{hint}check --remote NAME --repair",
                remote=self._remote.name,
            )
        return NotFound(f"{what} is lost", hint=f"{hint}push", remote=self._remote.name)

    def _answers(self, alone: list[_Wanted], resting: list[_Wanted]) -> Iterator[list[tuple[bytes, Parcel | None]]]:
        yield from _at_once(self._alone, list(_neighbours(alone)))
        if resting:
            self._before_bases()
            yield from _at_once(self._resting, list(_neighbours(resting, _RESTING_BYTES_MAX)))

    def _alone(self, run: list[_Wanted]) -> list[tuple[bytes, Parcel | None]]:
        return [
            (id_, None if data is None else Parcel(id_, place.kind, place.codec, place.length, stored))
            for id_, place, stored, data in self._run(run)
        ]

    def _resting(self, run: list[_Wanted]) -> list[tuple[bytes, Parcel | None]]:
        """Records on bases, put together and proved."""
        stored = self._stored(run)
        resting: list[tuple[bytes, Place, bytes]] = []
        for id_, place in run:
            try:
                base = base_of(place.codec, stored.get(id_, b""))
            except ValueError as error:
                self._wrong[id_] = str(error)
                continue
            if base is not None:
                resting.append((id_, place, base))
        bases = self.bases({base: place.length for _, place, base in resting})
        answers: dict[bytes, Parcel | None] = {id_: None for id_, _ in run}
        for id_, place, base in resting:
            try:
                data = unpack_bytes(place.codec, stored[id_], place.length, _found(bases, base))
            except UNREADABLE as error:
                self._wrong[id_] = str(error)
                continue
            if is_proved(id_, place, data):
                codec, own = pack_bytes(data, without_base(place.codec))
                answers[id_] = Parcel(id_, place.kind, codec, place.length, own)
        return list(answers.items())

    def _own(self, id_: bytes, length: int) -> bytes | None:
        """A chunk of the local store; None when it has none, or a damaged one."""
        if not any(place.kind == CHUNK and place.length == length for place in self._known.catalog.places(id_)):
            return None
        try:
            return self._known.read(id_, CHUNK)[1]
        except (IntegrityError, NotFound):
            return None

    def _run(self, run: list[_Wanted]) -> list[_Read]:
        """Neighbouring records that rest on nothing, read together and proved."""
        stored = self._stored(run)
        answers: list[_Read] = []
        for id_, place in run:
            whole: bytes | None = None
            try:
                data = unpacked(place, stored.get(id_, b""))
                whole = data if is_proved(id_, place, data) else None
            except UNREADABLE as error:
                self._wrong[id_] = str(error)
            answers.append((id_, place, stored.get(id_, b""), whole))
        return answers

    def _stored(self, run: list[_Wanted]) -> dict[bytes, bytes]:
        """The stored bytes of neighbours; of none when their segment is gone."""
        first, last = run[0][1], run[-1][1]
        begin, end = first.offset, last.offset + last.stored
        try:
            data = self._range(segment_key(first.segment), begin, end - begin)
        except NotFound:
            return {}
        return {id_: data[place.offset - begin : place.offset - begin + place.stored] for id_, place in run}

    def _range(self, key: str, offset: int, length: int) -> bytes:
        data = self._remote.transport.range(key, offset, length) if length else b""
        self.bytes += len(data)
        return data


def _found(bases: dict[bytes, bytes], id_: bytes) -> bytes:
    if id_ not in bases:
        raise IntegrityError(
            f"its base b3:{id_.hex()} is damaged or not there",
            hint="Push the data again from where it is whole.",
        )
    return bases[id_]


def _at_once(work: Callable[[_T], _R], items: Sequence[_T]) -> Iterator[_R]:
    """The answers in order, a few asked for ahead."""
    with ThreadPoolExecutor(_WINDOWS_AT_ONCE, "holdfast-fetch") as pool:
        running: list[Future[_R]] = []
        try:
            for item in items:
                running.append(pool.submit(work, item))
                if len(running) > _WINDOWS_AT_ONCE:
                    yield running.pop(0).result()
            while running:
                yield running.pop(0).result()
        finally:
            for future in running:
                future.cancel()


def _neighbours(chosen: Iterable[_Wanted], length_max: int | None = None) -> Iterator[list[_Wanted]]:
    """Records that are asked for together: of one segment, with small gaps, and not too much at once.

    Args:
        chosen: the records.
        length_max: how many bytes may come out of a run, where that matters more than what is stored.
    """
    run: list[_Wanted] = []
    length = 0
    for one in sorted(chosen, key=lambda one: (one[1].segment, one[1].offset)):
        place = one[1]
        if run:
            first, last = run[0][1], run[-1][1]
            gap = place.offset - last.offset - last.stored
            if (
                place.segment != first.segment
                or gap > _GAP_BYTES
                or place.offset + place.stored - first.offset > WINDOW_BYTES
                or (length_max is not None and length + place.length > length_max)
            ):
                yield run
                run, length = [], 0
        run.append(one)
        length += place.length
    if run:
        yield run
