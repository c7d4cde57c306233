"""Who may what with registered models: asked of a server that knows its people, by the model in the request."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from holdfast.access import Grant, NewToken, NewUser, Pattern, Role
from holdfast.names import ModelName, StageName
from holdfast.tracking import NewRun
from holdfast.wire import open_project
from holdfast.wire.people import open_doors
from tests.blank import blank_project
from tests.web.mlflow.logging import FILES, logged, put, registered
from tests.web.mlflow.served import Served, serving

PEOPLE = {
    "viewer": Grant(Role.VIEWER),
    "contributor": Grant(Role.CONTRIBUTOR),
    "approver": Grant(Role.APPROVER),
    "of-trial": Grant(Role.APPROVER, Pattern("*"), (StageName("trial"),)),
    "of-fraud": Grant(Role.APPROVER, Pattern("fraud*")),
    "of-churn": Grant(Role.CONTRIBUTOR, Pattern("churn")),
    "admin": Grant(Role.ADMIN),
}


class Asked:
    """A server asked as one of them."""

    def __init__(self, server: Served, secrets: dict[str, str]) -> None:
        self.server = server
        self._secrets = secrets

    def secret(self, who: str) -> str:
        return self._secrets[who]

    def by(self, who: str, method: str, path: str, said: Any = None, *, status: int = 200) -> Any:
        self.server.client.headers["authorization"] = f"Bearer {self._secrets.get(who, 'nobody')}"
        return self.server.ask(method, path, said, status=status)


@pytest.fixture
def asked(tmp_path: Path) -> Iterator[Asked]:
    with open_project(blank_project(tmp_path)) as project:
        doors = open_doors(project)
        secrets = {}
        for name, grant in PEOPLE.items():
            doors.add_user(NewUser(name), "root")
            doors.grant(name, grant, "root")
            secrets[name] = doors.issue(NewToken(name, "test"), "root").secret
        with serving(project, asks=True) as server:
            found = Asked(server, secrets)
            server.experiment()
            server.client.headers["authorization"] = f"Bearer {secrets['contributor']}"
            registered(server, "churn")
            yield found


READING = [
    ("GET", "registered-models/get", {"name": "churn"}),
    ("GET", "registered-models/get-latest-versions", {"name": "churn"}),
    ("GET", "model-versions/get", {"name": "churn", "version": "1"}),
    ("GET", "model-versions/get-download-uri", {"name": "churn", "version": "1"}),
]

WRITING = [
    ("PATCH", "registered-models/update", {"name": "churn", "description": "new"}),
    ("POST", "registered-models/set-tag", {"name": "churn", "key": "a", "value": "b"}),
    ("DELETE", "registered-models/delete-tag", {"name": "churn", "key": "a"}),
    ("PATCH", "model-versions/update", {"name": "churn", "version": "1", "description": "new"}),
    ("POST", "model-versions/set-tag", {"name": "churn", "version": "1", "key": "a", "value": "b"}),
    ("DELETE", "model-versions/delete-tag", {"name": "churn", "version": "1", "key": "a"}),
    ("POST", "model-versions/transition-stage", {"name": "churn", "version": "1", "stage": "Archived"}),
    ("POST", "registered-models/rename", {"name": "churn", "new_name": "churn"}),
    ("DELETE", "model-versions/delete", {"name": "churn", "version": "1"}),
    ("DELETE", "registered-models/delete", {"name": "churn"}),
]

ALIAS = {"name": "churn", "alias": "trial", "version": "1"}


@pytest.mark.thorough
def test_who_reads_needs_to_be_a_viewer_of_the_model_and_who_writes_a_contributor(asked: Asked) -> None:
    for method, path, said in READING:
        asked.by("viewer", method, path, said)
        assert asked.by("of-fraud", method, path, said, status=403)["error_code"] == "PERMISSION_DENIED"
        unknown = asked.by("nobody", method, path, said, status=401)
        assert unknown["error_code"] == "UNAUTHENTICATED"
        assert "MLFLOW_TRACKING_TOKEN" in unknown["message"]
        assert "HOLDFAST_TOKEN" not in unknown["message"]
    for method, path, said in WRITING:
        assert asked.by("viewer", method, path, said, status=403)["error_code"] == "PERMISSION_DENIED"
        assert asked.by("of-fraud", method, path, said, status=403)["error_code"] == "PERMISSION_DENIED"
        asked.by("contributor", method, path, said)


@pytest.mark.thorough
def test_an_alias_is_moved_by_approvers_of_its_stage_and_the_event_has_their_name(asked: Asked) -> None:
    for who in ("viewer", "contributor", "of-fraud"):
        assert asked.by(who, "POST", "registered-models/alias", ALIAS, status=403)
    asked.by("of-trial", "POST", "registered-models/alias", ALIAS)
    other = {**ALIAS, "alias": "other"}
    assert asked.by("of-trial", "POST", "registered-models/alias", other, status=403)
    asked.by("approver", "POST", "registered-models/alias", other)
    assert asked.by("contributor", "DELETE", "registered-models/alias", ALIAS, status=403)
    asked.by("of-trial", "DELETE", "registered-models/alias", ALIAS)
    log = asked.server.project.registry.log(ModelName("churn"))
    assert [(one.actor, str(one.stage)) for one in log[:3]] == [
        ("of-trial", "trial"),
        ("approver", "other"),
        ("approver", "other"),
    ]


def test_nobody_takes_a_name_or_a_version_that_is_none_of_theirs(asked: Asked) -> None:
    asked.by("of-fraud", "POST", "registered-models/create", {"name": "churn-too"}, status=403)
    asked.by("of-fraud", "POST", "registered-models/create", {"name": "fraud"})
    asked.by("of-fraud", "POST", "registered-models/rename", {"name": "fraud", "new_name": "churn-too"}, status=403)
    said = {"name": "fraud", "source": "models:/churn/1"}
    assert asked.by("of-fraud", "POST", "model-versions/create", said, status=403)


def test_what_stages_hold_is_led_elsewhere_by_their_approvers_alone(asked: Asked) -> None:
    asked.by("of-fraud", "POST", "registered-models/create", {"name": "fraud"})
    asked.by("approver", "POST", "registered-models/alias", ALIAS)
    rename = {"name": "churn", "new_name": "leavers"}
    error = asked.by("contributor", "POST", "registered-models/rename", rename, status=403)
    assert "no approver of churn, stage trial" in error["message"]
    asked.by("approver", "POST", "registered-models/rename", rename)
    asked.by("contributor", "POST", "registered-models/rename", {"name": "fraud", "new_name": "churn"})


def test_nobody_begins_a_model_that_is_none_of_theirs_under_a_name_that_is(asked: Asked) -> None:
    asked.by("contributor", "POST", "registered-models/rename", {"name": "churn", "new_name": "leavers"})
    error = asked.by("of-churn", "POST", "registered-models/create", {"name": "churn"}, status=403)
    assert "of-churn is no contributor of churn-" in error["message"]
    asked.by("contributor", "POST", "registered-models/create", {"name": "churn"})


@pytest.mark.thorough
def test_searches_and_unknown_names_tell_nothing_of_what_is_not_theirs(asked: Asked) -> None:
    asked.by("of-fraud", "POST", "registered-models/create", {"name": "fraud"})
    found = asked.by("of-fraud", "GET", "registered-models/search")["registered_models"]
    assert [one["name"] for one in found] == ["fraud"]
    assert asked.by("of-fraud", "GET", "model-versions/search") == {}
    for name in ("churn", "none"):
        error = asked.by("of-fraud", "GET", "registered-models/get", {"name": name}, status=403)
        assert f"viewer of {name}" in error["message"]


def test_nobody_reads_the_files_of_another_model_by_registering_them_as_their_own(asked: Asked) -> None:
    asked.by("of-fraud", "POST", "registered-models/create", {"name": "fraud"})
    id_ = asked.by("contributor", "GET", "model-versions/get", {"name": "churn", "version": "1"})["model_version"]
    id_ = id_["model_id"]
    for source in (
        f"models:/{id_}",
        f"mlflow-artifacts:/7/models/{id_}/artifacts",
        f"mlflow-artifacts:/7/models/{id_}/artifacts/.//",
        f"mlflow-artifacts://elsewhere/7/models/{id_}/artifacts",
    ):
        said = {"name": "fraud", "source": source}
        error = asked.by("of-fraud", "POST", "model-versions/create", said, status=403)
        assert "no viewer of churn" in error["message"]


@pytest.mark.thorough
def test_nobody_reads_the_files_of_another_model_by_registering_the_folder_around_them(asked: Asked) -> None:
    asked.by("of-fraud", "POST", "registered-models/create", {"name": "fraud"})
    run = asked.server.run("run")
    asked.server.client.headers["authorization"] = f"Bearer {asked.secret('contributor')}"
    for name, data in FILES.items():
        put(asked.server, f"7/{run}/artifacts/model/{name}", data)
    asked.by("contributor", "POST", "registered-models/create", {"name": "hidden"})
    said = {"name": "hidden", "source": f"runs:/{run}/model"}
    asked.by("contributor", "POST", "model-versions/create", said)
    for source in (f"runs:/{run}/model", f"runs:/{run}", f"mlflow-artifacts:/7/{run}/artifacts"):
        said = {"name": "fraud", "source": source}
        error = asked.by("of-fraud", "POST", "model-versions/create", said, status=403)
        assert "no viewer of hidden" in error["message"]


@pytest.mark.thorough
def test_a_logged_model_tells_nothing_of_a_run_of_a_model_that_is_not_its_clients(asked: Asked) -> None:
    new = NewRun(name="secret", model=ModelName("churn"))
    run = asked.server.project.tracking.start_run(new, actor="ana")
    asked.by("of-fraud", "POST", "registered-models/create", {"name": "fraud"})
    asked.server.client.headers["authorization"] = f"Bearer {asked.secret('of-fraud')}"
    id_ = logged(asked.server, str(run.id))
    said = {"name": "fraud", "source": f"models:/{id_}"}
    error = asked.by("of-fraud", "POST", "model-versions/create", said, status=403)
    assert "no viewer of churn" in error["message"]


def test_what_a_run_of_a_model_measured_is_told_to_nobody_by_its_id_alone(asked: Asked) -> None:
    tracking = asked.server.project.tracking
    run = tracking.start_run(NewRun(name="secret", model=ModelName("churn")), actor="ana").id
    tracking.log_metrics(run, {"accuracy": 0.94})
    for path, ids in (
        ("get-history", "run_id"),
        ("get-history-bulk", "run_id"),
        ("get-history-bulk-interval", "run_ids"),
    ):
        said = {ids: run, "metric_key": "accuracy"}
        assert not asked.by("of-fraud", "GET", f"metrics/{path}", said).get("metrics")
