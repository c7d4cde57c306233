"""Webhooks of MLflow's clients on the wire: made, listed, changed, removed, and refused."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from holdfast.registry.webhooks.sql import SqlOutbox
from tests.web.mlflow.served import Served, served

URL = "https://hooks.example.org/models"
CREATED = {"entity": "MODEL_VERSION", "action": "CREATED"}
MOVED = {"entity": "MODEL_VERSION_ALIAS", "action": "CREATED"}


@pytest.fixture
def behind(tmp_path: Path) -> Iterator[Served]:
    with served(tmp_path) as behind:
        yield behind


def make(behind: Served, **more: Any) -> dict[str, Any]:
    asked = {"name": "ci", "url": URL, "events": [CREATED], **more}
    made: dict[str, Any] = behind.ask("POST", "webhooks", asked)["webhook"]
    return made


def log(behind: Served) -> list[tuple[str, dict[str, Any]]]:
    return [(one.action, dict(one.details)) for one in reversed(behind.project.registry.log(limit=100))]


def test_a_webhook_is_made_and_found_again_without_its_secret(behind: Served) -> None:
    made = make(behind, description="tells the build", secret="between us", events=[CREATED, MOVED, CREATED])
    assert {**made, "webhook_id": "", "creation_timestamp": 0, "last_updated_timestamp": 0} == {
        "webhook_id": "",
        "name": "ci",
        "description": "tells the build",
        "url": URL,
        "events": [CREATED, MOVED],
        "status": "ACTIVE",
        "creation_timestamp": 0,
        "last_updated_timestamp": 0,
    }
    assert behind.ask("GET", f"webhooks/{made['webhook_id']}") == {"webhook": made}
    assert behind.ask("GET", "webhooks") == {"webhooks": [made]}
    ((action, details),) = log(behind)
    assert (action, details["url"]) == ("server:webhook:add", URL)
    assert set(details["actions"]) >= {"model:version:register", "stage:pointer:promote"}
    assert "between us" not in str(log(behind))


def test_what_is_changed_of_where_it_leads_stands_in_the_log(behind: Served) -> None:
    id_ = make(behind, secret="first")["webhook_id"]
    other = "https://other.example.org/"
    changed = behind.ask("PATCH", f"webhooks/{id_}", {"url": other, "events": [MOVED], "secret": "second"})["webhook"]
    assert (changed["url"], changed["events"], changed["name"]) == (other, [MOVED], "ci")
    assert [action for action, _ in log(behind)] == [
        "server:webhook:add",
        "server:webhook:rotate",
        "server:webhook:add",
    ]
    assert log(behind)[2][1]["url"] == other
    quiet = behind.ask("PATCH", f"webhooks/{id_}", {"status": "DISABLED", "name": "quiet"})["webhook"]
    assert (quiet["status"], quiet["name"], len(log(behind))) == ("DISABLED", "quiet", 3)


def test_what_is_removed_is_gone_here_and_for_administrators(behind: Served) -> None:
    id_ = make(behind)["webhook_id"]
    assert behind.ask("DELETE", f"webhooks/{id_}") == {}
    for method, said in (("GET", None), ("PATCH", {"name": "x"}), ("DELETE", None)):
        refused = behind.ask(method, f"webhooks/{id_}", said, status=404)
        assert refused["error_code"] == "RESOURCE_DOES_NOT_EXIST"
    other = make(behind)["webhook_id"]
    outbox = SqlOutbox(behind.shelf.database, lambda: behind.project.registry.log(limit=1)[0].time, lambda: "x")
    outbox.remove(other, "ana")
    assert behind.ask("GET", "webhooks") == {}


def test_they_are_told_in_pages(behind: Served) -> None:
    names = {make(behind, name=f"n{number}")["name"] for number in range(3)}
    first = behind.ask("GET", "webhooks", {"max_results": 2})
    second = behind.ask("GET", "webhooks", {"max_results": 2, "page_token": first["next_page_token"]})
    assert {one["name"] for one in first["webhooks"] + second["webhooks"]} == names
    assert "next_page_token" not in second


@pytest.mark.parametrize(
    ("more", "status", "sentence"),
    [
        ({"events": []}, 400, "Missing value for required parameter 'events'"),
        ({"name": "-x"}, 400, "Webhook name '-x' is invalid."),
        ({"url": "http://hooks.example.org/"}, 400, "hooks.example.org would be told of events without encryption"),
        ({"status": "ASLEEP"}, 400, "Invalid value"),
        (
            {"events": [CREATED, {"entity": "MODEL_VERSION_TAG", "action": "SET"}]},
            400,
            "Webhooks of this server are not told of model_version_tag.set: its log has no such event.",
        ),
        (
            {"events": [{"entity": "MODEL_VERSION", "action": "DELETED"}]},
            400,
            "Invalid action 'deleted' for entity 'model_version'. Valid actions are: ['created']",
        ),
    ],
)
def test_what_cannot_be_told_is_refused_when_it_is_asked_for(
    behind: Served, more: dict[str, Any], status: int, sentence: str
) -> None:
    refused = behind.ask("POST", "webhooks", {"name": "ci", "url": URL, "events": [CREATED], **more}, status=status)
    assert sentence in refused["message"]
    assert behind.ask("GET", "webhooks") == {}
    assert log(behind) == []


def test_a_trial_says_what_came_of_it_and_nothing_of_the_answer(behind: Served) -> None:
    id_ = make(behind, url="https://nowhere.invalid/")["webhook_id"]
    result = behind.ask("POST", f"webhooks/{id_}/test", {"event": MOVED})["result"]
    assert result.keys() == {"success", "error_message"}
    assert result["success"] is False
