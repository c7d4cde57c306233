"""What every route of the API needs: the project behind it, a thread to ask it from, who asks, and how to answer."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Annotated, TypeVar

from fastapi import Depends, Header, Request
from starlette.concurrency import run_in_threadpool

from holdfast.access import Doors
from holdfast.errors import NotFound, UsageError
from holdfast.names import ModelName
from holdfast.registry import Action, NewVersion
from holdfast.registry.census import Census
from holdfast.registry.provable import ProvableRegistry
from holdfast.registry.webhooks import Webhooks
from holdfast.service.line import KEY_HEADER
from holdfast.tracking import Tracking
from holdfast.upkeep.audit.key import LogSigner
from holdfast.web.answers import answer
from holdfast.web.api.caller import Caller, caller_of
from holdfast.web.api.depot import Depot
from holdfast.web.api.meters import Meters
from holdfast.web.api.schemas import Refusal
from holdfast.web.api.watch import Watch
from holdfast.web.oidc import Provider
from holdfast.webhooks.delivering import Deliverer
from holdfast.wire.mlflow import Shelf

__all__ = ["Actor", "Around", "Bytes", "Desk", "Here", "Key", "Signer", "Who", "action_of", "answer", "refusals"]

_T = TypeVar("_T")

_KEY_CHARACTERS_MAX = 200
"""As long as an event can carry."""

_OWNERS_MAX = 10_000
"""Runs whose model and starter are remembered, and rollouts with their models, for these never change: a megabyte."""


@dataclass(frozen=True)
class Around:
    """What a server has beside the registry.

    Attributes:
        webhooks: for administrators; None where there are none.
        deliverer: tells them of events, as long as the application runs.
        census: counts what the database holds.
        signer: signs the log; None where nobody does.
        meters: count requests.
        metrics_port: where they are read, if not where everything else is asked.
        access: who people are; None where nobody is asked.
        provider: signs people in; None where tokens are given out by hand.
        shelf: what it keeps for MLflow's clients; None where it speaks their protocol not at all.
    """

    webhooks: Webhooks | None = None
    deliverer: Deliverer | None = None
    census: Callable[[], Census] | None = None
    signer: LogSigner | None = None
    meters: Meters = field(default_factory=Meters)
    metrics_port: int | None = None
    access: Doors | None = None
    provider: Provider | None = None
    shelf: Shelf | None = None


class Desk:
    """Where requests are brought to the registry.

    Args:
        registry: names.
        tracking: runs.
        depot: bytes; None where there are none, and no version needs any.
        around: what else there is.

    Attributes:
        streams: how many are being read.
    """

    def __init__(
        self, registry: ProvableRegistry, tracking: Tracking, depot: Depot | None, around: Around | None = None
    ) -> None:
        self.registry = registry
        self.tracking = tracking
        self.depot = depot
        around = around or Around()
        self.webhooks = around.webhooks
        self.census = around.census
        self.meters = around.meters
        self.access = around.access
        self.provider = around.provider
        self._owners: dict[str, tuple[ModelName | None, str]] = {}
        self._models_of_rollouts: dict[int, ModelName] = {}
        self.signer = around.signer
        self.watch = Watch(self._last_event)
        self.streams = 0

    async def ask(self, call: Callable[[], _T]) -> _T:
        """What `call` answers, from a thread: a database may make it wait, and nobody else shall wait with it."""
        return await run_in_threadpool(call)

    async def owner_of(self, run: str) -> tuple[ModelName | None, str]:
        """The model of a run, and who started it.

        Raises:
            NotFound: no such run.
        """
        known = self._owners.get(run)
        if known is None:
            found = await self.ask(lambda: self.tracking.run(run))
            if len(self._owners) >= _OWNERS_MAX:
                self._owners.clear()
            known = self._owners[run] = (found.model, found.actor)
        return known

    async def model_of_rollout(self, rollout: int) -> ModelName:
        """The model of a rollout.

        Raises:
            NotFound: no such rollout.
        """
        known = self._models_of_rollouts.get(rollout)
        if known is None:
            known = (await self.ask(lambda: self.registry.rollout(rollout))).model
            if len(self._models_of_rollouts) >= _OWNERS_MAX:
                self._models_of_rollouts.clear()
            self._models_of_rollouts[rollout] = known
        return known

    @contextmanager
    def whole(self, new: NewVersion) -> Iterator[NewVersion]:
        """Inside, every byte of the version is durable in the store, and stays; it comes with what its bytes say.

        Raises:
            NotFound, IntegrityError: it is not.
        """
        if self.depot is None:
            yield new
            return
        with self.depot.undisturbed():
            self.depot.require_bundle(new.digest)
            yield replace(new, facts=self.depot.facts(new.digest))

    def look(self) -> None:
        """Ask the database and the store for the least that they can be asked for.

        Raises:
            HoldfastError: one of them does not answer.
        """
        self.registry.log(limit=1)
        if self.depot is not None:
            self.depot.look()

    async def _last_event(self) -> int | None:
        last = await self.ask(lambda: self.registry.log(limit=1))
        return last[0].index if last else None


async def _desk(request: Request) -> Desk:
    desk: Desk = request.app.state.desk
    return desk


async def _bytes(desk: Annotated[Desk, Depends(_desk)]) -> Depot:
    if desk.depot is None:
        raise NotFound("this server keeps no bytes", hint="Ask the one that does.")
    return desk.depot


async def _who(request: Request) -> Caller:
    return caller_of(request)


async def _signer(desk: Annotated[Desk, Depends(_desk)]) -> LogSigner:
    if desk.signer is None:
        raise NotFound("this server has no key of the log", hint="Ask the one that does.")
    return desk.signer


async def _actor(request: Request) -> str:
    return caller_of(request).name


Here = Annotated[Desk, Depends(_desk)]
"""The desk of the application."""

Bytes = Annotated[Depot, Depends(_bytes)]
"""The server's store."""

Who = Annotated[Caller, Depends(_who)]
"""Who asks, and what they may."""

Signer = Annotated[LogSigner, Depends(_signer)]
"""What signs the log."""

Actor = Annotated[str, Depends(_actor)]
"""The name of who asks: as their token proves it, or as they say where the server asks nobody."""

Key = Annotated[
    str | None,
    Header(
        alias=KEY_HEADER,
        min_length=1,
        max_length=_KEY_CHARACTERS_MAX,
        description="The same key again is the same request, and gets the same answer",
    ),
]
"""The request's idempotency key."""


def action_of(text: str) -> Action:
    """The word of the log that `text` is.

    Raises:
        UsageError: it is none.
    """
    try:
        return Action(text)
    except ValueError as error:
        raise UsageError(f"{text[:80]!r} is no action", hint=f"One of {', '.join(sorted(Action))}.") from error


def refusals(*statuses: int) -> dict[int | str, dict[str, object]]:
    """How a route's document says with which statuses it may refuse."""
    return {status: {"description": "Refused", "model": Refusal} for status in statuses}
