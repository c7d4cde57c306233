"""Asking again for a commit whose answer was lost, for whoever has made sure that twice is the same as once."""

import time
from collections.abc import Callable
from typing import TypeVar

from holdfast.errors import Unavailable

__all__ = ["UNKNOWN", "insisted"]

_T = TypeVar("_T")

UNKNOWN = "unknown"
"""What `outcome` in the details of an error says of a change that was made, or was not."""

_PAUSES_SECONDS = (0.05, 0.1, 0.2, 0.4, 0.8, 1.6, 3.2)
"""Between the attempts: a server of databases that was restarted is back within these six seconds, and one that is
gone is told of."""


def insisted(work: Callable[[], _T], sleep: Callable[[float], object] = time.sleep) -> _T:
    """What `work` gives. When nobody knows whether it was committed, it is done again, until that is known.

    The second attempt cannot overtake the first: a commit still under way holds the locks that both need.

    Args:
        work: done twice it is the same as done once.
        sleep: waits so many seconds.

    Raises:
        Unavailable: as `work`; with `outcome` in its details still `unknown` when the server stayed away.
    """
    try:
        return work()
    except Unavailable as error:
        if error.details.get("outcome") != UNKNOWN:
            raise
        lost = error
    for pause in _PAUSES_SECONDS:
        sleep(pause)
        try:
            return work()
        except Unavailable:
            continue
    raise lost
