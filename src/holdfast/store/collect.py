"""Deleting from a local store what nothing needs, in two runs with a grace period between them.

    plan = plan_collection(root, [(digest, "churn@4"), ...], now)      looks, and changes nothing
    collected = collect(root, plan)                                    condemns what is new, deletes what is due

The store knows nothing of names: whoever calls brings the digests that are needed, each with the reason, and has
expanded the trees. docs/FORMAT.md, "Deleting", says why this is safe beside writers, and after a crash at any moment.
"""

import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

from holdfast.digest import Digest
from holdfast.errors import IntegrityError, NotFound, Unavailable
from holdfast.store.catalog import Catalog
from holdfast.store.condemned import read_condemned, write_condemned
from holdfast.store.disk import fsync_folder, refusing
from holdfast.store.index import EXACT, PACK, Segment
from holdfast.store.layout import SCRATCH_PREFIX, Layout
from holdfast.store.marking import Kept, Marking, Weight
from holdfast.store.pack import RECIPE
from holdfast.store.repacking import Saved, broken_recipes, save_needed
from holdfast.store.scratch import Scratch, scratch
from holdfast.store.turns import alone, sole_collector

__all__ = [
    "DEAD_SHARE_MAX",
    "GRACE",
    "UNREFERENCED_AGE",
    "Collected",
    "Doomed",
    "Kept",
    "Plan",
    "claimed",
    "collect",
    "plan_collection",
]

GRACE = timedelta(hours=24)
"""A working day: whoever began to write before a segment was condemned, and names what relies on it after, is found."""

UNREFERENCED_AGE = timedelta(days=30)
"""Data is frozen first and named later, by the run or the version that used it: a month is a long training."""

DEAD_SHARE_MAX = 0.2
"""Below a fifth, rewriting a pack moves four bytes or more to free one."""


_Moments = tuple[int, int]
"""When a segment was written, and when a writer last relied on it, in nanoseconds since 1970; 0 for never."""

_NOTHING = Weight()

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Doomed:
    """A segment that goes.

    Attributes:
        segment: which.
        live_bytes: of it that are needed, and will be written elsewhere first.
        since: when it was condemned; None if it was not yet.
        due: when it may be deleted.
    """

    segment: Segment
    live_bytes: int
    since: datetime | None
    due: datetime


@dataclass(frozen=True, slots=True)
class Plan:
    """What would be done.

    Attributes:
        now: the moment for which this holds.
        kept: what each reason keeps.
        spared: what each name has that may go, since somebody else holds it.
        lost: needed blobs that the store does not have whole; nothing is deleted while there are any.
        doomed: what goes, by name.
        pardoned: what was condemned and stays.
        bytes: of all segments.
        recent_bytes: that nothing needs, in segments too young to be condemned.
        tolerated_bytes: that nothing needs, in segments that are not worth rewriting for it.
    """

    now: datetime
    kept: Mapping[str, Kept]
    spared: Mapping[str, Kept]
    lost: tuple[Digest, ...]
    doomed: tuple[Doomed, ...]
    pardoned: tuple[Segment, ...]
    bytes: int
    recent_bytes: int
    tolerated_bytes: int
    seen: "_Seen" = field(repr=False)

    @property
    def due(self) -> tuple[Doomed, ...]:
        """What may be deleted now."""
        return tuple(one for one in self.doomed if one.since is not None and one.due <= self.now)


@dataclass(frozen=True, slots=True)
class _Seen:
    """What a plan was made from, so that it can be told when it no longer holds."""

    marking: Marking
    moments: Mapping[Segment, _Moments]
    claims: Mapping[str, int]
    lists: frozenset[str]
    age: timedelta


@dataclass(frozen=True, slots=True)
class Collected:
    """What was done.

    Attributes:
        deleted: segments.
        bytes_freed: by deleting them, less what was written elsewhere.
        bytes_rewritten: that were written elsewhere.
        condemned: segments that are condemned now and were not before.
        stuck: segments that were due, and stay because a needed record in them is damaged everywhere.
    """

    deleted: tuple[Segment, ...]
    bytes_freed: int
    bytes_rewritten: int
    condemned: tuple[Segment, ...]
    stuck: tuple[Segment, ...]


def claimed(root: Path, now: datetime, age: timedelta = UNREFERENCED_AGE) -> tuple[Digest, ...]:
    """The trees that somebody has said to work with, not longer than `age` ago."""
    since = _nanoseconds(now - age)
    layout = Layout(root.absolute())
    return tuple(Digest(name) for name, at in sorted(layout.touched_ns(layout.claims).items()) if at > since)


