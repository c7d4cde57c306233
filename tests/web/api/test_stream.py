"""The log as a stream: resumed, filtered, alive, and ended in good order."""

import json
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from itertools import islice

import httpx
import pytest

from holdfast.errors import NotFound, UsageError
from holdfast.names import ModelName, StageName
from holdfast.registry import Action
from holdfast.registry.http import HttpRegistry
from holdfast.registry.sql import SqlRegistry
from holdfast.service import Line
from holdfast.service.stream import Message, messages
from tests.patience import PATIENCE_SECONDS
from tests.serving_api import api_server

pytestmark = pytest.mark.slow


@contextmanager
def reading(url: str, query: str = "", **headers: str) -> Iterator[Iterator[Message | None]]:
    with httpx.stream("GET", f"{url}/api/v1/events/stream{query}", headers=headers, timeout=PATIENCE_SECONDS) as answer:
        assert answer.status_code == 200, answer.read()
        assert answer.headers["content-type"].startswith("text/event-stream")
        yield messages(answer.iter_lines())


def begin(embedded: SqlRegistry, *names: str) -> None:
    for name in names:
        embedded.create_model(ModelName(name), "ana")


def test_a_stream_begins_where_its_reader_was(embedded: SqlRegistry) -> None:
    begin(embedded, "a", "b", "c")
    with api_server(embedded) as url:
        with reading(url, **{"last-event-id": "0"}) as stream:
            found = [one for one in islice(stream, 2) if one]
        assert [one.id for one in found] == ["1", "2"]
        assert json.loads(found[0].data) == embedded.log(before=2, limit=1)[0].to_json()
        with reading(url, "?after=1", **{"last-event-id": "-1"}) as stream:
            assert [one.id for one in islice(stream, 3) if one] == ["0", "1", "2"]


def test_a_stream_without_a_beginning_says_what_comes_from_now_on(embedded: SqlRegistry) -> None:
    begin(embedded, "a")
    with api_server(embedded) as url, reading(url) as stream:
        begin(embedded, "b")
        heard = next(stream)
    assert heard is not None
    assert json.loads(heard.data)["model"] == "b"


def test_a_stream_says_only_what_was_asked_for(embedded: SqlRegistry) -> None:
    begin(embedded, "a", "b", "c")
    embedded.define_stage(ModelName("b"), StageName("night"), "ana")
    with api_server(embedded) as url:
        with reading(url, "?after=-1&model=b") as stream:
            assert [one.id for one in islice(stream, 2) if one] == ["1", "3"]
        with reading(url, "?after=-1&action=stage:pointer:define") as stream:
            assert [one.id for one in islice(stream, 1) if one] == ["3"]


def test_a_stream_that_has_nothing_to_say_says_that_it_is_there(
    embedded: SqlRegistry, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("holdfast.web.api.stream.HEARTBEAT_SECONDS", 0.1)
    with api_server(embedded) as url, reading(url) as stream:
        assert list(islice(stream, 3)) == [None, None, None]


@pytest.mark.parametrize("query", ["?after=-2", "?action=stage:pointer:deploy", "?model=Not+A+Name", "?after=x"])
def test_what_cannot_be_streamed_is_refused(embedded: SqlRegistry, query: str) -> None:
    with api_server(embedded) as url:
        answer = httpx.get(f"{url}/api/v1/events/stream{query}")
        assert (answer.status_code, answer.json()["error"]["code"]) == (400, "usage")
        answer = httpx.get(f"{url}/api/v1/events/stream", headers={"last-event-id": "seven"})
        assert answer.status_code == 400


def test_there_is_an_end_to_how_many_streams_are_read(embedded: SqlRegistry, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("holdfast.web.api.stream._STREAMS_MAX", 1)
    begin(embedded, "a")
    with api_server(embedded) as url, reading(url, "?after=-1") as stream:
        next(stream)
        assert httpx.get(f"{url}/api/v1/events/stream").status_code == 503


def test_a_client_takes_a_stream_up_where_it_broke_off(embedded: SqlRegistry, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("holdfast.web.api.stream._LIFE_SECONDS", 0.3)
    monkeypatch.setattr("holdfast.web.api.stream.HEARTBEAT_SECONDS", 0.1)
    heard: list[str | None] = []
    with api_server(embedded) as url, closing(Line(url)) as line:

        def listen() -> None:
            following = HttpRegistry(line, lambda: "key").follow(-1, actions=[Action.MODEL_CREATE])
            heard.extend(event.model for event in islice(following, 6))

        listener = threading.Thread(target=listen, daemon=True)
        listener.start()
        for name in "abcdef":
            begin(embedded, name)
            listener.join(0.25)
        listener.join(PATIENCE_SECONDS)
    assert heard == list("abcdef")


def test_a_client_that_is_refused_does_not_ask_on(embedded: SqlRegistry) -> None:
    with api_server(embedded) as url, closing(Line(url)) as line:
        with pytest.raises(UsageError):
            next(line.messages("/events/stream", last="x"))
        with pytest.raises(NotFound):
            next(line.messages("/nowhere", last="1"))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("id: 3\ndata: a\n\n", [Message("3", "a")]),
        ("id:3\ndata:a\ndata: b\n\ndata: c\n\n", [Message("3", "a\nb"), Message("3", "c")]),
        (": here\n\nretry: 1\n\nevent: x\n\n", [None]),
        ("data: cut off", []),
    ],
)
def test_messages_are_read_as_the_standard_has_them(text: str, expected: list[Message | None]) -> None:
    assert list(messages(text.split("\n"))) == expected
