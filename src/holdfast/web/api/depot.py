"""The server's store as clients reach it: files come in under the digests of their bytes, and stay as they are.

Whatever a client says, a file is hashed before it gets its name, an index file may list only what stands here, and
nothing is removed but what is damaged. So whoever may add can waste space, and can change nothing that is there.
"""

import hashlib
import re
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, nullcontext
from typing import NoReturn

from blake3 import blake3

from holdfast.digest import Digest
from holdfast.errors import IntegrityError, NotFound, PermissionRefused, TooLarge, UsageError, WrongBytes
from holdfast.manifest import Manifest
from holdfast.registry import Facts
from holdfast.runtime.facts import read_facts
from holdfast.runtime.materialise import read_manifest
from holdfast.service.signed_urls import SIGNED_SECONDS
from holdfast.store.index import IndexFile
from holdfast.store.interface import Store
from holdfast.store.layout import CONFIG_NAME
from holdfast.store.remote.remote import WINDOW_BYTES, segment_key
from holdfast.store.remote.transport import Listed, Transport

__all__ = ["FILE_BYTES_MAX", "Depot"]

FILE_BYTES_MAX = 5 << 40
"""What S3 takes as one file."""

_INDEX_BYTES_MAX = 256 << 20
"""Four million rows: sixteen times what a writer holds before it writes them down."""

_PROBE_BYTES_MAX = 1_024
"""What a probe writes is a sentence."""

_HEX = "[0-9a-f]"
_KEY = re.compile(
    rf"(?P<config>config\.json)|(?P<pack>packs/(?P<shard>{_HEX}{{2}})/(?P=shard){_HEX}{{62}})"
    rf"|(?P<exact>blobs/(?P<folder>{_HEX}{{2}})/(?P=folder){_HEX}{{62}})"
    rf"|(?P<index>index/{_HEX}{{64}})|(?P<probe>probe/{_HEX}{{32}})"
)
"""All that a store consists of, and nothing else: no path can lead anywhere but into the store."""

_PREFIXES = frozenset({"packs/", "blobs/", "index/", "probe/"})


