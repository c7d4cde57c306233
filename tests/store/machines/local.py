"""Whatever is done to a store, in whatever order: what was acknowledged and not spoilt since comes back byte for byte.

The model is a dict from digests to bytes. A machine is put together from classes of rules, each of which acts on the
stores, and on the model in the same way.
"""

import os
import random
import shutil
import tempfile
from contextlib import ExitStack, suppress
from pathlib import Path

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from holdfast.digest import Digest, hash_bytes
from holdfast.errors import IntegrityError, NotFound, Unavailable
from holdfast.store import local
from holdfast.store.interface import Stored
from holdfast.store.local import LocalStore
from holdfast.store.local_writer import LocalWriter
from tests.store import paths as every_path

BYTES_MAX = 20_000

# Many share their parts: a few pages of chance, text or repetition, of which each blob has some.
_PAGES = [random.Random(number).randbytes(700) for number in range(4)] + [
    b"".join(b"%d;" % number for number in range(250)),
    bytes(900),
]
small = st.binary(max_size=20)
contents = st.tuples(small, st.lists(st.integers(0, len(_PAGES) - 1), max_size=8))
ways = st.sampled_from(["bytes", "file", "pieces"])


def bytes_of(content: tuple[bytes, list[int]]) -> bytes:
    """What a draw stands for; the draw itself is short enough to be printed."""
    front, pages = content
    return front + b"".join(_PAGES[page] for page in pages)


