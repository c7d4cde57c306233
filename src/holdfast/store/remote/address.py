"""Where a remote is, as people write it: never with a password in it."""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from ipaddress import ip_address
from pathlib import Path
from urllib.parse import urlsplit

from holdfast.errors import UsageError

__all__ = ["BUCKETS", "FOLDER", "STORAGE_CLASSES", "Address", "checked_endpoint", "checked_storage_class"]

FOLDER = "file"

BUCKETS = {"s3": "Amazon S3 and whatever speaks like it", "gs": "Google Cloud Storage", "az": "Azure Blob Storage"}
"""The schemes of buckets. Credentials come from each one's usual environment variables."""

STORAGE_CLASSES = {
    "s3": ("STANDARD", "STANDARD_IA", "ONEZONE_IA", "INTELLIGENT_TIERING", "GLACIER_IR"),
    "gs": ("STANDARD", "NEARLINE", "COLDLINE", "ARCHIVE"),
    "az": ("Hot", "Cool", "Cold"),
}
"""For each scheme the storage classes that answer a read at once, as its makers spell them. The others, such as Glacier
Deep Archive or Azure's Archive, have to be asked hours before: a pull would fail, and a check could prove nothing."""

_CHARACTERS_MAX = 2048
"""Longer than any address that works; what is longer was pasted by mistake."""


@dataclass(frozen=True, slots=True)
class Address:
    """One remote.

    Attributes:
        scheme: `FOLDER`, or one of `BUCKETS`.
        place: an absolute folder; for a bucket its name.
        prefix: where in the bucket the store begins; empty for all of it.
    """

    scheme: str
    place: str
    prefix: str = ""

    @classmethod
    def parse(cls, text: str, *, base: Path | None = None) -> "Address":
        """The address written as a folder, `file:///folder`, or `s3://bucket/prefix`.

        Args:
            text: as a person wrote it.
            base: what a relative folder is relative to; the current folder when None.

        Raises:
            UsageError: a scheme that is not known, a user or password in it, or no bucket.
        """
        if not text or len(text) > _CHARACTERS_MAX or any(ord(character) < ord(" ") for character in text):
            raise UsageError("this is no address of a remote", hint="Write a folder, or s3://bucket/prefix.")
        if "://" not in text:
            return cls(FOLDER, os.path.abspath((base or Path.cwd()) / Path(text).expanduser()))  # noqa: PTH100
        try:
            parts = urlsplit(text)
            host, user = parts.netloc, "@" in parts.netloc
        except ValueError as error:
            raise UsageError(f"this is no address of a remote: {error}", hint="Write s3://bucket/prefix.") from error
        if user:
            # The address itself is not repeated: what stands in it may be a password.
            raise UsageError(
                "the address holds a user or a password",
                hint="Take it out: credentials come from the environment, such as AWS_ACCESS_KEY_ID.",
            )
        if parts.query or parts.fragment:
            raise UsageError("the address holds a '?' or a '#'", hint="Write only scheme, bucket and prefix.")
        if parts.scheme == FOLDER:
            if host or not parts.path.startswith("/"):
                raise UsageError("a folder's URL has three slashes", hint="Write file:///folder, or the folder itself.")
            return cls(FOLDER, parts.path)
        if parts.scheme not in BUCKETS:
            raise UsageError(
                f"{parts.scheme[:40]}:// is not spoken here",
                hint=f"Write a folder, or one of: {', '.join(f'{scheme}://' for scheme in BUCKETS)}.",
            )
        names = [name for name in parts.path.split("/") if name]
        if not host or ":" in host or {".", ".."} & set(names):
            raise UsageError("the address names no bucket", hint=f"Write {parts.scheme}://bucket/prefix.")
        return cls(parts.scheme, host, "/".join(names))

    def __str__(self) -> str:
        if self.scheme == FOLDER:
            return self.place
        return f"{self.scheme}://{self.place}" + (f"/{self.prefix}" if self.prefix else "")


def checked_endpoint(endpoint: str, environment: Mapping[str, str] = os.environ) -> str:
    """The endpoint of a server that speaks like S3, when it may be used.

    Raises:
        UsageError: not a URL, a password in it, or plain HTTP to another machine that nobody asked for with
            `AWS_ALLOW_HTTP=true`: keys are not sent there, but the data and the signatures are.
    """
    hint = "Write https://host:port."
    try:
        parts = urlsplit(endpoint)
        host, port = parts.hostname, parts.port
    except ValueError as error:
        raise UsageError("the endpoint is no URL", hint=hint) from error
    if "@" in parts.netloc:
        raise UsageError("the endpoint holds a user or a password", hint="Take it out: keys come from the environment.")
    if parts.scheme not in {"http", "https"} or not host or parts.query or parts.fragment or port == 0:
        raise UsageError("the endpoint is no URL of a server", hint=hint)
    allowed = environment.get("AWS_ALLOW_HTTP", "").lower() in {"1", "true"}
    if parts.scheme == "http" and not (allowed or is_loopback(host)):
        raise UsageError(
            f"the endpoint {parts.scheme}://{parts.netloc} is not encrypted",
            hint="Use https, or allow plain HTTP to other machines with AWS_ALLOW_HTTP=true.",
        )
    return endpoint.rstrip("/")


def checked_storage_class(scheme: str, name: str) -> str:
    """The storage class as the bucket spells it, when what is kept in it can be read at once.

    Args:
        scheme: of the remote's address.
        name: as a person wrote it, in whatever case.

    Raises:
        UsageError: it is none of `STORAGE_CLASSES`.
    """
    known = STORAGE_CLASSES.get(scheme)
    if known is None:
        raise UsageError("only buckets have storage classes", hint="Leave --storage-class out.")
    for one in known:
        if one.lower() == name.lower():
            return one
    raise UsageError(
        f"{name[:40]!r} is no storage class of {scheme}:// that answers a read at once",
        hint=f"Choose one of: {', '.join(known)}.",
        known=list(known),
    )


def is_loopback(host: str) -> bool:
    """Whether `host` is this machine."""
    try:
        return host == "localhost" or ip_address(host).is_loopback
    except ValueError:
        return False
