"""What a replica holds beside the stage: how it ends a canary whose version cannot be opened."""

from datetime import UTC, datetime
from typing import Any, cast

import pytest

from holdfast.canonical import encode
from holdfast.digest import hash_bytes
from holdfast.errors import BundleFailed
from holdfast.names import ModelName, StageName, VersionNumber
from holdfast.registry.events import REASON_CHARACTERS_MAX
from holdfast.registry.rollouts import Rollout, RolloutKind, RolloutState
from holdfast.serving.beside import Beside
from tests.serving.stages import HandMovedStage, run, until

NOW = datetime(2026, 3, 1, tzinfo=UTC)
ROLLOUT = Rollout(
    7, RolloutKind.CANARY, ModelName("churn"), StageName("production"), 1, VersionNumber(2), hash_bytes(b"candidate"),
    VersionNumber(1), hash_bytes(b"other"), {}, RolloutState.RUNNING, 0, "", {}, None, 7, NOW, NOW, "ana",
)  # fmt: skip


class Unopenable:
    """Stands for the versions of a replica, of which none can be opened."""

    def __init__(self, said: str) -> None:
        self.said = said

    def get(self, digest: Any) -> None:
        return None

    async def hold(self, version: Any) -> None:
        raise BundleFailed(self.said, hint="Look.")


@pytest.mark.parametrize(
    "said", ["no such module", "x" * 10_000, "not Unicode: \ud800"], ids=["short", "long", "no text"]
)
def test_a_canary_ends_whatever_its_version_says_of_itself(said: str) -> None:
    stage = HandMovedStage()

    async def work() -> None:
        beside = Beside(cast("Any", Unopenable(said)), stage, lambda _: None, lambda: None)
        beside.follow(ROLLOUT)
        await until(lambda: bool(stage.turns), "the turn")
        await beside.stop()

    run(work)
    (turn,) = stage.turns
    assert turn.state is RolloutState.ABORTED
    assert len(turn.reason) <= REASON_CHARACTERS_MAX
    encode(turn.reason)
