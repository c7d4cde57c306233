"""Two stores and a remote between them: pushes and pulls that break off, and damage on either side."""

from tests.effort import examples
from tests.store.machines.letting_go import LettingGoRules
from tests.store.machines.local import chosen
from tests.store.machines.sharing import SharingRules
from tests.store.machines.spoiling import SpoilingRules


class SharedStores(SharingRules, SpoilingRules, LettingGoRules):
    """All that can happen to one store, and to a remote."""


TestSharedStores = SharedStores.TestCase
TestSharedStores.settings = chosen(examples(50), 40)
