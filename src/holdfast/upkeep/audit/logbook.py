"""The log with all that makes it provable: signed, held against what was seen of it, proven, exported."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from holdfast.canonical import JsonObject, encode
from holdfast.config import Settings
from holdfast.digest import hash_bytes
from holdfast.errors import IntegrityError, NotFound, UsageError
from holdfast.registry.actions import Action
from holdfast.registry.checkpoints import Checkpoint
from holdfast.registry.merkle import Head
from holdfast.registry.proofs import Consistency, Inclusion
from holdfast.registry.provable import ProvableRegistry
from holdfast.registry.records import Audit, Event, NewEvent
from holdfast.upkeep.audit.elsewhere import ServerKey, SignedLog, proven
from holdfast.upkeep.audit.key import LogKey, LogSigner
from holdfast.upkeep.audit.memory import Memory, Watch

__all__ = ["EXPORT_FORMAT", "EXPORT_VERSION", "OFFLINE", "Compared", "Logbook", "Verified", "read_note"]

EXPORT_FORMAT, EXPORT_VERSION = "holdfast.log", "1.0"

OFFLINE = Path(__file__).with_name("offline.py")
"""The program that checks an export: it needs no Holdfast, and nothing but Python."""

_LINES_AT_A_TIME = 256
"""Lines handed on together: a call for each would take longer than writing it."""


@dataclass(frozen=True, slots=True)
class Compared:
    """A checkpoint that the log was held against.

    Attributes:
        source: whose it is: `seen` by this user, `signed` last, or the name of a file.
        checkpoint: what it says.
        agrees: whether the log begins with it.
    """

    source: str
    checkpoint: Checkpoint
    agrees: bool

    def to_json(self) -> JsonObject:
        """One entry of `compared`."""
        return {
            "source": self.source,
            "origin": self.checkpoint.origin,
            **self.checkpoint.head.to_json(),
            "agrees": self.agrees,
        }


@dataclass(frozen=True, slots=True)
class Verified:
    """What an audit found, and what it was held against."""

    audit: Audit
    compared: tuple[Compared, ...]

    def to_json(self) -> JsonObject:
        """What `audit verify` prints."""
        return {**self.audit.to_json(), "compared": [one.to_json() for one in self.compared]}

    def lines(self) -> Iterator[str]:
        """The same for a person."""
        yield f"{'ok' if self.audit.ok else 'BROKEN'}: {self.audit.sentence}"
        for one in self.compared:
            head = one.checkpoint.head
            said = "begins with" if one.agrees else "is NOT"
            whose = {"seen": "seen here before", "signed": "signed last"}.get(one.source, f"kept in {one.source}")
            yield f"  it {said} the {head.size} events {whose}: {head.root}"
        if not self.compared:
            yield "  nobody here has seen it before: keep what `holdfast audit checkpoint` prints, somewhere else"


class Logbook:
    """One log with its key, and with what was seen of it.

    Args:
        registry: whose log it is; opened without asking what was seen of it.
        key: signs it, here or on the server that keeps it.
        memory: what this user saw of it.
    """

    def __init__(self, registry: ProvableRegistry, key: LogSigner, memory: Memory) -> None:
        self.registry = registry
        self.key = key
        self.memory = memory
        self.watch = Watch(memory, key.origin)

    @classmethod
    def of(cls, settings: Settings, registry: ProvableRegistry) -> "Logbook":
        """The log of a project."""
        return cls(registry, LogKey.of(settings), Memory.of(settings))

    @staticmethod
    def begin(settings: Settings, name: str | None = None) -> None:
        """Gives a new project's log its key and its name, and forgets what another one was that stood here before.

        Raises:
            UsageError: no name for a log.
        """
        Memory.of(settings).forget()
        LogKey.of(settings).make(name)

    @classmethod
    def behind(cls, settings: Settings, log: SignedLog) -> "Logbook":
        """The log that a server keeps, for somebody who asks it."""
        memory = Memory.of(settings)
        return cls(log, ServerKey(log, memory), memory)

    def checkpoint(self) -> bytes:
        """The signed checkpoint of the log as it stands.

        Raises:
            IntegrityError: the log does not begin with what was seen of it, or signed. What was seen is asked as well:
                whoever puts yesterday's project back puts back what was signed yesterday.
        """
        self.watch.opened(self.registry)
        note = self.key.sign(self.registry)
        self.memory.keep(Checkpoint.parse(note.decode()))
        return note

    def verify(self, notes: Sequence[tuple[str, bytes]] = ()) -> Verified:
        """Audits everything, against what was seen, what was signed, and the notes; each with the name of its file.

        Raises:
            UnsupportedFormat: a note holds no signed checkpoint.
            IntegrityError: a note was not signed by this log.
        """
        known: list[tuple[str, Checkpoint]] = []
        if (seen := self.memory.last()) is not None:
            known.append(("seen", seen))
        if (signed := self.key.signed()) is not None:
            known.append(("signed", signed))
        known += [(name, self.key.open(note)) for name, note in notes]
        heads = [one.head for _, one in known]
        audit = self.registry.audit_verify(heads)
        if isinstance(self.key, ServerKey):
            audit = proven(audit, self.registry, heads)
        if audit.ok:
            self.memory.keep(Checkpoint(self.key.origin(), Head(audit.size, audit.root)))
        return Verified(audit, tuple(Compared(name, one, one.head not in audit.unlike) for name, one in known))

    def prove(self, index: int) -> tuple[Inclusion, bytes]:
        """That an event is in the log, and the signed checkpoint that the proof leads to.

        Raises:
            NotFound: no such event.
            IntegrityError: as `checkpoint`, or it does not prove it.
        """
        note = self.checkpoint()
        head = Checkpoint.parse(note.decode()).head
        found = self.registry.prove(index, head.size)
        if (found.index, found.head) != (index, head) or not found.holds():
            raise _proves_nothing(f"event {index} is in the log")
        return found, note

    def prove_growth(self, since: int) -> tuple[Consistency, bytes]:
        """That the log begins with what it was with `since` events, and the signed checkpoint of what it is.

        Raises:
            NotFound: the log does not have so many events.
            IntegrityError: as `checkpoint`, or it does not prove it.
        """
        note = self.checkpoint()
        head = Checkpoint.parse(note.decode()).head
        found = self.registry.prove_growth(since, head.size)
        if (found.old.size, found.new) != (since, head) or not found.holds():
            raise _proves_nothing(f"the log begins with its first {since} events")
        return found, note

    def export(self, since: int = 0) -> Iterator[bytes]:
        """The events from `since` on in the form of docs/FORMAT.md, line after line, then a signed checkpoint.

        Raises:
            NotFound: the log does not have so many events.
            IntegrityError: as `checkpoint`, or an event is missing.
        """
        note = self.checkpoint()
        checkpoint = Checkpoint.parse(note.decode())
        edge = [node.hex() for node in self.registry.edge(since)]
        begins = {"format": EXPORT_FORMAT, "version": EXPORT_VERSION, "origin": checkpoint.origin, "since": since}
        yield encode({**begins, "edge": edge}) + b"\n"
        last, held = b"", []
        for last in self.registry.bodies(since, checkpoint.head.size):
            held.append(last)
            if len(held) == _LINES_AT_A_TIME:
                yield b"\n".join([*held, b""])
                held.clear()
        yield b"\n".join([*held, b""]) if held else b""
        yield encode({"checkpoint": note.decode(), "last": str(hash_bytes(last)) if last else None}) + b"\n"

    def accept(self, reason: str, actor: str) -> Event:
        """Goes on with a log that is not what was seen of it, such as one restored from a backup.

        That it was accepted, by whom and why, and what had been seen, becomes an event. The log gets another key and
        another name: under the old ones it would contradict what they may have signed. Where a server signs, the key
        that it has now is taken for the right one.

        Raises:
            UsageError: no reason, or the log is what was seen of it.
            IntegrityError: the log and its tree do not belong together, which nobody can accept.
        """
        if not reason.strip():
            raise UsageError("a reason is missing", hint="Say why the log is another one: --reason WHY")
        seen, signed = self.memory.last(), self.key.signed()
        known = [one for one in (seen, signed) if one is not None]
        head, earlier = self.registry.heads([one.head.size for one in known])
        unlike = [one for one in known if earlier.get(one.head.size) != one.head]
        if not unlike and not self.key.has_changed():
            raise UsageError("the log begins with all that was seen of it", hint="There is nothing to accept.")
        renewed = self.key.renew()
        found = Checkpoint(unlike[0].origin if unlike else renewed.name, head)
        details = {"seen": [one.text() for one in unlike], "found": found.text(), "key": str(renewed)}
        event = self.registry.record(NewEvent(Action.LOG_ACCEPT, reason=reason, details=details), actor)
        now, _ = self.registry.heads()
        self.memory.replace(Checkpoint(renewed.name, now))
        return event


def _proves_nothing(what: str) -> IntegrityError:
    return IntegrityError(
        f"the proof that {what} does not lead to the signed checkpoint", hint="Look at the log: holdfast audit verify"
    )


def read_note(path: Path) -> tuple[str, bytes]:
    """A checkpoint that somebody kept in a file, with the file's name.

    Raises:
        NotFound: there is no such file.
    """
    try:
        return str(path), path.read_bytes()
    except OSError as error:
        raise NotFound(f"{path} cannot be read: {error.strerror}", hint="Name a file with a checkpoint.") from error
