"""Verdicts of every format that there was, kept in the museum as they were written."""

from datetime import UTC, datetime
from pathlib import Path

from holdfast.canonical import decode
from holdfast.digest import hash_bytes
from holdfast.names import ModelName, StageName, VersionNumber
from holdfast.registry.records import Verdict

FOLDER = Path(__file__).parents[2] / "museum" / "verdicts"
EXHIBITS = ("gate-1.0", "gate-1.1", "gate-1.1-composed", "rollback-1.0")


def exhibit(name: str) -> Verdict:
    """A verdict as a registry gives it."""
    data = (FOLDER / f"{name}.json").read_bytes()
    body = decode(data, what=name)
    return Verdict(
        digest=hash_bytes(data),
        model=ModelName(body["model"]),
        number=VersionNumber(body["inputs"]["candidate"]["version"]),
        stage=StageName(body["stage"]),
        outcome=body["outcome"],
        body=body,
        created_at=datetime(2026, 3, 1, 9, tzinfo=UTC),
    )
