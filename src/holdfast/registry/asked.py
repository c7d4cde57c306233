"""What is asked of a registry, as the JSON documents that travel to a server."""

from holdfast.canonical import JsonObject, plain
from holdfast.registry.clearing import ClearStage
from holdfast.registry.records import NewApproval, NewEvent, NewVerdict
from holdfast.registry.values import MoveStage, NewVersion
from holdfast.registry.whereabouts import NewArchive

__all__ = ["approval", "archive", "clearing", "event", "move", "verdict", "version"]


def version(new: NewVersion) -> JsonObject:
    """What asks for a number; its model is in the path."""
    facts: JsonObject = {} if new.facts is None else {"facts": new.facts.to_json()}
    return {
        **facts,
        "digest": str(new.digest),
        "complete": new.complete,
        "missing": list(new.missing),
        "run": new.run_id,
        "semver": new.semver,
        "summary": plain(new.summary),
        "lineage": [one.to_json() for one in new.lineage],
    }


def move(new: MoveStage) -> JsonObject:
    """What asks a stage to move; model and stage are in the path, the idempotency key in a header."""
    return {
        "to": new.to,
        "expect": new.expect,
        "action": str(new.action),
        "reason": new.reason,
        "verdict": _text(new.verdict),
        "approvals": list(new.approvals),
        "details": plain(new.details),
    }


def clearing(new: ClearStage) -> JsonObject:
    """What asks for a stage to be emptied; likewise."""
    return {"expect": new.expect, "reason": new.reason, "details": plain(new.details)}


def event(new: NewEvent) -> JsonObject:
    """What asks for an entry of the log."""
    return {
        "action": str(new.action),
        "model": _text(new.model),
        "stage": _text(new.stage),
        "from": new.from_number,
        "to": new.to_number,
        "reason": new.reason,
        "verdict": _text(new.verdict),
        "details": plain(new.details),
    }


def approval(new: NewApproval) -> JsonObject:
    """What asks for a judgement to be kept; model and number are in the path."""
    return {
        "digest": str(new.digest),
        "stage": str(new.stage),
        "meaning": str(new.meaning),
        "reason": new.reason,
        "verdict": _text(new.verdict),
    }


def verdict(new: NewVerdict) -> JsonObject:
    """What asks for a verdict to be kept."""
    return {
        "model": str(new.model),
        "version": new.number,
        "stage": str(new.stage),
        "outcome": new.outcome,
        "body": plain(new.body),
    }


def archive(new: NewArchive) -> JsonObject:
    """What asks for an archive to be written down."""
    return {
        "what": str(new.what),
        "remote": new.remote,
        "url": new.url,
        "blobs": new.blobs,
        "bytes": new.bytes,
        "reason": new.reason,
        "expect": new.expect,
    }


def _text(value: object) -> str | None:
    return None if value is None else str(value)
