"""Writers of one process take turns."""

import threading
import time
from concurrent.futures import ThreadPoolExecutor

from holdfast.database.turns import Turns
from tests.patience import PATIENCE_SECONDS


def queued(turns: Turns) -> int:
    return len(turns._waiting)


def wait_for(turns: Turns, count: int) -> None:
    while queued(turns) < count:
        time.sleep(0.001)


def test_turns_come_in_the_order_in_which_they_were_asked_for() -> None:
    turns, order = Turns(), list[int]()

    def work(number: int) -> None:
        assert turns.take(PATIENCE_SECONDS)
        order.append(number)
        turns.leave()

    assert turns.take(PATIENCE_SECONDS)
    threads = []
    for number in range(8):
        threads.append(threading.Thread(target=work, args=(number,)))
        threads[-1].start()
        wait_for(turns, number + 1)
    turns.leave()
    for thread in threads:
        thread.join()
    assert order == list(range(8))


def test_who_lets_go_and_asks_again_comes_behind_those_who_wait() -> None:
    turns, order = Turns(), list[str]()
    assert turns.take(PATIENCE_SECONDS)
    with ThreadPoolExecutor(1) as pool:

        def wait() -> None:
            assert turns.take(PATIENCE_SECONDS)
            order.append("waited")
            turns.leave()

        waiting = pool.submit(wait)
        wait_for(turns, 1)
        turns.leave()
        assert turns.take(PATIENCE_SECONDS)
        order.append("came back")
        turns.leave()
        waiting.result()
    assert order == ["waited", "came back"]


def test_who_loses_patience_leaves_the_queue_and_holds_nobody_up() -> None:
    turns = Turns()
    assert turns.take(PATIENCE_SECONDS)
    assert not turns.take(0.01)
    assert queued(turns) == 0
    turns.leave()
    assert turns.take(0.0)
    turns.leave()


def test_only_one_has_a_turn_at_a_time_however_patience_ends() -> None:
    turns, inside, most, came = Turns(), 0, 0, 0

    def work(number: int) -> None:
        nonlocal inside, most, came
        for _ in range(200):
            if turns.take(0.0001 * (number % 4)):
                inside += 1
                most, came = max(most, inside), came + 1
                time.sleep(0)
                inside -= 1
                turns.leave()

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(work, range(8)))
    assert (most, inside) == (1, 0)
    assert came
    assert turns.take(0.0)
