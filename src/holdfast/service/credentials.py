"""The tokens that a person keeps on this machine, by server: one file that nobody else may read.

    {"format": "holdfast.credentials", "format_version": "1.0",
     "servers": {"https://registry.example.org": {"token": "…"}}}

It is replaced as a whole, so that it is never half written; what others may read is refused.
"""

import errno
import json
import os
import secrets
import stat
from collections.abc import Mapping
from pathlib import Path

from holdfast.canonical import decode
from holdfast.errors import HoldfastError, NoSpace, PermissionRefused, UnsupportedFormat

__all__ = ["Credentials", "plain_url"]

_FORMAT = "holdfast.credentials"

_BYTES_MAX = 1 << 20
"""Thousands of servers; what is longer is not this file."""

_OTHERS = stat.S_IRWXG | stat.S_IRWXO


class Credentials:
    """The tokens in the file at `path`; None: there is no place for one, and nothing is kept."""

    def __init__(self, path: Path | None) -> None:
        self._path = path

    def token(self, url: str) -> str | None:
        """The token for a server, if one is kept.

        Raises:
            PermissionRefused: others may read the file.
            UnsupportedFormat: it is not one of ours.
        """
        return self._read().get(plain_url(url))

    def keep(self, url: str, token: str) -> Path:
        """Keep a token for a server, in place of the one before; the file it is kept in.

        Raises:
            PermissionRefused, NoSpace: the file cannot be written.
            UnsupportedFormat: what is there is not one of ours.
        """
        return self._write({**self._read(), plain_url(url): token})

    def forget(self, url: str) -> str | None:
        """Keep no token for a server any more; the one that was kept."""
        kept = dict(self._read())
        token = kept.pop(plain_url(url), None)
        if token is not None:
            self._write(kept)
        return token

    def _read(self) -> Mapping[str, str]:
        if self._path is None:
            return {}
        try:
            with self._path.open("rb") as file:
                if os.fstat(file.fileno()).st_mode & _OTHERS:
                    raise PermissionRefused(
                        f"others may read {self._path}, which holds tokens",
                        hint=f"Run: chmod 600 {self._path}; and if others did, revoke the tokens in it.",
                    )
                data = file.read(_BYTES_MAX)
        except (FileNotFoundError, NotADirectoryError):
            return {}
        except OSError as error:
            raise _unreadable(self._path, error) from error
        value = decode(data, what=str(self._path))
        servers = value.get("servers") if isinstance(value, dict) and value.get("format") == _FORMAT else None
        if not isinstance(servers, dict):
            raise UnsupportedFormat(f"{self._path} holds no tokens of Holdfast", hint="Move it away.")
        return {url: str(kept.get("token")) for url, kept in servers.items() if isinstance(kept, dict)}

    def _write(self, tokens: Mapping[str, str]) -> Path:
        if self._path is None:
            raise PermissionRefused("this user has no folder to keep tokens in", hint="Set HOLDFAST_TOKEN instead.")
        servers = {url: {"token": token} for url, token in sorted(tokens.items())}
        text = json.dumps({"format": _FORMAT, "format_version": "1.0", "servers": servers}, indent=2)
        fresh = self._path.with_name(f".{self._path.name}.{secrets.token_hex(8)}")
        try:
            self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            handle = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
            with os.fdopen(handle, "w", encoding="utf-8") as file:
                file.write(text + "\n")
                file.flush()
                os.fsync(file.fileno())
            fresh.replace(self._path)
        except OSError as error:
            fresh.unlink(missing_ok=True)
            raise _unreadable(self._path, error) from error
        return self._path


def plain_url(url: str) -> str:
    """A server's address as its token is kept under it."""
    return url.rstrip("/").lower()


def _unreadable(path: Path, error: OSError) -> HoldfastError:
    kind = NoSpace if error.errno in {errno.ENOSPC, errno.EDQUOT} else PermissionRefused
    return kind(f"{path}: {error.strerror}", hint="Check the folder, or set HOLDFAST_TOKEN instead.")
