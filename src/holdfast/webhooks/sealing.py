"""Secrets of webhooks as they rest in the database: encrypted, each bound to its webhook.

AES-256-GCM with a nonce of 96 bits from the system's source of chance (NIST SP 800-38D): `v1:` and base 64 of the nonce
and what was sealed; the webhook's id is the associated data, so that a secret cannot be moved to another row.

The key is in `webhooks.key` in the project's home, or in `HOLDFAST_WEBHOOK_KEY` where several servers on several
machines share one database. A copy of the database alone signs nothing.
"""

import os
import secrets
from base64 import b64decode, b64encode
from pathlib import Path

from holdfast.errors import IntegrityError, NotFound, UsageError
from holdfast.store.disk import place, refusing

__all__ = ["Seal", "key_in"]

_KEY_BYTES = 32
_NONCE_BYTES = 12
_FORMAT = "v1:"


class Seal:
    """Seals secrets, and opens them again.

    Args:
        key: 32 bytes in base 64.

    Raises:
        UsageError: something else.
    """

    def __init__(self, key: str) -> None:
        try:
            self._key = b64decode(key, validate=True)
        except ValueError:
            self._key = b""
        if len(self._key) != _KEY_BYTES:
            raise UsageError(
                "the key of webhooks is not 32 bytes in base 64",
                hint="Make one: head -c 32 /dev/urandom | base64, and set it as HOLDFAST_WEBHOOK_KEY on every server.",
            )

    def seal(self, secret: str, webhook: str) -> str:
        """The secret as it rests."""
        from cryptography.hazmat.primitives.ciphers.aead import AESGCM

        nonce = secrets.token_bytes(_NONCE_BYTES)
        sealed = AESGCM(self._key).encrypt(nonce, secret.encode(), webhook.encode())
        return _FORMAT + b64encode(nonce + sealed).decode()

    def open(self, sealed: str, webhook: str) -> str:
        """The secret.

        Raises:
            IntegrityError: it was sealed with another key, for another webhook, or was edited.
        """
        from cryptography.exceptions import InvalidTag
        from cryptography.hazmat.primitives.ciphers.aead import AESGCM

        try:
            data = b64decode(sealed.removeprefix(_FORMAT), validate=True)
            opened = AESGCM(self._key).decrypt(data[:_NONCE_BYTES], data[_NONCE_BYTES:], webhook.encode())
            return opened.decode()
        except (InvalidTag, ValueError) as error:
            raise IntegrityError(
                f"the secret of webhook {webhook} cannot be opened with the key that this server has",
                hint="Set the key of the server that sealed it as HOLDFAST_WEBHOOK_KEY, or: holdfast webhook rotate",
                webhook=webhook,
            ) from error


def key_in(home: Path) -> str:
    """The key in a project's home; made when there is none.

    Raises:
        NoSpace, PermissionRefused: it cannot be read, or kept.
    """
    path = home / "webhooks.key"
    try:
        with refusing(path):
            return path.read_text(encoding="ascii").strip()
    except NotFound:
        made = home / f".webhooks-{secrets.token_hex(8)}.key"
        place(made, 0o600, lambda file: file.write(b64encode(secrets.token_bytes(_KEY_BYTES)) + b"\n"))
        with refusing(path):
            try:
                os.link(made, path)  # whoever is first has made it: nobody's key is replaced
            except FileExistsError:
                pass
            finally:
                made.unlink()
            return path.read_text(encoding="ascii").strip()
