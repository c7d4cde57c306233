"""Two local stores and a remote between them."""

from pathlib import Path

import pytest

from holdfast.store.local import LocalStore
from holdfast.store.remote.folder import FolderTransport
from holdfast.store.remote.incoming import Incoming
from holdfast.store.remote.outgoing import Outgoing
from holdfast.store.remote.remote import Remote
from holdfast.store.remote.transport import Transport


class Sides:
    """Whoever pushes, whoever pulls, and the way between them."""

    def __init__(self, folder: Path, transport: Transport) -> None:
        self.folder = folder
        self.transport = transport
        self.here = LocalStore(folder / "here")
        self.there = LocalStore(folder / "there")
        self._caches = 0

    def remote(self, transport: Transport | None = None) -> Remote:
        """The remote as somebody sees it who has never been there."""
        self._caches += 1
        return Remote(transport or self.transport, self.folder / f"cache-{self._caches}")

    def outgoing(self, transport: Transport | None = None) -> Outgoing:
        return Outgoing(self.here.root, self.remote(transport))

    def incoming(self, transport: Transport | None = None) -> Incoming:
        return Incoming(self.there, self.remote(transport))

    def listed(self, prefix: str = "packs/") -> set[str]:
        return {one.key for one in self.transport.list(prefix)}


@pytest.fixture
def sides(tmp_path: Path) -> Sides:
    return Sides(tmp_path, FolderTransport(tmp_path / "remote"))
