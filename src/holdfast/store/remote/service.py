"""A remote behind a Holdfast server: bytes go in by their digests, and come out in ranges.

The server hashes what it is sent before it keeps it, and keeps only what a store consists of; see `web/api/files.py`.
"""

from collections.abc import Iterator
from http import HTTPStatus

from holdfast.canonical import Reader, decode
from holdfast.digest import Digest
from holdfast.errors import NotFound, TooLarge
from holdfast.service.line import Line, quoted
from holdfast.service.signed_urls import SignedUrls
from holdfast.store.remote.direct import RemoteStore
from holdfast.store.remote.remote import Remote
from holdfast.store.remote.transport import Listed, Pieces

__all__ = ["ServiceStore", "ServiceTransport"]

_CREATE_ONLY = {"if-none-match": "*", "content-type": "application/octet-stream"}
_TAKEN = frozenset({HTTPStatus.PRECONDITION_FAILED})
_ABSENT = frozenset({HTTPStatus.NOT_FOUND})
_PAST_THE_END = frozenset({HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE})


class ServiceTransport:
    """See `Transport`.

    Args:
        line: to the server.
    """

    def __init__(self, line: Line) -> None:
        self._line = line
        self._signed = SignedUrls(line)

    @property
    def name(self) -> str:
        """See `Transport.name`."""
        return self._line.url

    def create(self, key: str, data: bytes) -> bool:
        """See `Transport.create`."""
        answer = self._line.exchange("PUT", _file(key), content=data, headers=_CREATE_ONLY, accept=_TAKEN)
        return answer.is_success

    def create_long(self, key: str, pieces: Pieces, size: int) -> bool:
        """See `Transport.create_long`. What is there already is not sent: the server is asked first."""
        if self.size(key) is not None:
            return False
        headers = {**_CREATE_ONLY, "content-length": str(size)}
        return self._line.exchange("PUT", _file(key), content=pieces, headers=headers, accept=_TAKEN).is_success

    def read(self, key: str, *, bytes_max: int) -> bytes:
        """See `Transport.read`."""
        data = self.range(key, 0, bytes_max + 1)
        if len(data) > bytes_max:
            raise TooLarge(f"{key} in {self.name} is longer than {bytes_max} bytes", hint="It is not Holdfast's.")
        return data

    def range(self, key: str, offset: int, length: int) -> bytes:
        """See `Transport.range`. Large pieces come from where they lie, if the server gives signed URLs to it."""
        direct = self._signed.read(key, offset, length)
        if direct is not None:
            return direct
        headers = {"range": f"bytes={offset}-{offset + length - 1}"}
        answer = self._line.exchange("GET", _file(key), headers=headers, accept=_ABSENT | _PAST_THE_END)
        if answer.status_code in _ABSENT:
            raise NotFound(f"{key} is not in {self.name}", hint="Push it again.", key=key)
        return answer.content if answer.is_success else b""

    def size(self, key: str) -> int | None:
        """See `Transport.size`."""
        answer = self._line.exchange("HEAD", _file(key), accept=_ABSENT)
        return int(answer.headers["content-length"]) if answer.is_success else None

    def list(self, prefix: str) -> Iterator[Listed]:
        """See `Transport.list`."""
        after: str | None = None
        while True:
            answer = self._line.exchange("GET", "/store/files", prefix=prefix, after=after)
            page = Reader(decode(answer.content, what="a list of files"), "files")
            for row in (Reader(one, "file") for one in page.items("files")):
                yield Listed(row.text("key"), row.integer("size"))
            after = page.maybe_text("next")
            if after is None:
                return

    def remove(self, key: str) -> None:
        """See `Transport.remove`. The server removes what is damaged, and nothing else."""
        self._line.exchange("DELETE", _file(key), accept=_ABSENT)


class ServiceStore(RemoteStore):
    """A store that a server keeps; see `RemoteStore`.

    Args:
        line: to the server.
        remote: the server's files.
        cache_bytes_max: as for `RemoteStore`.
    """

    def __init__(self, line: Line, remote: Remote, cache_bytes_max: int) -> None:
        super().__init__(remote, cache_bytes_max)
        self._line = line

    def claim(self, digest: Digest) -> None:
        """See `Store.claim`."""
        self._line.send("PUT", f"/store/claims/{quoted(digest)}", again=True)


def _file(key: str) -> str:
    return f"/store/files/{key}"
