"""Somebody else deletes what nothing needs."""

from hypothesis import strategies as st
from hypothesis.stateful import rule

from holdfast.errors import IntegrityError
from holdfast.store.collect import collect
from tests.store.collecting import DAY, NOW, age, plan_for
from tests.store.machines.local import LocalRules


class LettingGoRules(LocalRules):
    """Nightly runs."""

    def __init__(self) -> None:
        super().__init__()
        self.now = NOW

    @rule(share=st.integers(0, 4))
    def let_go_of_some(self, share: int) -> None:
        """One nightly run of somebody else, also while a writer of ours is open; everything is old enough to go."""
        for digest in list(self.acknowledged):
            if int(digest.hex[:8], 16) % 4 == share:
                del self.acknowledged[digest]
        self.let_go()

    def let_go(self) -> None:
        """Delete what is not acknowledged any more."""
        age(self.root)
        self.now += DAY
        try:
            plan = plan_for(self.root, set(self.acknowledged) - self.spoilt, self.now)
        except IntegrityError:
            return  # an index file is damaged, and nothing goes until it is repaired
        assert plan.lost == ()
        collect(self.root, plan)
