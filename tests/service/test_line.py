"""What a line makes of a server that does not answer, or says: later. The server is a script; the socket is real."""

import json
import threading
from collections.abc import Iterator
from contextlib import closing
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any

import pytest

from holdfast.errors import StageMoved, Unavailable
from holdfast.service import Line
from holdfast.service.line import ATTEMPTS_MAX, KEY_HEADER

DROP = None
DONE = (201, {"done": True})
BUSY = (503, {"error": {"code": "unavailable", "message": "busy", "hint": "later"}})
IN_DOUBT = (503, {"error": {"code": "unavailable", "message": "cut off", "hint": "look", "outcome": "unknown"}})
FAILED = (502, {"error": {"code": "unavailable", "message": "gone", "hint": "later"}})
MOVED = (409, {"error": {"code": "stage_moved", "message": "moved", "hint": "look", "found": 2}})


class Scripted(HTTPServer):
    """Answers as the script says, and then as its last line says.

    Attributes:
        asked: the idempotency key of each request that arrived.
    """

    script: list[tuple[int, Any] | None]

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Answering)
        self.script = []
        self.asked: list[str | None] = []


class _Answering(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        assert isinstance(self.server, Scripted)
        self.server.asked.append(self.headers.get(KEY_HEADER))
        self.rfile.read(int(self.headers.get("content-length", "0")))
        script = self.server.script
        line = script.pop(0) if len(script) > 1 else script[0]
        self.close_connection = True
        if line is None:
            return
        body = json.dumps(line[1]).encode()
        self.send_response(line[0])
        self.send_header("content-length", str(len(body)))
        self.send_header("connection", "close")
        self.end_headers()
        self.wfile.write(body)

    def do_GET(self) -> None:
        self.do_POST()

    def log_message(self, *_: object) -> None:
        """Nothing is said."""


@pytest.fixture
def server() -> Iterator[Scripted]:
    with Scripted() as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield server
        server.shutdown()
        thread.join()


@pytest.fixture
def line(server: Scripted) -> Iterator[Line]:
    with closing(Line(f"http://127.0.0.1:{server.server_port}", sleep=lambda _: None)) as line:
        yield line


@pytest.mark.parametrize("script", [[DROP, DROP, DONE], [BUSY, IN_DOUBT, FAILED, DONE], [DONE]])
def test_a_request_with_a_key_is_sent_until_it_is_answered(
    server: Scripted, line: Line, script: list[tuple[int, Any] | None]
) -> None:
    server.script = list(script)
    assert line.send("POST", "/x", {}, key="k") == {"done": True}
    assert server.asked == ["k"] * len(script)


def test_an_answer_that_is_no_repeats_is_final(server: Scripted, line: Line) -> None:
    server.script = [DROP, MOVED]
    with pytest.raises(StageMoved) as caught:
        line.send("POST", "/x", {}, key="k")
    assert caught.value.details == {"found": 2}


@pytest.mark.parametrize("script", [[DROP], [IN_DOUBT], [FAILED], [DROP, BUSY]])
def test_what_may_have_arrived_is_of_unknown_outcome_when_nobody_ever_says(
    server: Scripted, line: Line, script: list[tuple[int, Any] | None]
) -> None:
    server.script = script
    with pytest.raises(Unavailable) as caught:
        line.send("POST", "/x", {}, key="k")
    assert caught.value.details["outcome"] == "unknown"
    assert len(server.asked) == ATTEMPTS_MAX


@pytest.mark.parametrize("line_", [DROP, IN_DOUBT, FAILED])
def test_without_a_key_what_may_have_arrived_is_not_sent_again(
    server: Scripted, line: Line, line_: tuple[int, Any] | None
) -> None:
    server.script = [line_, DONE]
    with pytest.raises(Unavailable) as caught:
        line.send("POST", "/x", {})
    assert caught.value.details["outcome"] == "unknown"
    assert server.asked == [None]


def test_what_was_refused_for_now_is_sent_again_without_a_key_and_is_never_in_doubt(
    server: Scripted, line: Line
) -> None:
    server.script = [BUSY, BUSY, DONE]
    assert line.send("POST", "/x", {}) == {"done": True}
    server.script = [BUSY]
    with pytest.raises(Unavailable) as caught:
        line.send("POST", "/x", {}, key="k")
    assert "outcome" not in caught.value.details


def test_a_question_is_never_in_doubt(server: Scripted, line: Line) -> None:
    server.script = [DROP]
    with pytest.raises(Unavailable) as caught:
        line.get("/x")
    assert "outcome" not in caught.value.details
    assert len(server.asked) == ATTEMPTS_MAX
