"""Where the server answers MLflow's client otherwise than MLflow's own, and why; everything else is the same.

Keys are names of the walk: calls as people write them, or `edge: ` and what is asked.
"""

from dataclasses import dataclass
from typing import Literal

__all__ = ["DIFFERENCES", "FAMILIES", "Difference"]

Kind = Literal["works", "refused", "not offered"]


@dataclass(frozen=True)
class Difference:
    """One answer that is not MLflow's.

    Attributes:
        kind: `works` where a caller gets what they came for; `refused` on purpose; `not offered` at all.
        reason: a sentence for the documentation.
    """

    kind: Kind
    reason: str


def _works(reason: str) -> Difference:
    return Difference("works", reason)


def _refused(reason: str) -> Difference:
    return Difference("refused", reason)


def _not_offered(reason: str) -> Difference:
    return Difference("not offered", reason)


DIFFERENCES: dict[str, Difference] = {
    "mlflow.models.set_signature": _refused("a model that is ready does not change: log it again with its signature"),
}

FAMILIES = {
    "MCP servers": "no part of a model's version",
    "workspaces": "one project has one server; people and roles are per model",
    "evaluation datasets": "for evaluating prompts and agents; data of models are snapshots",
}
"""Calls that are not offered as whole families, and why."""
