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


_READY = _refused("a model that is ready does not change: log it again")
_MEANS_BYTES = _refused("a version is made of files that the server holds, so that nobody can change them elsewhere")

DIFFERENCES: dict[str, Difference] = {
    "edge: a metric that is infinite": _works("infinity stays infinity; MLflow's server makes it the largest double"),
    "edge: logged models where status = 'READY'": _works("finds models that are ready; MLflow's server finds none"),
    "edge: logged models where colour = 'x'": _works("says which keys there are; MLflow's server fails"),
    "mlflow.models.set_signature": _READY,
    "edge: a file of a model that is ready, written again": _READY,
    "edge: a version's file, written again": _READY,
    "edge: a version from a path of the server's": _MEANS_BYTES,
    "edge: a version from nowhere": _MEANS_BYTES,
    "edge: the same model registered again": _works("is the version that it was: equal content is one version"),
    "edge: a version that holds an alias, deleted": _refused(
        "something may follow the alias: move it or take it away first"
    ),
    "client.search_registered_models": _works("versions come with their aliases, which MLflow's server leaves out"),
    "client.search_model_versions": _works("versions come with their aliases, which MLflow's server leaves out"),
    "edge: a webhook without TLS": _works("is refused too, in other words"),
    "mlflow.log_issue": _not_offered("traces carry feedback and expectations"),
}

FAMILIES = {
    "MCP servers": "no part of a model's version",
    "prompts": "keep them beside the code that uses them, or on another server",
    "workspaces": "one project has one server; people and roles are per model",
    "evaluation datasets": "for evaluating prompts and agents; data of models are snapshots",
}
"""Calls that are not offered as whole families, and why."""
