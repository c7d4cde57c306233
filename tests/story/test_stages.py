"""Step 6: stages are pointers; each move is an event, and the past has an answer."""

from datetime import datetime, timedelta

import pytest

from tests.story.tumour import Person

pytestmark = pytest.mark.slow


def test_a_stage_moves_and_the_others_stay(held: Person) -> None:
    moved = held.json("promote", "tumour@3", "--to", "staging", "--reason", "try it")
    assert (moved["stage"], moved["from"], moved["to"]) == ("staging", None, 3)
    stages = held.json("live", "tumour")["stages"]
    held_by = {name: stage and stage["version"] for name, stage in stages.items()}
    assert held_by == {"archived": None, "production": 1, "staging": 3}


def test_no_move_without_its_event(moved: Person) -> None:
    held = moved.json("live", "tumour")["stages"]["production"]
    event = moved.json("log", "tumour")["events"][0]
    assert (event["index"], event["from"], event["to"]) == (held["event"], 1, held["version"])
    assert (event["actor"], event["reason"]) == ("ana <ana@example.org>", "better features")
    assert event["verdict"].startswith("sha256:")
    assert moved.json("audit", "verify")["ok"] is True


def test_what_was_live_then_and_what_is_live_now(moved: Person) -> None:
    def production(at: datetime) -> int | None:
        stage = moved.json("live", "tumour", "--at", at.isoformat())["stages"]["production"]
        return None if stage is None else int(stage["version"])

    events = [event for event in moved.json("log", "tumour")["events"] if event["action"] == "stage:pointer:promote"]
    second, first = (datetime.fromisoformat(event["time"]) for event in events)
    tick = timedelta(microseconds=1)
    assert [production(at) for at in (first - tick, first, second - tick, second)] == [None, 1, 1, 3]


def test_a_version_is_the_same_whatever_stage_holds_it(held: Person, moved: Person) -> None:
    before, after = held.json("show", "tumour@3"), moved.json("show", "tumour@production")
    assert after == {**before, "stages": ["production"]}
