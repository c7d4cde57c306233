"""What is answered at once is what the route that describes it would answer."""

import asyncio
import threading
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import httpx
import pytest
from fastapi import Depends
from fastapi.routing import APIRoute
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

from holdfast.database.engine import Database
from holdfast.digest import hash_bytes
from holdfast.errors import PermissionRefused
from holdfast.names import ModelName, StageName, VersionNumber
from holdfast.registry import Action, MoveStage, NewVersion
from holdfast.registry.sql import SqlRegistry
from holdfast.service.line import REQUEST_HEADER
from holdfast.tracking.sql import SqlTracking
from holdfast.web.api import lines
from holdfast.web.api.app import api_app

pytestmark = pytest.mark.slow

CHURN, PRODUCTION = ModelName("churn"), StageName("production")
DIGEST = hash_bytes(b"1")


@pytest.fixture(autouse=True)
def begun(embedded: SqlRegistry) -> None:
    embedded.ensure_model(CHURN, "ana")
    embedded.register(NewVersion(CHURN, DIGEST, complete=True, semver="1.0.0"), "ana")
    embedded.move_stage(MoveStage(CHURN, PRODUCTION, VersionNumber(1), None, Action.STAGE_PROMOTE), "ana")


ASKED = (
    "churn/stages/production",
    "churn/stages/staging",
    "churn/stages/nowhere",
    "nobody/stages/production",
    "not%20a%20name/stages/production",
    "churn/versions/production",
    "churn/versions/staging",
    "churn/versions/1",
    "churn/versions/2",
    "churn/versions/1.0.0",
    f"churn/versions/{str(DIGEST)[:16]}",
    "churn/versions/%40",
    "nobody/versions/1",
)


@pytest.mark.parametrize("asked", ASKED)
def test_a_plain_question_has_the_answer_of_its_route(url: str, asked: str) -> None:
    where = f"{url}/api/v1/models/{asked}"
    same = {REQUEST_HEADER: "0123456789abcdef"}
    at_once, by_route = httpx.get(where, headers=same), httpx.get(where, headers=same, params={"more": "yes"})
    assert at_once.status_code == by_route.status_code
    assert at_once.json() == by_route.json()
    kept = ("content-type", "etag", "content-length")
    assert [at_once.headers.get(name) for name in kept] == [by_route.headers.get(name) for name in kept]


@pytest.mark.parametrize("asked", ["stages/production", "versions/production", "versions/1"])
def test_a_plain_question_goes_to_no_thread(
    url: str, embedded: SqlRegistry, monkeypatch: pytest.MonkeyPatch, asked: str
) -> None:
    threads = []
    name = "stage_at_hand" if asked.startswith("stages") else "version_at_hand"
    at_hand: Callable[..., object] = getattr(embedded, name)

    def noted(*what: Any) -> object:
        threads.append(threading.current_thread().name)
        return at_hand(*what)

    monkeypatch.setattr(embedded, name, noted)
    where = f"{url}/api/v1/models/churn/{asked}"
    assert [httpx.get(where).status_code for _ in range(3)] == [200] * 3
    assert len(threads) == 3
    assert not any(name.startswith("AnyIO") for name in threads)


def test_what_is_known_has_no_body_and_what_has_moved_has_one(url: str, embedded: SqlRegistry) -> None:
    where = f"{url}/api/v1/models/churn/stages/production"
    known = {"if-none-match": httpx.get(where).headers["etag"]}
    assert (httpx.get(where, headers=known).status_code, httpx.get(where, headers=known).content) == (304, b"")
    embedded.register(NewVersion(CHURN, hash_bytes(b"2"), complete=True), "ana")
    embedded.move_stage(MoveStage(CHURN, PRODUCTION, VersionNumber(2), VersionNumber(1), Action.STAGE_PROMOTE), "ana")
    assert httpx.get(where, headers=known).json()["version"] == 2


class Refusing:
    """Lets nobody in."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        refused = scope["type"] == "http" and not scope["path"].endswith("/healthz")
        await (Response(status_code=401) if refused else self._app)(scope, receive, send)


def status_of(app: ASGIApp, method: str, path: str) -> int:
    async def asked() -> int:
        transport = httpx.ASGITransport(app=app)
        async with httpx.AsyncClient(transport=transport, base_url="http://server") as client:
            return (await client.request(method, path)).status_code

    return asyncio.run(asked())


def test_only_a_look_is_answered_and_only_for_whom_the_routes_would_answer(
    database: Database, embedded: SqlRegistry
) -> None:
    where = "/api/v1/models/churn/stages/production"
    tracking = SqlTracking(database, lambda: datetime.now(UTC), lambda: "run")
    app = api_app(embedded, tracking)
    assert [status_of(app, method, where) for method in ("GET", "POST", "DELETE")] == [200, 405, 405]
    guarded = api_app(embedded, tracking)
    guarded.add_middleware(Refusing)
    assert status_of(guarded, "GET", where) == 401
    assert status_of(guarded, "GET", "/healthz") == 200


@pytest.mark.parametrize("asked", ["stages/production", "versions/production"])
def test_what_a_route_declares_is_asked_before_anything_is_looked_up(
    database: Database, embedded: SqlRegistry, monkeypatch: pytest.MonkeyPatch, asked: str
) -> None:
    seen, refuses = [], True

    async def check(request: Request) -> None:
        seen.append(dict(request.path_params))
        if refuses:
            raise PermissionRefused("not for you", hint="Ask somebody.")

    kind = asked.partition("/")[0]
    for route in (one for one in lines.routes.routes if isinstance(one, APIRoute) and one.methods == {"GET"}):
        monkeypatch.setattr(route, "dependencies", [Depends(check)])
    looked = []
    for name in ("stage_at_hand", "version_at_hand"):
        monkeypatch.setattr(embedded, name, lambda *what: looked.append(what))
    app = api_app(embedded, SqlTracking(database, lambda: datetime.now(UTC), lambda: "run"))
    status_of(app, "GET", f"/api/v1/models/churn/{asked}")
    assert seen[0] == {"model": "churn", "stage" if kind == "stages" else "choice": "production"}
    assert not looked
    refuses = False
    status_of(app, "GET", f"/api/v1/models/churn/{asked}")
    assert len(looked) == 1
