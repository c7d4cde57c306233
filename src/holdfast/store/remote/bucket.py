"""A remote in a bucket: S3, Google Cloud Storage, Azure. The one module that names the library which speaks to them.

Files up to `PART_BYTES` are created in one conditional request. Longer ones go in parts, after looking that nothing
has that name: not every server refuses at the end of an upload in parts, and the second to come writes the same bytes.
"""

import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import obstore
from obstore.exceptions import (
    AlreadyExistsError,
    BaseError,
    InvalidPathError,
    NotFoundError,
    NotSupportedError,
    PermissionDeniedError,
    PreconditionError,
    UnauthenticatedError,
    UnknownConfigurationKeyError,
)
from obstore.store import AzureStore, GCSStore, LocalStore, MemoryStore, S3Store

from holdfast.errors import HoldfastError, NotFound, PermissionRefused, TooLarge, Unavailable, UsageError
from holdfast.store.remote.address import Address, checked_endpoint
from holdfast.store.remote.transport import Listed, Pieces

if TYPE_CHECKING:
    from obstore import Attributes

__all__ = ["BucketTransport", "open_bucket", "open_folder_as_bucket"]

PART_BYTES = 16 << 20
"""One request's worth: at the slowest line that is worth using it still ends within `_REQUEST_SECONDS_MAX`."""

_PARTS_MAX = 9_000
"""S3 takes ten thousand parts; the size of a part grows with the file before that."""

_PARTS_AT_ONCE = 4

_REQUEST_SECONDS_MAX = 300
"""16 MiB at half a megabit a second. A server that stalls is left after this, and asked again."""

_CONNECT_SECONDS_MAX = 10
"""A server that is there answers in milliseconds; one that is not should be told of soon."""

_LIST_ROWS = 1_000
"""What a bucket lists in one answer."""

_TOLD_CHARACTERS_MAX = 300

_NO_SUCH_CLASS = "InvalidStorageClass"
"""The code of S3 for a storage class that a server does not have."""

_Bucket = S3Store | GCSStore | AzureStore | LocalStore | MemoryStore


def open_bucket(
    address: Address,
    endpoint: str | None = None,
    environment: Mapping[str, str] = os.environ,
    *,
    storage_class: str | None = None,
) -> "BucketTransport":
    """The bucket, with credentials from the environment.

    Args:
        address: which one.
        endpoint: of a server that speaks like S3; when None, the one that the environment names, or Amazon's.
        environment: read for the endpoint; the library reads the credentials itself.
        storage_class: of every file that is created; when None, the bucket's own.

    Raises:
        UsageError: an endpoint that may not be used, or credentials in a form that is not understood.
    """
    client: dict[str, Any] = {
        "connect_timeout": timedelta(seconds=_CONNECT_SECONDS_MAX),
        "timeout": timedelta(seconds=_REQUEST_SECONDS_MAX),
    }
    # What may be repeated is repeated by `Persistent`, which knows how to find out what a lost reply said.
    never: dict[str, Any] = {"max_retries": 0, "retry_timeout": timedelta(seconds=_REQUEST_SECONDS_MAX)}
    given: dict[str, Any] = {"prefix": address.prefix or None, "client_options": client, "retry_config": never}
    try:
        match address.scheme:
            case "s3":
                named = endpoint or environment.get("AWS_ENDPOINT_URL_S3") or environment.get("AWS_ENDPOINT_URL")
                if named:
                    given["endpoint"] = checked_endpoint(named, environment)
                    client["allow_http"] = given["endpoint"].startswith("http:")
                if not (environment.get("AWS_REGION") or environment.get("AWS_DEFAULT_REGION")):
                    given["region"] = "us-east-1"
                bucket: _Bucket = S3Store(address.place, **given)
            case "gs":
                bucket = GCSStore(address.place, **given)
            case "az":
                bucket = AzureStore(address.place, **given)
            case _:
                raise UsageError(f"{address} is no bucket", hint="Write s3://bucket/prefix.")
    except (BaseError, UnknownConfigurationKeyError, ValueError) as error:
        raise UsageError(
            f"{address} cannot be opened: {_told(error)}", hint="Check the credentials in the environment."
        ) from error
    return BucketTransport(str(address), bucket, storage_class)


def open_folder_as_bucket(root: Path) -> "BucketTransport":
    """A folder through the same library; for tests, which hold it against the other adapters."""
    return BucketTransport(str(root), LocalStore(root, mkdir=True))


