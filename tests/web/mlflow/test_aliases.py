"""Aliases and stages of MLflow: moves of Holdfast, with their events, through a gate where one protects the stage."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from holdfast.config import Settings
from holdfast.experiments.naming import other_stage
from holdfast.names import ModelName, StageName, VersionNumber
from holdfast.registry import Action, MoveStage, NewPolicy
from holdfast.wire import open_project
from tests.web.mlflow.logging import registered
from tests.web.mlflow.served import Served, served, serving

CHURN = ModelName("churn")

OPEN = '[mlflow]\naliases = { best = "production" }\n'
"""A policy that protects nothing, and means production by an alias."""


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Served]:
    (tmp_path / "holdfast.toml").write_text(OPEN)
    with served(tmp_path) as found:
        found.experiment()
        registered(found, count=3)
        yield found


@pytest.fixture
def gated(tmp_path: Path) -> Iterator[Served]:
    """As `holdfast init` leaves it, production is protected."""
    with served(tmp_path) as found:
        found.experiment()
        registered(found, count=2)
        yield found


def point(server: Served, version: int, alias: str = "champion", *, status: int = 200) -> dict[str, Any]:
    said = {"name": "churn", "alias": alias, "version": str(version)}
    answer: dict[str, Any] = server.ask("POST", "registered-models/alias", said, status=status)
    return answer


def named(server: Served, alias: str = "champion", *, status: int = 200) -> dict[str, Any]:
    answer = server.ask("GET", "registered-models/alias", {"name": "churn", "alias": alias}, status=status)
    found: dict[str, Any] = answer if status != 200 else answer["model_version"]
    return found


def remove(server: Served, alias: str = "champion", *, status: int = 200) -> dict[str, Any]:
    said = {"name": "churn", "alias": alias}
    answer: dict[str, Any] = server.ask("DELETE", "registered-models/alias", said, status=status)
    return answer


def transition(server: Served, version: int, stage: str, *, status: int = 200, **more: Any) -> dict[str, Any]:
    said = {"name": "churn", "version": str(version), "stage": stage, **more}
    answer = server.ask("POST", "model-versions/transition-stage", said, status=status)
    found: dict[str, Any] = answer if status != 200 else answer["model_version"]
    return found


def stages(server: Served) -> dict[str, str]:
    found = server.ask("GET", "model-versions/search", {"filter": "name = 'churn'"})["model_versions"]
    return {one["version"]: one["current_stage"] for one in found}


def moves(server: Served) -> list[tuple[str, str, int | None, int | None]]:
    pointing = {Action.STAGE_PROMOTE, Action.STAGE_CLEAR}
    found = [one for one in server.project.registry.log(CHURN) if one.action in pointing]
    return [(str(one.stage), one.action.rpartition(":")[2], one.from_number, one.to_number) for one in reversed(found)]


def test_an_alias_is_a_stage_that_moves_with_its_event(server: Served) -> None:
    assert point(server, 1) == {}
    assert (named(server)["version"], named(server)["aliases"]) == ("1", ["champion"])
    point(server, 2)
    point(server, 2)
    assert named(server)["version"] == "2"
    assert moves(server) == [("champion", "promote", None, 1), ("champion", "promote", 1, 2)]
    event = server.project.registry.log(CHURN, limit=1)[0]
    assert event.details == {"client": "mlflow", "alias": "champion"}
    model = server.ask("GET", "registered-models/get", {"name": "churn"})["registered_model"]
    assert model["aliases"] == [{"alias": "champion", "version": "2"}]
    found = server.ask("GET", "model-versions/search", {"filter": "name = 'churn'"})["model_versions"]
    assert {one["version"]: one.get("aliases") for one in found} == {"1": None, "2": ["champion"], "3": None}
    assert server.project.registry.audit_verify().ok


def test_a_deleted_alias_names_nothing_and_a_rollback_brings_it_back(server: Served) -> None:
    point(server, 1)
    assert remove(server) == remove(server) == {}
    error = named(server, status=400)
    assert (error["error_code"], error["message"]) == (
        "INVALID_PARAMETER_VALUE",
        "Registered model alias champion not found.",
    )
    assert moves(server) == [("champion", "promote", None, 1), ("champion", "clear", 1, None)]
    assert server.project.registry.stage(CHURN, StageName("champion")).last_known_good == 1


def test_aliases_that_differ_in_capitals_are_two(server: Served) -> None:
    point(server, 1, "Champion")
    point(server, 2, "champion")
    assert (named(server, "Champion")["version"], named(server, "champion")["version"]) == ("1", "2")
    assert named(server, "Champion")["aliases"] == ["Champion"]
    remove(server, "champion")
    assert named(server, "Champion")["version"] == "1"


def test_settings_say_which_alias_means_a_stage(server: Served) -> None:
    point(server, 2, "best")
    assert server.project.registry.stage(CHURN, StageName("production")).number == 2
    assert named(server, "production")["version"] == named(server, "best")["version"] == "2"
    assert (named(server, "best")["aliases"], named(server, "best")["current_stage"]) == (["best"], "Production")


def test_an_alias_that_settings_give_a_stage_is_no_other_stage_any_more(tmp_path: Path) -> None:
    (tmp_path / "holdfast.toml").write_text(OPEN.replace("best", "other"))
    with served(tmp_path) as before:
        before.experiment()
        registered(before, count=2)
        point(before, 1, "best")
    (tmp_path / "holdfast.toml").write_text(OPEN)
    with open_project(Settings.find(tmp_path)) as project, serving(project) as server:
        point(server, 2, "best")
        assert named(server, "best")["version"] == "2"
        first = server.ask("GET", "model-versions/get", {"name": "churn", "version": "1"})["model_version"]
        assert first.get("aliases", []) == []
        model = server.ask("GET", "registered-models/get", {"name": "churn"})["registered_model"]
        assert model["aliases"] == [{"alias": "best", "version": "2"}]


@pytest.mark.parametrize(
    ("alias", "message"),
    [
        ("", "Missing value for required parameter 'alias'."),
        ("a b", "Invalid alias name: 'a b'. Names may only contain alphanumerics, underscores (_), and dashes (-)."),
        ("Latest", "'latest' alias name (case insensitive) is reserved."),
        ("v12", "Version alias name 'v12' is reserved."),
        ("a" * 256, "'Registered model alias name' exceeds the maximum length of 255 characters"),
    ],
)
def test_an_alias_that_cannot_be(server: Served, alias: str, message: str) -> None:
    error = point(server, 1, alias, status=400)
    assert message in error["message"]


def test_any_alias_of_mlflows_can_be_set(server: Served) -> None:
    for alias in ("_x", "5", "a" * 255, "Ä-1", "newest"):
        point(server, 1, alias)
        assert named(server, alias)["version"] == "1"
    assert set(named(server, "5")["aliases"]) == {"_x", "5", "a" * 255, "Ä-1", "newest"}


def test_latest_is_the_highest_number(server: Served) -> None:
    point(server, 1)
    assert named(server, "latest")["version"] == "3"


def test_an_alias_of_a_version_that_is_not_there(server: Served) -> None:
    assert point(server, 9, status=404)["message"] == "Model Version (name=churn, version=9) not found"
    assert moves(server) == []


def test_a_stage_of_mlflows_is_held_by_one_version_and_the_one_before_is_archived(server: Served) -> None:
    assert transition(server, 1, "PRODUCTION")["current_stage"] == "Production"
    assert transition(server, 2, "Staging")["current_stage"] == "Staging"
    transition(server, 2, "Production", archive_existing_versions=True)
    assert stages(server) == {"1": "Archived", "2": "Production", "3": "None"}
    transition(server, 1, "None")
    transition(server, 2, "Archived")
    assert stages(server) == {"1": "None", "2": "Archived", "3": "None"}
    assert [one[:2] for one in moves(server)] == [
        ("production", "promote"),
        ("staging", "promote"),
        ("production", "promote"),
        ("staging", "clear"),
        ("production", "clear"),
    ]
    assert server.project.registry.audit_verify().ok


def test_a_version_has_one_stage_of_mlflows_and_leaves_the_other(server: Served) -> None:
    transition(server, 1, "Staging")
    transition(server, 1, "Production")
    transition(server, 2, "Production", archive_existing_versions=True)
    assert stages(server) == {"1": "Archived", "2": "Production", "3": "None"}
    assert transition(server, 2, "Staging")["current_stage"] == "Staging"
    assert stages(server) == {"1": "Archived", "2": "Staging", "3": "None"}
    assert [one[:2] for one in moves(server)] == [
        ("staging", "promote"),
        ("production", "promote"),
        ("staging", "clear"),
        ("production", "promote"),
        ("staging", "promote"),
        ("production", "clear"),
    ]


def test_a_version_does_not_leave_a_protected_stage_for_a_lower_one(gated: Served) -> None:
    adopted = MoveStage(CHURN, StageName("production"), VersionNumber(1), None, Action.STAGE_ADOPT, "served before")
    gated.project.registry.move_stage(adopted, "ana")
    error = transition(gated, 1, "Staging", status=403)
    assert "production of churn is protected by a gate, and is not emptied" in error["message"]
    assert stages(gated)["1"] == "Production"
    assert [str(one.name) for one in gated.project.registry.stages(CHURN) if one.number] == ["production"]


def test_a_version_keeps_a_protected_staging_when_it_rises(tmp_path: Path) -> None:
    (tmp_path / "holdfast.toml").write_text("[gate.staging]\n")
    with served(tmp_path) as found:
        found.experiment()
        registered(found)
        adopted = MoveStage(CHURN, StageName("staging"), VersionNumber(1), None, Action.STAGE_ADOPT, "tried before")
        found.project.registry.move_stage(adopted, "ana")
        assert transition(found, 1, "Production")["current_stage"] == "Production"
        held = {str(one.name) for one in found.project.registry.stages(CHURN) if one.number}
        assert held == {"production", "staging"}


def test_stages_that_mlflow_has_not(server: Served) -> None:
    text = "Invalid Model Version stage: live. Value must be one of None, Staging, Production, Archived."
    assert transition(server, 1, "live", status=400)["message"] == text
    error = transition(server, 1, "None", status=400, archive_existing_versions=True)
    assert "because 'None' is not an Active stage. Valid stages are ['Staging', 'Production']" in error["message"]


def test_a_protected_stage_is_moved_by_its_gate_alone_and_the_refusal_says_why(gated: Served) -> None:
    for answer in (point(gated, 1, "production", status=403), transition(gated, 1, "Production", status=403)):
        assert answer["error_code"] == "PERMISSION_DENIED"
        assert "churn@1 may not have production: completeness" in answer["message"]
    assert moves(gated) == []
    refused = [one for one in gated.project.registry.log(CHURN) if one.action == Action.GATE_REFUSE]
    assert [(one.stage, one.to_number) for one in refused] == [("production", 1)] * 2
    point(gated, 1, "trial")
    assert named(gated, "trial")["version"] == "1"


def test_more_gates_at_once_than_there_is_room_for_are_asked_for_again(gated: Served) -> None:
    judging = gated.shelf.registered.judging
    while judging.acquire(blocking=False):
        pass
    assert point(gated, 1, "production", status=503)["error_code"] == "TEMPORARILY_UNAVAILABLE"
    point(gated, 1, "trial")
    judging.release()
    point(gated, 1, "production", status=403)


def test_a_protected_stage_is_not_emptied(gated: Served) -> None:
    adopted = MoveStage(CHURN, StageName("production"), VersionNumber(1), None, Action.STAGE_ADOPT, "served before")
    gated.project.registry.move_stage(adopted, "ana")
    error = remove(gated, "production", status=403)
    assert "protected by a gate" in error["message"]
    assert transition(gated, 1, "None", status=403)["error_code"] == "PERMISSION_DENIED"
    assert named(gated, "production")["version"] == "1"


@pytest.mark.parametrize(("there", "other"), [("production", "Production"), ("Production", "production")])
def test_no_spelling_of_a_protected_stage_is_a_way_around_its_gate(gated: Served, there: str, other: str) -> None:
    adopted = MoveStage(CHURN, StageName("production"), VersionNumber(1), None, Action.STAGE_ADOPT, "in service")
    gated.project.registry.move_stage(adopted, "ana")
    point(gated, 1, there)
    error = point(gated, 2, other, status=400)
    assert error["error_code"] == "INVALID_PARAMETER_VALUE"
    assert f"'{other}'" in error["message"]
    assert "letters' case" in error["message"]
    assert [str(one.name) for one in gated.project.registry.stages(CHURN) if one.number] == ["production"]


@pytest.mark.parametrize("other", ["\u0440roduction", "produ\u0441tion", "\uff50roduction", "PR\u039fDUCTION"])
def test_no_letter_that_looks_like_another_is_a_way_around_a_gate(gated: Served, other: str) -> None:
    assert "that look alike" in point(gated, 2, other, status=400)["message"]
    assert moves(gated) == []
    point(gated, 2, "\u0440\u0443\u043a\u0430")
    assert named(gated, "\u0440\u0443\u043a\u0430")["version"] == "2"


@pytest.mark.parametrize("other", ["Best", "BEST", "b\u0435st"])
def test_no_spelling_of_an_alias_that_means_a_protected_stage_is_a_way_around_its_gate(
    tmp_path: Path, other: str
) -> None:
    (tmp_path / "holdfast.toml").write_text(f"{OPEN}[gate.production]\n")
    with served(tmp_path) as server:
        server.experiment()
        registered(server, count=2)
        assert "which a gate protects" in point(server, 2, other, status=400)["message"]
        assert "may not have production" in point(server, 2, "best", status=403)["message"]
        assert moves(server) == []


def test_an_alias_that_was_a_stage_of_its_own_before_is_read_on_and_moves_the_real_one_once_deleted(
    gated: Served,
) -> None:
    own = other_stage("Production")
    gated.shelf.registered.pointing.define(CHURN, own, "ana")
    gated.shelf.registered.pointing.point("churn", 1, own, "ana", alias="Production")
    assert named(gated, "Production")["version"] == "1"
    error = point(gated, 2, "Production", status=400)
    assert f"a stage of its own, {own}, from before: delete the alias, and set it again" in error["message"]
    remove(gated, "Production")
    assert "may not have production" in point(gated, 1, "Production", status=403)["message"]


def test_where_the_registry_has_a_policy_every_stage_is_protected(server: Served) -> None:
    server.project.registry.set_policy(NewPolicy("[gate.staging]\nmargin = 0.1\n", None, "from now on"), "ana")
    assert "may not have trial" in point(server, 1, "trial", status=403)["message"]
