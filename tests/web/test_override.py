"""Who may choose the version that answers: nobody, everybody, who shows a token, or whom the server knows."""

import asyncio
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

from holdfast.canonical import Json, JsonObject, encode
from holdfast.errors import HoldfastError, NotFound, PermissionRefused, Unauthenticated, Unavailable, UsageError
from holdfast.names import ModelName
from holdfast.web.inference import override
from holdfast.web.inference.override import AskedServer, Overriding, Secret, anybody, nobody

MODEL = ModelName("churn")
TOKEN = b"0123456789abcdef"


def shown(token: bytes) -> dict[bytes, bytes]:
    return {b"authorization": b"Bearer " + token}


def refusal(overriding: Overriding, *headers: dict[bytes, bytes]) -> list[type[HoldfastError] | None]:
    """What each of the requests is refused with, asked one after the other on one loop."""

    async def ask() -> list[type[HoldfastError] | None]:
        found: list[type[HoldfastError] | None] = []
        for one in headers:
            try:
                await overriding(one)
                found.append(None)
            except HoldfastError as error:
                found.append(type(error))
        return found

    return asyncio.run(ask())


def test_an_embedded_registry_lets_nobody_unless_it_is_told_to() -> None:
    assert refusal(nobody, {}, shown(TOKEN)) == [PermissionRefused, PermissionRefused]
    assert refusal(anybody, {}) == [None]


def test_the_token_in_the_file_is_the_only_one(tmp_path: Path) -> None:
    place = tmp_path / "token"
    place.write_bytes(TOKEN + b"\n")
    asked = Secret.of(place)
    assert refusal(asked, shown(TOKEN), shown(TOKEN[:-1]), {}, {b"authorization": b"Basic x"}) == [
        None,
        PermissionRefused,
        Unauthenticated,
        Unauthenticated,
    ]


def test_a_file_that_holds_no_token_is_an_error_at_the_start(tmp_path: Path) -> None:
    place = tmp_path / "token"
    with pytest.raises(NotFound):
        Secret.of(place)
    for held in (b"", b"short", b"x" * 5000, b"\xff" * 20):
        place.write_bytes(held)
        with pytest.raises(UsageError):
            Secret.of(place)


@contextmanager
def server(roles: dict[str, str], asked: list[str]) -> Iterator[str]:
    """A registry's server as far as `whoami` goes: each token has one role; those without one are unknown."""

    class Who(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            token = self.headers.get("authorization", "").removeprefix("Bearer ")
            asked.append(token)
            role = roles.get(token)
            grants: list[Json] = [{"role": role, "pattern": "churn*", "stages": []}]
            said: JsonObject = {"user": "ana", "grants": grants} if role != "open" else {"user": None, "grants": []}
            unknown: JsonObject = {"error": {"code": "unauthenticated", "message": "who?", "hint": "Sign in."}}
            body = encode(said if role else unknown)
            self.send_response(200 if role else 401)
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None: ...

    with HTTPServer(("127.0.0.1", 0), Who) as listening:
        thread = threading.Thread(target=listening.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{listening.server_port}"
        finally:
            listening.shutdown()
            thread.join()


@pytest.mark.thorough
def test_a_server_is_asked_for_the_role_and_believed_for_a_while(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []
    roles = {"a": "contributor", "b": "viewer", "c": "admin", "d": "open"}
    with server(roles, asked) as url:
        may = AskedServer(url, MODEL)
        tokens = [shown(one.encode()) for one in ("a", "b", "c", "d", "made-up", "a", "b", "made-up")]
        expected = [None, PermissionRefused, None, PermissionRefused, Unauthenticated]
        assert refusal(may, *tokens) == [*expected, None, PermissionRefused, Unauthenticated]
        assert asked == ["a", "b", "c", "d", "made-up"]
        assert refusal(may, {}) == [Unauthenticated]
        assert refusal(AskedServer(url, ModelName("fraud")), shown(b"c")) == [PermissionRefused]
        monkeypatch.setattr(override, "_KEEP_SECONDS", 0.0)
        roles["a"] = "viewer"
        assert refusal(AskedServer(url, MODEL), shown(b"a"), shown(b"a")) == [PermissionRefused, PermissionRefused]
        assert asked.count("a") == 3


@pytest.mark.thorough
def test_what_is_kept_of_tokens_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(override, "_KEPT_MAX", 3)
    asked: list[str] = []
    with server({}, asked) as url:
        may = AskedServer(url, MODEL)
        refusal(may, *(shown(str(one).encode()) for one in range(10)))
        assert len(may._kept) == 3


def test_too_many_questions_at_once_are_turned_away() -> None:
    async def work() -> None:
        may = AskedServer("http://127.0.0.1:1", MODEL)
        for _ in range(override._ASKED_AT_ONCE_MAX):
            await may._asking.acquire()
        with pytest.raises(Unavailable):
            await may(shown(b"a"))

    asyncio.run(work())