def plan_collection(
    root: Path,
    needed: Iterable[tuple[Digest, str]],
    now: datetime,
    *,
    spare: Iterable[tuple[Digest, str]] = (),
    age: timedelta = UNREFERENCED_AGE,
    grace: timedelta = GRACE,
) -> Plan:
    """What could be deleted from the store in `root`, and what stays and why. Nothing is changed.

    Args:
        root: the folder of the store.
        needed: every blob that must stay, each with the reason; it is gone through once.
        now: the moment.
        spare: blobs that need not stay, each with a name for which they are counted; gone through after `needed`.
        age: of what is never condemned.
        grace: between condemning and deleting.

    Raises:
        IntegrityError: an index file is damaged, so that it cannot be known what is where.
        PermissionRefused: something could not be looked at.
    """
    layout = Layout(root.absolute())
    claims = layout.touched_ns(layout.claims)
    since, lists = read_condemned(layout)
    catalog = Catalog(layout)
    catalog.refresh()
    if catalog.unreadable:
        raise IntegrityError(
            f"the index file {min(catalog.unreadable)} is damaged, so that it cannot be known what is where",
            hint="Run: holdfast check --repair. It builds the index again from the packs.",
        )
    marking = Marking(layout, catalog, since.__contains__)
    kept, lost = marking.need_all(needed)
    spared = marking.spare_all(spare)
    moments = _moments(layout, marking)
    young, doomed, recent, tolerated = _nanoseconds(now - age), [], 0, 0
    weights = marking.weigh()
    inside = {one for one, weight in weights.items() if one.kind == EXACT and weight.live and one in moments}
    if marking.need_what_is_said_of(
        one for one in inside if max(moments[one]) > young or weights[one].dead <= DEAD_SHARE_MAX
    ):
        weights = marking.weigh()
    for segment, moment in sorted(moments.items()):
        if segment in marking.needed_exact:
            continue
        alive, dead = weights.get(segment, _NOTHING).live, weights.get(segment, _NOTHING).dead
        if max(moment) > young:
            recent += int(segment.size * dead)
        elif not alive or dead > DEAD_SHARE_MAX:
            at = since.get(segment)
            doomed.append(Doomed(segment, alive, at, (at or now) + grace))
        else:
            tolerated += int(segment.size * dead)
    # One that goes later stands until then: the recipe moves, where what it is in goes now.
    marking.need_what_is_said_of(inside & {one.segment for one in doomed if one.since is None or one.due > now})
    goes = {one.segment for one in doomed}
    return Plan(
        now=now,
        kept=kept,
        spared=spared,
        lost=lost,
        doomed=tuple(doomed),
        pardoned=tuple(sorted(segment for segment in since if segment in moments and segment not in goes)),
        bytes=sum(segment.size for segment in moments),
        recent_bytes=recent,
        tolerated_bytes=tolerated,
        seen=_Seen(marking, moments, claims, lists, age),
    )


def collect(root: Path, plan: Plan, *, still_holds: Callable[[], bool] = lambda: True) -> Collected:
    """Do what the plan says: delete what is due, pardon what is needed again, condemn what is new.

    Args:
        root: the folder of the store.
        plan: made a moment ago.
        still_holds: asked at the last moment, when nobody can commit: whether nothing more is needed than the plan was
            made for.

    Raises:
        Unavailable: somebody else deletes, writes without end, or something has come to be needed since the plan was
            made; nothing was deleted. Make a new plan.
        IntegrityError: the store lacks something that is needed; nothing was deleted.
        NoSpace, PermissionRefused: the operating system refused; what is needed is there, and a repetition goes on.
    """
    layout = Layout(root.absolute())
    if plan.lost:
        raise IntegrityError(
            f"the store lacks {len(plan.lost)} blob(s) that are needed, such as {plan.lost[0]}",
            hint="Run: holdfast check. Nothing is deleted from a store that has lost something.",
            lost=[str(digest) for digest in plan.lost[:20]],
        )
    layout.prepare_to_write()
    with sole_collector(layout), scratch(layout.tmp, SCRATCH_PREFIX) as mine:
        since, lists = read_condemned(layout)
        if lists != plan.seen.lists:
            raise _overtaken("another run has deleted or condemned something")
        due = {one.segment for one in plan.due}
        saved = Saved(0, frozenset())
        if due:
            doomed = {one.segment.name for one in plan.doomed}
            # (1) what is needed of it, elsewhere; docs/FORMAT.md, "Deleting", has the same numbers
            saved = save_needed(layout, mine, plan.seen.marking.judged(), due, doomed - {s.name for s in due})
        with alone(layout):
            _refuse_what_changed(layout, plan, still_holds)
            deleted = _delete(layout, mine, plan, due - saved.stuck) if due else ()
            left = {
                one.segment: since.get(one.segment, plan.now)
                for one in plan.doomed
                if one.segment not in deleted and _is_as_it_was(layout, plan, one.segment)
            }
            # (4) the lists
            if left.keys() != since.keys():
                write_condemned(layout, mine, left, lists)
            # (5) what has served its time
            _forget(layout, plan)
    return Collected(
        deleted=deleted,
        bytes_freed=sum(segment.size for segment in deleted) - saved.bytes,
        bytes_rewritten=saved.bytes,
        condemned=tuple(sorted(segment for segment in left if segment not in since)),
        stuck=tuple(sorted(saved.stuck)),
    )


