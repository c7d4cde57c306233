"""The remotes of a project: their names, and where they are. Never how to get in: that stands in the environment."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from holdfast.canonical import JsonObject, Reader, decode, encode
from holdfast.errors import AlreadyExists, NotFound, UsageError
from holdfast.registry.whereabouts import Archive
from holdfast.store.disk import place, refusing
from holdfast.store.formats import accepted_version
from holdfast.store.remote.address import Address, checked_endpoint, checked_storage_class

__all__ = ["DEFAULT_NAME", "NamedRemote", "Remotes"]

DEFAULT_NAME = "origin"
"""The remote that a clone has, and the one that is meant where several are there and none is named."""

_FILE = "remotes.json"
_FORMAT = "holdfast.remotes"
_NAME = re.compile(r"[a-z0-9][a-z0-9._-]{0,63}\Z")
_FILE_BYTES_MAX = 1 << 20
"""Thousands of remotes; a file past this is something else."""


@dataclass(frozen=True, order=True, slots=True)
class NamedRemote:
    """One remote of a project.

    Attributes:
        name: what commands call it.
        address: where it is.
        endpoint: of a server that speaks like S3; None where the environment names it, or for other remotes.
        storage_class: in which packs of data and exact files are created; None for the bucket's own.

    Raises:
        UsageError: a name that cannot be, or an endpoint or a storage class that may not be used.
    """

    name: str
    address: Address
    endpoint: str | None = None
    storage_class: str | None = None

    def __post_init__(self) -> None:
        if not _NAME.match(self.name):
            raise UsageError(f"{self.name[:64]!r} cannot name a remote", hint="Use up to 64 of a-z 0-9 . _ -")
        if self.endpoint is not None:
            if self.address.scheme != "s3":
                raise UsageError("only s3:// has an endpoint", hint="Leave --endpoint out.")
            checked_endpoint(self.endpoint)
        if self.storage_class is not None:
            object.__setattr__(self, "storage_class", checked_storage_class(self.address.scheme, self.storage_class))

    def to_json(self) -> JsonObject:
        """One entry of `remote list`."""
        return {
            "name": self.name,
            "url": str(self.address),
            "endpoint": self.endpoint,
            "storage_class": self.storage_class,
        }


class Remotes:
    """The remotes of the project whose home is `home`; kept in a file there."""

    def __init__(self, home: Path) -> None:
        self._path = home / _FILE

    def __iter__(self) -> Iterator[NamedRemote]:
        """Every remote, by name.

        Raises:
            UnsupportedFormat: the file is damaged, or of a newer format.
        """
        with refusing(self._path):
            if not self._path.exists():
                return
            with self._path.open("rb") as handle:
                data = handle.read(_FILE_BYTES_MAX)
        document = Reader(decode(data, what=str(self._path)), str(self._path))
        accepted_version(document, name=_FORMAT, major=1)
        for item in document.items("remotes"):
            fields = Reader(item, str(self._path))
            address = Address.parse(fields.text("url"))
            endpoint, storage_class = fields.maybe_text("endpoint"), fields.maybe_text("storage_class")
            yield NamedRemote(fields.text("name"), address, endpoint, storage_class)

    def find(self, name: str | None) -> NamedRemote:
        """The remote of this name; when None, the only one, or `DEFAULT_NAME`.

        Raises:
            NotFound: there is none; the hint says which there are.
        """
        known = {remote.name: remote for remote in self}
        wanted = name or (DEFAULT_NAME if len(known) != 1 else next(iter(known)))
        if wanted in known:
            return known[wanted]
        names = ", ".join(known)
        raise NotFound(
            f"there is no remote {wanted!r}" if known else "this project has no remote",
            hint=f"Name one with --remote: {names}." if known else "Add one: holdfast remote add origin URL",
            remotes=sorted(known),
        )

    def of_archive(self, archive: Archive) -> NamedRemote:
        """The remote that holds an archive: the one at its address, whatever it is called now, or of its name.

        Raises:
            NotFound: there is neither.
        """
        known = list(self)
        at_address = [one for one in known if str(one.address) == archive.url]
        of_name = [one for one in known if one.name == archive.remote]
        for found in (*at_address, *of_name):
            return found
        raise NotFound(
            f"{archive.name} is archived in {archive.remote}, {archive.url}, and this project has no such remote",
            hint=f"Add it again: holdfast remote add {archive.remote} {archive.url}",
            remote=archive.remote,
            url=archive.url,
        )

    def refuse_taken(self, name: str) -> None:
        """Raise where there is a remote of this name.

        Raises:
            AlreadyExists: there is one.
        """
        for remote in self:
            if remote.name == name:
                raise AlreadyExists(
                    f"there is a remote {name!r} already: {remote.address}",
                    hint=f"Choose another name, or remove it: holdfast remote remove {name}",
                    **remote.to_json(),
                )

    def add(self, remote: NamedRemote) -> None:
        """Keep one more.

        Raises:
            AlreadyExists: there is one of this name.
        """
        self.refuse_taken(remote.name)
        self._write(sorted([*self, remote]))

    def remove(self, name: str) -> NamedRemote:
        """Forget one; what is in it stays there.

        Raises:
            NotFound: there is none of this name.
        """
        remote = self.find(name)
        self._write([one for one in self if one.name != name])
        return remote

    def _write(self, remotes: list[NamedRemote]) -> None:
        document = {"format": _FORMAT, "remotes": [one.to_json() for one in remotes], "version": "1.1"}
        place(self._path, 0o600, lambda sink: sink.write(encode(document) + b"\n"))
