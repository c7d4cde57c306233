"""The deliverer with a real database and real receivers: order, at least once, and nobody where nobody shall be."""

import threading
import time
from collections.abc import Collection
from datetime import datetime, timedelta

import pytest

from holdfast.registry.webhooks import WebhookState, Wish
from tests.patience import PATIENCE_SECONDS, until
from tests.webhooks.conftest import HASTE, KEY, Post, now, opened, running
from tests.webhooks.receivers import Receiver, receiver

pytestmark = pytest.mark.slow


def test_every_event_behind_it_arrives_signed_and_in_order(post: Post, taker: Receiver) -> None:
    post.begin("before")
    webhook, secret = post.add(taker.url)
    indexes = [post.begin(f"m{number}") for number in range(12)]
    with running(post.deliverer()):
        found = taker.wait(12)
        indexes.append(post.begin("afterwards"))
        found = taker.wait(13)
    assert taker.indexes() == indexes
    said = found[0].said(secret)
    assert (said["type"], said["data"]) == ("model.line.create", post.registry.log(before=3, limit=1)[0].to_json())
    assert found[0].id == f"{webhook}_2_{said['data']['hash'].removeprefix('sha256:')[:12]}"
    assert found[0].headers["host"] == taker.url.split("/")[2]
    (shown,) = post.outbox.webhooks()
    assert (shown.delivered, shown.behind, shown.attempts, shown.error) == (13, 0, 0, None)


def test_only_what_is_meant_is_told(post: Post, taker: Receiver) -> None:
    _, secret = post.add(taker.url, Wish.of(["model:line:*"], ["fraud-*"]))
    post.begin("churn")
    post.begin("fraud-cards")
    post.add(taker.url.replace("hooks", "other"), Wish.of(["server:webhook:*"]))
    post.begin("fraud-loans")
    with running(post.deliverer()):
        found = taker.wait(2)
        until(lambda: all(one.behind == 0 for one in post.outbox.webhooks()))
    assert [one.said(secret)["data"]["model"] for one in found] == ["fraud-cards", "fraud-loans"]


def test_a_receiver_that_fails_is_asked_again_under_the_same_id_and_nothing_overtakes(
    post: Post, taker: Receiver
) -> None:
    post.add(taker.url)
    first, second = post.begin("a"), post.begin("b")
    taker.answer = lambda count: 500 if count < 3 else 200
    with running(post.deliverer()):
        taker.wait(4)
        until(lambda: post.outbox.webhooks()[0].delivered == 2)
    assert taker.indexes() == [first, first, first, second]
    assert post.told == ["failed", "failed", "delivered", "delivered"]


def test_a_receiver_that_fails_for_too_long_stops_and_goes_on_when_told(post: Post, taker: Receiver) -> None:
    webhook, _ = post.add(taker.url)
    first, second = post.begin("a"), post.begin("b")
    taker.answer = lambda _: 503
    with running(post.deliverer()):
        until(lambda: post.outbox.webhooks()[0].state is WebhookState.STOPPED)
        (stopped,) = post.outbox.webhooks()
        assert (stopped.next_event, stopped.attempts, stopped.behind) == (first, HASTE.attempts, 2)
        assert stopped.error == "it answered 503"
        taker.answer = lambda _: 204
        post.office.resume(webhook, "ana")
        until(lambda: post.outbox.webhooks()[0].delivered >= 2)
    assert taker.indexes()[:6] == [first] * (HASTE.attempts + 1) + [second]
    event = next(one for one in post.registry.log() if one.action == "server:webhook:resume")
    assert (event.actor, event.details) == ("ana", {"webhook": webhook, "skipped": None})


def test_an_event_that_its_receiver_never_takes_can_be_left_out(post: Post, taker: Receiver) -> None:
    webhook, _ = post.add(taker.url, Wish.of(["model:*"]))
    first, second = post.begin("a"), post.begin("b")
    taker.answer = lambda count: 400 if count <= HASTE.attempts else 204
    with running(post.deliverer()):
        until(lambda: post.outbox.webhooks()[0].state is WebhookState.STOPPED)
        post.office.resume(webhook, "ana", skip=True)
        until(lambda: post.outbox.webhooks()[0].delivered == 1)
    assert taker.indexes() == [first] * HASTE.attempts + [second]
    assert post.registry.log(limit=1)[0].details == {"webhook": webhook, "skipped": first}


def test_a_receiver_that_is_gone_is_not_asked_again(post: Post, taker: Receiver) -> None:
    post.add(taker.url)
    post.begin("a")
    taker.answer = lambda _: 410
    with running(post.deliverer()):
        until(lambda: post.outbox.webhooks()[0].state is WebhookState.STOPPED)
    assert len(taker.received) == 1


def test_a_redirect_is_not_followed(post: Post, taker: Receiver) -> None:
    with receiver() as secret_place:
        post.add(taker.url)
        post.begin("a")
        taker.answer = lambda _: (307, {"location": secret_place.url})
        with running(post.deliverer()):
            until(lambda: post.outbox.webhooks()[0].state is WebhookState.STOPPED)
        assert secret_place.received == []
    assert "redirects are not followed" in str(post.outbox.webhooks()[0].error)


