"""What endpoints of MLflow's protocol work with."""

from dataclasses import dataclass

from holdfast.web.api.caller import Caller
from holdfast.web.api.desk import Desk
from holdfast.wire.mlflow import Shelf

__all__ = ["Here"]


@dataclass(frozen=True, slots=True)
class Here:
    """One request's surroundings.

    Attributes:
        caller: who asks, and what they may.
        desk: the server's registry, runs and bytes.
        shelf: what MLflow's clients keep beside them.
        origin: where they reach this server, such as `https://models.example.org`.
    """

    caller: Caller
    desk: Desk
    shelf: Shelf
    origin: str = ""
