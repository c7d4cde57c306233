"""A registry with a log, webhooks beside it, and receivers that are real."""

import asyncio
import itertools
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import pytest

from holdfast.database.engine import Database
from holdfast.names import ModelName
from holdfast.registry.sql import SqlRegistry
from holdfast.registry.webhooks import NewWebhook, Wish
from holdfast.registry.webhooks.sql import SqlOutbox
from holdfast.webhooks.delivering import Deliverer, Patience, Words
from holdfast.webhooks.office import Office
from holdfast.webhooks.sealing import Seal
from holdfast.webhooks.sending import Resolve, Sender
from holdfast.webhooks.signing import our_words
from tests.blank import blank_registry
from tests.patience import PATIENCE_SECONDS
from tests.webhooks.receivers import Receiver, receiver

KEY = "QkJCQkJCQkJCQkJCQkJCQkJCQkJCQkJCQkJCQkJCQkI="
HASTE = Patience(attempts=4, first=0.05, growth=1.0)


async def here(_host: str, _port: int) -> list[str]:
    """Where `localhost` is for tests: the receivers listen on IPv4 alone."""
    return ["127.0.0.1"]


def now() -> datetime:
    return datetime.now(UTC)


@dataclass
class Post:
    """Everything that tells others of the events of one registry."""

    registry: SqlRegistry
    outbox: SqlOutbox
    told: list[str]

    @property
    def office(self) -> Office:
        return Office(self.outbox, Seal(KEY), Sender(["localhost"], resolve=here), now)

    def add(self, url: str, wish: Wish | None = None) -> tuple[str, str]:
        """The id and the secret of another webhook."""
        given = self.office.add(NewWebhook(url, wish or Wish()), "ana")
        return given.webhook.id, given.secret

    def begin(self, name: str) -> int:
        """Something to tell; the index of its event."""
        self.registry.create_model(ModelName(name), "ana")
        return self.registry.log(limit=1)[0].index

    def deliverer(
        self,
        name: str = "one",
        *,
        key: str = KEY,
        patience: Patience = HASTE,
        resolve: Resolve = here,
        seconds: float = 2.0,
        clock: Callable[[], datetime] = now,
        words: Words = our_words,
    ) -> Deliverer:
        sender = Sender(["localhost"], resolve=resolve, seconds=seconds)
        return Deliverer(
            self.outbox,
            self.registry,
            sender,
            Seal(key),
            clock=clock,
            holder=name,
            patience=patience,
            told=self.told.append,
            words=words,
        )


@contextmanager
def running(deliverer: Deliverer) -> Iterator[None]:
    """The deliverer at work, in a thread with a loop of its own."""
    loop = asyncio.new_event_loop()

    def work() -> None:
        loop.run_until_complete(deliverer.run())
        loop.run_until_complete(loop.shutdown_default_executor())
        loop.close()

    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    try:
        yield
    finally:
        loop.call_soon_threadsafe(deliverer.stop)
        thread.join(PATIENCE_SECONDS)
        assert not thread.is_alive()


def opened(url: str) -> tuple[Database, Post]:
    database = Database.open(url)
    ids = itertools.count(1)
    outbox = SqlOutbox(database, now, lambda: f"wh_{next(ids)}")
    return database, Post(SqlRegistry(database, now, lambda: f"id-{next(ids)}"), outbox, [])


@pytest.fixture
def url(tmp_path: Path) -> str:
    return blank_registry(tmp_path / "registry.db")


@pytest.fixture
def post(url: str) -> Iterator[Post]:
    database, post = opened(url)
    yield post
    database.close()


@pytest.fixture
def taker() -> Iterator[Receiver]:
    with receiver() as found:
        yield found
