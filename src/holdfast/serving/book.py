"""What a replica reads and writes of a rollout beyond the route: counts, turns, truths."""

from collections.abc import Sequence
from typing import Protocol

from holdfast.names import ModelName
from holdfast.registry import Registry
from holdfast.registry.rollouts import Tally, Truth, Turn
from holdfast.serving.source import SERVICE

__all__ = ["Book", "RegistryBook"]


class Book(Protocol):
    """The rollouts of one model, as a replica sees them. Called from threads, one call at a time."""

    def tally(self, tally: Tally) -> None:
        """Gives what this replica has counted."""
        ...

    def tallies(self, rollout: int) -> Sequence[Tally]:
        """What all replicas have counted."""
        ...

    def turn(self, turn: Turn) -> None:
        """Changes how a rollout stands, as `Rollouts.turn_rollout` does."""
        ...

    def last_truth(self) -> int:
        """The index of the last truth that is known."""
        ...

    def truths(self, after: int) -> Sequence[Truth]:
        """Truths that came after an index, in order: a page of them."""
        ...


class RegistryBook:
    """The rollouts as the registry has them."""

    def __init__(self, registry: Registry, model: ModelName, actor: str = SERVICE) -> None:
        """Args: actor: in whose name rollouts are turned; a server writes whose token it is instead."""
        self._registry = registry
        self._model = model
        self._actor = actor

    def tally(self, tally: Tally) -> None:
        """Gives what this replica has counted."""
        self._registry.tally(tally)

    def tallies(self, rollout: int) -> Sequence[Tally]:
        """What all replicas have counted."""
        return self._registry.tallies(rollout)

    def turn(self, turn: Turn) -> None:
        """Changes how a rollout stands."""
        self._registry.turn_rollout(turn, self._actor)

    def last_truth(self) -> int:
        """The index of the last truth: what is given when none is brought."""
        return self._registry.put_truths(self._model, (), self._actor)

    def truths(self, after: int) -> Sequence[Truth]:
        """Truths that came after an index, in order."""
        return self._registry.truths(self._model, after=after)
