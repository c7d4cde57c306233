"""What a replica answers gets into the ledger, and what does not is counted."""

import asyncio
import os
import signal
import subprocess
import sys
import threading
import time
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from holdfast.errors import Unavailable
from holdfast.registry import Action
from holdfast.registry.ledger_pages import LedgerPage, ledger_pages
from holdfast.serving.ledger import recorder as recording
from holdfast.serving.ledger.finding import Wanted
from holdfast.serving.ledger.page import read_page
from holdfast.serving.ledger.sealing import seal
from holdfast.serving.ledger.spool import Spool
from holdfast.serving.settings import LedgerSettings
from holdfast.store.local import LocalStore
from tests.patience import until_async
from tests.serving.ledgers import ALL, BEGAN, World

ROOT = Path(__file__).parents[3]


class Away(LocalStore):
    """A store that does not answer as long as a test says so."""

    away = True

    def writer(self) -> Any:
        if self.away:
            raise Unavailable("the store is away", hint="Wait.")
        return super().writer()


def pages(world: World) -> list[LedgerPage]:
    return list(ledger_pages(world.registry))


def on(world: World, page: LedgerPage) -> list[str]:
    with world.store.open(page.digest) as source:
        return [decision.request_id for decision, _ in read_page(source)]


def test_everything_that_was_answered_is_on_a_page_that_the_log_names(world: World) -> None:
    seen = [
        world.observed(f"r{n}", at=BEGAN + n, key="bo", error="invalid_input" if n == 3 else None) for n in range(5)
    ]
    world.recorded(seen)
    (page,) = pages(world)
    event = world.registry.log(world.version.model, limit=1)[0]
    assert (event.action, event.index, event.actor) == (Action.PAGE_SEAL, page.event, "a replica")
    assert (page.replica, page.sequence, page.rows, page.dropped, page.interrupted) == ("one", 1, 5, 0, False)
    assert (page.first_at.timestamp(), page.last_at.timestamp()) == (BEGAN, BEGAN + 4)
    assert (page.kept_until, page.sample) == (None, 1.0)
    assert on(world, page) == [f"r{n}" for n in range(5)]
    (found,) = world.ledger().decisions_of("r3", Wanted())
    assert (found.decision.error, found.decision.output, found.decision.is_input(seen[3].request)) == (
        "invalid_input",
        None,
        True,
    )
    assert not (world.home / "ledger/churn/production/one").exists()
    assert world.registry.audit_verify().ok


def test_nothing_is_sealed_where_nothing_was_answered(world: World) -> None:
    world.recorded([])
    assert pages(world) == []


def test_a_sample_is_the_same_for_every_replica(world: World) -> None:
    settings = LedgerSettings(keep="sample", sample=0.3)
    for replica in ("one", "two"):
        world.recorded([world.observed(f"r{n}") for n in range(300)], settings, replica=replica)
    one, two = pages(world)
    assert on(world, one) == on(world, two)
    assert 0 < one.rows < 300
    assert one.sample == 0.3


def test_a_page_is_sealed_when_it_is_full(world: World) -> None:
    recorder = world.recorder("one", LedgerSettings(keep="all", page_rows=4))

    async def sealed(count: int) -> None:
        await until_async(lambda: len(pages(world)) >= count)

    async def serve() -> None:
        await recorder.start()
        for part in range(3):
            for n in range(4):
                recorder.see(world.observed(f"r{part}-{n}"))
            await sealed(part + 1)
        await recorder.stop()

    asyncio.run(serve())
    assert [(page.sequence, page.rows) for page in pages(world)] == [(1, 4), (2, 4), (3, 4)]


def test_what_comes_too_fast_is_dropped_and_counted(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recording, "QUEUE_MAX", 3)
    recorder = world.recorded([world.observed(f"r{n}") for n in range(10)])
    (page,) = pages(world)
    assert (page.rows, page.dropped, recorder.dropped) == (3, 7, 7)


