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

from holdfast.registry.actions import MOVES, POINTING, RECORDED, Action
from holdfast.registry.answers import Direction, Found, FoundVersion, Indexed, Node, Spell, Walk
from holdfast.registry.asking import DEPTH_MAX, FOUND_MAX, SPELLS_MAX, VERDICTS_MAX, Questions
from holdfast.registry.certificates import REHEARSALS_MAX, NewRehearsal, Rehearsal, Rehearsals
from holdfast.registry.clearing import Cleared, ClearStage
from holdfast.registry.facts import FACTS_MAX, Facts, facts_of
from holdfast.registry.governing import Governing, KeptPolicy, NewPolicy
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
    VerdictEntry,
    outcome_text,
)
from holdfast.registry.rollouts import (
    ROLLOUTS_MAX,
    TRUTHS_AT_ONCE_MAX,
    TRUTHS_MAX,
    NewRollout,
    Rollout,
    RolloutKind,
    Rollouts,
    RolloutState,
    RouteMark,
    Tally,
    Truth,
    Turn,
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
from holdfast.registry.vouching import NewSignature, Signature, Vouching
from holdfast.registry.whereabouts import Archive, NewArchive, Tenure

__all__ = [
    "DEPTH_MAX",
    "EVENTS_MAX",
    "FACTS_MAX",
    "FOUND_MAX",
    "MOVES",
    "POINTING",
    "RECORDED",
    "REHEARSALS_MAX",
    "ROLLOUTS_MAX",
    "SPELLS_MAX",
    "STAGES",
    "TRUTHS_AT_ONCE_MAX",
    "TRUTHS_MAX",
    "VERDICTS_MAX",
    "Action",
    "Approval",
    "Archive",
    "Audit",
    "ClearStage",
    "Cleared",
    "Direction",
    "Edge",
    "Event",
    "Facts",
    "Found",
    "FoundVersion",
    "Governing",
    "Hold",
    "Holding",
    "Indexed",
    "KeptPolicy",
    "Live",
    "Meaning",
    "Model",
    "Move",
    "MoveStage",
    "NewApproval",
    "NewArchive",
    "NewEvent",
    "NewPolicy",
    "NewRehearsal",
    "NewRollout",
    "NewSignature",
    "NewVerdict",
    "NewVersion",
    "Node",
    "Questions",
    "Registry",
    "Rehearsal",
    "Rehearsals",
    "Replica",
    "ReplicaState",
    "Rollout",
    "RolloutKind",
    "RolloutState",
    "Rollouts",
    "RouteMark",
    "Signature",
    "Spell",
    "Stage",
    "Tally",
    "Tenure",
    "Truth",
    "Turn",
    "Verdict",
    "VerdictEntry",
    "Version",
    "Vouching",
    "Walk",
    "facts_of",
    "outcome_text",
]
