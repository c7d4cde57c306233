"""What the endpoints of registered models share: who may, and how models and versions are told."""

from collections.abc import Iterable, Mapping

from holdfast.access import Role
from holdfast.canonical import Json, JsonObject
from holdfast.errors import UsageError
from holdfast.experiments.name_search import NameSearch
from holdfast.experiments.naming import version_number
from holdfast.experiments.paging import Place, read_token, search_of, token
from holdfast.experiments.registered import RegisteredModel, RegisteredVersion
from holdfast.flow.bundle.adding import lines_of
from holdfast.names import ModelName
from holdfast.web.mlflow.asking import Asked, invalid, missing
from holdfast.web.mlflow.experiments import tags_of
from holdfast.web.mlflow.room import Here
from holdfast.web.mlflow.telling import said

__all__ = ["asked_for", "following", "number_in", "require", "tags_in", "told_model", "told_version", "version_of"]


def require(here: Here, role: Role, name: str) -> ModelName:
    """The model that a name means or would mean, if the caller may act on it so.

    Raises:
        PermissionRefused: they may not.
        UsageError: nothing can be called so.
    """
    model = here.shelf.registered.names.model_of(name)
    here.caller.require(role, model)
    return model


def number_in(asked: Asked) -> int:
    """The number of the version that a request names.

    Raises:
        UsageError: it names none.
    """
    value = asked.fields.get("version")
    if value in (None, ""):
        raise missing("version")
    if isinstance(value, bool) or not isinstance(value, int | str):
        raise invalid("version", value)
    return version_number(str(value))


def version_of(here: Here, asked: Asked, role: Role) -> RegisteredVersion:
    """The version that a request names, if the caller may act on its model so.

    Raises:
        PermissionRefused: they may not.
        NotFound: there is none.
    """
    name, number = asked.text("name"), number_in(asked)
    require(here, role, name)
    return here.shelf.registered.words.get(name, number)


def tags_in(asked: Asked) -> dict[str, str]:
    """The tags that a request gives; of one key the last counts.

    Raises:
        UsageError: as `tags_of`.
    """
    return dict(tags_of(asked))


def asked_for(asked: Asked, *, usual: int, results_max: int) -> tuple[NameSearch, str]:
    """The search that a request asks for, with one result more than it wants, and a short name for the search.

    Raises:
        UsageError: it asks for too many, or for a page that is none.
    """
    limit = asked.integer("max_results", usual)
    if limit < 1:
        raise UsageError(
            f"Invalid value for max_results. It must be a positive integer, but got {limit}",
            hint="Ask for one at least.",
        )
    if limit > results_max:
        raise UsageError(
            f"Invalid value for request parameter max_results. It must be at most {results_max}, but got value {limit}",
            hint="Ask for less, and for the next page.",
        )
    text, orders = asked.maybe_text("filter") or "", asked.texts("order_by")
    same = search_of(text, list(orders))
    place = read_token(asked.maybe_text("page_token"), same)
    return NameSearch(text, orders, limit + 1, place.offset), same


def following(wanted: NameSearch, found: int, same: str) -> str | None:
    """The token of the next page; None where there is none."""
    if found < wanted.limit:
        return None
    return token(Place(offset=wanted.offset + wanted.limit - 1, search=same))


def told_version(version: RegisteredVersion) -> JsonObject:
    """A version as MLflow's protocol tells it."""
    return said(
        name=version.name,
        version=str(version.number),
        creation_timestamp=version.created_ms,
        last_updated_timestamp=version.updated_ms,
        current_stage=version.stage,
        description=version.description or "",
        source=version.source,
        run_id=version.run,
        status="READY",
        status_message=_lacking(version) if version.missing else None,
        tags=_words(version.tags),
        run_link=version.run_link or "",
        aliases=_listed(version.aliases),
        model_id=version.logged_model,
    )


def told_model(model: RegisteredModel) -> JsonObject:
    """A model as MLflow's protocol tells it."""
    aliases: list[Json] = [{"alias": alias, "version": str(number)} for alias, number in model.aliases.items()]
    return said(
        name=model.name,
        creation_timestamp=model.created_ms,
        last_updated_timestamp=model.updated_ms,
        description=model.description or None,
        latest_versions=_listed(map(told_version, model.heads)),
        tags=_words(model.tags),
        aliases=aliases or None,
    )


def _lacking(version: RegisteredVersion) -> str:
    """What it lacks, at a glance, and the line that adds it; MLflow's clients print it as it is."""
    first = f"Incomplete, without {', '.join(version.missing)}. What adds it:"
    return "\n  ".join([first, *lines_of(version.missing), f"Why: holdfast show {version.model}@{version.number}"])


def _words(words: Mapping[str, str]) -> Json:
    return [{"key": key, "value": value} for key, value in words.items()] or None


def _listed(found: Iterable[Json]) -> Json:
    return list(found) or None
