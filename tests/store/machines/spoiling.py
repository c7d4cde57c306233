"""What a failing disk does to a store."""

from hypothesis import strategies as st
from hypothesis.stateful import rule

from holdfast.store.local import LocalStore
from tests.store.looking import exact_files, index_files, packs
from tests.store.machines.local import LocalRules
from tests.store.spoiling import flip


class SpoilingRules(LocalRules):
    """Bits flip, files are lost."""

    def __init__(self) -> None:
        super().__init__()
        self.faults = 0
        """In packs: an index that is lost is made again beside one bit that flipped, not beside any number."""

    def now_spoilt(self, *, checked: bool) -> None:
        """The stores are opened anew, as what they hold open is not looked at again.

        A check says what is hurt, and all else has to be whole; or nobody looks, and anything may be hurt.
        """
        self.leave()
        self.store, self.other = LocalStore(self.root), LocalStore(self.root)
        if checked:
            self.spoilt |= {one.digest for one in self.store.check().damaged}
            self.spoilt |= self.store.missing(self.acknowledged)
        else:
            self.spoil_all()

    def spoil_all(self) -> None:
        """Nobody knows what is hurt."""
        self.spoilt |= set(self.acknowledged)
        self.is_hidden = True

    @rule(which=st.integers(0, 1000), at=st.integers(0, 1 << 20), checked=st.booleans())
    def flip_a_bit(self, which: int, at: int, checked: bool) -> None:
        files = [*packs(self.root), *exact_files(self.root), *index_files(self.root)]
        if files:
            path = files[which % len(files)]
            flip(path, at % path.stat().st_size)
            self.faults += path.parent.parent.name == "packs"
            self.now_spoilt(checked=checked)

    @rule(which=st.integers(0, 1000), at=st.integers(0, 1 << 20))
    def flip_a_bit_of_an_open_file(self, which: int, at: int) -> None:
        """The stores go on with what they have open."""
        self.leave()
        files = [*packs(self.root), *exact_files(self.root)]
        if files:
            path = files[which % len(files)]
            flip(path, at % path.stat().st_size)
            self.faults += path.parent.parent.name == "packs"
            self.spoil_all()

    @rule(which=st.integers(0, 1000), checked=st.booleans())
    def lose_a_file(self, which: int, checked: bool) -> None:
        files = [*packs(self.root), *exact_files(self.root)]
        if files:
            path = files[which % len(files)]
            path.unlink()
            self.faults += 2 * (path.parent.parent.name == "packs")  # with its recipes, it may say what others need
            self.now_spoilt(checked=checked)

    @rule()
    def lose_the_index(self) -> None:
        """It is made again from the packs: nothing is lost."""
        self.leave()
        for path in index_files(self.root):
            path.unlink()
        self.store, self.other = LocalStore(self.root), LocalStore(self.root)
        if self.faults > 1:
            self.spoil_all()
