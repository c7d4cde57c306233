"""Every route of the OpenAPI document: asked by nobody, with bad tokens, in a role too low, and in one that will do."""

import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest
from fastapi import APIRouter, FastAPI

from holdfast.access import NewToken, Role
from holdfast.access.secret import mint
from holdfast.access.sql import SqlAccess
from holdfast.database.engine import Database
from holdfast.service.line import API
from holdfast.web.api.app import api_app
from holdfast.web.api.needs import Concern, admit, needs
from holdfast.web.auth import METRICS, PUBLIC, SIGN_IN
from tests.patience import until
from tests.web.api.people import People

pytestmark = pytest.mark.slow

DIGEST = f"sha256:{64 * '0'}"
MOMENT = "2026-03-01T09:00:00.000000Z"
FILE = f"index/{64 * '0'}"

PATHS = {
    "model": "churn",
    "choice": "1",
    "number": "1",
    "stage": "production",
    "digest": DIGEST,
    "index": "0",
    "hold": "0",
    "run": "run-1",
    "metric": "loss",
    "key": FILE,
    "replica": "r1",
    "user": "viewer",
    "token": "token-none",
    "webhook": "none",
}
"""What stands for each parameter of a path."""

QUERIES: dict[str, dict[str, Any]] = {
    "/moves": {"idempotency_key": "k"},
    "/lineage": {"kind": "version", "name": "churn@1"},
    "/models/{model}/stages/{stage}/replicas": {"max_age_seconds": 60},
    "/models/{model}/judged": {"rows": DIGEST},
    "/log/growth": {"since": 0},
    "/log/edge": {"size": 0},
    "/log/bodies": {"since": 0, "size": 0},
    "/store/files": {"prefix": "index/"},
    "/search": {"filter": "live", "model": "churn"},
    "/lineage/walk": {"kind": "version", "name": "churn@1", "direction": "up"},
}

BODIES: dict[tuple[str, str], Any] = {
    ("POST", "/models"): {"model": "churn"},
    ("PUT", "/models/{model}"): {},
    ("POST", "/models/{model}/versions"): {"digest": DIGEST, "complete": True},
    ("PUT", "/models/{model}/versions/{number}"): {"digest": DIGEST, "complete": True},
    ("POST", "/models/{model}/stages"): {"stage": "canary"},
    ("POST", "/models/{model}/stages/{stage}/moves"): {"to": 1, "action": "stage:pointer:promote"},
    ("POST", "/models/{model}/stages/{stage}/clear"): {"expect": 9, "reason": "over"},
    ("POST", "/events"): {"action": "gate:verdict:refuse", "model": "churn"},
    ("POST", "/models/{model}/versions/{number}/approvals"): {"digest": DIGEST, "stage": "production"},
    ("POST", "/models/{model}/versions/{number}/signatures"): {"body": "e30=", "public_key": "none"},
    ("PUT", "/verdicts/{digest}"): {
        "model": "churn",
        "version": 1,
        "stage": "production",
        "outcome": "pass",
        "body": {},
    },
    ("POST", "/models/{model}/stages/{stage}/rehearsals"): {"certificate": {}},
    ("POST", "/models/{model}/stages/{stage}/rollouts"): {"kind": "shadow", "version": 1, "expect": 2, "plan": {}},
    ("POST", "/rollouts/{rollout}/turns"): {"expect": 0, "state": "held", "step": 0},
    ("PUT", "/rollouts/{rollout}/tallies"): {"step": 0, "replica": "r1", "counts": {}},
    ("POST", "/models/{model}/truths"): {"truths": []},
    ("PUT", "/models/{model}/versions/{number}/facts"): {"facts": {}},
    ("POST", "/holds"): {"what": "churn@1", "reason": "why"},
    ("POST", "/holds/{hold}/lift"): {},
    ("POST", "/archives"): {"what": "churn@9", "remote": "r", "url": "u", "blobs": 0, "bytes": 0},
    ("POST", "/restores"): {"digest": DIGEST, "remote": "r"},
    ("POST", "/policies"): {"model": "churn", "text": "[gate.production]\n", "reason": "why"},
    ("POST", "/runs"): {"model": "churn"},
    ("POST", "/runs/{run}/params"): {"params": {}},
    ("POST", "/runs/{run}/points"): {"points": []},
    ("POST", "/runs/{run}/tags"): {"tags": {}},
    ("POST", "/runs/{run}/inputs"): {"inputs": []},
    ("POST", "/runs/{run}/finish"): {"status": "completed"},
    ("POST", "/log/audit"): {"seen": []},
    ("POST", "/users"): {"user": "new"},
    ("POST", "/webhooks"): {"name": "x", "url": "https://example.org/"},
    ("POST", "/webhooks/{webhook}/rotate"): {},
    ("POST", "/webhooks/{webhook}/resume"): {},
    ("POST", "/webhooks/{webhook}/test"): {},
    ("POST", "/users/{user}/disable"): {},
    ("POST", "/users/{user}/grants"): {"role": "viewer", "pattern": "churn"},
    ("POST", "/users/{user}/grants/revoke"): {"pattern": "churn"},
    ("POST", "/tokens"): {"name": "mine"},
    ("POST", "/tokens/{token}/revoke"): {},
    ("PUT", "/replicas/{replica}"): {
        "id": "r1",
        "model": "churn",
        "stage": "production",
        "host": "h",
        "pid": 1,
        "url": "u",
        "version": None,
        "digest": None,
        "epoch": None,
        "state": "loading",
        "error": None,
        "started_at": MOMENT,
        "reported_at": MOMENT,
    },
}

