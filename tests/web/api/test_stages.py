"""Who follows a stage over HTTP."""

from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest

from holdfast.digest import hash_bytes
from holdfast.names import ModelName, StageName, VersionNumber
from holdfast.registry import Action, MoveStage, NewVersion
from holdfast.registry.http import HttpRegistry
from holdfast.registry.sql import SqlRegistry

pytestmark = pytest.mark.slow

CHURN, PRODUCTION = ModelName("churn"), StageName("production")
FIRST = MoveStage(CHURN, PRODUCTION, VersionNumber(1), None, Action.STAGE_PROMOTE)
LONG = 60.0
"""Far longer than a test may take: an answer that comes was not the end of the wait."""


@pytest.fixture
def begun(embedded: SqlRegistry) -> None:
    embedded.ensure_model(CHURN, "ana")
    embedded.register(NewVersion(CHURN, hash_bytes(b"1"), complete=True), "ana")


@pytest.mark.usefixtures("begun")
def test_who_waits_for_a_stage_hears_of_its_move(registry: HttpRegistry, embedded: SqlRegistry) -> None:
    with ThreadPoolExecutor(3) as waiting:
        known = registry.stage_epoch(CHURN, PRODUCTION)
        asked = [
            waiting.submit(registry.stage_epoch, CHURN, PRODUCTION, known=known, wait_seconds=LONG) for _ in range(3)
        ]
        embedded.move_stage(FIRST, "ana")  # by another process, as far as the server knows
        assert [one.result(LONG / 2) for one in asked] == [known + 1] * 3


@pytest.mark.usefixtures("begun")
def test_what_the_caller_does_not_know_is_said_at_once(registry: HttpRegistry) -> None:
    assert registry.stage_epoch(CHURN, PRODUCTION, known=7, wait_seconds=LONG) == 0


@pytest.mark.usefixtures("begun")
def test_a_wait_ends_when_nothing_has_moved(registry: HttpRegistry, embedded: SqlRegistry) -> None:
    embedded.ensure_model(ModelName("other"), "ana")
    assert registry.stage_epoch(CHURN, PRODUCTION, known=0, wait_seconds=0.05) == 0


@pytest.mark.usefixtures("begun")
def test_an_answer_that_is_known_has_no_body(url: str, embedded: SqlRegistry) -> None:
    where = f"{url}/api/v1/models/churn/stages/production"
    first = httpx.get(where)
    again = httpx.get(where, headers={"if-none-match": first.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")
    embedded.move_stage(FIRST, "ana")
    moved = httpx.get(where, headers={"if-none-match": first.headers["etag"]})
    assert (moved.status_code, moved.json()["version"]) == (200, 1)
