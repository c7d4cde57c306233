"""Signing in at a real provider of identities, and what of its word counts."""

import base64
import hmac
import importlib.util
import itertools
import json
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
from joserfc import jwt
from joserfc.jwk import ECKey, RSAKey

from holdfast.access import Grant, Pattern, Role
from holdfast.access.groups import Groups
from holdfast.access.sql import SqlAccess
from holdfast.cli.app import run
from holdfast.database.engine import Database
from holdfast.errors import Unauthenticated, Unavailable, UsageError
from holdfast.registry.sql import SqlRegistry
from holdfast.service.sign_in import Asked, by_device
from holdfast.tracking.sql import SqlTracking
from holdfast.web import oidc
from holdfast.web.api.desk import Around
from holdfast.web.listening import listen
from holdfast.web.oidc import Provider
from tests.serving_api import api_server

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(importlib.util.find_spec("oauth2_provider") is None, reason="needs Django OAuth Toolkit"),
]

PROGRAM = Path(__file__).parents[2] / "provider.py"
GROUPS = Groups("groups", {"fraud": (Grant(Role.CONTRIBUTOR, Pattern("fraud-*")),), "all": (Grant(Role.VIEWER),)})

BROWSER = """\
import sys, httpx
headers = {"x-person": "ana@example.org", "x-groups": "fraud,unknown"}
with httpx.Client(headers=headers) as client:
    answer = client.get(sys.argv[1])
    while answer.is_redirect:
        answer = client.get(answer.headers["location"])
    assert answer.is_success, answer.text
"""