LOWER = {
    Role.VIEWER: ["nobody"],
    Role.CONTRIBUTOR: ["nobody", "viewer"],
    Role.APPROVER: ["nobody", "viewer", "contributor"],
    Role.ADMIN: ["nobody", "viewer", "contributor", "approver"],
}


def document() -> dict[str, Any]:
    app = api_app(None, None)  # type: ignore[arg-type]
    return app.openapi()


def operations() -> Iterator[tuple[str, str, dict[str, Any]]]:
    for path, methods in document()["paths"].items():
        for method, said in methods.items():
            yield method.upper(), path, said


EVERY = [pytest.param(method, path, said, id=f"{method} {path}") for method, path, said in operations()]
GUARDED = [one for one in EVERY if one.values[1] not in PUBLIC]


def test_what_is_public_is_this_and_nothing_else() -> None:
    assert {f"{API}/openapi.json", "/healthz", "/readyz", "/metrics"} == PUBLIC
    assert {path for _, path, said in operations() if "security" not in said} == PUBLIC - {f"{API}/openapi.json"}
    assert {path for _, path, said in operations() if "x-needs" not in said} <= PUBLIC | {SIGN_IN}


@pytest.fixture(scope="module")
def bad(shared: People) -> tuple[str, str]:
    """A token that was revoked, and one that has expired."""
    fresh = shared.access.issue(NewToken("admin", "revoked"), "root")
    shared.access.revoke_token(fresh.token.id, "root")
    long_ago = SqlAccess(shared.access._database, lambda: datetime.now(UTC) - timedelta(days=91), lambda: "token-old")
    return fresh.secret, long_ago.issue(NewToken("admin", "expired"), "root").secret


def asked(people: People, who: str | None, method: str, path: str) -> httpx.Response:
    plain = path.removeprefix(API)
    run = people.ask("viewer", "GET", "/runs").json()["runs"][0]["id"]
    rollouts = people.ask("viewer", "GET", "/models/churn/stages/production/rollouts").json()["rollouts"]
    known = {**PATHS, "run": run, "rollout": str(rollouts[0]["rollout"])}
    filled = re.sub(r"\{(\w+)\}", lambda found: known[found[1]], path)
    more: dict[str, Any] = {"params": QUERIES.get(plain)}
    body = BODIES.get((method, plain))
    if method == "PUT" and plain.startswith("/store/files"):
        more["content"] = b""
    if plain == "/users/{user}/disable":
        filled = filled.replace("/viewer/", "/nobody-there/")
    return people.ask(who, method, filled, body, **more)