class BucketTransport:
    """See `Transport`."""

    def __init__(self, name: str, bucket: _Bucket, storage_class: str | None = None) -> None:
        self._name = name
        self._bucket = bucket
        self._attributes: Attributes | None = {"Storage-Class": storage_class} if storage_class else None

    @property
    def name(self) -> str:
        """See `Transport.name`."""
        return self._name

    def create(self, key: str, data: bytes) -> bool:
        """See `Transport.create`."""
        if len(data) > PART_BYTES:
            return self.create_long(key, lambda: iter((data,)), len(data))
        try:
            with self._asking(key):
                obstore.put(self._bucket, key, data, mode="create", use_multipart=False, attributes=self._attributes)
        except _Taken:
            return False
        return True

    def create_long(self, key: str, pieces: Pieces, size: int) -> bool:
        """See `Transport.create_long`."""
        if size <= PART_BYTES:
            return self.create(key, b"".join(pieces()))
        if self.size(key) is not None:
            return False
        part = max(PART_BYTES, -(-size // _PARTS_MAX))
        source = _Watched(pieces)
        try:
            with self._asking(key):
                obstore.put(
                    self._bucket,
                    key,
                    iter(source),
                    use_multipart=True,
                    chunk_size=part,
                    max_concurrency=_PARTS_AT_ONCE,
                    attributes=self._attributes,
                )
        except _Taken:
            return False
        except (HoldfastError, OSError):
            # The library wraps what the source raised; what was wrong with the source is what matters.
            if source.error is not None:
                raise source.error from None
            raise
        return True

    def read(self, key: str, *, bytes_max: int) -> bytes:
        """See `Transport.read`."""
        with self._asking(key):
            answer = obstore.get(self._bucket, key)
            if answer.meta["size"] > bytes_max:
                raise TooLarge(f"{key} in {self.name} is longer than {bytes_max} bytes", hint="It is not Holdfast's.")
            return bytes(answer.bytes())

    def range(self, key: str, offset: int, length: int) -> bytes:
        """See `Transport.range`."""
        if length <= 0:
            return b""
        with self._asking(key):
            return bytes(obstore.get_range(self._bucket, key, start=offset, length=length))

    def size(self, key: str) -> int | None:
        """See `Transport.size`."""
        try:
            with self._asking(key):
                return obstore.head(self._bucket, key)["size"]
        except NotFound:
            return None

    def list(self, prefix: str) -> Iterator[Listed]:
        """See `Transport.list`."""
        with self._asking(prefix):
            for rows in obstore.list(self._bucket, prefix.rstrip("/"), chunk_size=_LIST_ROWS):
                for row in rows:
                    yield Listed(row["path"], row["size"])

    def signed(self, key: str, seconds: int) -> str | None:
        """A URL that lets whoever has it read the file for so long; None where this kind of bucket gives none.

        Nothing is asked of the bucket, and whether the file is there is not looked at.
        """
        if not isinstance(self._bucket, S3Store | GCSStore | AzureStore):
            return None
        with self._asking(key):
            return obstore.sign(self._bucket, "GET", key, timedelta(seconds=seconds))

    def remove(self, key: str) -> None:
        """See `Transport.remove`."""
        try:
            with self._asking(key):
                obstore.delete(self._bucket, key)
        except NotFound:
            return

    @contextmanager
    def _asking(self, key: str) -> Iterator[None]:
        """Turns what the library raises into errors of ours."""
        try:
            yield
        except (AlreadyExistsError, PreconditionError) as error:
            raise _Taken from error
        except (NotFoundError, FileNotFoundError) as error:
            raise NotFound(
                f"{key} is not in {self.name}", hint="Check the address and its bucket, or push again.", key=key
            ) from error
        except (PermissionDeniedError, UnauthenticatedError) as error:
            raise PermissionRefused(
                f"{self.name} refused {key}: {_told(error)}",
                hint="Check the credentials in the environment, and what they may do.",
                remote=self.name,
            ) from error
        except (NotSupportedError, InvalidPathError) as error:
            raise UsageError(
                f"{self.name} cannot do what a remote needs: {_told(error)}", hint="Use another server or folder."
            ) from error
        except BaseError as error:
            if _NO_SUCH_CLASS in str(error):
                raise UsageError(
                    f"{self.name} has no such storage class", hint="Add the remote again with one that its server has."
                ) from error
            raise Unavailable(
                f"{self.name} did not serve {key}: {_told(error)}",
                hint="Check the network and the server, then try again; what was sent stays there.",
                remote=self.name,
            ) from error


class _Taken(Exception):
    """Something has that name already."""


class _Watched:
    """Pieces whose error is kept."""

    def __init__(self, pieces: Callable[[], Iterator[bytes]]) -> None:
        self._pieces = pieces
        self.error: HoldfastError | None = None

    def __iter__(self) -> Iterator[bytes]:
        try:
            yield from self._pieces()
        except HoldfastError as error:
            self.error = error
            raise


def _told(error: Exception) -> str:
    """The library's own sentence, without what it says for its developers."""
    lines = str(error).strip().splitlines()
    # What a server answers in XML says for programs what stands in front of it.
    return lines[0].partition(": <")[0][:_TOLD_CHARACTERS_MAX] if lines else type(error).__name__