@pytest.fixture(scope="module")
def issuer(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A provider; it ends with the module."""
    with closing(listen()) as free:
        port = free.getsockname()[1]
    folder = tmp_path_factory.mktemp("provider")
    process = subprocess.Popen(
        [sys.executable, str(PROGRAM), str(port), str(folder)], stdout=subprocess.PIPE, text=True
    )
    try:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        yield f"http://127.0.0.1:{port}/o"
    finally:
        process.kill()
        process.wait()
        process.communicate()


@pytest.fixture
def provider(issuer: str) -> Provider:
    return Provider(issuer, "holdfast", GROUPS)


@pytest.fixture
def access(database: Database) -> SqlAccess:
    ids = itertools.count(1)
    return SqlAccess(database, lambda: datetime.now(UTC), lambda: f"token-{next(ids)}")


@pytest.fixture
def server(database: Database, access: SqlAccess, provider: Provider) -> Iterator[str]:
    registry = SqlRegistry(database, lambda: datetime.now(UTC), lambda: "id")
    tracking = SqlTracking(database, lambda: datetime.now(UTC), lambda: "run")
    with api_server(registry, tracking, None, Around(access=access, provider=provider)) as url:
        yield url


def forged(issuer: str, **claims: Any) -> str:
    """What the provider signs with its own key: a good token, but for these claims; None takes one out."""
    answer = httpx.get(f"{issuer.removesuffix('/o')}/forge", params={"claims": json.dumps(claims)})
    assert answer.is_success, answer.text
    return answer.text


def test_a_good_token_signs_in(provider: Provider, issuer: str) -> None:
    found = provider.signed_in(forged(issuer, groups=["fraud", "all", "unknown", 7, "fraud"]))
    assert (found.subject, found.email) == (f"{issuer} 7", "eve@example.org")
    assert found.grants == (Grant(Role.CONTRIBUTOR, Pattern("fraud-*")), Grant(Role.VIEWER))


HOUR = timedelta(hours=1)
"""From now, when the test runs: the name of a test must not hold the time at which it was collected."""


@pytest.mark.parametrize(
    "claims",
    [
        {"aud": "another"},
        {"aud": ["another"]},
        {"aud": ["holdfast", "another"]},
        {"aud": ["holdfast", "another"], "azp": "another"},
        {"aud": None},
        {"iss": "http://127.0.0.1:1/o"},
        {"iss": None},
        {"exp": -HOUR},
        {"exp": None},
        {"exp": "soon"},
        {"nbf": HOUR},
        {"iat": -HOUR},
        {"iat": HOUR},
        {"iat": None},
        {"sub": None},
        {"sub": ""},
        {"sub": 7},
    ],
    ids=str,
)
def test_a_token_that_says_something_else_counts_for_nothing(provider: Provider, issuer: str, claims: Any) -> None:
    now = int(time.time())
    said = {
        name: now + int(value.total_seconds()) if isinstance(value, timedelta) else value
        for name, value in claims.items()
    }
    with pytest.raises(Unauthenticated):
        provider.signed_in(forged(issuer, **said))


def test_an_address_counts_only_when_it_is_verified(provider: Provider, issuer: str) -> None:
    for said in (False, None, "true", 1):
        assert provider.signed_in(forged(issuer, email_verified=said)).email is None
    assert provider.signed_in(forged(issuer, email="Eve@Example.org")).email == "eve@example.org"


def parts(token: str) -> list[Any]:
    return [json.loads(base64.urlsafe_b64decode(one + "==")) for one in token.split(".")[:2]]


def signed_with_what_is_public(kid: str, body: str, key: bytes) -> str:
    """A token whose shared secret is the provider's public key, which everybody has."""
    header = base64.urlsafe_b64encode(json.dumps({"alg": "HS256", "kid": kid}).encode()).rstrip(b"=").decode()
    signature = hmac.digest(key, f"{header}.{body}".encode(), "sha256")
    return f"{header}.{body}.{base64.urlsafe_b64encode(signature).rstrip(b'=').decode()}"


def test_a_token_that_others_signed_counts_for_nothing(provider: Provider, issuer: str) -> None:
    good = forged(issuer)
    header, claims = parts(good)
    (published,) = httpx.get(f"{issuer}/.well-known/jwks.json").json()["keys"]
    theirs = RSAKey.generate_key(2048)
    public = RSAKey.import_key(published).as_pem(private=False)
    empty = base64.urlsafe_b64encode(json.dumps({"alg": "none", "kid": header["kid"]}).encode()).rstrip(b"=").decode()
    body, signature = good.split(".")[1:]
    bad = [
        jwt.encode({"alg": "RS256", "kid": header["kid"]}, claims, theirs),
        jwt.encode({"alg": "RS256", "kid": "unknown"}, claims, theirs),
        jwt.encode({"alg": "RS256", "kid": header["kid"], "jwk": theirs.as_dict(private=False)}, claims, theirs),
        jwt.encode({"alg": "RS256", "kid": "x", "jku": "http://127.0.0.1:1/keys"}, claims, theirs),
        jwt.encode({"alg": "ES256", "kid": header["kid"]}, claims, ECKey.generate_key("P-256")),
        signed_with_what_is_public(header["kid"], body, public),
        jwt.encode({"alg": "RS512", "kid": header["kid"]}, claims, theirs, algorithms=["RS512"]),
        f"{empty}.{body}.",
        f"{empty}.{body}.{signature}",
        f"{good[:-6]}AAAAAA",
        f"{good.split('.')[0]}.{body[:-4]}AAAA.{signature}",
        "", ".", "..", "a.b.c", "ü.ü.ü", good.replace(".", ""), f"{good}.x", "." * 20_000,
    ]  # fmt: skip
    for token in bad:
        with pytest.raises(Unauthenticated):
            provider.signed_in(token)
    assert provider.signed_in(good).subject


def test_a_new_key_is_believed_as_soon_as_it_is_used_and_an_old_one_no_longer(
    provider: Provider, issuer: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = forged(issuer)
    assert provider.signed_in(before)
    httpx.get(f"{issuer.removesuffix('/o')}/rotate")
    after = forged(issuer)
    monkeypatch.setattr(oidc, "_AGAIN_SECONDS", 3_600.0)
    with pytest.raises(Unauthenticated):
        provider.signed_in(after)  # asked for a moment ago, and not again for everybody who comes with a strange key
    monkeypatch.setattr(oidc, "_AGAIN_SECONDS", 0.0)
    assert provider.signed_in(after)
    with pytest.raises(Unauthenticated):
        provider.signed_in(before)


def test_a_provider_that_is_not_there_or_another_one_is_told_of(issuer: str) -> None:
    with closing(listen()) as silent:
        port = silent.getsockname()[1]
    token = forged(issuer)
    for place in (f"http://127.0.0.1:{port}", f"{issuer}/", issuer.replace("127.0.0.1", "localhost")):
        with pytest.raises(Unavailable):
            Provider(place, "holdfast").signed_in(token)
    for place in ("http://example.org", "ftp://127.0.0.1", "file:///etc", ""):
        with pytest.raises(UsageError):
            Provider(place, "holdfast")


def test_a_person_signs_in_with_the_browser(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    issuer, server, access = (request.getfixturevalue(name) for name in ("issuer", "server", "access"))
    (tmp_path / "browser.py").write_text(BROWSER)
    for name, value in {
        "HOME": str(tmp_path),
        "XDG_CONFIG_HOME": str(tmp_path / "config"),
        "HOLDFAST_URL": server,
    }.items():
        monkeypatch.setenv(name, value)
    opened: list[subprocess.Popen[bytes]] = []

    def open_browser(url: str) -> None:
        opened.append(subprocess.Popen([sys.executable, tmp_path / "browser.py", url]))

    monkeypatch.setattr("webbrowser.open", open_browser)
    assert run(["login", "--json"]) == 0, capsys.readouterr().err
    assert [one.wait() for one in opened] == [0]
    said = json.loads(capsys.readouterr().out)
    assert said["user"] == "ana@example.org"
    (user,) = access.users()
    assert (user.email, user.grants) == ("ana@example.org", ())
    assert str(user.subject).startswith(f"{issuer} ")
    secret = json.loads((tmp_path / "config/holdfast/credentials.json").read_text())["servers"][server]["token"]
    identity = access.identify(secret)
    assert identity is not None
    assert identity.grants == (Grant(Role.CONTRIBUTOR, Pattern("fraud-*")),)
    assert 11 < (identity.expires_at - datetime.now(UTC)).total_seconds() / 3_600 < 12.1
    headers = {"authorization": f"Bearer {secret}"}
    assert httpx.put(f"{server}/api/v1/models/fraud-cards", json={}, headers=headers).status_code == 200
    assert httpx.put(f"{server}/api/v1/models/churn", json={}, headers=headers).status_code == 403


def test_a_person_signs_in_by_a_code_typed_elsewhere(issuer: str) -> None:
    said: list[str] = []
    pauses: list[float] = []

    def later(seconds: float) -> None:
        pauses.append(seconds)
        time.sleep(seconds)
        if len(pauses) > 1:  # the first question finds nobody who has typed it
            type_code(issuer, said[1].split()[-1])

    token = by_device(Asked(issuer, "holdfast-device"), said.append, later)
    assert len(pauses) > 1
    assert "/device" in said[0]
    assert Provider(issuer, "holdfast-device").signed_in(token).email == "cleo@example.org"
    with pytest.raises(Unauthenticated):
        Provider(issuer, "holdfast").signed_in(token)


def type_code(issuer: str, code: str) -> None:
    """What a person does in a browser of theirs."""
    with httpx.Client(headers={"x-person": "cleo@example.org"}) as client:
        answer = client.post(f"{issuer}/device/", data={"user_code": code})
        assert answer.is_redirect, answer.text
        confirmed = client.post(str(httpx.URL(issuer).join(answer.headers["location"])), data={"action": "accept"})
        assert confirmed.status_code < 400, confirmed.text


def test_the_route_itself_refuses_what_does_not_count(server: str, issuer: str, access: SqlAccess) -> None:
    where = f"{server}/api/v1/sign-in"
    refused = httpx.get(f"{server}/api/v1/whoami")
    assert refused.json()["error"]["sign_in"] == {"issuer": issuer, "client_id": "holdfast"}
    for headers in ({}, {"authorization": "Bearer x"}, {"authorization": f"Bearer {forged(issuer, aud='x')}"}):
        assert httpx.post(where, headers=headers).status_code == 401
    first = httpx.post(where, headers={"authorization": f"Bearer {forged(issuer, groups=['all'])}"})
    assert first.status_code == 201, first.text
    # A provider's token opens nothing else, and one of ours does not sign in.
    assert (
        httpx.get(f"{server}/api/v1/models", headers={"authorization": f"Bearer {forged(issuer)}"}).status_code == 401
    )
    assert httpx.post(where, headers={"authorization": f"Bearer {first.json()['token']}"}).status_code == 401
    access.disable("eve@example.org", "root")
    assert httpx.post(where, headers={"authorization": f"Bearer {forged(issuer)}"}).status_code == 403


def granting(said: Any) -> Any:
    return {"groups": {"a": said}}


@pytest.mark.parametrize(
    "table",
    [
        *([], {"group": {}}, {"groups_claim": 7}, {"groups": []}, granting("viewer"), granting(["viewer"])),
        *(
            granting([{"pattern": "*"}]),
            granting([{"role": "emperor"}]),
            granting([{"role": "viewer", "pattern": "*x"}]),
        ),
        *(granting([{"role": "viewer", "models": "x"}]), granting([{"role": "viewer", "stages": ["production"]}])),
    ],
    ids=str,
)
def test_a_policy_that_grants_nonsense_is_refused(table: Any) -> None:
    with pytest.raises(UsageError, match="access"):
        Groups.parse(table, "holdfast.toml")
