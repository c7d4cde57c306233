"""The key of a project's log, its name, and what was signed with it last.

log/key         the private key, mode 0600: whoever has it can sign another log under this name
log/verifier    the public key, for whoever wants to check
log/signed      the checkpoint that was signed last
log/retired     public keys that this log had before, one a line
"""

import fcntl
import os
import re
import secrets
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Protocol

from holdfast.config import Settings
from holdfast.errors import IntegrityError, NotFound, UsageError
from holdfast.registry.checkpoints import Checkpoint, SignerKey, VerifierKey
from holdfast.registry.merkle import Head
from holdfast.registry.provable import ProvableRegistry
from holdfast.store.disk import place, refusing

__all__ = ["LogKey", "LogSigner", "not_as_seen", "opened_by", "require_name"]

_SEED_BYTES = 32
_NAME_CHARACTERS_MAX = 255
"""As long as a name of a host may be, which the name of a log often is."""

_NAME_BEGIN = 200
"""How much of a name is taken over into another one, with room for what tells the two apart."""

_SUFFIX = re.compile(r"-[0-9a-f]{8}\Z")

_NOT_IN_A_NAME = re.compile(r"[^a-z0-9.-]+")


class LogSigner(Protocol):
    """What signs a log, wherever its private key is."""

    def origin(self) -> str:
        """The name of the log."""

    def verifiers(self) -> tuple[VerifierKey, ...]:
        """The public key, and behind it those that the log had before."""

    def open(self, note: bytes) -> Checkpoint:
        """The checkpoint in a note that this log signed.

        Raises:
            UnsupportedFormat: no signed checkpoint.
            IntegrityError: not signed by this log.
        """

    def signed(self) -> Checkpoint | None:
        """What was signed last, as far as it is known here."""

    def sign(self, registry: ProvableRegistry) -> bytes:
        """The signed checkpoint of the log as it stands.

        Raises:
            IntegrityError: the log is not what was signed before.
        """

    def has_changed(self) -> bool:
        """Whether it is another key than was known."""

    def renew(self) -> VerifierKey:
        """Another key from now on; where a server signs, the one that it has."""


