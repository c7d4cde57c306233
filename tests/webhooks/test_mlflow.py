"""Webhooks of MLflow's clients: MLflow's words, headers and signature; and the others as they were."""

import base64
import hashlib
import hmac
import itertools
import json
import uuid
from collections.abc import Mapping
from typing import Any

import pytest
from sqlalchemy import insert

from holdfast.database.engine import Database
from holdfast.digest import hash_bytes
from holdfast.experiments.hooks import Hook, HookStatus, SqlHooks
from holdfast.experiments.tables import (
    aliases,
    registered_model_tags,
    registered_models,
    registered_version_tags,
    registered_versions,
)
from holdfast.names import ModelName, StageName, VersionNumber
from holdfast.registry import Action, MoveStage, NewVersion
from holdfast.registry.records import Event
from holdfast.registry.sql import SqlRegistry
from holdfast.registry.webhooks.sql import SqlOutbox
from holdfast.webhooks.mlflow import Asked, HookOffice, Words
from holdfast.webhooks.sealing import Seal
from holdfast.webhooks.sending import Sender
from holdfast.webhooks.signing import verify
from tests.patience import until
from tests.webhooks.conftest import KEY, here, now, opened, running
from tests.webhooks.receivers import Receiver

ALL = (
    ("registered_model", "created"),
    ("model_version", "created"),
    ("model_version_alias", "created"),
    ("model_version_alias", "deleted"),
)
MOMENTS = {"created_ms": 1, "updated_ms": 1}


def hook(**more: Any) -> Hook:
    told: dict[str, Any] = {"id": "wh_1", "name": "ci", "description": None, "events": ALL, "status": HookStatus.ACTIVE}
    return Hook(**{**told, **MOMENTS, **more})


def database_of(url: str) -> tuple[Database, SqlRegistry]:
    database = Database.open(url)
    ids = itertools.count(1)
    return database, SqlRegistry(database, now, lambda: f"id-{next(ids)}")


def something_happens(database: Database, registry: SqlRegistry) -> list[Event]:
    """A model of MLflow's clients gets a version, an alias, and loses it."""
    model, stage = ModelName("churn-a1b2c3"), StageName("champion")
    registry.create_model(model, "ana")
    registry.register(NewVersion(model, hash_bytes(b"1"), complete=True), "ana")
    with database.change() as connection:
        row = {"model": str(model), "name": "Churn", "description": "who leaves", "created_by": "ana", **MOMENTS}
        connection.execute(insert(registered_models), row)
        connection.execute(insert(registered_model_tags), {"model": str(model), "key": "team", "value": "growth"})
        version = {"model": str(model), "number": 1, "source": "models:/m-1", "path": "3/models/m-1", "run": "4f"}
        connection.execute(insert(registered_versions), {**version, "rest": "None", "created_by": "ana", **MOMENTS})
        tag = {"model": str(model), "number": 1, "key": "k", "value": "v"}
        connection.execute(insert(registered_version_tags), tag)
        connection.execute(insert(aliases), {"model": str(model), "stage": "champion", "alias": "Champion"})
    registry.define_stage(model, stage, "ana")
    move = MoveStage(model, stage, VersionNumber(1), None, Action.STAGE_ADOPT, reason="it was live")
    registry.move_stage(move, "ana")
    return list(reversed(registry.log(limit=100)))


def said_of(words: Words, event: Event) -> tuple[Mapping[str, str], Any] | None:
    sent = words("wh_1", event, ["between us"], 1_700_000_000.9)
    if sent is None:
        return None
    return sent.headers, json.loads(sent.body)


def test_each_event_is_told_in_the_words_of_mlflow(url: str) -> None:
    database, registry = database_of(url)
    hooks = SqlHooks(database)
    hooks.add(hook())
    told = {}
    for event in something_happens(database, registry):
        found = said_of(Words(hooks), event)
        if found is not None:
            assert found[1]["timestamp"] == event.time.isoformat()
            told[f"{found[1]['entity']}.{found[1]['action']}"] = found[1]["data"]
    assert told == {
        "registered_model.created": {"name": "Churn", "tags": {"team": "growth"}, "description": "who leaves"},
        "model_version.created": {
            "name": "Churn",
            "version": "1",
            "source": "models:/m-1",
            "run_id": "4f",
            "tags": {"k": "v"},
            "description": None,
        },
        "model_version_alias.created": {"name": "Churn", "alias": "Champion", "version": "1"},
    }
    database.close()


def test_the_signature_is_that_of_mlflow_and_the_id_stays_the_same(url: str) -> None:
    database, registry = database_of(url)
    hooks = SqlHooks(database)
    hooks.add(hook())
    event = something_happens(database, registry)[0]
    sent = Words(hooks)("wh_1", event, ["between us", "old"], 1_700_000_000.9)
    assert sent is not None
    delivery = sent.headers["x-mlflow-delivery-id"]
    signed = f"{delivery}.1700000000.".encode() + sent.body
    wanted = base64.b64encode(hmac.new(b"between us", signed, hashlib.sha256).digest()).decode()
    assert sent.headers["x-mlflow-signature"] == f"v1,{wanted}"
    assert sent.headers["x-mlflow-timestamp"] == "1700000000"
    assert uuid.UUID(delivery).version == 4
    again = Words(hooks)("wh_1", event, ["other"], 1_800_000_000.0)
    assert again is not None
    assert again.headers["x-mlflow-delivery-id"] == delivery
    unsigned = Words(hooks)("wh_1", event, [""], 1.0)
    assert unsigned is not None
    assert "x-mlflow-signature" not in unsigned.headers
    database.close()


@pytest.mark.parametrize("said", [{"status": HookStatus.DISABLED}, {"events": ALL[1:]}])
def test_what_a_client_did_not_ask_for_or_asked_no_more_is_not_told(url: str, said: dict[str, Any]) -> None:
    database, registry = database_of(url)
    hooks = SqlHooks(database)
    hooks.add(hook(**said))
    registry.create_model(ModelName("churn"), "ana")
    assert said_of(Words(hooks), registry.log(limit=1)[0]) is None
    database.close()


@pytest.mark.slow
def test_both_kinds_of_webhooks_are_told_side_by_side(url: str, taker: Receiver) -> None:
    database, post = opened(url)
    hooks = SqlHooks(database)
    outbox: SqlOutbox = post.outbox
    office = HookOffice(outbox, hooks, Seal(KEY), Sender(["localhost"], resolve=here), now)
    held = office.add("ci", taker.url, ALL[:1], Asked(secret="between us"), "ana")
    quiet = office.add("quiet", taker.url, ALL[:1], Asked(status=HookStatus.DISABLED), "ana")
    _, secret = post.add(taker.url)
    assert office.test(held.hook.id)["success"] is True
    post.begin("churn")
    deliverer = post.deliverer(words=Words(hooks))
    with running(deliverer):
        taker.wait(3)
        until(lambda: all(one.behind == 0 for one in outbox.webhooks()))
    theirs = [one for one in taker.received if "x-mlflow-signature" in one.headers]
    ours = [one for one in taker.received if "webhook-id" in one.headers]
    assert [json.loads(one.body)["data"]["name"] for one in theirs] == ["churn", "churn"]
    assert [verify(secret, one.headers, one.body)["type"] for one in ours] == ["model.line.create"]
    assert [one.delivered for one in outbox.webhooks() if one.id == quiet.hook.id] == [0]
    database.close()