class LocalRules(RuleBasedStateMachine):
    """Two stores on one folder: the one at hand, and the one of another process."""

    def __init__(self) -> None:
        super().__init__()
        self.cleaning = ExitStack()
        patch = self.cleaning.enter_context(pytest.MonkeyPatch.context())
        every_path.patch(patch.setattr)
        patch.setattr(os, "fsync", lambda _descriptor: None)  # half the time, and nobody loses power here
        patch.setattr(local, "RECORD_BYTES_MAX", 3000)  # what is longer is handed out chunk by chunk
        self.folder = Path(tempfile.mkdtemp(prefix="holdfast-test-"))
        self.cleaning.callback(shutil.rmtree, self.folder, ignore_errors=True)
        self.root = self.folder / "store"
        self.acknowledged: dict[Digest, bytes] = {}
        self.spoilt: set[Digest] = set()
        """What may be damaged since it was acknowledged: it may be gone, and never wrong."""
        self.is_hidden = False
        """Whether there is damage that nobody has looked for: what is known is not read again when it is added."""
        self.writer: LocalWriter | None = None
        self.added: dict[Digest, bytes] = {}
        self.writing = ExitStack()

    @initialize()
    def make(self) -> None:
        self.store = LocalStore(self.root)
        self.other = LocalStore(self.root)

    def teardown(self) -> None:
        self.leave()
        self.cleaning.close()

    # Adding

    def add(self, writer: LocalWriter, data: bytes, way: str) -> Stored:
        if way == "bytes":
            return writer.add_bytes(data)
        if way == "pieces":
            return writer.add_pieces(data[at : at + 333] for at in range(0, len(data), 333))
        path = self.folder / "source"
        path.write_bytes(data)
        return writer.add_file(path)

    @rule(content=contents, way=ways)
    def begin_or_go_on(self, content: tuple[bytes, list[int]], way: str) -> None:
        data = bytes_of(content)
        if self.writer is None:
            self.writer = self.writing.enter_context(self.store.writer())
            self.begun()
        stored = self.add(self.writer, data, way)
        assert (stored.digest, stored.size) == (hash_bytes(data), len(data))
        self.added[stored.digest] = data

    def begun(self) -> None:
        """A writer of ours was opened."""

    @precondition(lambda self: self.writer is not None)
    @rule()
    def commit(self) -> None:
        assert self.writer is not None
        try:
            self.writer.commit()
        except Unavailable:  # what it had relied on was let go of meanwhile
            self.leave()
            return
        self.acknowledge(self.added, self.store)
        self.added = {}

    @rule()
    def leave(self) -> None:
        self.writing.close()
        self.writer, self.added = None, {}

    @rule(content=contents, way=ways)
    def commit_elsewhere(self, content: tuple[bytes, list[int]], way: str) -> None:
        """Another process, also while a writer of ours is open."""
        data = bytes_of(content)
        with self.other.writer() as writer:
            digest = self.add(writer, data, way).digest
            writer.commit()
        self.acknowledge({digest: data}, self.other)

    @rule(several=st.lists(contents, min_size=2, max_size=6), way=ways)
    def commit_several(self, several: list[tuple[bytes, list[int]]], way: str) -> None:
        added = {hash_bytes(data): data for data in map(bytes_of, several)}
        with self.other.writer() as writer:
            assert {self.add(writer, data, way).digest for data in added.values()} == set(added)
            writer.commit()
        self.acknowledge(added, self.other)

    @rule(way=ways)
    def add_again_what_is_damaged(self, way: str) -> None:
        """Everything that a check finds to be damaged or missing comes back by being added again."""
        self.store = LocalStore(self.root)
        self.leave()
        lost = {one.digest for one in self.store.check().damaged} | self.store.missing(self.acknowledged)
        assert lost <= self.spoilt | (lost - set(self.acknowledged))
        with self.store.writer() as writer:
            for digest in sorted(lost & set(self.acknowledged)):
                self.add(writer, self.acknowledged[digest], way)
            writer.commit()
        self.other = LocalStore(self.root)
        self.spoilt, self.is_hidden = set(), False

    def acknowledge(self, added: dict[Digest, bytes], store: LocalStore) -> None:
        """A commit returned."""
        self.acknowledged |= added
        if self.is_hidden:
            self.spoilt |= set(added)
        assert store.missing(set(added) - self.spoilt) == set()

    # Looking again

    @rule()
    def reopen(self) -> None:
        self.leave()
        self.store = LocalStore(self.root)

    @rule()
    def exchange(self) -> None:
        """The other store becomes ours: it may know less."""
        self.leave()
        self.store, self.other = self.other, self.store

    @rule()
    def check(self) -> None:
        assert {one.digest for one in self.store.check().damaged} & set(self.acknowledged) <= self.spoilt

    @rule()
    def repair(self) -> None:
        self.leave()
        self.store.repair()
        self.other = LocalStore(self.root)

    # What always holds

    @invariant()
    def nothing_wrong_is_ever_handed_out(self) -> None:
        for digest, data in self.acknowledged.items():
            if digest not in self.spoilt:
                continue
            for store in (self.store, self.other):
                with suppress(IntegrityError, NotFound):
                    assert store.read(digest, bytes_max=BYTES_MAX) == data
                with suppress(IntegrityError, NotFound), store.open(digest) as handle:
                    assert handle.read() == data
                with suppress(IntegrityError, NotFound):
                    path = store.exact(digest)
                    assert path is None or path.read_bytes() == data

    @invariant()
    def what_was_acknowledged_is_there(self) -> None:
        whole = set(self.acknowledged) - self.spoilt
        for store in (self.store, self.other) if hasattr(self, "store") else ():
            assert store.missing(whole) == set()
            for digest in whole:
                assert store.read(digest, bytes_max=BYTES_MAX) == self.acknowledged[digest]
                assert store.size(digest) == len(self.acknowledged[digest])
            listed = set(store.digests())
            assert whole <= listed


def chosen(max_examples: int, steps: int) -> settings:
    """What a machine is run with: failures are printed as they are, for shrinking one takes longer than reading it."""
    return settings(
        phases=(Phase.explicit, Phase.reuse, Phase.generate),
        max_examples=max_examples,
        stateful_step_count=steps,
        deadline=None,
        suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much, HealthCheck.data_too_large],
    )
