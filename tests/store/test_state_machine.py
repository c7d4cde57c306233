"""A store on a failing disk, beside other processes and nightly deleting; see `tests.store.machines.local`."""

from tests.effort import examples
from tests.store.machines.letting_go import LettingGoRules
from tests.store.machines.local import chosen
from tests.store.machines.spoiling import SpoilingRules


class Stores(SpoilingRules, LettingGoRules):
    """All that can happen to one store."""


TestStores = Stores.TestCase
TestStores.settings = chosen(examples(40), 40)
