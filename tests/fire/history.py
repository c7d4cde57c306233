"""What many clients asked and were answered, held against the log: is there one order in which all of it is true?

Nothing here knows how the clients ran, or what was done to the servers meanwhile.
"""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from holdfast.names import VersionNumber
from holdfast.registry import MOVES, Event, Move, Stage
from holdfast.registry.merkle import Head
from holdfast.registry.provable import ProvableRegistry

__all__ = ["Attempt", "History", "faults", "faults_of_the_log", "read"]

_PAGE = 10_000
"""Events asked for at once."""


@dataclass(frozen=True)
class Attempt:
    """One move that a client asked for, however often it had to ask until it was answered.

    Attributes:
        actor: the client.
        key: of the request.
        expect: what the stage was to hold.
        to: the version that should hold it.
        begun: when it was first asked for, in seconds of the machine's monotonic clock.
        ended: when the client was answered, or gave up.
        asked: how often.
        move: the answer, where it was moved.
        refusal: the details of the answer, where somebody else had moved it first.
    """

    actor: str
    key: str
    expect: VersionNumber | None
    to: VersionNumber
    begun: float
    ended: float
    asked: int = 1
    move: Move | None = None
    refusal: Mapping[str, Any] | None = None


@dataclass(frozen=True)
class History:
    """All that is known afterwards.

    Attributes:
        before: the stage when nobody had asked yet.
        attempts: of all clients.
        events: the whole log, from its beginning.
        after: the stage when nobody asked any more.
    """

    before: Stage
    attempts: Sequence[Attempt]
    events: Sequence[Event]
    after: Stage

    @property
    def moves(self) -> list[Event]:
        """The moves of the stage that came to what stood before, in the order of the log."""
        stage = (str(self.before.model), str(self.before.name))
        return [
            event
            for event in self.events
            if (event.model, event.stage) == stage and event.action in MOVES and (event.epoch or 0) > self.before.epoch
        ]

    @property
    def acknowledged(self) -> list[Attempt]:
        """The attempts whose clients were told that they moved the stage."""
        return [attempt for attempt in self.attempts if attempt.move is not None]


def read(registry: ProvableRegistry) -> tuple[Event, ...]:
    """The whole log, oldest first."""
    found: list[Event] = []
    before: int | None = None
    while page := registry.log(before=before, limit=_PAGE):
        found += page
        before = page[-1].index
        if before == 0:
            break
    return tuple(reversed(found))


def faults(history: History) -> list[str]:
    """What cannot be true together, each in a sentence; nothing when there is an order in which all of it is."""
    return [
        *_broken_line(history),
        *_keys(history),
        *_lost(history),
        *_wrongly_refused(history),
        *_out_of_order(history),
    ]


def faults_of_the_log(registry: ProvableRegistry, seen: Head) -> list[str]:
    """What is wrong with the log by its own proofs, and with how it goes on from what was seen of it before."""
    audit = registry.audit_verify([seen])
    growth = registry.prove_growth(seen.size)
    found = [] if audit.ok else [f"the audit says: {audit.sentence}"]
    if growth.old != seen or not growth.holds():
        found.append(f"the log does not begin with the {seen.size} events that were seen of it")
    if growth.new.size < seen.size:
        found.append("the log became shorter")
    return found


def _broken_line(history: History) -> Iterator[str]:
    """The log counts without a gap, and each move of the stage begins where the one before it ended."""
    for place, event in enumerate(history.events):
        if event.index != place:
            yield f"event {event.index} stands at place {place} of the log"
            return
    for one, other in pairwise(history.events):
        if other.prev != one.hash:
            yield f"event {other.index} does not name event {one.index} before it"
        if other.time < one.time:
            yield f"event {other.index} is older than event {one.index} before it"
    held, epoch = history.before.number, history.before.epoch
    for event in history.moves:
        if event.epoch != epoch + 1:
            yield f"event {event.index} has epoch {event.epoch} behind epoch {epoch}"
        if event.from_number != held:
            yield f"event {event.index} moves the stage from {event.from_number}, and {held} held it"
        held, epoch = _number(event.to_number), event.epoch or 0
    if (history.after.number, history.after.epoch) != (held, epoch):
        yield (
            f"the stage holds {history.after.number} in epoch {history.after.epoch}, and its last event says "
            f"{held} in epoch {epoch}"
        )


def _keys(history: History) -> Iterator[str]:
    """Each move was asked for, by whom and as the log says, and none was made twice."""
    asked = {attempt.key: attempt for attempt in history.attempts}
    for key, count in Counter(event.idempotency_key for event in history.moves).items():
        if count > 1:
            yield f"the request {key} moved the stage {count} times"
    for event in history.moves:
        attempt = asked.get(str(event.idempotency_key))
        if attempt is None:
            yield f"event {event.index} was asked for by nobody"
        elif (attempt.actor, attempt.expect, attempt.to) != (event.actor, event.from_number, event.to_number):
            yield f"event {event.index} is not what {attempt.actor} asked for"


def _lost(history: History) -> Iterator[str]:
    """What was acknowledged is in the log as it was told."""
    made = {event.idempotency_key: event for event in history.moves}
    for attempt in history.acknowledged:
        event, move = made.get(attempt.key), attempt.move
        if event is None or move is None:
            yield f"the move {attempt.key} of {attempt.actor} was acknowledged, and is not in the log"
        elif (move.event, move.epoch, move.from_number, move.to_number, str(move.to_digest)) != (
            event.index,
            event.epoch,
            event.from_number,
            event.to_number,
            event.to_digest,
        ):
            yield f"{attempt.actor} was told of event {move.event}, and event {event.index} says something else"


def _wrongly_refused(history: History) -> Iterator[str]:
    """Who was refused has moved nothing, and was told of a move that happened and that was not what they expected."""
    made = {event.idempotency_key for event in history.moves}
    held = {event.index: event.to_number for event in history.events if event.action in MOVES}
    for attempt in history.attempts:
        if attempt.refusal is None:
            continue
        if attempt.key in made:
            yield f"{attempt.actor} was refused the move {attempt.key}, and it is in the log"
        found = attempt.refusal.get("found")
        if found == attempt.expect:
            yield f"{attempt.actor} was refused, though the stage held {found} as expected"
        if held.get(attempt.refusal.get("event", -1)) != found:
            yield f"{attempt.actor} was refused because of event {attempt.refusal.get('event')}, which does not say so"


def _out_of_order(history: History) -> Iterator[str]:
    """A move that was acknowledged before another was asked for comes before it."""
    by_epoch = sorted(history.acknowledged, key=lambda attempt: attempt.move.epoch if attempt.move else 0)
    latest = 0.0
    for attempt in by_epoch:
        if attempt.ended < latest:
            yield f"the move {attempt.key} was acknowledged before one was asked for that comes before it"
        latest = max(latest, attempt.begun)


def _number(number: int | None) -> VersionNumber | None:
    return None if number is None else VersionNumber(number)
