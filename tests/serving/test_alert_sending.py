"""Alerts at receivers that are real: signed, tried again, and in nobody's way."""

import asyncio
import itertools
from dataclasses import replace

import pytest

from holdfast.errors import IntegrityError
from holdfast.serving.alert_sending import AlertSender
from holdfast.serving.alerts import AlertState
from holdfast.webhooks.delivering import Patience
from holdfast.webhooks.sending import Sender
from holdfast.webhooks.signing import new_secret
from tests.patience import PATIENCE_SECONDS
from tests.serving.test_taking_back import alert
from tests.webhooks.receivers import Receiver, receiver

pytestmark = pytest.mark.slow

HASTE = Patience(attempts=3, first=0.01, growth=1.0)


async def received(found: Receiver, count: int) -> None:
    await asyncio.to_thread(found.wait, count)


def test_receivers_are_told_of_the_beginning_and_the_end_and_a_slow_one_holds_up_nobody() -> None:
    secret, ids = new_secret(), itertools.count(1)

    async def work(one: Receiver, other: Receiver) -> None:
        sender = AlertSender(
            [one.url, other.url], secret, Sender(["localhost"]), about={"model": "churn"},
            new_id=lambda: str(next(ids)), patience=HASTE,
        )  # fmt: skip
        sender.tell(alert(2))
        await received(other, 1)
        sender.tell(replace(alert(2), state=AlertState.RESOLVED, changed=60.0))
        await received(other, 2)
        await received(one, 3)
        await sender.stop()

    with receiver() as broken, receiver() as good:
        broken.answer = lambda number: 500 if number == 1 else 204
        asyncio.run(asyncio.wait_for(work(broken, good), PATIENCE_SECONDS))
        first, again, last = broken.received
        assert first.id == again.id == good.received[0].id
        assert [one.said(secret)["type"] for one in (again, last)] == [
            "serving.alert.firing",
            "serving.alert.resolved",
        ]
        said = again.said(secret)["data"]
        assert (said["model"], said["version"], said["value"]) == ("churn", 2, 0.31)
        assert "31 of 100 requests" in said["sentence"]
        with pytest.raises(IntegrityError):
            again.said(new_secret())


def test_a_receiver_that_never_takes_it_is_given_up_and_the_next_alert_is_tried() -> None:
    async def work(found: Receiver) -> None:
        sender = AlertSender(
            [found.url], new_secret(), Sender(["localhost"]), about={}, new_id=lambda: "x", patience=HASTE
        )
        sender.tell(alert(2))
        sender.tell(alert(3))
        await received(found, 6)
        await sender.stop()

    with receiver() as found:
        found.answer = lambda _: 503
        asyncio.run(asyncio.wait_for(work(found), PATIENCE_SECONDS))
        assert len(found.received) == 6
