"""What administrators ask of webhooks: in a database, and behind two servers of ours."""

import itertools
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from datetime import datetime, timedelta
from typing import cast

import pytest

from holdfast.database.engine import Database
from holdfast.errors import NotFound, TooLarge, UsageError
from holdfast.registry.sql import SqlRegistry
from holdfast.registry.webhooks import NewWebhook, Webhooks, WebhookState, Wish
from holdfast.registry.webhooks.http import HttpWebhooks
from holdfast.registry.webhooks.sql import SqlOutbox
from holdfast.service import Line
from holdfast.web.api.desk import Around
from holdfast.webhooks.office import Office
from holdfast.webhooks.sealing import Seal
from holdfast.webhooks.sending import Sender
from tests.contracts.turns import InTurns
from tests.serving_api import api_server

KEY = "QkJCQkJCQkJCQkJCQkJCQkJCQkJCQkJCQkJCQkJCQkI="
URL = "https://ci.example.org/hooks"


async def nowhere(_host: str, _port: int) -> list[str]:
    return []


@pytest.fixture
def log(handles: list[Database], clock: Callable[[], datetime]) -> SqlRegistry:
    return SqlRegistry(handles[0], clock, lambda: "unused")


@pytest.fixture
def webhooks(handles: list[Database], kept: str, clock: Callable[[], datetime]) -> Iterator[Webhooks]:
    ids = itertools.count(1)
    offices = [
        Office(SqlOutbox(one, clock, lambda: f"wh_{next(ids)}"), Seal(KEY), Sender(resolve=nowhere), clock)
        for one in handles
    ]
    with ExitStack() as serving:
        adapters: list[Webhooks] = [*offices]
        if "http" in kept:
            around = [Around(webhooks=one) for one in offices]
            urls = [serving.enter_context(api_server(around=one)) for one in around]
            adapters = [HttpWebhooks(serving.enter_context(closing(Line(url)))) for url in urls]
        yield cast("Webhooks", InTurns(*adapters))


def test_a_webhook_is_told_of_what_comes_behind_it(webhooks: Webhooks, log: SqlRegistry) -> None:
    given = webhooks.add(NewWebhook(URL, Wish.of(["stage:pointer:*"], ["churn", "fraud-*"])), "ana")
    found = given.webhook
    (event,) = log.log()
    assert (event.action, event.actor) == ("server:webhook:add", "ana")
    assert event.details == {
        "webhook": found.id, "url": URL, "actions": ["stage:pointer:*"], "models": ["churn", "fraud-*"],
    }  # fmt: skip
    assert (found.url, found.state, found.next_event, found.behind) == (URL, WebhookState.ACTIVE, 1, 0)
    assert (found.created_by, found.created_at) == ("ana", event.time)
    assert given.secret.startswith("whsec_")
    assert given.secret not in repr(given)
    assert webhooks.webhooks() == (found,)
    second = webhooks.add(NewWebhook(URL), "bob").webhook
    assert [one.id for one in webhooks.webhooks()] == [found.id, second.id]
    assert [one.behind for one in webhooks.webhooks()] == [1, 0]


def test_a_secret_is_exchanged_and_the_old_one_ends(webhooks: Webhooks, log: SqlRegistry) -> None:
    first = webhooks.add(NewWebhook(URL), "ana")
    second = webhooks.rotate(first.webhook.id, "bob", timedelta(hours=2))
    assert second.secret != first.secret
    last = log.log(limit=1)[0]
    assert second.webhook.old_until is not None
    assert timedelta(hours=1) < second.webhook.old_until - last.time < timedelta(hours=3)
    assert (last.action, last.actor, last.details["webhook"]) == ("server:webhook:rotate", "bob", first.webhook.id)
    assert webhooks.rotate(first.webhook.id, "bob", timedelta()).webhook.old_until is None
    with pytest.raises(UsageError):
        webhooks.rotate(first.webhook.id, "bob", timedelta(days=31))


def test_one_that_is_removed_is_gone_and_the_log_keeps_that_it_was(webhooks: Webhooks, log: SqlRegistry) -> None:
    found = webhooks.add(NewWebhook(URL), "ana").webhook
    assert webhooks.resume(found.id, "ana").state is WebhookState.ACTIVE
    with pytest.raises(UsageError, match="refused no event"):
        webhooks.resume(found.id, "ana", skip=True)
    assert webhooks.remove(found.id, "bob").id == found.id
    assert webhooks.webhooks() == ()
    assert log.log(limit=1)[0].details == {"webhook": found.id, "url": URL}
    for ask in (webhooks.resume, webhooks.remove, webhooks.rotate):
        with pytest.raises(NotFound):
            ask(found.id, "ana")
    with pytest.raises(NotFound):
        webhooks.test(found.id)
    assert log.audit_verify().ok


def test_a_test_tells_what_came_of_it(webhooks: Webhooks) -> None:
    found = webhooks.add(NewWebhook(URL), "ana").webhook
    trial = webhooks.test(found.id)
    assert (trial.taken, trial.status, trial.sentence) == (False, None, "ci.example.org has no address")


@pytest.mark.parametrize(
    ("url", "actions", "models"),
    [
        ("http://ci.example.org/", [], []),
        ("https://ana:secret@ci.example.org/", [], []),
        (URL, ["stage:pointer:deploy"], []),
        (URL, [], ["Churn"]),
        (URL, ["stage:[a-z]*"], []),
    ],
)
def test_what_no_webhook_may_be_is_refused_and_nothing_is_written(
    webhooks: Webhooks, log: SqlRegistry, url: str, actions: list[str], models: list[str]
) -> None:
    with pytest.raises(UsageError):
        webhooks.add(NewWebhook(url, Wish.of(actions, models)), "ana")
    assert log.log() == ()


def test_there_cannot_be_any_number_of_them(webhooks: Webhooks, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("holdfast.registry.webhooks.sql._WEBHOOKS_MAX", 1)
    webhooks.add(NewWebhook(URL), "ana")
    with pytest.raises(TooLarge):
        webhooks.add(NewWebhook(URL), "ana")
    with pytest.raises(TooLarge):
        Wish.of([], ["a"] * 51)
    with pytest.raises(TooLarge):
        Wish.of([], ["a" * 129])