@pytest.mark.parametrize(("method", "path", "said"), GUARDED)
def test_without_a_good_token_the_answer_is_401(
    shared: People, bad: tuple[str, str], method: str, path: str, said: dict[str, Any]
) -> None:
    revoked, expired = bad
    for who in (None, "garbage", mint(), revoked, expired, shared.secrets["admin"] + "0"):
        answer = asked(shared, who, method, path)
        assert answer.status_code == 401, (who, answer.text)
        assert answer.headers["www-authenticate"].startswith("Bearer")
    basic = shared.ask(None, method, re.sub(r"\{\w+\}", "x", path), headers={"authorization": "Basic YWRtaW46eA=="})
    assert basic.status_code == 401


@pytest.mark.parametrize(("method", "path", "said"), [one for one in GUARDED if one.values[1] != SIGN_IN])
def test_each_role_that_is_too_low_is_refused_and_the_right_one_is_not(
    shared: People, method: str, path: str, said: dict[str, Any]
) -> None:
    role, of = Role(said["x-needs"]["role"]), said["x-needs"]["of"]
    for who in [] if of == "self" else LOWER[role]:
        answer = asked(shared, who, method, path)
        assert answer.status_code == 403, (who, answer.text)
        if method != "HEAD":
            assert answer.json()["error"]["code"] == "permission_refused"
    if path.endswith("/events/stream"):
        return  # it goes on for ever; tests of the stream read it
    # Tokens are one's own; which ones there are besides is for admins to know.
    right = asked(shared, "admin" if "/tokens" in path else str(role), method, path)
    assert right.status_code not in {401, 403}, right.text


@pytest.mark.parametrize("path", sorted(PUBLIC - {METRICS}))
def test_what_is_public_is_answered_to_everybody(shared: People, path: str) -> None:
    assert shared.ask(None, "GET", path).status_code == 200


def test_metrics_beside_the_api_are_for_who_has_a_token(shared: People) -> None:
    assert shared.ask(None, "GET", METRICS).status_code == 401
    assert shared.ask("viewer", "GET", METRICS).status_code == 200


def test_a_request_is_written_down_with_its_route_and_who_proved_to_have_asked_it(
    shared: People, caplog: pytest.LogCaptureFixture
) -> None:
    """And not with who it says to be from."""
    caplog.set_level("INFO", logger="holdfast")
    claimed = {"holdfast-actor": "the-boss"}
    shared.ask("viewer", "GET", "/models", headers=claimed)
    shared.ask(None, "GET", "/models", headers=claimed)
    shared.ask(None, "GET", "/healthz", headers=claimed)

    def told() -> list[str]:
        return [record.getMessage() for record in caplog.records]

    until(lambda: len(told()) >= 3, lambda: f"three requests are told of: {told()}")
    said = told()
    assert any(line.startswith("GET /api/v1/models 200") and line.endswith("by viewer") for line in said), said
    assert not any("the-boss" in line for line in said)
    assert "unmatched" not in said[0]


@pytest.mark.parametrize(
    "path", ["/", "/api/v1/", "/api/v1/nothing", "/docs", "/healthz/", "//healthz", "/api/v1/MODELS"]
)
def test_what_is_no_route_is_not_told_from_one(shared: People, path: str) -> None:
    assert httpx.get(shared.url + path).status_code == 401


def test_an_application_with_a_route_that_declares_nothing_is_not_built(database: Database) -> None:
    async def route() -> None: ...

    silent, twice, open_ = APIRouter(), APIRouter(), APIRouter()
    silent.get("/x")(route)
    several = [needs(Role.VIEWER, Concern.SELF), needs(Role.ADMIN, Concern.SELF)]
    twice.get("/x", dependencies=several)(route)
    open_.get("/healthz", dependencies=several[:1])(route)
    for router in (silent, twice, open_):
        with pytest.raises(LookupError):
            admit(FastAPI(openapi_url=f"{API}/openapi.json", docs_url=None, redoc_url=None), [router])
    app = FastAPI(openapi_url=f"{API}/openapi.json", docs_url=None, redoc_url=None)
    app.get("/hidden", include_in_schema=False)(route)
    with pytest.raises(LookupError):
        admit(app, [])
    with pytest.raises(LookupError):
        admit(FastAPI(), [])  # with its pages of documents