def test_a_request_that_is_too_large_for_the_queue_is_dropped_and_counted(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(recording, "QUEUE_BYTES_MAX", 200)
    world.recorded([world.observed("small", asked=b"{}"), world.observed("large", asked=b" " * 300)])
    (page,) = pages(world)
    assert (on(world, page), page.dropped) == (["small"], 1)


def test_what_the_disk_refuses_is_dropped_and_counted(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    recorder = world.recorder("one")
    real = os.write
    refused: list[int] = []

    def write(file: int, data: Any) -> int:
        if len(refused) < 2:
            refused.append(real(file, bytes(data)[: len(data) // 2]))
            raise OSError(28, "No space left on device")
        return real(file, data)

    async def serve() -> None:
        await recorder.start()
        recorder.see(world.observed("first"))
        await until_async(lambda: recorder._journal is not None)
        monkeypatch.setattr(os, "write", write)
        recorder.see(world.observed("lost"))
        await until_async(lambda: len(refused) == 2)
        monkeypatch.setattr(os, "write", real)
        recorder.see(world.observed("third"))
        await recorder.stop()

    asyncio.run(serve())
    (page,) = pages(world)
    assert (on(world, page), page.dropped) == (["first", "third"], 1)


def test_a_store_that_is_away_loses_nothing(world: World) -> None:
    store = Away(world.home / "store")
    world.recorded([world.observed("r1")], store=store)
    assert pages(world) == []
    (found,) = world.ledger().decisions_of("r1", Wanted())
    assert found.page is None
    store.away = False
    world.recorded([world.observed("r2")], replica="two", store=store)
    assert {(page.replica, page.rows, page.interrupted) for page in pages(world)} == {
        ("one", 1, False),
        ("two", 1, False),
    }
    assert list((world.home / "ledger/churn/production").iterdir()) == []


def test_a_store_that_comes_back_gets_what_waited(world: World) -> None:
    store = Away(world.home / "store")
    recorder = world.recorder("one", LedgerSettings(keep="all", page_rows=1), store=store)

    async def serve() -> None:
        await recorder.start()
        recorder.see(world.observed("r1"))
        await until_async(lambda: any(world.home.glob("ledger/*/*/*/*.full")))
        store.away = False
        await until_async(lambda: len(pages(world)) == 1)
        await recorder.stop()

    asyncio.run(serve())
    assert [page.rows for page in pages(world)] == [1]


def test_a_journal_that_was_sealed_before_is_not_sealed_again(world: World) -> None:
    store = Away(world.home / "store")
    world.recorded([world.observed("r1")], store=store)
    (journal,) = world.home.glob("ledger/*/*/*/*.full")
    again = journal.read_bytes()
    bench = world.recorder("any")._bench
    first = seal(journal, bench, interrupted=False, known=False)
    journal.write_bytes(again)
    assert seal(journal, bench, interrupted=False, known=True) == first
    journal.write_bytes(again)
    assert seal(journal, bench, interrupted=False, known=False) == first
    assert pages(world) == [first]


def test_a_journal_that_the_disk_damaged_is_sealed_as_far_as_it_goes_and_kept(world: World) -> None:
    store = Away(world.home / "store")
    world.recorded([world.observed(f"r{n}") for n in range(3)], store=store)
    (journal,) = world.home.glob("ledger/*/*/*/*.full")
    data = bytearray(journal.read_bytes())
    data[-10] ^= 1
    journal.write_bytes(data)
    page = seal(journal, world.recorder("any")._bench, interrupted=False, known=False)
    assert page is not None
    assert (page.rows, page.interrupted) == (2, True)
    assert journal.with_suffix(".damaged").read_bytes() == data
    assert not journal.exists()


def test_a_folder_that_somebody_looks_at_is_waited_for(world: World) -> None:
    folder = world.home / "ledger/churn/production/one"
    taken = Spool.take(folder)
    assert taken is not None
    assert Spool.take(folder) is None
    threading.Timer(0.2, taken.leave).start()
    world.recorded([world.observed("r1")])
    assert [page.rows for page in pages(world)] == [1]


def test_the_page_says_how_long_it_is_kept(world: World) -> None:
    world.recorded([world.observed("r1")], LedgerSettings(keep="all", days_keep=30))
    (page,) = pages(world)
    assert page.kept_until == page.last_at + timedelta(days=30)


KILLED = """
import asyncio, sys
from pathlib import Path
from tests.serving.ledgers import World
world = World.of(Path(sys.argv[1]))
recorder = world.recorder("killed")

async def serve():
    await recorder.start()
    for n in range(1_000_000):
        recorder.see(world.observed(f"r{n}"))
        await asyncio.sleep(0.002)
        if n % 100 == 0:
            print(n, flush=True)

asyncio.run(serve())
"""


@pytest.mark.slow
def test_a_killed_replica_loses_no_more_than_its_last_second(tmp_path: Path) -> None:
    environment = {**os.environ, "PYTHONPATH": f"{ROOT / 'src'}{os.pathsep}{ROOT}"}
    command = [sys.executable, "-c", KILLED, str(tmp_path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment) as process:
        assert process.stdout is not None
        seen, began = 0, 0.0
        for line in process.stdout:
            seen, began = int(line), began or time.monotonic()
            if seen >= 500:
                break
        rate = seen / (time.monotonic() - began)
        process.send_signal(signal.SIGKILL)
    home = World.opened(tmp_path)
    assert len(list(home.ledger().decisions(Wanted(), 10_000))) >= seen - rate
    home.recorded([home.observed("next")], ALL, replica="next")
    killed = next(page for page in pages(home) if page.replica == "killed")
    assert killed.interrupted
    assert killed.rows >= seen - rate
    assert on(home, killed) == [f"r{n}" for n in range(killed.rows)]


def test_a_key_that_is_no_unicode_ends_nothing(world: World) -> None:
    world.recorded([world.observed("r1", key="\ud800"), world.observed("r2")])
    (page,) = pages(world)
    assert on(world, page) == ["r1", "r2"]
