"""A checker that finds nothing proves nothing: here it is given histories that cannot be true."""

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from holdfast.digest import hash_bytes
from holdfast.names import ModelName, StageName, VersionNumber
from holdfast.registry import Action, Event, Move, Stage
from tests.fire.history import Attempt, History, faults

MODEL, STAGE = ModelName("churn"), StageName("production")
START = datetime(2026, 3, 1, 9, tzinfo=UTC)


def chained(events: list[Event]) -> list[Event]:
    """The same events, each naming the one before it, as a log that somebody wrote anew with care."""
    found: list[Event] = []
    for place, event in enumerate(events):
        fresh = replace(event, index=place, prev=found[-1].hash if found else None, hash="")
        found.append(replace(fresh, hash=str(hash_bytes(fresh.body()))))
    return found


def event(epoch: int, before: int, to: int, **more: object) -> Event:
    fields: dict[str, object] = {
        "index": 0,
        "time": START + timedelta(seconds=epoch),
        "actor": f"client-{epoch % 3}",
        "action": str(Action.STAGE_PROMOTE),
        "model": "churn",
        "stage": "production",
        "from_number": before,
        "from_digest": str(hash_bytes(b"%d" % before)),
        "to_number": to,
        "to_digest": str(hash_bytes(b"%d" % to)),
        "epoch": epoch,
        "last_known_good": before,
        "reason": "",
        "verdict": None,
        "approvals": (),
        "idempotency_key": f"key-{epoch}",
        "details": {},
        "prev": None,
        "hash": "",
    }
    return Event(**{**fields, **more})  # type: ignore[arg-type]


def stage(number: int, epoch: int) -> Stage:
    return Stage(MODEL, STAGE, VersionNumber(number), hash_bytes(b"%d" % number), epoch, None, 0, START)


def told(made: Event) -> Move:
    return Move(
        MODEL,
        STAGE,
        Action(made.action),
        VersionNumber(made.from_number or 0),
        VersionNumber(made.to_number or 0),
        hash_bytes(b"%d" % (made.to_number or 0)),
        made.epoch or 0,
        None,
        made.index,
        made.time,
        None,
    )


def true_history() -> History:
    """Six moves of three clients, of which the fourth was never answered, and one refusal."""
    log = chained([event(epoch, 1 + (epoch + 1) % 2, 1 + epoch % 2) for epoch in range(1, 8)])
    attempts = [
        Attempt(
            made.actor,
            str(made.idempotency_key),
            VersionNumber(made.from_number or 0),
            VersionNumber(made.to_number or 0),
            begun=float(made.epoch or 0),
            ended=(made.epoch or 0) + 1.5,
            move=None if made.epoch == 5 else told(made),
        )
        for made in log[1:]
    ]
    refusal: dict[str, int | None] = {"expected": 1, "found": 2, "event": log[2].index}
    attempts.append(Attempt("client-9", "key-9", VersionNumber(1), VersionNumber(2), 3.0, 3.5, refusal=refusal))
    refusal["found"] = log[2].to_number
    attempts[-1] = replace(attempts[-1], expect=VersionNumber(3 - int(log[2].to_number or 0)), refusal=refusal)
    return History(stage(log[0].to_number or 0, 1), attempts, log, stage(log[-1].to_number or 0, 7))


def with_attempt(history: History, place: int, **changes: object) -> History:
    attempts = list(history.attempts)
    attempts[place] = replace(attempts[place], **changes)  # type: ignore[arg-type]
    return replace(history, attempts=attempts)


def with_event(history: History, place: int, **changes: object) -> History:
    events = list(history.events)
    events[place] = replace(events[place], **changes)  # type: ignore[arg-type]
    return replace(history, events=chained(events))


def without_event(history: History, place: int) -> History:
    events = [made for nth, made in enumerate(history.events) if nth != place]
    return replace(history, events=chained(events))


def taken_out(history: History) -> History:
    """A move is gone, and those behind it were numbered anew."""
    events = list(history.events)
    gone = events.pop(3)
    events[3:] = [replace(made, epoch=(made.epoch or 0) - 1) for made in events[3:]]
    events[3] = replace(events[3], from_number=gone.from_number)
    return replace(history, events=chained(events), after=replace(history.after, epoch=6))


def made_twice(history: History) -> History:
    last = history.events[-1]
    again = replace(last, epoch=8, from_number=last.to_number, to_number=last.to_number)
    return replace(history, events=chained([*history.events, again]), after=stage(last.to_number or 0, 8))


def swapped(history: History) -> History:
    """Two moves in the log in the order in which nobody can have seen them."""
    one = with_attempt(history, 0, begun=50.0, ended=51.0)
    return with_attempt(one, 2, begun=3.0, ended=3.5)


DOCTORED: dict[str, tuple[Callable[[History], History], str]] = {
    "a move is not in the log": (lambda history: without_event(history, 3), "is not in the log"),
    "a move is not in the log, and all behind it fits": (taken_out, "is not in the log"),
    "a move was made twice": (made_twice, "moved the stage 2 times"),
    "a move did not begin where the one before ended": (
        lambda history: with_event(history, 4, from_number=7),
        "from 7, and",
    ),
    "an epoch is missing": (lambda history: with_event(history, 4, epoch=9), "has epoch 9 behind"),
    "an epoch stands twice": (lambda history: with_event(history, 4, epoch=4), "has epoch 4 behind epoch 4"),
    "nobody asked for a move": (
        lambda history: with_event(history, 4, idempotency_key="other"),
        "was asked for by nobody",
    ),
    "another client made it": (lambda history: with_event(history, 4, actor="mallory"), "is not what"),
    "an answer names another event": (
        lambda history: with_attempt(history, 1, move=replace(told(history.events[2]), event=3)),
        "says something else",
    ),
    "an answer names other content": (
        lambda history: with_attempt(history, 1, move=replace(told(history.events[2]), to_digest=hash_bytes(b"other"))),
        "says something else",
    ),
    "who was refused has moved it": (
        lambda history: with_attempt(history, 3, refusal=dict(history.attempts[-1].refusal or {})),
        "and it is in the log",
    ),
    "who was right was refused": (
        lambda history: with_attempt(history, -1, expect=(history.attempts[-1].refusal or {})["found"]),
        "as expected",
    ),
    "a refusal names a move that never was": (
        lambda history: with_attempt(history, -1, refusal={"found": 2, "event": 400}),
        "which does not say so",
    ),
    "an answer was given before an earlier move was asked for": (swapped, "was acknowledged before"),
    "the stage is not where its last move put it": (
        lambda history: replace(history, after=stage(3, 7)),
        "and its last event says",
    ),
    "the log lacks its beginning": (
        lambda history: replace(history, events=history.events[1:]),
        "stands at place 0",
    ),
    "the chain is broken": (
        lambda history: replace(
            history, events=[replace(made, prev="x") if made.index == 3 else made for made in history.events]
        ),
        "does not name",
    ),
    "time ran backwards": (
        lambda history: with_event(history, 4, time=START),
        "is older than",
    ),
}


def test_a_history_that_can_be_true_is_let_through() -> None:
    assert faults(true_history()) == []
    unanswered = without_event(true_history(), 6)
    last = unanswered.events[-1]
    history = with_attempt(replace(unanswered, after=stage(last.to_number or 0, 6)), 5, move=None)
    assert faults(history) == []


@pytest.mark.parametrize("what", DOCTORED)
def test_a_history_that_cannot_be_true_is_found_out(what: str) -> None:
    doctor, sentence = DOCTORED[what]
    found = faults(doctor(true_history()))
    assert any(sentence in fault for fault in found), found
