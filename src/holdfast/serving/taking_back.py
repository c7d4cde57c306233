"""Taking a promotion back without asking: opt-in, seldom, and never to and fro.

An alert of a rule that the project named fires for the version that holds the stage, within so many minutes of its
promotion. Then the replica asks for a rollback as a person would (`flow.rollback`): to last-known-good, smoked first,
by compare-and-set, with the sentence of the alert for a reason. What all replicas have done so far stands in the log:

    only a promotion is taken back          a rollback, or an adoption, was somebody's decision
    once for each move                      replicas ask under one key, and the second gets the first one's answer
    not twice between the same versions     who promotes again what was taken back has been told why, and decides
    so many times a day                     what goes on after that is for a person
"""

import asyncio
import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from holdfast.errors import HoldfastError, StageMoved
from holdfast.flow.rollback import Rollback, RolledBack
from holdfast.names import ModelName, StageName, VersionNumber
from holdfast.registry.actions import MOVES, Action
from holdfast.registry.interface import Registry
from holdfast.registry.records import Event
from holdfast.serving.alerts import Alert
from holdfast.serving.route import Route
from holdfast.serving.settings import WatchSettings

__all__ = ["BY_ALERT", "TakingBack", "moves_of", "why_not"]

_LOG = logging.getLogger("holdfast.serving")

BY_ALERT = "alert"
"""The key in the details of an event that says which rule took the promotion back."""

_PAGE = 1_000
"""Moves read at once."""

_AGAIN_SECONDS = 30.0
"""How long before a rollback is asked for again that the registry or the store had no answer to."""


@dataclass(frozen=True, slots=True)
class _Asked:
    alert: Alert
    epoch: int
    number: VersionNumber


class TakingBack:
    """Asks for rollbacks; a listener of `Watch`.

    Args:
        settings: which rules, how often, for how long.
        registry: where the log is.
        model: whose stage.
        stage: which one.
        move: takes the stage back; called in a thread.
        actor: who asks: this replica.
        clock: gives the moment, in UTC.
    """

    def __init__(
        self,
        settings: WatchSettings,
        *,
        registry: Registry,
        model: ModelName,
        stage: StageName,
        move: Callable[[Rollback], RolledBack],
        actor: str,
        clock: Callable[[], datetime],
    ) -> None:
        self._settings = settings
        self._registry = registry
        self._model = model
        self._stage = stage
        self._move = move
        self._actor = actor
        self._clock = clock
        self._done: int | None = None
        self._not_before = float("-inf")
        self._task: asyncio.Task[None] | None = None

    def tell(self, alert: Alert) -> None:
        """Nothing is done at once: `look` sees what fires."""

    def look(self, firing: Sequence[Alert], route: Route | None) -> None:
        """Ask for a rollback where one of the named rules is broken by the version that holds the stage."""
        if route is None or route.epoch == self._done or (self._task is not None and not self._task.done()):
            return
        number = route.primary.number
        # Of this stay: what it did as a canary, or before it was promoted again, is not what this promotion brought.
        own = (one for one in firing if (one.version, one.epoch) == (number, route.epoch))
        alert = next((one for one in own if one.rule.name in self._settings.rollback_on), None)
        if alert is not None and asyncio.get_running_loop().time() >= self._not_before:
            self._task = asyncio.create_task(self._ask(_Asked(alert, route.epoch, number)))

    async def stop(self) -> None:
        """Let what was asked for come to its end: a thread cannot be stopped."""
        if self._task is not None:
            await asyncio.wait([self._task])

    async def _ask(self, asked: _Asked) -> None:
        try:
            said = await asyncio.to_thread(self.take_back, asked.alert, asked.epoch, asked.number)
        except StageMoved:
            said = "somebody moved the stage meanwhile"
        except HoldfastError as error:
            self._not_before = asyncio.get_running_loop().time() + _AGAIN_SECONDS
            _LOG.error("%s@%s was not taken back: %s", self._model, self._stage, error.message)
            return
        self._done = asked.epoch
        _LOG.warning("%s@%s: %s", self._model, self._stage, said)

    def take_back(self, alert: Alert, epoch: int, number: VersionNumber) -> str:
        """Take the promotion of this version back, or say why not; what became of it, as a sentence.

        Raises:
            HoldfastError: as `roll_back`.
        """
        stage, moves = (
            self._registry.stage(self._model, self._stage),
            moves_of(self._registry, self._model, self._stage),
        )
        if stage.epoch != epoch or stage.number != number:
            return "the stage has moved meanwhile, and nothing is taken back"
        if (reason := why_not(moves, number, stage.last_known_good, self._clock(), self._settings)) is not None:
            return f"version {number} is not taken back, though {alert.sentence}: {reason}"
        promoted = moves[-1]
        minutes = (self._clock() - promoted.time) / timedelta(minutes=1)
        back = self._move(
            Rollback(
                self._model,
                self._stage,
                self._actor,
                f"taken back by itself, {minutes:.1f} min after {promoted.actor} promoted it: {alert.sentence}",
                idempotency_key=f"taken-back/{self._model}/{self._stage}/{epoch}",
                expect=number,
                details={BY_ALERT: alert.rule.name},
            )
        )
        return f"version {number} was taken back to version {back.move.to_number}: {alert.sentence}"


def moves_of(registry: Registry, model: ModelName, stage: StageName) -> list[Event]:
    """Every move of a stage, the oldest first."""
    found: list[Event] = []
    after = -1
    while page := registry.following(after, model=model, actions=sorted(MOVES), limit=_PAGE):
        found += [event for event in page if event.stage == str(stage)]
        after = page[-1].index
        if len(page) < _PAGE:
            break
    return found


def why_not(
    moves: Sequence[Event],
    number: VersionNumber,
    last_known_good: VersionNumber | None,
    now: datetime,
    settings: WatchSettings,
) -> str | None:
    """Why a promotion is not taken back; None where nothing stands in the way.

    Args:
        moves: of the stage, the oldest first.
        number: the version that holds it.
        last_known_good: where it would go back to.
        now: the moment.
        settings: how often, and for how long after a promotion.
    """
    if last_known_good is None:
        return "there is nothing to go back to"
    if not moves or moves[-1].action != Action.STAGE_PROMOTE or moves[-1].to_number != number:
        return "it did not come by a promotion"
    minutes = (now - moves[-1].time) / timedelta(minutes=1)
    if minutes > settings.watch_minutes_after_move:
        return f"its promotion is {minutes:.0f} min ago, and {settings.watch_minutes_after_move} are watched"
    own = [event for event in moves if event.action == Action.STAGE_ROLLBACK and BY_ALERT in event.details]
    if any((event.from_number, event.to_number) == (number, last_known_good) for event in own):
        return f"it was taken back to version {last_known_good} before, and promoted again"
    today = [event for event in own if now - event.time < timedelta(days=1)]
    if len(today) >= settings.rollbacks_per_day_max:
        return f"{len(today)} promotions were taken back within a day, which is as many as may be"
    return None
