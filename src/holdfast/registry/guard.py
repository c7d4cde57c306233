"""What else a move must satisfy where a server knows who asks: looked at in the transaction of the move."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection

from holdfast.registry.governing import KeptPolicy
from holdfast.registry.records import Approval, Verdict
from holdfast.registry.values import MoveStage, Stage, Version

__all__ = ["Evidence", "Guard"]


@dataclass(frozen=True, slots=True)
class Evidence:
    """All that speaks for a move and against it, as the registry holds it while the move is made.

    Attributes:
        asked: the move.
        actor: who asks for it.
        stage: as it stands.
        version: the version that shall hold it.
        verdict: the one that the move names.
        judgements: all approvals and rejections of this version, for any stage, oldest first.
        policy: the one of the registry that is in force for the model; None where there is none.
        now: the moment of the move, in UTC.
    """

    asked: MoveStage
    actor: str
    stage: Stage
    version: Version
    verdict: Verdict | None
    judgements: tuple[Approval, ...]
    policy: KeptPolicy | None
    now: datetime


Guard = Callable[[Connection, Evidence], None]
"""Raises when the move must not be made; what it raises, the caller of `Registry.move_stage` gets.

A canary that is to begin is looked at as a move to its version by `Action.ROLLOUT_BEGIN`, for `begin_rollout`.
"""
