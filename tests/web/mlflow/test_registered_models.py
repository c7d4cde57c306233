"""Registered models, asked as MLflow's clients ask."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from holdfast.names import ModelName
from holdfast.registry import Action, NewPolicy
from tests.web.mlflow.logging import registered
from tests.web.mlflow.served import Served, served


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Served]:
    with served(tmp_path) as found:
        found.experiment()
        yield found


def create(server: Served, name: str = "churn", **more: Any) -> dict[str, Any]:
    model: dict[str, Any] = server.ask("POST", "registered-models/create", {"name": name, **more})["registered_model"]
    return model


def get(server: Served, name: str = "churn", **more: Any) -> dict[str, Any]:
    found: dict[str, Any] = server.ask("GET", "registered-models/get", {"name": name}, **more)
    return found


def names(server: Served, **asked: Any) -> list[str]:
    found = server.ask("GET", "registered-models/search", asked)
    return [one["name"] for one in found.get("registered_models", [])]


def actions(server: Served, model: str = "churn") -> list[str]:
    return [one.action for one in server.project.registry.log(ModelName(model))]


def test_a_model_is_told_as_mlflow_tells_it(server: Served) -> None:
    tags = [{"key": "team", "value": "risk"}]
    made = create(server, description="who leaves", tags=tags)
    assert made == {
        "name": "churn",
        "creation_timestamp": made["last_updated_timestamp"],
        "last_updated_timestamp": made["last_updated_timestamp"],
        "description": "who leaves",
        "tags": tags,
    }
    assert get(server)["registered_model"] == made
    assert create(server, "bare").keys() == {"name", "creation_timestamp", "last_updated_timestamp"}


@pytest.mark.parametrize(
    ("said", "code", "message"),
    [
        ({}, "INVALID_PARAMETER_VALUE", "Missing value for required parameter 'name'."),
        ({"name": " "}, "INVALID_PARAMETER_VALUE", "Missing value for required parameter 'name'."),
        ({"name": "a/b"}, "INVALID_PARAMETER_VALUE", "Invalid model name 'a/b'. Names cannot contain '/' or ':'."),
        ({"name": ".."}, "INVALID_PARAMETER_VALUE", "This name would resolve to '..'"),
        ({"name": 3}, "INVALID_PARAMETER_VALUE", "Invalid value 3 for parameter 'name' supplied"),
        ({"name": "churn"}, "RESOURCE_ALREADY_EXISTS", "Registered Model (name=churn) already exists."),
        ({"name": "x", "tags": [{"key": "a" * 251, "value": ""}]}, "INVALID_PARAMETER_VALUE", "'key' exceeds the max"),
        ({"name": "x", "tags": [{"key": "a,b", "value": ""}]}, "INVALID_PARAMETER_VALUE", 'Invalid value "a,b" for'),
        ({"name": "x", "tags": [{"key": "a", "value": "v" * 100_001}]}, "INVALID_PARAMETER_VALUE", "'value' exceeds"),
    ],
)
def test_what_cannot_be_created_is_refused_in_mlflows_words(
    server: Served, said: dict[str, Any], code: str, message: str
) -> None:
    create(server)
    error = server.ask("POST", "registered-models/create", said, status=400)
    assert error["error_code"] == code
    assert message in error["message"]


def test_prompts_are_not_offered(server: Served) -> None:
    tags = [{"key": "mlflow.prompt.is_prompt", "value": "true"}]
    error = server.ask("POST", "registered-models/create", {"name": "hello", "tags": tags}, status=501)
    assert (error["error_code"], "Prompts" in error["message"]) == ("NOT_IMPLEMENTED", True)


def test_a_name_that_is_none_of_ours_gets_one_and_both_are_told_apart(server: Served) -> None:
    create(server, "Churn EU")
    create(server, "churn eu")
    assert names(server) == ["Churn EU", "churn eu"]
    ours = [str(model.name) for model in server.project.registry.models()]
    assert len(ours) == 2
    assert all(name.startswith("churn-eu-") for name in ours)
    assert get(server, "Churn EU")["registered_model"]["name"] == "Churn EU"


def test_a_model_that_nobody_created_is_not_found(server: Served) -> None:
    error = get(server, "none", status=404)
    assert error["error_code"] == "RESOURCE_DOES_NOT_EXIST"
    assert error["message"] == "Registered Model with name=none not found"
    ways = [
        ("PATCH", "update"),
        ("DELETE", "delete"),
        ("POST", "set-tag"),
        ("DELETE", "delete-tag"),
        ("POST", "rename"),
    ]
    for method, path in ways:
        said = {"name": "none", "key": "a", "value": "b", "description": "c", "new_name": "other"}
        assert server.ask(method, f"registered-models/{path}", said, status=404)["message"] == error["message"]


def test_words_are_changed_and_taken_away(server: Served) -> None:
    create(server)
    told = server.ask("PATCH", "registered-models/update", {"name": "churn", "description": "new"})["registered_model"]
    assert told["description"] == "new"
    for value in ("one", "two"):
        server.ask("POST", "registered-models/set-tag", {"name": "churn", "key": "team", "value": value})
    assert get(server)["registered_model"]["tags"] == [{"key": "team", "value": "two"}]
    for _ in range(2):
        server.ask("DELETE", "registered-models/delete-tag", {"name": "churn", "key": "team"})
    assert "tags" not in get(server)["registered_model"]
    assert actions(server) == [Action.MODEL_CREATE]


def test_a_renamed_model_stays_what_it_is_here_and_its_old_name_is_free(server: Served) -> None:
    registered(server, count=1)
    told = server.ask("POST", "registered-models/rename", {"name": "churn", "new_name": "leavers"})["registered_model"]
    assert (told["name"], told["latest_versions"][0]["name"]) == ("leavers", "leavers")
    assert server.project.registry.models()[0].name == ModelName("churn")
    get(server, "churn", status=404)
    create(server, "churn")
    assert sorted(names(server)) == ["churn", "leavers"]
    assert "latest_versions" not in get(server, "churn")["registered_model"]
    error = server.ask("POST", "registered-models/rename", {"name": "churn", "new_name": "leavers"}, status=400)
    assert error["error_code"] == "RESOURCE_ALREADY_EXISTS"
    [event] = [one for one in server.project.registry.log(ModelName("churn")) if one.action == Action.MODEL_RENAME]
    assert event.details == {"from": "churn", "to": "leavers"}
    assert server.project.registry.audit_verify().ok


def test_no_name_that_has_rules_of_its_own_is_a_way_around_its_gate(tmp_path: Path) -> None:
    (tmp_path / "holdfast.toml").write_text("[model.churn.gate.production]\nmargin = 0.1\n")
    with served(tmp_path) as server:
        server.experiment()
        registered(server, "scratch")
        server.ask("POST", "registered-models/alias", {"name": "scratch", "alias": "production", "version": "1"})
        rename = {"name": "scratch", "new_name": "churn"}
        error = server.ask("POST", "registered-models/rename", rename, status=403)
        assert "gates have rules of their own for churn" in error["message"]
        registered(server, "churn")
        server.ask("POST", "registered-models/rename", {"name": "churn", "new_name": "leavers"})
        assert server.ask("POST", "registered-models/rename", rename, status=403) == error
        assert "have rules" in server.ask("POST", "registered-models/create", {"name": "churn"}, status=403)["message"]
        server.project.registry.set_policy(NewPolicy("[gate.staging]\n", ModelName("scratch"), "its own"), "ana")
        server.ask("POST", "registered-models/rename", {"name": "leavers", "new_name": "churn"})
        server.ask("POST", "registered-models/rename", {"name": "scratch", "new_name": "trial"})
        rename = {"name": "churn", "new_name": "scratch"}
        assert "have rules" in server.ask("POST", "registered-models/rename", rename, status=403)["message"]


@pytest.mark.thorough
def test_a_deleted_model_is_not_shown_and_goes_on_with_its_numbers_when_it_comes_back(server: Served) -> None:
    registered(server, count=2)
    server.ask("POST", "registered-models/set-tag", {"name": "churn", "key": "team", "value": "risk"})
    assert server.ask("DELETE", "registered-models/delete", {"name": "churn"}) == {}
    get(server, status=404)
    assert names(server) == []
    server.ask("GET", "model-versions/get", {"name": "churn", "version": "1"}, status=404)
    assert len(server.project.registry.versions(ModelName("churn"))) == 2
    back = create(server, description="again")
    assert (back["description"], "tags" in back, "latest_versions" in back) == ("again", False, False)
    ids = registered(server, count=1)
    assert ids
    told = get(server)["registered_model"]["latest_versions"]
    assert [one["version"] for one in told] == ["1"], "the same content is the version that is there, and comes back"
    assert actions(server)[:4] == [
        Action.VERSION_READMIT,
        Action.MODEL_READMIT,
        Action.MODEL_WITHDRAW,
        Action.VERSION_REGISTER,
    ]
    assert server.project.registry.audit_verify().ok


def test_a_model_whose_version_holds_a_stage_is_not_deleted(server: Served) -> None:
    registered(server)
    server.ask("POST", "registered-models/alias", {"name": "churn", "alias": "champion", "version": "1"})
    error = server.ask("DELETE", "registered-models/delete", {"name": "churn"}, status=403)
    assert error["error_code"] == "PERMISSION_DENIED"
    assert "hold champion" in error["message"]
    server.ask("DELETE", "registered-models/alias", {"name": "churn", "alias": "champion"})
    server.ask("DELETE", "registered-models/delete", {"name": "churn"})


def test_models_are_searched_by_name_and_tag_and_every_client_asks_for_no_prompts(server: Served) -> None:
    for name, team in (("alpha", "risk"), ("beta", "risk"), ("Gamma", "ads")):
        create(server, name, tags=[{"key": "team", "value": team}])
    no_prompts = "tag.`mlflow.prompt.is_prompt` != 'true'"
    assert names(server, filter=no_prompts) == ["Gamma", "alpha", "beta"]
    assert names(server, filter=f"name LIKE 'a%' AND {no_prompts}") == ["alpha"]
    assert names(server, filter="name LIKE 'g%'") == []
    assert names(server, filter="name ILIKE 'g%'") == ["Gamma"]
    assert names(server, filter="name IN ('alpha', 'beta')") == ["alpha", "beta"]
    assert names(server, filter="tags.team = 'risk'", order_by="name DESC") == ["beta", "alpha"]
    assert names(server, filter="tags.team != 'risk'") == ["Gamma"]
    assert names(server, filter="tags.nobody != 'x'") == []
    assert names(server, filter="tag.`mlflow.prompt.is_prompt` = 'true'") == []
    assert names(server, order_by="last_updated_timestamp DESC")[0] == "Gamma"
    for wrong in ("version = 'x'", "name > 'x'", "name = 'a' OR name = 'b'"):
        error = server.ask("GET", "registered-models/search", {"filter": wrong}, status=400)
        assert error["error_code"] == "INVALID_PARAMETER_VALUE"


def test_pages_follow_each_other(server: Served) -> None:
    for number in range(5):
        create(server, f"m{number}")
    found, token = [], None
    while True:
        asked = {"max_results": "2", **({} if token is None else {"page_token": token})}
        page = server.ask("GET", "registered-models/search", asked)
        found += [one["name"] for one in page["registered_models"]]
        token = page.get("next_page_token")
        if token is None:
            break
    assert found == [f"m{number}" for number in range(5)]
    for wrong in ({"max_results": "0"}, {"max_results": "1001"}, {"page_token": "?"}):
        assert server.ask("GET", "registered-models/search", wrong, status=400)


def test_a_model_that_holdfast_made_is_seen_and_can_be_spoken_of(server: Served) -> None:
    server.project.registry.create_model(ModelName("ours"), "ana", description="made here")
    told = get(server, "ours")["registered_model"]
    assert (told["name"], told["description"]) == ("ours", "made here")
    assert server.ask("POST", "registered-models/create", {"name": "ours"}, status=400)
    server.ask("POST", "registered-models/set-tag", {"name": "ours", "key": "team", "value": "risk"})
    told = get(server, "ours")["registered_model"]
    assert (told["description"], told["tags"]) == ("made here", [{"key": "team", "value": "risk"}])


@pytest.mark.thorough
def test_the_heads_of_stages_are_told_either_way(server: Served) -> None:
    registered(server, count=3)
    server.ask("POST", "model-versions/transition-stage", {"name": "churn", "version": "1", "stage": "staging"})
    for method in ("GET", "POST"):
        asked: dict[str, Any] = {"name": "churn"}
        found = server.ask(method, "registered-models/get-latest-versions", asked)["model_versions"]
        assert [(one["version"], one["current_stage"]) for one in found] == [("1", "Staging"), ("3", "None")]
        only = server.ask(method, "registered-models/get-latest-versions", {**asked, "stages": ["Staging"]})
        assert [one["version"] for one in only["model_versions"]] == ["1"]
    error = server.ask("GET", "registered-models/get-latest-versions", {"name": "churn", "stages": "new"}, status=400)
    assert error["message"].startswith("Invalid Model Version stage: new. Value must be one of None, Staging, Product")