class LogKey:
    """The key of one log, in a folder of the project's home; made when it is first needed.

    Args:
        folder: where it is kept.
        project: names the log, if nobody chooses a name.
    """

    def __init__(self, folder: Path, project: str) -> None:
        self._folder = folder
        self._project = project

    @classmethod
    def of(cls, settings: Settings) -> "LogKey":
        """The key of a project's log."""
        return cls(settings.home / "log", settings.project.name)

    def make(self, name: str | None = None) -> VerifierKey:
        """The key; made, under the chosen name or one of its own, when there is none.

        Raises:
            UsageError: no name for a log.
            NoSpace, PermissionRefused: it cannot be kept.
        """
        with self._turn():
            return self._signer(name).verifier()

    def origin(self) -> str:
        """The name of the log."""
        text = self._read("verifier")
        return self.make().name if text is None else VerifierKey.parse(text.decode(errors="replace")).name

    def verifiers(self) -> tuple[VerifierKey, ...]:
        """The public key, and behind it those that the log had before."""
        retired = (self._read("retired") or b"").decode(errors="replace").splitlines()
        return (self.make(), *(VerifierKey.parse(line) for line in reversed(retired)))

    def open(self, note: bytes) -> Checkpoint:
        """The checkpoint in a note that this log signed, with its key or with one that it had before.

        Raises:
            UnsupportedFormat: no signed checkpoint.
            IntegrityError: not signed by this log.
        """
        return opened_by(self.verifiers(), note)

    def signed(self) -> Checkpoint | None:
        """What was signed last; None when nothing was.

        Raises:
            IntegrityError: the file that says so was edited.
        """
        note = self._read("signed")
        return None if note is None else self.make().open(note)

    def sign(self, registry: ProvableRegistry) -> bytes:
        """The signed checkpoint of the log as it stands.

        Raises:
            IntegrityError: the log does not begin with what was signed before. Nothing is signed then, ever: two
                checkpoints that cannot both be true would prove that the log lies.
        """
        with self._turn():
            signer, note = self._signer(None), self._read("signed")
            last = None if note is None else signer.verifier().open(note)
            head, earlier = registry.heads(() if last is None else (last.head.size,))
            if last is not None and earlier.get(last.head.size) != last.head:
                raise not_as_seen(last, Checkpoint(signer.name, earlier.get(last.head.size, head)), "was signed")
            if last is None or last.head != head or note is None:
                note = signer.sign(Checkpoint(signer.name, head).text())
                self._write("signed", 0o644, note)
            return note

    def has_changed(self) -> bool:
        """Whether it is another one than was known: never without `renew`."""
        return False

    def renew(self) -> VerifierKey:
        """Another key under another name: for a log that is no longer what was signed with this one."""
        with self._turn():
            before = self._signer(None).verifier()
            with refusing(self._folder), (self._folder / "retired").open("a", encoding="utf-8") as retired:
                retired.write(f"{before}\n")
            for name in ("signed", "key", "verifier"):
                (self._folder / name).unlink(missing_ok=True)
            return self._signer(f"{_SUFFIX.sub('', before.name)[:_NAME_BEGIN]}-{secrets.token_hex(4)}").verifier()

    @contextmanager
    def _turn(self) -> Iterator[None]:
        with refusing(self._folder):
            self._folder.mkdir(mode=0o700, exist_ok=True)
            lock = os.open(self._folder / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        try:
            with refusing(self._folder):
                fcntl.flock(lock, fcntl.LOCK_EX)
            yield
        finally:
            os.close(lock)

    def _signer(self, name: str | None) -> SignerKey:
        text = self._read("key")
        if text is not None:
            signer = SignerKey.parse(text.decode(errors="replace"))
        else:
            require_name(name)
            signer = SignerKey(self._own_name() if name is None else name, secrets.token_bytes(_SEED_BYTES))
            self._write("key", 0o600, f"{signer.secret()}\n".encode())
        if self._read("verifier") is None:
            self._write("verifier", 0o644, f"{signer.verifier()}\n".encode())
        return signer

    def _own_name(self) -> str:
        said = _NOT_IN_A_NAME.sub("-", self._project.lower()).strip("-.")[:_NAME_BEGIN]
        return f"{said or 'log'}-{secrets.token_hex(4)}"

    def _read(self, name: str) -> bytes | None:
        path = self._folder / name
        try:
            with refusing(path):
                return path.read_bytes()
        except NotFound:
            return None

    def _write(self, name: str, mode: int, data: bytes) -> None:
        place(self._folder / name, mode, lambda file: file.write(data))


def opened_by(keys: Sequence[VerifierKey], note: bytes) -> Checkpoint:
    """The checkpoint in a note, if the first of the keys has signed it, or one of those behind it under its own name.

    Raises:
        UnsupportedFormat: no signed checkpoint.
        IntegrityError: not signed by them.
    """
    ours, *retired = keys
    name = Checkpoint.parse(note.decode(errors="replace")).origin
    return next((key for key in retired if key.name == name), ours).open(note)


def require_name(name: str | None) -> None:
    """Says no to what cannot be the name of a log; None chooses none.

    Raises:
        UsageError: as it says.
    """
    if name is None:
        return
    if len(name) > _NAME_CHARACTERS_MAX or "+" in name or not name.isprintable() or name.split() != [name]:
        raise UsageError(
            f"{name[:40]!r} cannot be the name of a log",
            hint="Take one that nobody else has, such as example.org/churn, without blanks and plus signs.",
        )


def not_as_seen(seen: Checkpoint, found: Checkpoint, how: str) -> IntegrityError:
    """The error that says so, and names both."""
    return IntegrityError(
        f"the log is not the one that {how} before: {_said(seen.head)} then, and {_said(found.head)} now. It was "
        "written anew, its end was cut off, or an older copy of the database was put in its place",
        hint="Look: holdfast audit verify. If it was you, and on purpose: holdfast audit accept --reason WHY",
        origin=seen.origin,
        seen=seen.head.to_json(),
        found=found.head.to_json(),
    )


def _said(head: Head) -> str:
    return f"{head.size} events with the root {head.root}"