# Looking


def _moments(layout: Layout, marking: Marking) -> dict[Segment, _Moments]:
    """Every segment that stands, and when it was last written, and used."""
    used = layout.touched_ns(layout.used)
    found = {}
    for segment in [*marking.exact, *_packs(layout)]:
        if (written := _touched_ns(layout, layout.segment(segment))) is not None:
            found[segment] = (written, used.get(segment.name, 0))
    return found


def _packs(layout: Layout) -> Iterator[Segment]:
    for name in layout.names(layout.packs):
        with suppress(NotFound), refusing(layout.root):
            yield Segment(PACK, name, os.lstat(layout.segment(Segment(PACK, name, 0))).st_size)


def _touched_ns(layout: Layout, path: str | Path) -> int | None:
    with suppress(NotFound), refusing(layout.root):
        return os.lstat(path).st_mtime_ns
    return None


def _is_as_it_was(layout: Layout, plan: Plan, segment: Segment) -> bool:
    """Whether nobody has written the segment, or relied on it, since the plan was made; what is gone is as it was."""
    written = _touched_ns(layout, layout.segment(segment))
    used = _touched_ns(layout, layout.used / segment.name) or 0
    return written is None or (written, used) == plan.seen.moments[segment]


# Deleting


def _refuse_what_changed(layout: Layout, plan: Plan, still_holds: Callable[[], bool]) -> None:
    before = plan.seen.claims
    new = [name for name, at in layout.touched_ns(layout.claims).items() if before.get(name) != at]
    if new:
        raise _overtaken(f"somebody has begun to work with the tree sha256:{new[0]}")
    if not still_holds():
        raise _overtaken("a version, a run, a file or a hold was added")


def _overtaken(what: str) -> Unavailable:
    return Unavailable(
        f"{what} since this run looked; nothing was deleted", hint="Repeat: it will look again at what is needed."
    )


def _delete(layout: Layout, mine: Scratch, plan: Plan, due: Iterable[Segment]) -> tuple[Segment, ...]:
    """Delete what has not been written or used since the plan was made; what that was."""
    going = {one for one in due if _is_as_it_was(layout, plan, one)}
    catalog = Catalog(layout)
    for one in plan.due:
        if one.segment.kind == EXACT and one.segment not in going:  # it stays, and so does what says what is in it
            places = catalog.places(bytes.fromhex(one.segment.name))
            going.difference_update(place.segment for place in places if place.kind == RECIPE)
    if not going:
        return ()
    # (2) the index says nothing of it any more
    names = {(one.kind, one.name) for one in going}
    gone = {one for file in catalog.files.values() for one in file.segments if (one.kind, one.name) in names}
    broken = broken_recipes(layout, catalog, gone)
    made, replaced = set(), []
    for name, file in catalog.files.items():
        if not gone.isdisjoint(file.segments) or any(map(file.holds, broken)):
            data = file.without(gone, broken)
            made.add("" if data is None else catalog.write(mine, data))
            replaced.append(name)
    _unlink([layout.index / name for name in replaced if name and name not in made])
    # (3) the segments
    _unlink([Path(layout.segment(one)) for one in sorted(going)])
    return tuple(sorted(going))


def _unlink(paths: list[Path]) -> None:
    for path in paths:
        with refusing(path), suppress(FileNotFoundError):
            os.unlink(path)  # noqa: PTH108 - one way of touching the disk, which tests stand in for
    for folder in sorted({path.parent for path in paths}):
        with refusing(folder):
            fsync_folder(folder)


def _forget(layout: Layout, plan: Plan) -> None:
    """Remove the notes that prove nothing any more. Best effort: they are in nobody's way."""
    old = _nanoseconds(plan.now - plan.seen.age)
    for folder in (layout.used, layout.claims):
        for name, at in layout.touched_ns(folder).items():
            if at < old:
                with suppress(OSError):
                    os.unlink(folder / name)  # noqa: PTH108 - one way of touching the disk, which tests stand in for


def _nanoseconds(moment: datetime) -> int:
    """Since 1970, as files have it."""
    return (moment.astimezone(UTC) - _EPOCH) // timedelta(microseconds=1) * 1000
