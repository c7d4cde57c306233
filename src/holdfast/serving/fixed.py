"""One version that never changes: what a container follows that holds a bundle and knows no registry."""

from collections.abc import Sequence

from holdfast.errors import UsageError
from holdfast.registry import Replica
from holdfast.registry.rollouts import RouteMark, Truth, Turn
from holdfast.serving.source import Pointer, Pointers

__all__ = ["Fixed"]

_MARK = RouteMark(1, 0)


class Fixed:
    """A stage that has moved once and never moves again: `StageSource` of one version."""

    def __init__(self, pointer: Pointer) -> None:
        self._pointer = pointer

    def mark(self, known: RouteMark | None) -> RouteMark:
        """Always the same."""
        del known
        return _MARK

    def read(self) -> Pointers:
        """The version, and nowhere to go back to."""
        return Pointers(_MARK.epoch, self._pointer, None)

    def turn(self, turn: Turn) -> None:
        """There are no rollouts here, so that there is nothing to turn."""

    def learn(self, truths: Sequence[Truth]) -> int:
        """Nobody here keeps what turned out to be right.

        Raises:
            UsageError: always, so that whoever brings it does not think it kept.
        """
        raise UsageError(
            f"a bundle alone keeps no truths; {len(truths)} were brought",
            hint="Bring them to a replica that follows a stage, or to its registry: holdfast truth",
        )

    def report(self, replica: Replica) -> None:
        """Whoever asks for `/version` is told; nobody else listens."""
