"""Versions of registered models, asked as MLflow's clients ask."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from holdfast.digest import hash_bytes
from holdfast.names import ModelName
from holdfast.parts import Missing
from holdfast.registry import Action, NewVersion
from holdfast.runtime.materialise import read_manifest
from tests.web.mlflow.logging import FILES, logged, put, registered
from tests.web.mlflow.served import Served, served

CHURN = ModelName("churn")


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Served]:
    with served(tmp_path) as found:
        found.experiment()
        found.run("r1")
        found.ask("POST", "registered-models/create", {"name": "churn"})
        yield found


def create(server: Served, source: str, *, name: str = "churn", status: int = 200, **more: Any) -> dict[str, Any]:
    said = {"name": name, "source": source, **more}
    answer: dict[str, Any] = server.ask("POST", "model-versions/create", said, status=status)
    return answer if status != 200 else answer["model_version"]


def get(server: Served, version: int | str = 1, *, name: str = "churn", status: int = 200) -> dict[str, Any]:
    answer = server.ask("GET", "model-versions/get", {"name": name, "version": str(version)}, status=status)
    found: dict[str, Any] = answer if status != 200 else answer["model_version"]
    return found


def found(server: Served, **asked: Any) -> list[str]:
    page = server.ask("GET", "model-versions/search", asked)
    return [f"{one['name']}/{one['version']}" for one in page.get("model_versions", [])]


def test_a_logged_model_becomes_a_real_version_that_says_what_it_lacks(server: Served) -> None:
    id_ = logged(server, "r1")
    told = create(server, f"models:/{id_}", model_id=id_, description="first", tags=[{"key": "team", "value": "risk"}])
    assert told["version"] == "1"
    assert (told["current_stage"], told["status"], told["run_id"]) == ("None", "READY", "r1")
    assert (told["source"], told["model_id"], told["run_link"]) == (f"models:/{id_}", id_, "")
    assert (told["description"], told["tags"]) == ("first", [{"key": "team", "value": "risk"}])
    first, *lines, last = told["status_message"].splitlines()
    assert first.startswith("Incomplete, without data_slice, hyperparameters, ")
    assert first.endswith(". What adds it:")
    assert next(line for line in lines if line.startswith("  eval_threshold: ")).count("mlflow.set_tag(") == 1
    assert last == "  Why: holdfast show churn@1"
    assert get(server) == told
    version = server.project.registry.versions(CHURN)[0]
    assert not version.complete
    assert version.run_id == "r1"
    uri = server.ask("GET", "model-versions/get-download-uri", {"name": "churn", "version": "1"})
    assert uri == {"artifact_uri": f"mlflow-artifacts:/7/models/{id_}/artifacts"}


def test_what_a_versions_own_tags_say_goes_before_what_its_run_says(server: Served) -> None:
    server.project.tracking.set_tags("r1", {"holdfast.threshold": "identity"})
    id_ = logged(server, "r1")
    for cut in ("high", "low"):
        create(server, f"models:/{id_}", model_id=id_, tags=[{"key": "holdfast.threshold", "value": cut}])
    for number, version in enumerate(server.project.registry.versions(CHURN)):
        threshold = read_manifest(server.project.store, version.digest).parts.eval_threshold
        assert isinstance(threshold, Missing)
        assert repr(("high", "low")[number]) in threshold.why


def test_the_files_of_a_version_are_never_swapped(server: Served) -> None:
    folder = "7/r1/artifacts/model"
    for name, data in FILES.items():
        put(server, f"{folder}/{name}", data)
    told = create(server, "runs:/r1/model", run_id="r1")
    assert (told["run_id"], "model_id" in told) == ("r1", False)
    put(server, f"{folder}/model.skops", b"another", status=403)
    put(server, f"{folder}/more.txt", b"another", status=403)
    put(server, "7/r1/artifacts/other/model.skops", b"elsewhere it may")


def test_a_model_where_a_version_is_hears_how_its_script_goes_on(server: Served) -> None:
    """Clients before MLflow 3 have no logged models: they write the second model of a run over the first."""
    for name, data in FILES.items():
        put(server, f"7/r1/artifacts/model/{name}", data)
    source = f"{server.ask('GET', 'runs/get', {'run_id': 'r1'})['run']['info']['artifact_uri']}/model"
    assert create(server, source, run_id="r1")["source"] == source
    url = "/api/2.0/mlflow-artifacts/artifacts/7/r1/artifacts/model/MLmodel"
    refused = server.loop.run(server.client.put(url, content=b"the next model"))
    assert (refused.status_code, refused.json()["error_code"]) == (403, "PERMISSION_DENIED")
    assert refused.json()["message"] == (
        "The files of version 1 of churn are immutable; log the next model in a run of its own, or under another "
        "artifact_path of this one."
    )


def test_what_cannot_be_registered_leaves_its_files_as_free_as_they_were(server: Served) -> None:
    put(server, "7/r1/artifacts/model/CON", b"no name on every platform")
    create(server, "runs:/r1/model", status=400)
    put(server, "7/r1/artifacts/model/MLmodel", FILES["MLmodel"])


def test_the_same_content_again_is_the_version_that_is_there(server: Served) -> None:
    id_ = logged(server)
    first = create(server, f"models:/{id_}", model_id=id_)
    again = create(server, f"models:/{id_}", model_id=id_)
    assert first["version"] == again["version"] == "1"


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("s3://bucket/model", "Only files that this server holds can be a version."),
        ("file:///etc", "Only files that this server holds can be a version."),
        ("/etc/passwd", "Only files that this server holds can be a version."),
        ("https://elsewhere/api/2.0/mlflow-artifacts/artifacts/7/r1/artifacts/model", "Only files that this server"),
        ("mlflow-artifacts:/7/../../etc", "Invalid path"),
        ("mlflow-artifacts:/7/r1/artifacts/nothing", "There are no files there."),
        ("mlflow-artifacts:/7", "must identify the resource that contains the source"),
        ("runs:/r1/nothing", "There are no files there."),
        ("models:/churn", "It names no version."),
        ("models:/churn/latest", "It names no version."),
    ],
)
def test_a_source_that_leads_elsewhere_is_refused(server: Served, source: str, message: str) -> None:
    error = create(server, source, status=400)
    assert error["error_code"] == "INVALID_PARAMETER_VALUE"
    assert message in error["message"]
    assert server.project.registry.versions(CHURN) == ()


@pytest.mark.parametrize("source", ["runs:/none/model", "models:/m-0123456789abcdef0123456789abcdef", "models:/none/1"])
def test_a_source_that_is_not_there_is_not_found(server: Served, source: str) -> None:
    assert create(server, source, status=404)["error_code"] == "RESOURCE_DOES_NOT_EXIST"


def test_a_run_or_logged_model_that_the_source_is_not_of_is_refused(server: Served) -> None:
    server.run("r2")
    id_, other = logged(server, "r1"), logged(server)
    text = "request parameter must identify the resource that contains the source."
    for more in ({"model_id": other}, {"model_id": id_, "run_id": "r2"}):
        assert text in create(server, f"models:/{id_}", status=400, **more)["message"]
    place = f"mlflow-artifacts:/7/models/{id_}/artifacts"
    assert text in create(server, place, status=400, model_id=other)["message"]
    assert create(server, place, model_id=id_)["run_id"] == "r1"


def test_a_version_is_copied_into_another_model(server: Served) -> None:
    registered(server)
    server.ask("POST", "registered-models/create", {"name": "copy"})
    told = create(server, "models:/churn/1", name="copy", tags=[{"key": "from", "value": "churn"}])
    assert (told["name"], told["version"], told["source"]) == ("copy", "1", "models:/churn/1")
    assert told["model_id"] == get(server)["model_id"]
    ours = {str(one.name): server.project.registry.versions(one.name) for one in server.project.registry.models()}
    assert len(ours["copy"]) == len(ours["churn"]) == 1
    error = create(server, "models:/churn/1", name="copy", status=400, run_id="other")
    assert "must match the referenced model version" in error["message"]


def test_words_of_a_version_change_and_the_version_does_not(server: Served) -> None:
    registered(server)
    before = server.project.registry.versions(CHURN)
    said = {"name": "churn", "version": "1"}
    told = server.ask("PATCH", "model-versions/update", {**said, "description": "new"})["model_version"]
    assert told["description"] == "new"
    for value in ("one", "two"):
        server.ask("POST", "model-versions/set-tag", {**said, "key": "team", "value": value})
    assert get(server)["tags"] == [{"key": "team", "value": "two"}]
    for _ in range(2):
        server.ask("DELETE", "model-versions/delete-tag", {**said, "key": "team"})
    assert "tags" not in get(server)
    assert server.project.registry.versions(CHURN) == before


@pytest.mark.thorough
def test_a_deleted_version_is_not_shown_and_nothing_gets_its_number(server: Served) -> None:
    registered(server, count=2)
    assert server.ask("DELETE", "model-versions/delete", {"name": "churn", "version": "2"}) == {}
    assert get(server, 2, status=404)["message"] == "Model Version (name=churn, version=2) not found"
    assert found(server, filter="name = 'churn'") == ["churn/1"]
    id_ = logged(server, weights=b"new")
    assert create(server, f"models:/{id_}", model_id=id_)["version"] == "3"
    assert [one.action for one in server.project.registry.log(CHURN)][1] == Action.VERSION_WITHDRAW
    assert len(server.project.registry.versions(CHURN)) == 3
    assert server.project.registry.audit_verify().ok


def test_a_version_that_holds_a_stage_is_not_deleted(server: Served) -> None:
    registered(server)
    server.ask("POST", "registered-models/alias", {"name": "churn", "alias": "trial", "version": "1"})
    error = server.ask("DELETE", "model-versions/delete", {"name": "churn", "version": "1"}, status=403)
    assert (error["error_code"], "it holds trial" in error["message"]) == ("PERMISSION_DENIED", True)


@pytest.mark.parametrize(
    ("version", "status", "message"),
    [
        ("x", 400, "Parameter 'version' must be an integer, got 'x'."),
        ("9", 404, "Model Version (name=churn, version=9) not found"),
        ("99999999999999999999", 404, "not found"),
        ("-1", 404, "not found"),
    ],
)
def test_a_number_that_no_version_has(server: Served, version: str, status: int, message: str) -> None:
    assert message in get(server, version, status=status)["message"]


@pytest.mark.thorough
def test_versions_are_searched(server: Served) -> None:
    registered(server, count=2)
    id_ = logged(server, "r1", weights=b"of a run")
    create(server, f"models:/{id_}", model_id=id_, tags=[{"key": "team", "value": "risk"}])
    registered(server, "Other")
    assert found(server, filter="name = 'churn'", order_by="version_number ASC") == ["churn/1", "churn/2", "churn/3"]
    assert found(server) == ["Other/1", "churn/3", "churn/2", "churn/1"]
    assert found(server, filter="run_id = 'r1'") == found(server, filter="tags.team = 'risk'") == ["churn/3"]
    assert found(server, filter="run_id IN ('r1', 'r2') and name IN ('churn')") == ["churn/3"]
    assert found(server, filter="version_number >= 2 AND name != 'Other'") == ["churn/3", "churn/2"]
    assert found(server, filter=f"source_path = 'models:/{id_}'") == ["churn/3"]
    assert found(server, filter="name LIKE 'o%'") == []
    assert found(server, filter="name ILIKE 'o%'") == ["Other/1"]
    assert found(server, filter="tag.`mlflow.prompt.is_prompt` != 'true' AND name = 'Other'") == ["Other/1"]
    page = server.ask("GET", "model-versions/search", {"max_results": "3", "order_by": "name DESC"})
    assert [one["version"] for one in page["model_versions"]] == ["3", "2", "1"]
    asked = {"max_results": "3", "order_by": "name DESC", "page_token": page["next_page_token"]}
    rest = server.ask("GET", "model-versions/search", asked)
    assert [one["name"] for one in rest["model_versions"]] == ["Other"]
    assert "next_page_token" not in rest
    for wrong in ("stage = 'x'", "name > 'x'", "version_number = 1.5", "tags.a IN ('x')"):
        assert server.ask("GET", "model-versions/search", {"filter": wrong}, status=400)


def test_a_version_that_holdfast_made_is_seen_and_has_no_files_for_mlflow(server: Served) -> None:
    server.project.registry.register(NewVersion(CHURN, hash_bytes(b"ours"), complete=True), "ana")
    told = get(server)
    assert (told["source"], "status_message" in told) == ("holdfast:churn@1", False)
    assert found(server, filter="name = 'churn'") == ["churn/1"]
    error = server.ask("GET", "model-versions/get-download-uri", {"name": "churn", "version": "1"}, status=400)
    assert "holdfast.load('churn@1')" in error["message"]
    server.ask("POST", "model-versions/set-tag", {"name": "churn", "version": "1", "key": "team", "value": "risk"})
    assert get(server)["tags"] == [{"key": "team", "value": "risk"}]
