"""Pushing to a remote and pulling from it: what it acknowledged is restored from it, whatever becomes of the rest.

Two people share each remote: we, whose store is spoilt and cleaned up, and they, whose store is left alone.
"""

import hashlib
import shutil
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from blake3 import blake3
from hypothesis import strategies as st
from hypothesis.stateful import initialize, precondition, rule

from holdfast.digest import Digest
from holdfast.errors import IntegrityError, NotFound, Unavailable
from holdfast.store.local import LocalStore
from holdfast.store.remote import incoming, intake, outgoing
from holdfast.store.remote.direct import RemoteStore
from holdfast.store.remote.folder import FolderTransport
from holdfast.store.remote.incoming import Incoming
from holdfast.store.remote.outgoing import Outgoing
from holdfast.store.remote.refs import SnapshotRef
from holdfast.store.remote.remote import Remote
from holdfast.store.remote.transport import Transport
from tests.store.looking import exact_files, index_files, packs
from tests.store.machines.lines import LINES, Beside, line
from tests.store.machines.local import BYTES_MAX, LocalRules, bytes_of, contents
from tests.store.spoiling import flip

shares = st.integers(0, 4)
"""Which quarter of the digests; 4 is all of them."""

lines = st.tuples(st.sampled_from(LINES), st.integers(0, 1000))
OURS, THEIRS = "ours", "theirs"
people = st.sampled_from([OURS, THEIRS])


def some(digests: Iterable[Digest], share: int) -> list[Digest]:
    return sorted(digest for digest in digests if share in {4, int(digest.hex[:8], 16) % 4})


def standing(root: Path) -> list[Path]:
    return [*packs(root), *exact_files(root), *index_files(root)]


def is_damaged(path: Path) -> bool:
    """Whether a pack, an exact file or an index file is not what it is named by."""
    state = hashlib.sha256() if path.parent.parent.name == "blobs" else blake3()
    state.update(path.read_bytes())
    return bool(state.hexdigest() != path.name)


@dataclass
class Far:
    """One remote, and the model of it.

    Attributes:
        root: its folder.
        reached: what it acknowledged: a ref was written, or could have been.
        spoilt: of this, what may be damaged since.
        is_hidden: whether there may be damage that some machine does not know of, and so relies on.
    """

    root: Path
    reached: dict[Digest, bytes] = field(default_factory=dict)
    spoilt: set[Digest] = field(default_factory=set)
    is_hidden: bool = False

    @property
    def whole(self) -> set[Digest]:
        return set(self.reached) - self.spoilt


