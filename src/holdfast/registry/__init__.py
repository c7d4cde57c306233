"""Names: models, versions, stages, approvals, verdicts, lineage, and the log of everything that happened to them.

    registry = SqlRegistry(database, clock, new_id)
    registry.ensure_model(ModelName("churn"), actor="ana")
    version = registry.register(NewVersion(ModelName("churn"), digest, complete=True), "ana", "first try")
    registry.move_stage(MoveStage(version.model, StageName("production"), to=version.number, expect=None,
                                  action=Action.STAGE_PROMOTE), "ana")
    registry.resolve(Reference.parse("churn@production")) == version

A version is never changed; a stage only moves together with its event. The database itself refuses anything else, and
`audit_verify` finds what was done behind its back. Nothing here reads a bundle: a version is a number for a digest.
"""

from holdfast.registry.actions import MOVES, RECORDED, Action
from holdfast.registry.interface import EVENTS_MAX, Registry
from holdfast.registry.records import (
    Approval,
    Audit,
    Event,
    Hold,
    Holding,
    Live,
    Meaning,
    NewApproval,
    NewEvent,
    NewVerdict,
    Verdict,
)
from holdfast.registry.values import (
    STAGES,
    Edge,
    Model,
    Move,
    MoveStage,
    NewVersion,
    Replica,
    ReplicaState,
    Stage,
    Version,
)
from holdfast.registry.whereabouts import Archive, NewArchive, Tenure

__all__ = [
    "EVENTS_MAX",
    "MOVES",
    "RECORDED",
    "STAGES",
    "Action",
    "Approval",
    "Archive",
    "Audit",
    "Edge",
    "Event",
    "Hold",
    "Holding",
    "Live",
    "Meaning",
    "Model",
    "Move",
    "MoveStage",
    "NewApproval",
    "NewArchive",
    "NewEvent",
    "NewVerdict",
    "NewVersion",
    "Registry",
    "Replica",
    "ReplicaState",
    "Stage",
    "Tenure",
    "Verdict",
    "Version",
]
