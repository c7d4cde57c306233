"""A webhook as it is asked for, as it stands, and as its deliverer holds it."""

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from fnmatch import fnmatchcase

from holdfast.canonical import JsonObject, Reader
from holdfast.database.times import from_text, to_text
from holdfast.errors import TooLarge, UsageError
from holdfast.registry.actions import Action
from holdfast.registry.records import Event

__all__ = [
    "Claim",
    "Due",
    "Given",
    "NewWebhook",
    "Trial",
    "Webhook",
    "WebhookState",
    "Wish",
    "given",
    "trial",
    "webhook",
]

_PATTERNS_MAX = 50
"""More than there are actions: what wants more, wants a broader pattern. Every event is held against each."""

_PATTERN_CHARACTERS_MAX = 128
"""As long as the name of a model may be."""

_PATTERN = re.compile(r"[a-z0-9*._:-]+\Z")


class WebhookState(StrEnum):
    """Whether a webhook is told of events."""

    ACTIVE = "active"
    """It is told, or will be when its receiver answers again."""

    STOPPED = "stopped"
    """Its receiver refused for too long: it waits at that event until a person lets it go on."""


@dataclass(frozen=True, slots=True)
class Wish:
    """Which events a webhook is told of.

    Attributes:
        actions: patterns of actions, such as `stage:pointer:*`; none: every action.
        models: patterns of models, such as `fraud-*`; none: every event, also those that concern no model.
    """

    actions: tuple[str, ...] = ()
    models: tuple[str, ...] = ()

    @classmethod
    def of(cls, actions: Sequence[str] = (), models: Sequence[str] = ()) -> "Wish":
        """The wish that these patterns say.

        Raises:
            UsageError: a pattern holds what no name holds, or is for actions and fits none.
            TooLarge: too many of them, or too long a one.
        """
        for pattern in (*actions, *models):
            if len(pattern) > _PATTERN_CHARACTERS_MAX:
                raise TooLarge(
                    f"a pattern may have {_PATTERN_CHARACTERS_MAX} characters",
                    hint="A * stands for any text.",
                    limit=_PATTERN_CHARACTERS_MAX,
                )
            if not _PATTERN.match(pattern):
                raise UsageError(
                    f"{pattern!r} is no pattern", hint="Write a name, with * for any text: stage:pointer:* or fraud-*"
                )
        if max(len(actions), len(models)) > _PATTERNS_MAX:
            raise TooLarge(
                f"a webhook may have {_PATTERNS_MAX} patterns of each kind",
                hint="Use broader ones, or several webhooks.",
                limit=_PATTERNS_MAX,
            )
        for pattern in actions:
            if not any(fnmatchcase(action, pattern) for action in Action):
                raise UsageError(
                    f"no action fits {pattern!r}", hint=f"There are {', '.join(sorted(Action))}.", pattern=pattern
                )
        return cls(tuple(actions), tuple(models))

    def wants(self, event: Event) -> bool:
        """Whether it means this event."""
        return (not self.actions or any(fnmatchcase(event.action, one) for one in self.actions)) and (
            not self.models or any(fnmatchcase(event.model or "", one) for one in self.models)
        )


@dataclass(frozen=True, slots=True)
class NewWebhook:
    """A webhook to be added.

    Attributes:
        url: where events are sent.
        wish: which ones.
    """

    url: str
    wish: Wish = field(default_factory=Wish)


