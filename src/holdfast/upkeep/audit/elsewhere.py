"""The log behind a server, for whoever asks it over a network and does not have to believe it.

The server keeps the log's key, and signs. Its public half is remembered when it is first seen, beside what was seen of
the log, and has to be the same from then on. What the server says of the log is held against that: by a signature, and
by proofs that are checked here.
"""

from collections.abc import Iterable
from dataclasses import replace
from typing import Protocol

from holdfast.errors import IntegrityError, NotFound
from holdfast.registry.checkpoints import Checkpoint, VerifierKey
from holdfast.registry.merkle import Head
from holdfast.registry.provable import ProvableRegistry
from holdfast.registry.records import Audit
from holdfast.upkeep.audit.key import opened_by
from holdfast.upkeep.audit.memory import Memory

__all__ = ["ServerKey", "SignedLog", "proven"]


class SignedLog(ProvableRegistry, Protocol):
    """A registry that signs its log itself."""

    def log_keys(self) -> tuple[VerifierKey, ...]:
        """The public key of the log, and behind it those that it had before.

        Raises:
            NotFound: whoever keeps the log signs nothing.
        """

    def signed_checkpoint(self) -> bytes:
        """The signed checkpoint of the log as it stands.

        Raises:
            NotFound: as `log_keys`.
            IntegrityError: the log does not begin with what was signed before.
        """


class ServerKey:
    """The key of a log that a server signs; a `LogSigner`.

    Args:
        log: what the server says.
        memory: what this user saw of it.
    """

    def __init__(self, log: SignedLog, memory: Memory) -> None:
        self._log = log
        self._memory = memory

    def origin(self) -> str:
        """The name of the log."""
        return self.verifiers()[0].name

    def verifiers(self) -> tuple[VerifierKey, ...]:
        """The public key, and behind it those that the log had before.

        Raises:
            IntegrityError: it is not the key that was seen here first.
        """
        found = self._log.log_keys()
        seen = self._memory.key()
        if seen is None:
            self._memory.keep_key(str(found[0]))
        elif seen != str(found[0]):
            raise IntegrityError(
                f"the server signs its log with the key {found[0]}, and had the key {seen} when it was first seen here",
                hint="Ask whoever keeps the server. If it was done on purpose: holdfast audit accept --reason WHY",
                seen=seen,
                found=str(found[0]),
            )
        return found

    def open(self, note: bytes) -> Checkpoint:
        """The checkpoint in a note that this log signed, with its key or with one that it had before.

        Raises:
            UnsupportedFormat: no signed checkpoint.
            IntegrityError: not signed by this log.
        """
        return opened_by(self.verifiers(), note)

    def signed(self) -> Checkpoint | None:
        """What was signed last is what was seen."""
        return None

    def sign(self, registry: ProvableRegistry) -> bytes:
        """The checkpoint that the server signs, if its key did.

        Raises:
            IntegrityError: it did not, or the log is not what it signs.
        """
        note = self._log.signed_checkpoint()
        signed = self.verifiers()[0].open(note)
        _, known = registry.heads((signed.head.size,))
        if known.get(signed.head.size) != signed.head:
            raise _not_what_it_says(f"it signed {signed.head.size} events with a root that they do not have")
        return note

    def has_changed(self) -> bool:
        """Whether the server has another key than the one that was seen first."""
        return self._memory.key() not in {None, str(self._log.log_keys()[0])}

    def renew(self) -> VerifierKey:
        """Takes the key that the server has now for the right one."""
        found = self._log.log_keys()[0]
        self._memory.keep_key(str(found))
        return found


def proven(audit: Audit, registry: ProvableRegistry, seen: Iterable[Head]) -> Audit:
    """What a server found in its own log, with what it says of earlier heads proven here and not believed."""
    now = Head(audit.size, audit.root)
    unlike = tuple(head for head in seen if head in audit.unlike or not _grew(registry, head, now))
    if not audit.ok or not unlike:
        return replace(audit, unlike=unlike)
    sentence = f"The server cannot prove that its log begins with the {unlike[0].size} events seen before."
    return replace(audit, ok=False, sentence=sentence, unlike=unlike)


def _grew(registry: ProvableRegistry, old: Head, new: Head) -> bool:
    try:
        growth = registry.prove_growth(old.size, new.size)
    except (NotFound, IntegrityError):
        return False
    return (growth.old, growth.new) == (old, new) and growth.holds()


def _not_what_it_says(how: str) -> IntegrityError:
    return IntegrityError(f"the server's log is not what it says: {how}", hint="Ask whoever keeps the server.")
