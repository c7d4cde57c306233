"""Policies that a registry keeps: which one is in force for whom, and every one that ever was."""

from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from holdfast.canonical import JsonObject, Reader
from holdfast.database.times import from_text, to_text
from holdfast.digest import Digest, hash_bytes
from holdfast.names import ModelName

__all__ = ["Governing", "KeptPolicy", "NewPolicy"]


@dataclass(frozen=True, slots=True)
class NewPolicy:
    """A policy about to be set.

    Attributes:
        text: the policy as TOML, as `docs/reference/policy.md` describes it; the registry does not read it.
        model: whose versions it is for; None: those of every model that has none of its own.
        reason: why it is set; never empty.
        expect: the number of the policy that it replaces in its place, for this model or for all; 0: none.
    """

    text: str
    model: ModelName | None = None
    reason: str = ""
    expect: int = 0

    @property
    def digest(self) -> Digest:
        """The name that it will have."""
        return hash_bytes(self.text.encode())

    def to_json(self) -> JsonObject:
        """What asks a server for it."""
        return {
            "text": self.text,
            "model": None if self.model is None else str(self.model),
            "reason": self.reason,
            "expect": self.expect,
        }


@dataclass(frozen=True, slots=True)
class KeptPolicy:
    """A policy that was set.

    Attributes:
        number: 1, 2, 3 … among those for this model, or for all.
        model: whose versions it is for; None: those of every model that has none of its own.
        digest: the SHA-256 of its text in UTF-8.
        text: the policy as it was written.
        reason: why it was set.
        by: who set it.
        at: when.
        event: the index of the event that says so.
    """

    number: int
    model: ModelName | None
    digest: Digest
    text: str
    reason: str
    by: str
    at: datetime
    event: int

    @property
    def name(self) -> str:
        """How people are told which one it is."""
        return f"policy {self.number} of {'the registry' if self.model is None else self.model}"

    def to_json(self) -> JsonObject:
        """The policy, with its text."""
        return {
            "number": self.number,
            "model": None if self.model is None else str(self.model),
            "digest": str(self.digest),
            "text": self.text,
            "reason": self.reason,
            "by": self.by,
            "at": to_text(self.at),
            "event": self.event,
        }

    @classmethod
    def from_json(cls, found: Reader) -> "KeptPolicy":
        """The policy that `to_json` wrote.

        Raises:
            UnsupportedFormat: something else.
        """
        model = found.maybe_text("model")
        return cls(
            number=found.integer("number"),
            model=None if model is None else ModelName(model),
            digest=Digest.parse(found.text("digest")),
            text=found.text("text"),
            reason=found.text("reason"),
            by=found.text("by"),
            at=from_text(found.text("at")),
            event=found.integer("event"),
        )


class Governing(Protocol):
    """What a registry asks of promotions itself. Nothing that was set is ever changed; another one takes its place."""

    def set_policy(self, new: NewPolicy, actor: str, *, key: str | None = None) -> KeptPolicy:
        """Sets a policy, with its event. From then on no promotion rests on a verdict that does not name it.

        Raises:
            NotFound: no such model.
            AlreadyExists: another one was set since `new.expect`; the details say `expected` and `found`.
            UsageError: no reason, or no text.
            TooLarge: the text is longer than what is kept.
        """

    def policy(self, model: ModelName | None = None) -> KeptPolicy | None:
        """The policy in force for a model: its own, else that of all. Without a model, that of all.

        Raises:
            NotFound: no such model.
            IntegrityError: it is not what it is named by.
        """

    def policies(self, model: ModelName | None = None) -> tuple[KeptPolicy, ...]:
        """Every policy that was set for this model, or for all, oldest first.

        Raises:
            NotFound: no such model.
            IntegrityError: one is not what it is named by.
        """
