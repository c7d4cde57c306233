"""Registered models and their versions as MLflow's clients see them. All frozen.

What is true of a version for good stands in the registry; here is what people say of it, and may say otherwise later.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

from holdfast.names import ModelName, StageName, VersionNumber

__all__ = ["ARCHIVED", "NONE", "STAGES", "NewRegistered", "Page", "RegisteredModel", "RegisteredVersion", "stage_word"]

NONE = "None"
ARCHIVED = "Archived"

STAGES: Mapping[str, StageName] = {"Staging": StageName("staging"), "Production": StageName("production")}
"""The stages of MLflow that are stages here; its others say that a version holds neither."""


@dataclass(frozen=True, slots=True)
class RegisteredVersion:
    """A version.

    Attributes:
        model: its model.
        name: of that model, as MLflow's clients know it.
        number: its number.
        source: as the client named it; of a version that Holdfast made itself, its reference.
        path: where its files are, from the root of all files; empty where MLflow's clients can read none.
        run: the run that it is from.
        logged_model: the logged model that it is.
        run_link: as the client gave it.
        description: likewise.
        stage: in MLflow's words.
        missing: the parts and evidence that it lacks.
        created_ms: when it was registered.
        updated_ms: when something was last said of it.
        tags: key to value.
        aliases: those that name it now.
    """

    model: ModelName
    name: str
    number: VersionNumber
    source: str
    path: str
    run: str | None
    logged_model: str | None
    run_link: str | None
    description: str | None
    stage: str
    missing: tuple[str, ...]
    created_ms: int
    updated_ms: int
    tags: Mapping[str, str] = field(default_factory=dict)
    aliases: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class RegisteredModel:
    """A model.

    Attributes:
        model: what it is called here.
        name: as MLflow's clients know it.
        description: as they wrote it.
        created_ms: when it was begun.
        updated_ms: when something was last said of it.
        tags: key to value.
        aliases: alias to the number that it names now.
        heads: of each stage, in MLflow's words, the version with the highest number.
    """

    model: ModelName
    name: str
    description: str | None
    created_ms: int
    updated_ms: int
    tags: Mapping[str, str] = field(default_factory=dict)
    aliases: Mapping[str, VersionNumber] = field(default_factory=dict)
    heads: tuple[RegisteredVersion, ...] = ()


@dataclass(frozen=True, slots=True)
class NewRegistered:
    """What an MLflow client says of a version that was just registered.

    Attributes:
        model: its model.
        number: its number.
        source: as the client named it.
        path: where its files are, from the root of all files.
        run: the run that it is from.
        logged_model: the logged model that it is.
        run_link: as the client gave it.
        description: likewise.
        tags: key to value.
    """

    model: ModelName
    number: VersionNumber
    source: str
    path: str
    run: str | None = None
    logged_model: str | None = None
    run_link: str | None = None
    description: str | None = None
    tags: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Page:
    """One page of what a search found.

    Attributes:
        keys: of each: its model, and its number where versions are searched.
        more: whether there are others behind.
    """

    keys: tuple[tuple[ModelName, VersionNumber | None], ...]
    more: bool


def stage_word(held: frozenset[str], rest: str | None) -> str:
    """The stage of a version in MLflow's words.

    Args:
        held: the stages that it holds.
        rest: what is said of it where it holds neither of MLflow's.
    """
    for word in ("Production", "Staging"):
        if str(STAGES[word]) in held:
            return word
    return rest or NONE
