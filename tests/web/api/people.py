"""People of one server, each with a token: for tests of who may what."""

from dataclasses import dataclass, field
from typing import Any

import httpx

from holdfast.access import Grant, Kind, NewToken, NewUser, Pattern, Role
from holdfast.access.sql import SqlAccess
from holdfast.access.standing import StageAsks
from holdfast.names import StageName
from holdfast.registry.guard import Evidence
from holdfast.service.line import API
from holdfast.store.local import LocalStore

__all__ = ["People", "asks"]

PEOPLE: dict[str, tuple[Grant, ...]] = {
    "nobody": (),
    "viewer": (Grant(Role.VIEWER),),
    "contributor": (Grant(Role.CONTRIBUTOR),),
    "approver": (Grant(Role.APPROVER),),
    "second": (Grant(Role.APPROVER),),
    "staging": (Grant(Role.APPROVER, Pattern("*"), (StageName("staging"),)),),
    "admin": (Grant(Role.ADMIN),),
    "of-churn": (Grant(Role.ADMIN, Pattern("churn*")),),
    "of-fraud": (Grant(Role.APPROVER, Pattern("fraud-*")),),
}
"""Who there is, by what is granted to them."""


def asks(case: Evidence) -> StageAsks:
    """Production asks for a second person and two rules; other stages for one approval."""
    is_production = case.asked.stage == StageName("production")
    return StageAsks(1, second_person=is_production, rules=("integrity", "smoke", "approver"))


@dataclass
class People:
    """Asks a server as one of them."""

    url: str
    access: SqlAccess
    secrets: dict[str, str]
    kept: LocalStore
    client: httpx.Client = field(default_factory=lambda: httpx.Client(verify=False))  # noqa: S501 - plain HTTP

    @classmethod
    def of(cls, url: str, access: SqlAccess, kept: LocalStore) -> "People":
        secrets = {}
        for name, grants in PEOPLE.items():
            access.add_user(NewUser(name), "root")
            for grant in grants:
                access.grant(name, grant, "root")
            secrets[name] = access.issue(NewToken(name, "test"), "root").secret
        access.add_user(NewUser("machine", Kind.SERVICE), "root")
        access.grant("machine", Grant(Role.APPROVER), "root")
        secrets["machine"] = access.issue(NewToken("machine", "test"), "root").secret
        return cls(url, access, secrets, kept)

    def ask(self, who: str | None, method: str, path: str, body: Any = None, **more: Any) -> httpx.Response:
        """An answer; `path` is below the root of the API unless it begins with it."""
        headers = {**more.pop("headers", {})}
        if who is not None:
            headers["authorization"] = f"Bearer {self.secrets.get(who, who)}"
        place = path if path.startswith((API, "/healthz", "/readyz", "/metrics")) else API + path
        if body is not None:
            more["json"] = body
        return self.client.request(method, self.url + place, headers=headers, **more)
