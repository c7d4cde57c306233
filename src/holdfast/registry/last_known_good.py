"""Where a second rollback goes.

A stage's history is read as a stack. A promotion or an adoption lays the version that it replaces on top; the top is
last-known-good. A rollback takes off everything down to and with the version that it returns to, so that what stood
*below* that version becomes last-known-good: the next rollback goes further back, and never forward again onto the
version that was just left. A version that a rollback has left counts as bad until somebody moves the stage to it again,
and is passed over wherever else it lies in the stack.
Clearing a stage lays what held it on top as a promotion does, so that a rollback brings it back.

    promote 1, 2, 3         holds 3     last-known-good 2
    rollback                holds 2                     1
    promote 4               holds 4                     2      3 is gone from the stack
    rollback, rollback      holds 1                     none

Laws: the answer is never the version that holds the stage, and never one that a rollback left and nobody has chosen
since; following it again and again ends.
"""

from collections.abc import Iterable

from holdfast.registry.actions import Action

__all__ = ["MOVES_READ_MAX", "last_known_good"]

MOVES_READ_MAX = 1_000
"""Moves looked back over: years of promotions; it keeps a rollback's time the same however old a stage is."""


def last_known_good(moves: Iterable[tuple[str, int | None, int | None]]) -> int | None:
    """The number of the version that a rollback would go to after these moves of one stage; None: nowhere.

    Args:
        moves: (action, from, to), oldest first; the first may be preceded by others. Nothing is None.
    """
    stack: list[int] = []
    bad: set[int] = set()
    holder: int | None = None
    for action, before, to in moves:
        if action == Action.STAGE_ROLLBACK:
            if before is not None:
                bad.add(before)
            if to is not None and to in stack:
                last = len(stack) - 1 - stack[::-1].index(to)
                del stack[last:]
        elif before is not None:
            stack.append(before)
        if to is not None:
            bad.discard(to)
        holder = to
    return next((number for number in reversed(stack) if number not in bad and number != holder), None)
