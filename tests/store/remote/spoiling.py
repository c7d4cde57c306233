"""Spoiling what a remote holds, behind everybody's back."""

import shutil
from pathlib import Path
from typing import ClassVar

from holdfast.digest import Digest
from holdfast.store.local import LocalStore
from holdfast.store.remote.direct import RemoteStore
from holdfast.store.remote.transport import Transport
from tests.store.spoiling import spoil

_ALL_BYTES = 1 << 30
_FOLDERS = ("packs/", "blobs/", "index/")


class _Mirror(LocalStore):
    """A local copy of a remote, of whatever kind."""

    _reads_archives: ClassVar[bool] = True


def spoil_remote(store: RemoteStore, transport: Transport, mirror: Path, digest: Digest, data: bytes) -> None:
    """Let `digest` name other bytes in the remote that `store` works on: spoilt in a local copy, and put back."""
    shutil.rmtree(mirror, ignore_errors=True)
    before = {one.key for folder in _FOLDERS for one in transport.list(folder)}
    for key in [*before, "config.json"]:
        (mirror / key).parent.mkdir(parents=True, exist_ok=True)
        (mirror / key).write_bytes(transport.read(key, bytes_max=_ALL_BYTES))
    spoil(_Mirror(mirror), digest, data)
    after = {path.relative_to(mirror).as_posix() for path in mirror.rglob("*") if path.is_file()}
    for key in before - after:
        transport.remove(key)
    for key in after - before - {"config.json"}:
        if key.startswith(_FOLDERS):
            transport.create(key, (mirror / key).read_bytes())
    store._catalog.refresh()