class Depot:
    """The files of one store.

    Args:
        store: what reads it here.
        transport: how its files are reached.
        undisturbed: nothing is deleted from it while this lasts.
        signed: gives a URL by which a file is read for so many seconds, past the server; None where nobody gets one.
    """

    def __init__(
        self,
        store: Store,
        transport: Transport,
        undisturbed: Callable[[], AbstractContextManager[None]] = nullcontext,
        signed: Callable[[str, int], str | None] | None = None,
    ) -> None:
        self._store = store
        self._transport = transport
        self.undisturbed = undisturbed
        self._signed = signed

    def look(self) -> None:
        """Ask for the least that a store can be asked for.

        Raises:
            NotFound: it has lost what makes it a store.
            Unavailable, PermissionRefused: it does not answer.
        """
        self.size(CONFIG_NAME)

    def list(self, prefix: str) -> Iterator[Listed]:
        """The files below one of the store's folders, by name.

        Raises:
            UsageError: another folder.
        """
        if prefix not in _PREFIXES:
            raise UsageError(f"a store has no {prefix[:80]!r}", hint=f"It has {', '.join(sorted(_PREFIXES))}.")
        return iter(sorted(one for one in self._transport.list(prefix) if _KEY.fullmatch(one.key)))

    def size(self, key: str) -> int:
        """The bytes of a file.

        Raises:
            NotFound: there is none.
        """
        size = self._transport.size(_checked(key))
        if size is None:
            _absent(key)
        return size

    def pieces(self, key: str, offset: int, length: int) -> Iterator[bytes]:
        """A range of a file, a few megabytes at a time."""
        for at in range(offset, offset + length, WINDOW_BYTES):
            yield self._transport.range(_checked(key), at, min(WINDOW_BYTES, offset + length - at))

    def signed(self, key: str) -> str | None:
        """A URL by which a pack or an exact file can be read for `SIGNED_SECONDS`; None where nobody gets one.

        Raises:
            UsageError: another kind of file.
            NotFound: it is not here.
        """
        found = _match(key)
        if not (found["pack"] or found["exact"]):
            raise UsageError(f"{key} is read from the server", hint="Only packs and exact files have signed URLs.")
        if self._signed is None:
            return None
        self.size(key)
        return self._signed(key, SIGNED_SECONDS)

    def put(self, key: str, pieces: Iterator[bytes], size: int) -> bool:
        """Take a file in; False when one of that name is there, which is then as it was.

        Raises:
            WrongBytes: the bytes are not what the name says; nothing was kept.
            TooLarge: past what a file of this kind may have.
            NotFound: an index file that lists what is not here.
        """
        found = _match(key)
        if found["config"]:
            return False  # written when the store was made
        if found["index"] or found["probe"]:
            return self._put_short(key, pieces, _INDEX_BYTES_MAX if found["index"] else _PROBE_BYTES_MAX)
        if size > FILE_BYTES_MAX:
            raise _too_large(key, FILE_BYTES_MAX)
        name, state = key.rpartition("/")[2], blake3() if found["pack"] else hashlib.sha256()
        taken = False

        def proved() -> Iterator[bytes]:
            nonlocal taken
            if taken:
                raise IntegrityError(f"{key} cannot be read twice", hint="Send it again.", key=key)
            taken, count = True, 0
            for piece in pieces:
                state.update(piece)
                count += len(piece)
                yield piece
            if count != size or state.hexdigest() != name:
                raise _other_bytes(key, state.hexdigest())

        return self._transport.create_long(key, proved, size)

    def _put_short(self, key: str, pieces: Iterator[bytes], bytes_max: int) -> bool:
        data = bytearray()
        for piece in pieces:
            data += piece
            if len(data) > bytes_max:
                raise _too_large(key, bytes_max)
        whole = bytes(data)
        if not key.startswith("index/"):
            return self._transport.create(key, whole)
        if (found := blake3(whole).hexdigest()) != key.removeprefix("index/"):
            raise _other_bytes(key, found)
        with self.undisturbed():
            for segment in IndexFile(whole).segments:
                if self._transport.size(segment_key(segment)) != segment.size:
                    _absent(segment_key(segment))
            return self._transport.create(key, whole)

    def remove(self, key: str) -> None:
        """Take away a file that is damaged, so that it can be sent again, or what a probe left.

        Raises:
            PermissionRefused: it is whole.
        """
        found = _match(key)
        if not found["probe"]:
            size = None if found["config"] else self._transport.size(key)
            if found["config"] or (size is not None and self._is_whole(key, size)):
                raise PermissionRefused(f"{key} is whole, and stays", hint="Only what is damaged is removed.", key=key)
        self._transport.remove(key)

    def _is_whole(self, key: str, size: int) -> bool:
        state = hashlib.sha256() if key.startswith("blobs/") else blake3()
        for piece in self.pieces(key, 0, size):
            state.update(piece)
        return state.hexdigest() == key.rpartition("/")[2]

    def claim(self, digest: Digest) -> None:
        """See `Store.claim`."""
        self._store.claim(digest)

    def require_bundle(self, digest: Digest) -> Manifest:
        """The manifest of a version about to get its number, all of whose files are here.

        Raises:
            NotFound: some are not; the details name them.
            IntegrityError: what is here under that digest is no manifest.
        """
        manifest = read_manifest(self._store, digest)
        missing = self._store.missing([entry.digest for entry in manifest.files])
        if missing:
            raise NotFound(
                f"{len(missing)} file(s) of this version are not in the server's store",
                hint="Register again: what is missing is sent then.",
                digest=str(digest),
                missing=sorted(map(str, missing))[:100],
            )
        return manifest

    def facts(self, digest: Digest) -> Facts:
        """What a search can ask of a version, read from its bytes.

        Raises:
            NotFound, IntegrityError: they are not here, or damaged.
        """
        return read_facts(self._store, digest)


def _match(key: str) -> re.Match[str]:
    found = _KEY.fullmatch(key)
    if found is None:
        raise UsageError(
            f"{key[:200]!r} is no file of a store", hint="Files are named by their digests; docs/FORMAT.md says how."
        )
    return found


def _checked(key: str) -> str:
    return _match(key).string


def _absent(key: str) -> NoReturn:
    raise NotFound(f"{key} is not in this store", hint="Send it first.", key=key)


def _other_bytes(key: str, found: str) -> WrongBytes:
    return WrongBytes(
        f"what was sent as {key} hashes to {found}; it was not kept",
        hint="Send it again, whole: a file is named by its bytes.",
        key=key,
        found=found,
    )


def _too_large(key: str, limit: int) -> TooLarge:
    return TooLarge(f"{key} may have {limit} bytes", hint="A file of a store is never as long.", limit=limit)
