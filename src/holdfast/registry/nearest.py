"""What to say when a name is not there: which names are, and which of them was probably meant."""

from collections.abc import Sequence
from difflib import get_close_matches

from sqlalchemy import Connection, select

from holdfast.errors import NotFound
from holdfast.registry.tables import models, stages, versions

__all__ = ["require_model", "unknown_model", "unknown_stage", "unknown_version"]

_LISTED_MAX = 8
"""Names in one hint: what a person reads before looking at the list itself."""


def _listed(names: Sequence[str]) -> str:
    more = len(names) - _LISTED_MAX
    return ", ".join(names[:_LISTED_MAX]) + (f" and {more} more" if more > 0 else "")


def _hint(name: str, names: Sequence[str], there: str, nothing: str) -> str:
    near = get_close_matches(name, names, n=3)
    if near:
        return f"Did you mean {' or '.join(near)}?"
    return f"{there} {_listed(names)}." if names else nothing


def unknown_model(connection: Connection, name: str) -> NotFound:
    """The error for a model that nobody has begun."""
    names = list(connection.scalars(select(models.c.name).order_by(models.c.name)))
    return NotFound(
        f"there is no model {name}",
        hint=_hint(name, names, "There are", "No model is registered yet: holdfast register makes the first."),
        model=name,
        nearest=get_close_matches(name, names, n=3),
    )


def require_model(connection: Connection, name: str) -> None:
    """Raises `NotFound`, with the nearest names, unless there is a model of this name."""
    if connection.execute(select(models.c.name).where(models.c.name == name)).one_or_none() is None:
        raise unknown_model(connection, name)


def unknown_stage(connection: Connection, model: str, name: str) -> NotFound:
    """The error for a stage that the model does not have, or for the model when that is what is not there."""
    require_model(connection, model)
    names = list(connection.scalars(select(stages.c.name).where(stages.c.model == model).order_by(stages.c.name)))
    return NotFound(
        f"{model} has no stage {name}",
        hint=_hint(name, names, "Its stages are", "It has no stages at all."),
        model=model,
        stage=name,
        nearest=get_close_matches(name, names, n=3),
    )


def unknown_version(connection: Connection, model: str, choice: str) -> NotFound:
    """The error for a version that the model does not have, or for the model when that is what is not there."""
    require_model(connection, model)
    last = connection.scalars(
        select(versions.c.number).where(versions.c.model == model).order_by(versions.c.number.desc()).limit(1)
    ).one_or_none()
    there = {None: "It has no versions yet.", 1: "It has version 1 only."}.get(last, f"It has versions 1 to {last}.")
    return NotFound(f"{model} has no version {choice}", hint=there, model=model, version=choice)
