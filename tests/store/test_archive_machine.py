"""A store, a remote and an archive: versions are moved to the archive, deleted here, and brought back."""

from tests.effort import examples
from tests.store.machines.archiving import ArchivingRules
from tests.store.machines.local import chosen
from tests.store.machines.spoiling import SpoilingRules


class ArchivedStores(ArchivingRules, SpoilingRules):
    """All that can happen to one store, to a remote, and between it and an archive."""


TestArchivedStores = ArchivedStores.TestCase
TestArchivedStores.settings = chosen(examples(40), 30)
