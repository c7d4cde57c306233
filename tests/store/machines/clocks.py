"""Deleting by a clock that jumps: what is needed stays whatever it says, and the rest goes only as the format says.

The clock that deletes is ours, and the times of files are the machine's: to the former, everything was written within
one moment, at its beginning.
"""

from datetime import UTC, datetime, timedelta

from hypothesis import strategies as st
from hypothesis.stateful import initialize, invariant, precondition, rule

from holdfast.digest import Digest
from holdfast.store.collect import GRACE, UNREFERENCED_AGE, claimed, collect
from holdfast.store.local import LocalStore
from tests.store.collecting import plan_for
from tests.store.machines.local import BYTES_MAX, LocalRules, bytes_of, contents, ways

SLACK = timedelta(minutes=1)
"""Longer than one example takes, and shorter than every jump but the smallest."""

steps = st.sampled_from(
    [timedelta(), timedelta(seconds=1), timedelta(hours=1), timedelta(hours=23), timedelta(hours=25)]
    + [timedelta(days=days) for days in (6, 29, 31, 365, 3650)]
)
jumps = st.tuples(steps, st.sampled_from([1, 1, -1]))


class ClockRules(LocalRules):
    """What is acknowledged is needed; beside it stands what nobody needs, and may go when its time has come."""

    def __init__(self) -> None:
        super().__init__()
        self.beginning = datetime.now(UTC)
        self.now = self.beginning
        self.moments: list[datetime] = []
        """What the clock showed at each run so far."""
        self.known_since: dict[Digest, int] = {}
        """How many runs there had been when a blob was last written, or its writer began."""
        self.writer_since = 0
        self.unnamed: dict[Digest, bytes] = {}
        self.claims: set[Digest] = set()

    @initialize()
    def look_at_the_clock(self) -> None:
        self.beginning = self.now = datetime.now(UTC)

    def is_young(self, now: datetime) -> bool:
        """Whether everything that was written here is too young to be condemned at that moment."""
        return now - UNREFERENCED_AGE < self.beginning - SLACK

    def may_go(self, digest: Digest) -> bool:
        """Whether a blob that nothing needs may have gone with the last run."""
        moments = self.moments[self.known_since[digest] :]
        last = moments[-1]
        for moment in reversed(moments):
            if self.is_young(moment):
                return False  # pardoned then, and not condemned for long enough since
            if last - moment >= GRACE - SLACK:
                return True
        return False

    # Writing and naming

    def acknowledge(self, added: dict[Digest, bytes], store: LocalStore) -> None:
        super().acknowledge(added, store)
        for digest in added:
            self.known_since[digest] = self.writer_since if store is self.store else len(self.moments)
            self.unnamed.pop(digest, None)

    def begun(self) -> None:
        self.writer_since = len(self.moments)

    @rule(content=contents, way=ways)
    def write_what_nobody_needs(self, content: tuple[bytes, list[int]], way: str) -> None:
        data = bytes_of(content)
        with self.other.writer() as writer:
            digest = self.add(writer, data, way).digest
            writer.commit()
        self.known_since[digest] = len(self.moments)
        if digest not in self.acknowledged:
            self.unnamed[digest] = data

    @precondition(lambda self: self.unnamed)
    @rule(which=st.integers(0, 1000))
    def name_what_was_written(self, which: int) -> None:
        """Without writing it again: it is claimed, and then looked for."""
        digest = sorted(self.unnamed)[which % len(self.unnamed)]
        self.store.claim(digest)
        assert self.store.missing([digest]) == set()
        self.acknowledged[digest] = self.unnamed.pop(digest)

    @precondition(lambda self: self.unnamed)
    @rule(which=st.integers(0, 1000))
    def claim(self, which: int) -> None:
        digest = sorted(self.unnamed)[which % len(self.unnamed)]
        self.other.claim(digest)
        self.claims.add(digest)

    @precondition(lambda self: self.acknowledged)
    @rule(which=st.integers(0, 1000))
    def need_no_more(self, which: int) -> None:
        digest = sorted(self.acknowledged)[which % len(self.acknowledged)]
        self.unnamed[digest] = self.acknowledged.pop(digest)

    # Deleting

    @rule(jump=jumps)
    def run(self, jump: tuple[timedelta, int]) -> None:
        """The clock jumps, then a run looks and deletes; also while a writer of ours is open."""
        step, sign = jump
        self.now += sign * step
        self.moments.append(self.now)
        if not self.is_young(self.now):
            self.claims.clear()
        plan = plan_for(self.root, {*self.acknowledged, *claimed(self.root, self.now)} - self.gone(), self.now)
        assert plan.lost == ()
        collect(self.root, plan)

    @rule()
    def run_at_the_beginning(self) -> None:
        """Somebody has set the clock right."""
        self.run((self.now - self.beginning, -1))

    @rule(days=st.integers(32, 40))
    def run_when_all_is_old(self, days: int) -> None:
        self.run((self.beginning + timedelta(days=days) - self.now, 1))

    def gone(self) -> set[Digest]:
        """What may be claimed and is gone: whoever expands a claim looks whether it is here."""
        return self.store.missing(claimed(self.root, self.now))

    @invariant()
    def what_nobody_needs_goes_when_its_time_has_come(self) -> None:
        for digest in self.store.missing(self.unnamed) if self.unnamed else ():
            assert self.may_go(digest)
            assert digest not in self.claims
            del self.unnamed[digest]
        for digest, data in self.unnamed.items():
            assert self.store.read(digest, bytes_max=BYTES_MAX) == data
