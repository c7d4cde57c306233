"""What an event can say happened: one vocabulary, no free text."""

from enum import StrEnum

__all__ = ["MOVES", "POINTING", "RECORDED", "Action"]


class Action(StrEnum):
    """The action of an event, written `source:subject:action`.

    source: what part of Holdfast it concerns: `model`, `gate`, `stage`, `serving`, `store`, `log`, `access`, `server`.
    subject: the kind of thing that it happened to: `line`, `version`, `verdict`, `policy`, `pointer`, `rollback`,
        `rollout`, `page`, `hold`, `bytes`, `blob`, `checkpoint`, `backup`, `user`, `grant`, `token`,
        `webhook`.
    action: what was done, as a verb in the imperative.

    A word, once written into a log, keeps its meaning for ever; new ones are added.
    """

    MODEL_CREATE = "model:line:create"
    """A model, a line of versions, was begun; its stages are in the details."""

    MODEL_RENAME = "model:line:rename"
    """MLflow's clients call a model by another name from here on; both names are in the details."""

    MODEL_WITHDRAW = "model:line:withdraw"
    """A model was taken from what MLflow's clients are shown; its versions and their bytes stay."""

    MODEL_READMIT = "model:line:readmit"
    """Such a model came back."""

    VERSION_WITHDRAW = "model:version:withdraw"
    """A version was taken from what MLflow's clients are shown; it and its bytes stay."""

    VERSION_READMIT = "model:version:readmit"
    """Such a version came back, for the same content was registered again."""

    VERSION_REGISTER = "model:version:register"
    """A version was given its number."""

    VERSION_ADOPT = "model:version:adopt"
    """A version made elsewhere was given a number; what it lacks is in the details."""

    VERSION_IMPORT = "model:version:import"
    """A version that another registry numbered was taken in under its own number; its details say from where."""

    VERSION_APPROVE = "model:version:approve"
    """A person approved a version for a stage."""

    VERSION_REJECT = "model:version:reject"
    """A person rejected a version for a stage."""

    VERSION_SIGN = "model:version:sign"
    """A signature of a version was kept; which, and by which key, is in the details."""

    GATE_REFUSE = "gate:verdict:refuse"
    """A gate did not pass a version; nothing moved."""

    POLICY_SET = "gate:policy:set"
    """The registry was given a policy, for one model or for all; its number and digest are in the details."""

    STAGE_DEFINE = "stage:pointer:define"
    """A stage was added to a model, empty."""

    STAGE_PROMOTE = "stage:pointer:promote"
    """A stage moved to a version through its gate."""

    STAGE_ROLLBACK = "stage:pointer:rollback"
    """A stage moved back to a version that had held it."""

    STAGE_ADOPT = "stage:pointer:adopt"
    """A stage took over what another system served, without a gate of ours."""

    STAGE_CLEAR = "stage:pointer:clear"
    """A stage was emptied: nothing holds it from here on, and what held it is its last-known-good."""

    ROLLBACK_REHEARSE = "stage:rollback:rehearse"
    """The way back was tried without taking it; the certificate, by its digest, is in the details."""

    ROLLBACK_EXPLAIN = "stage:rollback:explain"
    """A person said what had made a rollback necessary."""

    ROLLOUT_BEGIN = "stage:rollout:begin"
    """A version began to be tried beside the one that holds a stage; how, is in the details."""

    ROLLOUT_TURN = "stage:rollout:turn"
    """A rollout took a turn: how it stands from here on, and at which step, is in the details."""

    PAGE_SEAL = "serving:page:seal"
    """A replica sealed a page of the decision ledger; its digest, and what it covers and lacks, is in the details."""

    HOLD_ADD = "store:hold:add"
    """A person asked that something be kept, whatever else needs it or not; what, is in the details."""

    HOLD_LIFT = "store:hold:lift"
    """A person took such a wish back; which, is in the details."""

    BYTES_ARCHIVE = "store:bytes:archive"
    """A remote holds all of a version or a snapshot, proved; which, and where, is in the details."""

    BYTES_RESTORE = "store:bytes:restore"
    """The bytes of what was archived are here again; from where is in the details."""

    BLOB_DAMAGE = "store:blob:damage"
    """A check found bytes that do not match their digest."""

    LOG_ACCEPT = "log:checkpoint:accept"
    """A person accepted a log that does not begin with what was seen of it; what was seen is in the details."""

    LOG_RESTORE = "log:backup:restore"
    """The registry was put back from a backup; which, and how long its log was, is in the details."""

    USER_ADD = "access:user:add"
    """Somebody was made known to the server; who, is in the details."""

    USER_BIND = "access:user:bind"
    """A provider of identities signed somebody in for the first time, and is believed from then on."""

    USER_DISABLE = "access:user:disable"
    """Everything was taken from a user, their tokens included."""

    GRANT_ADD = "access:grant:add"
    """A user was given a role for some models; which, is in the details."""

    GRANT_REMOVE = "access:grant:remove"
    """Such a role was taken back."""

    TOKEN_ISSUE = "access:token:issue"  # noqa: S105 - the word for it, and no secret
    """A token was made; whose, and what it allows, is in the details, and its secret nowhere."""

    TOKEN_REVOKE = "access:token:revoke"  # noqa: S105 - likewise
    """A token was taken back."""

    WEBHOOK_ADD = "server:webhook:add"
    """An address was to be told of events from here on; which of them, is in the details."""

    WEBHOOK_ROTATE = "server:webhook:rotate"
    """A webhook was given another secret; until when the old one signs too, is in the details."""

    WEBHOOK_RESUME = "server:webhook:resume"
    """A webhook that had stopped goes on; which event it left out, if any, is in the details."""

    WEBHOOK_REMOVE = "server:webhook:remove"
    """An address is told of nothing more."""


MOVES = frozenset({Action.STAGE_PROMOTE, Action.STAGE_ROLLBACK, Action.STAGE_ADOPT})
"""The actions that move a stage to a version; they are written together with the move, and in no other way."""

POINTING = MOVES | {Action.STAGE_CLEAR}
"""The actions behind which a stage stands otherwise than before: the moves, and what empties it."""

RECORDED = frozenset(
    {Action.GATE_REFUSE, Action.ROLLBACK_EXPLAIN, Action.PAGE_SEAL, Action.BLOB_DAMAGE, Action.LOG_ACCEPT}
)
"""The actions that change nothing but the log, and so may be recorded on their own."""