def test_a_receiver_that_stalls_costs_its_time_and_holds_up_nobody_else(post: Post, taker: Receiver) -> None:
    free = threading.Event()
    with receiver() as other:
        post.add(taker.url)
        post.add(other.url)
        post.begin("a")
        taker.answer = lambda _: 200 if free.wait(PATIENCE_SECONDS) else 500
        with running(post.deliverer(seconds=0.5)):
            other.wait(1)
            until(lambda: post.outbox.webhooks()[0].attempts > 0)
            free.set()
            until(lambda: post.outbox.webhooks()[0].delivered == 2)
    assert taker.indexes()[0] == taker.indexes()[1]
    assert len(set(taker.indexes())) == 2


def test_a_receiver_that_asks_for_time_gets_it(post: Post, taker: Receiver) -> None:
    post.add(taker.url)
    post.begin("a")
    taker.answer = lambda _: (429, {"retry-after": "1800"})
    with running(post.deliverer()):
        until(lambda: post.outbox.webhooks()[0].attempts == 1)
    (waiting,) = post.outbox.webhooks()
    assert waiting.next_at - now() > timedelta(minutes=29)


def test_a_name_that_moves_inside_after_it_was_judged_leads_nowhere(post: Post, taker: Receiver) -> None:
    """DNS rebinding: the name is looked up once for each message, and connected to what was judged."""
    asked: list[str] = []

    async def turning(host: str, _port: int) -> Collection[str]:
        asked.append(host)
        return ["127.0.0.1"]

    post.add(taker.url.replace("http://localhost", "https://rebinding.example.org"))
    post.begin("a")
    with running(post.deliverer(resolve=turning)):
        until(lambda: post.outbox.webhooks()[0].state is WebhookState.STOPPED)
    assert asked == ["rebinding.example.org"] * HASTE.attempts
    assert taker.received == []
    assert "not on the public Internet" in str(post.outbox.webhooks()[0].error)


def test_both_secrets_sign_until_the_overlap_is_over(post: Post, taker: Receiver) -> None:
    webhook, old = post.add(taker.url, Wish.of(["model:*"]))
    with running(post.deliverer()):
        post.begin("a")
        taker.wait(1)
        new = post.office.rotate(webhook, "ana").secret
        post.begin("b")
        both = taker.wait(2)[1]
        post.office.rotate(webhook, "ana", timedelta())
        post.begin("c")
        last = taker.wait(3)[2]
    assert old != new
    assert both.said(old) == both.said(new)
    for secret in (old, new):
        with pytest.raises(Exception, match="no signature"):
            last.said(secret)


def test_what_a_killed_deliverer_had_sent_comes_again_under_its_id_and_nothing_is_lost(
    post: Post, taker: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first one dies between the receiver's answer and the note of it, and its claim runs out."""
    post.add(taker.url)
    first = post.begin("a")
    ahead = timedelta()

    def clock() -> datetime:
        return now() + ahead

    monkeypatch.setattr(post.outbox, "_clock", clock)
    claim = post.outbox.claim("wh_1", "killed")
    assert claim is not None
    assert post.outbox.due("next") == ()
    with running(post.deliverer("next", clock=clock)):
        time.sleep(0.6)
        assert taker.received == []
        ahead = timedelta(seconds=41)
        second = post.begin("b")
        taker.wait(2)
        until(lambda: post.outbox.webhooks()[0].delivered == 2)
    assert taker.indexes() == [first, second]
    assert post.outbox.delivered(claim, "killed", first) is None
    assert not post.outbox.failed(claim, "killed", first, "late", now())
    assert post.outbox.webhooks()[0].delivered == 2


@pytest.mark.parametrize("kind", ["sqlite", "postgres"])
def test_two_servers_tell_each_event_once(kind: str, request: pytest.FixtureRequest, taker: Receiver) -> None:
    url = request.getfixturevalue("url" if kind == "sqlite" else "postgres_url")
    (one, first), (two, second) = opened(url), opened(url)
    first.add(taker.url, Wish.of(["model:*"]))
    with running(first.deliverer("one")), running(second.deliverer("two")):
        indexes = [first.begin(f"m{number}") for number in range(20)]
        taker.wait(20)
        until(lambda: first.outbox.webhooks()[0].delivered == 20)
    one.close()
    two.close()
    assert taker.indexes() == indexes


def test_a_server_with_another_key_leaves_a_webhook_to_those_who_can_sign(post: Post, taker: Receiver) -> None:
    _, secret = post.add(taker.url)
    post.begin("a")
    with running(post.deliverer("stranger", key=KEY.replace("QkJC", "Q0ND"))):
        time.sleep(0.6)
    assert taker.received == []
    with running(post.deliverer("known")):
        assert taker.wait(1)[0].said(secret)
    assert post.outbox.webhooks()[0].attempts == 0


def test_a_test_says_what_came_of_it_and_counts_as_nothing(post: Post, taker: Receiver) -> None:
    webhook, secret = post.add(taker.url)
    trial = post.office.test(webhook)
    assert (trial.taken, trial.status, trial.sentence) == (True, 204, "it answered 204")
    assert taker.wait(1)[0].said(secret)["type"] == "server.webhook.test"
    taker.answer = lambda _: 500
    assert not post.office.test(webhook).taken
    assert post.outbox.webhooks()[0].delivered == 0