class SharingRules(LocalRules):
    """One remote between us and them.

    A rule for another remote needs a `Far` of its own and the small steps below; `archiving.py` has one.
    """

    def __init__(self) -> None:
        super().__init__()
        patch = self.cleaning.enter_context(pytest.MonkeyPatch.context())
        patch.setattr(outgoing, "PACK_BYTES", 4000)
        patch.setattr(intake, "PACK_BYTES", 4000)
        patch.setattr(outgoing, "_BATCH_RECORDS", 3)
        patch.setattr(outgoing, "_WHOLE_BYTES_MAX", 1000)
        patch.setattr(incoming, "_BLOBS_AT_ONCE", 5)
        patch.setattr(incoming, "WINDOW_BYTES", 2000)
        self.far = Far(self.folder / "remote")
        self.theirs: dict[Digest, bytes] = {}
        self.opened = 0

    def teardown(self) -> None:
        try:
            self.restore(self.far)
        finally:
            super().teardown()

    # Small steps, for any remote

    def remote(self, far: Far, who: str | None = None, way: Transport | None = None) -> Remote:
        """The remote as `who` sees it, or somebody who was never there."""
        self.opened += 1
        cache = self.folder / f"cache-{far.root.name}-{who or self.opened}"
        return Remote(way or FolderTransport(far.root), cache)

    def send(
        self,
        far: Far,
        source: LocalStore,
        digests: list[Digest],
        remote: Remote,
        *,
        may_die: bool,
        bases: dict[Digest, list[Digest]] | None = None,
    ) -> bool:
        """Push from a store, or with bases archive; whether it was acknowledged."""
        try:
            Outgoing(source.root, remote).send(digests, bases=bases)
            remote.refer([SnapshotRef(digest) for digest in digests])
        except Unavailable:
            assert may_die
            if far.is_hidden:  # something damaged may have been removed, and not created again
                far.spoilt |= set(far.reached)
            return False
        return True

    def reach(self, far: Far, sent: dict[Digest, bytes]) -> None:
        """A push returned."""
        far.reached |= sent
        if far.is_hidden:
            far.spoilt |= set(sent)

    def fetch(
        self, far: Far, store: LocalStore, digests: list[Digest], remote: Remote, *, may_die: bool
    ) -> set[Digest]:
        """Pull into a store, what has to be whole together and what may be damaged one by one; what came."""
        got: set[Digest] = set()
        doubtful = [digest for digest in digests if digest in far.spoilt]
        for asked in [[digest for digest in digests if digest not in far.spoilt], *([one] for one in doubtful)]:
            try:
                Incoming(store, remote).fetch(asked)
                got.update(asked)
            except Unavailable:
                assert may_die
                break
            except (IntegrityError, NotFound):
                assert asked[0] in far.spoilt
        return got

    def restore(self, far: Far) -> None:
        """All that the remote acknowledged, into an empty store, by somebody who was never there."""
        if not far.reached:
            return
        root = self.folder / "empty"
        try:
            store = LocalStore(root)
            got = self.fetch(far, store, sorted(far.reached), self.remote(far), may_die=False)
            assert far.whole <= got
            for digest in got:
                assert LocalStore(root).read(digest, bytes_max=BYTES_MAX) == far.reached[digest]
            assert store.check().ok
        finally:
            shutil.rmtree(root, ignore_errors=True)

    def lost(self, far: Far, remote: Remote) -> set[Digest]:
        """What a check of the remote finds to be damaged or lost of what it acknowledged."""
        remote.cutting()
        store = RemoteStore(remote, 1 << 20)
        found = {one.digest for one in store.check().damaged}
        return (found | store.missing(far.reached)) & set(far.reached)

    # Pushing and pulling

    @initialize(several=st.lists(contents, max_size=8))
    def push_what_was_there_before(self, several: list[tuple[bytes, list[int]]]) -> None:
        for content in several:
            there = self.they_add(content)
        if several:
            assert self.send(self.far, there, sorted(self.theirs), self.remote(self.far, THEIRS), may_die=False)
            self.reach(self.far, self.theirs)

    @rule(share=shares, way=lines)
    def push(self, share: int, way: tuple[str, int]) -> None:
        kind, seed = way
        digests = some(self.acknowledged, share)
        remote = self.remote(self.far, OURS, line(self.far.root, kind, seed))
        try:
            is_there = self.send(self.far, self.store, digests, remote, may_die=kind == "dying")
        except (IntegrityError, NotFound):
            assert set(digests) & self.spoilt
            return
        if is_there:
            self.reach(self.far, {digest: self.acknowledged[digest] for digest in digests})

    @rule(content=contents, way=lines, share=shares)
    def they_push(self, content: tuple[bytes, list[int]], way: tuple[str, int], share: int) -> None:
        kind, seed = way
        there = self.they_add(content)
        digests = some(self.theirs, share)
        remote = self.remote(self.far, THEIRS, line(self.far.root, kind, seed))
        if self.send(self.far, there, digests, remote, may_die=kind == "dying"):
            self.reach(self.far, {digest: self.theirs[digest] for digest in digests})

    @rule(content=contents, at=st.integers(0, 6))
    def push_beside_them(self, content: tuple[bytes, list[int]], at: int) -> None:
        """They push all they have, and something that we share, while one of our files is on its way."""
        there, digests = self.they_add(content), sorted(set(self.acknowledged) - self.spoilt)

        def they() -> None:
            self.send(self.far, there, sorted(self.theirs), self.remote(self.far, THEIRS), may_die=False)
            done.append(True)

        done: list[bool] = []
        ours = self.remote(self.far, OURS, Beside(self.far.root, at, they))
        assert self.send(self.far, self.store, digests, ours, may_die=False)
        self.reach(self.far, {digest: self.acknowledged[digest] for digest in digests})
        if done:
            self.reach(self.far, self.theirs)

    @rule(share=shares, way=lines)
    def pull(self, share: int, way: tuple[str, int]) -> None:
        """Also what was let go of here; also while a writer of ours is open."""
        kind, seed = way
        remote = self.remote(self.far, OURS, line(self.far.root, kind, seed))
        digests = some(self.far.reached, share)
        got = self.fetch(self.far, self.store, digests, remote, may_die=kind == "dying")
        self.acknowledge({digest: self.far.reached[digest] for digest in got}, self.store)

    @rule(share=shares, way=lines)
    def they_pull(self, share: int, way: tuple[str, int]) -> None:
        kind, seed = way
        there = LocalStore(self.folder / "there")
        remote = self.remote(self.far, THEIRS, line(self.far.root, kind, seed))
        got = self.fetch(self.far, there, some(self.far.reached, share), remote, may_die=kind == "dying")
        self.theirs |= {digest: self.far.reached[digest] for digest in got}
        for digest in got:
            assert there.read(digest, bytes_max=BYTES_MAX) == self.theirs[digest]

    @rule()
    def somebody_restores(self) -> None:
        self.restore(self.far)

    def they_add(self, content: tuple[bytes, list[int]]) -> LocalStore:
        there = LocalStore(self.folder / "there")
        with there.writer() as writer:
            data = bytes_of(content)
            digest = writer.add_bytes(data).digest
            writer.commit()
        self.theirs[digest] = data
        return there

    # Coming back

    @precondition(lambda self: self.far.reached)
    @rule()
    def repair_from_the_remote(self) -> None:
        """As `check --repair`: what is damaged here and whole there comes back, and what is lost altogether too."""
        self.leave()
        self.store = LocalStore(self.root)
        self.store.repair()
        lost = {one.digest for one in self.store.check().damaged} | self.store.missing(self.acknowledged)
        lost &= set(self.acknowledged)
        assert lost <= self.spoilt
        remote = self.remote(self.far, OURS)
        got = self.fetch(self.far, self.store, sorted(lost & set(self.far.reached)), remote, may_die=False)
        assert lost & self.far.whole <= got
        self.other = LocalStore(self.root)
        self.spoilt, self.is_hidden = lost - got, False
        assert self.store.missing(got) == set()
        assert not {one.digest for one in self.store.check().damaged} & got

    # What befalls the remote

    @precondition(lambda self: self.far.reached)
    @rule(
        which=st.integers(0, 1000),
        at=st.integers(0, 1 << 20),
        then=st.sampled_from(["nobody looks", "somebody looks", "somebody heals"]),
        who=people,
    )
    def flip_a_bit_of_the_remote(self, which: int, at: int, then: str, who: str) -> None:
        far = self.far
        found = standing(far.root)
        if found:
            path = found[which % len(found)]
            flip(path, at % path.stat().st_size)
            far.is_hidden = True
            far.spoilt |= self.lost(far, self.remote(far)) if then == "somebody looks" else set(far.reached)
            if then == "somebody heals":
                self.check_the_remote(who, repair=True)

    @precondition(lambda self: self.far.reached)
    @rule(which=st.integers(0, 1000), is_cut=st.booleans(), who=people)
    def a_push_sends_again_what_the_remote_has_lost(self, which: int, is_cut: bool, who: str) -> None:
        far = self.far
        found = [*packs(far.root), *exact_files(far.root)]
        if not found:
            return
        path = found[which % len(found)]
        if is_cut:
            path.chmod(0o644)
            path.write_bytes(path.read_bytes()[:-1])
        else:
            path.unlink()
        store, whole = self.side(who)
        digests = sorted(whole & set(far.reached))
        assert self.send(far, store, digests, self.remote(far, who), may_die=False)
        lost = self.lost(far, self.remote(far))
        if not far.is_hidden:
            assert not lost & set(digests)
        far.spoilt |= lost

    @precondition(lambda self: (self.far.root / "config.json").exists())
    @rule(who=people, repair=st.booleans())
    def check_the_remote(self, who: str, repair: bool) -> None:
        """As `check --remote`: it finds all damage, and heals what whoever repairs has whole."""
        far, remote = self.far, self.remote(self.far, who)
        if repair:
            remote.cutting()
            RemoteStore(remote, 1 << 20).repair()
        lost = self.lost(far, remote)
        assert lost <= far.spoilt
        if repair:
            store, whole = self.side(who)
            assert self.send(far, store, sorted(lost & whole), remote, may_die=False)
            lost = self.lost(far, remote)
            assert not lost & whole
            # What was sent again elsewhere hides that the first place is damaged still.
            far.is_hidden = any(map(is_damaged, standing(far.root)))
        far.spoilt = lost

    def side(self, who: str) -> tuple[LocalStore, set[Digest]]:
        """Somebody's store, and what it has whole."""
        if who == OURS:
            return self.store, set(self.acknowledged) - self.spoilt
        return LocalStore(self.folder / "there"), set(self.theirs)