@dataclass(frozen=True, slots=True)
class Webhook:
    """A webhook as it stands.

    Attributes:
        id: its name.
        url: where events are sent.
        wish: which ones.
        state: active, or stopped.
        next_event: the index of the first event that its receiver has not been told of, or not passed over.
        behind: how many events of the log lie there; some of them may not be meant.
        attempts: how often its receiver failed to take that event.
        next_at: when it is tried again.
        error: what was wrong the last time; None after a success.
        delivered: how many events its receiver took.
        delivered_at: when it took the last one.
        old_until: until when a secret that was replaced signs too; None when none does.
        created_at: when it was added.
        created_by: by whom.
    """

    id: str
    url: str
    wish: Wish
    state: WebhookState
    next_event: int
    behind: int
    attempts: int
    next_at: datetime
    error: str | None
    delivered: int
    delivered_at: datetime | None
    old_until: datetime | None
    created_at: datetime
    created_by: str

    def to_json(self) -> JsonObject:
        """One entry of `webhook list`."""
        return {
            "webhook": self.id,
            "url": self.url,
            "actions": list(self.wish.actions),
            "models": list(self.wish.models),
            "state": str(self.state),
            "next_event": self.next_event,
            "behind": self.behind,
            "attempts": self.attempts,
            "next_at": to_text(self.next_at),
            "error": self.error,
            "delivered": self.delivered,
            "delivered_at": _text(self.delivered_at),
            "old_secret_until": _text(self.old_until),
            "created_at": to_text(self.created_at),
            "created_by": self.created_by,
        }


@dataclass(frozen=True, slots=True)
class Given:
    """A webhook together with its secret, which is told this once.

    Attributes:
        webhook: as it stands.
        secret: `whsec_…`, for the receiver.
    """

    webhook: Webhook
    secret: str = field(repr=False)

    def to_json(self) -> JsonObject:
        """The answer to adding and to rotating."""
        return {**self.webhook.to_json(), "secret": self.secret}


@dataclass(frozen=True, slots=True)
class Trial:
    """What came of one message that says nothing.

    Attributes:
        taken: the receiver answered with a status of success.
        status: of its answer; None when there was none.
        sentence: the same in words.
        milliseconds: how long that took.
    """

    taken: bool
    status: int | None
    sentence: str
    milliseconds: float

    def to_json(self) -> JsonObject:
        """The answer to a test."""
        return {
            "taken": self.taken,
            "status": self.status,
            "sentence": self.sentence,
            "milliseconds": self.milliseconds,
        }


@dataclass(frozen=True, slots=True)
class Claim:
    """A webhook that one deliverer may work on, until its time is up.

    Attributes:
        id: the webhook's.
        url: where events are sent.
        wish: which ones.
        secrets: sealed: the one that holds, and behind it one that was replaced and still signs.
        next_event: where to go on.
        attempts: how often that event was tried.
        until: when somebody else may claim it.
    """

    id: str
    url: str
    wish: Wish
    secrets: tuple[str, ...] = field(repr=False)
    next_event: int
    attempts: int
    until: datetime


@dataclass(frozen=True, slots=True)
class Due:
    """A webhook with events before it that nobody else is at work on.

    Attributes:
        id: the webhook's.
        wish: which events it is told of.
        next_event: the first that it has not been told of, nor passed.
        size: how many events the log has.
    """

    id: str
    wish: Wish
    next_event: int
    size: int


def webhook(found: Reader) -> Webhook:
    """The webhook that a document says: the way back from `Webhook.to_json`."""
    return Webhook(
        id=found.text("webhook"),
        url=found.text("url"),
        wish=Wish(found.texts("actions"), found.texts("models")),
        state=WebhookState(found.text("state")),
        next_event=found.integer("next_event"),
        behind=found.integer("behind"),
        attempts=found.integer("attempts"),
        next_at=from_text(found.text("next_at")),
        error=found.maybe_text("error"),
        delivered=found.integer("delivered"),
        delivered_at=_moment(found.maybe_text("delivered_at")),
        old_until=_moment(found.maybe_text("old_secret_until")),
        created_at=from_text(found.text("created_at")),
        created_by=found.text("created_by"),
    )


def given(found: Reader) -> Given:
    """The way back from `Given.to_json`."""
    return Given(webhook(found), found.text("secret"))


def trial(found: Reader) -> Trial:
    """The way back from `Trial.to_json`."""
    return Trial(
        found.flag("taken"), found.maybe_integer("status"), found.text("sentence"), found.number("milliseconds")
    )


def _text(moment: datetime | None) -> str | None:
    return None if moment is None else to_text(moment)


def _moment(text: str | None) -> datetime | None:
    return None if text is None else from_text(text)
