"""A stage that is moved back and forth under a replica, while clients go on asking it."""

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from datetime import datetime

from holdfast.canonical import JsonObject
from holdfast.errors import BundleFailed, NotConfirmed, Unavailable
from holdfast.names import StageName, VersionNumber
from holdfast.registry import Action, Move, MoveStage, NewVersion, Registry, Version
from holdfast.registry import ReplicaState as State
from holdfast.serving.answers import Answers
from holdfast.serving.confirm import wait_for_replicas
from holdfast.serving.opening import Opener
from holdfast.serving.replica import Place, Replica
from holdfast.serving.source import RegistrySource

__all__ = ["Hosting", "Moved", "Switch", "Way"]

_OPEN_SECONDS_MAX = 900.0
"""What a replica gets to open both versions: tens of gigabytes each, from a slow disk, one after the other."""

_CONFIRM_SECONDS_MAX = 60.0
"""A replica that holds both versions open needs milliseconds; one that needs longer than this does not follow."""

_PATIENCE_SECONDS = 120.0
"""How long good answers are waited for: slow models answer a few requests a minute."""

_ANSWERS_MIN = 30
"""Answers before a move and after it: enough that a share of failures that a person would notice shows itself."""

_STEADY_SECONDS = 1.0
"""How long the load goes on at least before a move and after it."""

_LOOK_SECONDS = 0.005
"""How often the replica and the answers are looked at."""


@dataclass(frozen=True, slots=True)
class Hosting:
    """Puts a replica where clients reach it.

    Attributes:
        host: serves the replica on the loopback interface, and gives its URL; leaving it ends the replica.
        load: sends the requests to a URL, in turns, and adds what comes back; leaving it ends the clients.
        connections: how many clients that are.
    """

    host: Callable[[Replica], AbstractContextManager[str]]
    load: Callable[[str, Sequence[JsonObject], Answers], AbstractContextManager[None]]
    connections: int


@dataclass(frozen=True, slots=True)
class Way:
    """A way back.

    Attributes:
        stage: the stage that would move.
        left: the version that is left.
        back: the version that is gone back to.
    """

    stage: StageName
    left: Version
    back: Version


@dataclass(frozen=True, slots=True)
class Moved:
    """A move of the scratch stage.

    Attributes:
        move: the move.
        at: when it was asked for, in seconds of the monotonic clock.
    """

    move: Move
    at: float


class Switch:
    """Two versions and a stage between them, in a registry that nobody else sees.

    Attributes:
        url: where the replica answers; empty before it runs.
    """

    def __init__(self, names: Registry, way: Way, actor: str, answers: Answers) -> None:
        """Args: names: an empty registry; both versions get their own numbers in it, and the stage its history."""
        self.url = ""
        self._names = names
        self._stage = way.stage
        self._actor = actor
        self._left, self._back = way.left, way.back
        self._answers = answers
        names.ensure_model(way.left.model, actor, stages=(way.stage,))
        for version in (way.left, way.back):
            new = NewVersion(version.model, version.digest, version.complete, version.missing)
            names.import_version(new, version.number, actor, "for a rehearsal")
        self._move(way.back.number, None, Action.STAGE_ADOPT)
        self._move(way.left.number, way.back.number, Action.STAGE_PROMOTE)

    @contextmanager
    def running(
        self,
        hosting: Hosting,
        opener: Opener,
        requests: Sequence[JsonObject],
        *,
        clock: Callable[[], datetime],
        new_id: Callable[[], str],
    ) -> Iterator[None]:
        """Inside, a replica follows the stage, both versions are open, and the load is steady."""
        replica = Replica(
            RegistrySource(self._names, self._left.model, self._stage),
            model=self._left.model,
            stage=self._stage,
            opener=opener,
            place=Place("http://127.0.0.1"),
            clock=clock,
            new_id=new_id,
        )
        with hosting.host(replica) as self.url:
            self._until_open(replica)
            with hosting.load(self.url, requests, self._answers):
                self._until_answered(self._left.number, time.monotonic())
                yield

    def back(self) -> Moved:
        """Move the stage back, as a rollback does."""
        return self._move(self._back.number, self._left.number, Action.STAGE_ROLLBACK)

    def forward(self) -> Moved:
        """Move it to where it was."""
        return self._move(self._left.number, self._back.number, Action.STAGE_PROMOTE)

    def confirm(self, moved: Moved) -> float:
        """Wait until the replica has reported the move; milliseconds since it was asked for.

        Raises:
            NotConfirmed: it did not.
        """
        move = moved.move
        reports = wait_for_replicas(
            self._names, move.model, move.stage, move.epoch, move.to_digest, timeout_seconds=_CONFIRM_SECONDS_MAX
        )
        if not reports:
            raise NotConfirmed("the replica stopped reporting", hint="Look at what this machine's memory is used for.")
        return round((time.monotonic() - moved.at) * 1000.0, 3)

    def watch(self, number: VersionNumber, moved: Moved) -> None:
        """Let the load go on, and look at every answer since it began.

        Raises:
            BundleFailed: a request failed, or an answer named two versions.
            NotConfirmed: the version does not answer, or another one goes on answering.
        """
        since = time.monotonic()
        self._until_answered(number, since)
        old = [one for one in self._answers.taken() if one.begun >= since and one.version not in {None, number}]
        if old:
            raise NotConfirmed(
                f"{len(old)} requests that were sent after version {number} was confirmed were answered by version "
                f"{old[0].version}",
                hint="The replica reported what it did not serve: this is a defect of Holdfast.",
                epoch=moved.move.epoch,
            )

    def _move(self, to: VersionNumber, expect: VersionNumber | None, action: Action) -> Moved:
        asked = MoveStage(self._left.model, self._stage, to, expect, action, "a rehearsal")
        at = time.monotonic()
        return Moved(self._names.move_stage(asked, self._actor), at)

    def _until_open(self, replica: Replica) -> None:
        end = time.monotonic() + _OPEN_SECONDS_MAX
        while time.monotonic() < end:
            route, report = replica.route, replica.report()
            if report.state is State.FAILED:
                raise BundleFailed(
                    f"version {self._left.number} could not be served: {report.error}",
                    hint="A rehearsal serves the version that is left first; register or promote one that opens here.",
                )
            if route is not None and route.standby is not None:
                return
            time.sleep(_LOOK_SECONDS)
        raise Unavailable(
            f"versions {self._left.number} and {self._back.number} were not both open within {_OPEN_SECONDS_MAX:g} s",
            hint="Look at the log of this command, and at the memory of this machine: a replica holds both.",
        )

    def _until_answered(self, number: VersionNumber, since: float) -> None:
        """Until the version has answered enough requests that were sent since then, and for long enough."""
        while True:
            self._require_good()
            waited, good = time.monotonic() - since, self._answers.good(number, since)
            if good >= _ANSWERS_MIN and waited >= _STEADY_SECONDS:
                return
            if waited > _PATIENCE_SECONDS and good == 0:
                raise NotConfirmed(
                    f"version {number} answered nothing for {_PATIENCE_SECONDS:g} s", hint="See how it answers alone."
                )
            if waited > _PATIENCE_SECONDS:
                return  # slow, and good
            time.sleep(_LOOK_SECONDS)

    def _require_good(self) -> None:
        failed, mixed = self._answers.failed, self._answers.mixed
        for bad, what in ((failed, "failed"), (mixed, "named two versions")):
            if bad:
                raise BundleFailed(
                    f"{len(bad)} of {len(self._answers.taken())} requests {what}: {bad[0].why}",
                    hint="Each version must answer what the other one is asked: compare their schemas.",
                )
