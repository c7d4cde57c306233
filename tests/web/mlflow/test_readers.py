"""Who may only read adds nothing to logged models, runs and traces, and who may do nothing reads none of them."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from holdfast.access import Grant, NewToken, NewUser, Role
from holdfast.wire import open_project
from holdfast.wire.people import open_doors
from tests.blank import blank_project
from tests.web.mlflow.served import Served, serving

V3 = "/api/3.0/mlflow/traces"

WRITING = [
    ("POST", "logged-models"),
    ("PATCH", "logged-models/m-1"),
    ("DELETE", "logged-models/m-1"),
    ("PATCH", "logged-models/m-1/tags"),
    ("DELETE", "logged-models/m-1/tags/a"),
    ("POST", "logged-models/m-1/params"),
    ("POST", "runs/log-inputs"),
    ("POST", "runs/outputs"),
    ("POST", "runs/log-model"),
    ("POST", V3),
    ("POST", f"{V3}/delete-traces"),
    ("PATCH", f"{V3}/tr-1/tags"),
    ("DELETE", f"{V3}/tr-1/tags"),
    ("POST", "traces/link-to-run"),
    ("POST", f"{V3}/tr-1/assessments"),
    ("PATCH", f"{V3}/tr-1/assessments/a-1"),
    ("DELETE", f"{V3}/tr-1/assessments/a-1"),
    ("POST", "/v1/traces"),
]

READING = [
    ("GET", "logged-models/m-1"),
    ("POST", "logged-models/search"),
    ("POST", "experiments/search-datasets"),
    ("GET", f"{V3}/tr-1"),
    ("POST", f"{V3}/search"),
]


@dataclass(frozen=True)
class Asked:
    """A server, and the secrets of who asks it."""

    server: Served
    secrets: dict[str, str]

    def by(self, who: str, method: str, path: str, status: int) -> Any:
        self.server.client.headers["authorization"] = f"Bearer {self.secrets[who]}"
        return self.server.ask(method, path, {}, status=status)


@pytest.fixture
def asked(tmp_path: Path) -> Iterator[Asked]:
    with open_project(blank_project(tmp_path)) as project:
        doors = open_doors(project)
        for name in ("viewer", "guest"):
            doors.add_user(NewUser(name), "root")
        doors.grant("viewer", Grant(Role.VIEWER), "root")
        with serving(project, asks=True) as found:
            secrets = {name: doors.issue(NewToken(name, "test"), "root").secret for name in ("viewer", "guest")}
            yield Asked(found, secrets)


def test_who_may_only_read_writes_nothing(asked: Asked) -> None:
    for method, path in WRITING:
        assert asked.by("viewer", method, path, 403)["error_code"] == "PERMISSION_DENIED", path


def test_who_may_only_read_is_answered_what_is_asked(asked: Asked) -> None:
    for method, path in READING:
        asked.by("viewer", method, path, 404 if method == "GET" else 400)


def test_who_may_do_nothing_reads_nothing(asked: Asked) -> None:
    for method, path in (*READING, *WRITING):
        assert asked.by("guest", method, path, 403)["error_code"] == "PERMISSION_DENIED", path
