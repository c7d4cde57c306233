"""Names as MLflow's clients write them: which may be, and what they are called here.

A model and a stage keep their names where these are names of ours. Any other gets what is left of it in small letters,
and six digits of its SHA-256, so that two names never mean one thing by chance.

    of_model("churn")        churn
    of_model("Churn EU")     churn-eu-7d1b8e
"""

import json
import posixpath
import re
import unicodedata
from collections.abc import Mapping
from contextlib import suppress

from holdfast.errors import UsageError
from holdfast.names import ModelName, StageName, looks_like

__all__ = [
    "PROMPT",
    "alias_name",
    "meant_by",
    "model_name",
    "new_alias_name",
    "of_model",
    "of_stage",
    "other_model",
    "other_stage",
    "read_as",
    "registry_tag",
    "tag_key",
    "version_number",
]

PROMPT = "mlflow.prompt.is_prompt"
"""The tag by which MLflow tells prompts from models."""

_KEY_CHARACTERS_MAX = 250
"""Of a tag's key, as MLflow has it."""

_VALUE_CHARACTERS_MAX = 100_000
"""Of a tag's value, as MLflow has it."""

_ALIAS_CHARACTERS_MAX = 255
"""Of an alias, as MLflow has it."""

_NAME_CHARACTERS_MAX = 256
"""Of a model, as MLflow's databases have it."""

_VERSION_MAX = 999_999_999
"""The largest number of a version."""

_ALIAS = re.compile(r"[\w-]*\Z")
_ALIKE = str.maketrans(
    "\u0430\u0432\u0435\u043a\u043c\u043d\u043e\u0440\u0441\u0442\u0443\u0445\u0455\u0456\u0458\u04bb\u04cf\u0501\u051b\u051d"
    "\u03b1\u03b9\u03ba\u03bd\u03bf\u03c1\u03c4\u03c5\u03c7\u0131\u0261\u0585\u057d",
    "abekmhopctyxsijhldqwaikvoptuxigou",
)
"""Letters of Cyrillic, Greek, Armenian and rarer Latin that look like those of ours that words are made of."""

_LIKE_A_VERSION = re.compile(r"[vV]\d+\Z")
_KEY = re.compile(r"[/\w.\- :]*\Z")


def model_name(text: str) -> str:
    """The name of a registered model.

    Raises:
        UsageError: it cannot be one.
    """
    if not text.strip():
        raise _wrong("Missing value for required parameter 'name'.")
    if "/" in text or ":" in text:
        raise _wrong(f"Invalid model name '{text}'. Names cannot contain '/' or ':'.")
    _require_own_path("name", text)
    _require_length("name", text, _NAME_CHARACTERS_MAX)
    return text


def alias_name(text: str) -> str:
    """The name of an alias.

    Raises:
        UsageError: it cannot be one.
    """
    if not text:
        raise _wrong("Registered model alias name cannot be empty.")
    if not _ALIAS.match(text):
        raise _wrong(
            f"Invalid alias name: '{text}'. Names may only contain alphanumerics, underscores (_), and dashes (-)."
        )
    _require_length("Registered model alias name", text, _ALIAS_CHARACTERS_MAX)
    return text


def new_alias_name(text: str) -> str:
    """The name of an alias that is about to be set.

    Raises:
        UsageError: it cannot be one, or it means something already.
    """
    alias_name(text)
    if text.lower() == "latest":
        raise _wrong("'latest' alias name (case insensitive) is reserved.")
    if _LIKE_A_VERSION.match(text):
        raise _wrong(f"Version alias name '{text}' is reserved.")
    return text


def version_number(text: str) -> int:
    """The number of a version; what is past every number is one that nothing has.

    Raises:
        UsageError: it is none.
    """
    try:
        return min(int(text), _VERSION_MAX + 1)
    except ValueError as error:
        raise _wrong(f"Parameter 'version' must be an integer, got '{text[:_KEY_CHARACTERS_MAX]}'.") from error


def tag_key(key: str) -> str:
    """The key of a tag.

    Raises:
        UsageError: it cannot be one.
    """
    if not _KEY.match(key):
        raise _invalid(
            "key",
            key,
            "Names may only contain alphanumerics, underscores (_), dashes (-), periods (.), spaces ( ), colon(:) "
            "and slashes (/).",
        )
    _require_own_path("key", key)
    _require_length("key", key, _KEY_CHARACTERS_MAX)
    return key


def registry_tag(key: str, value: str) -> tuple[str, str]:
    """A tag of a registered model or of one of its versions.

    Raises:
        UsageError: it cannot be one.
    """
    tag_key(key)
    _require_length("value", value, _VALUE_CHARACTERS_MAX)
    return key, value


def of_model(name: str) -> ModelName:
    """What a registered model is called here, unless another one is called so."""
    try:
        return ModelName(name)
    except UsageError:
        return other_model(name)


def other_model(name: str) -> ModelName:
    """What it is called here where its own name cannot be, or is taken."""
    return ModelName(looks_like(name, "model"))


def meant_by(table: object, where: str) -> dict[str, StageName]:
    """The aliases that settings give a stage: `aliases = { champion = "production" }`.

    Args:
        table: of the settings.
        where: names it in errors.

    Raises:
        UsageError: it says something else.
    """
    known = table if isinstance(table, dict) else {"": None}
    aliases = known.get("aliases", {})
    if set(known) - {"aliases"} or not isinstance(aliases, dict):
        raise UsageError(f"{where} is not valid", hint='It holds: aliases = { champion = "production" }')
    found = {}
    for alias, stage in aliases.items():
        new_alias_name(alias)
        if not isinstance(stage, str):
            raise UsageError(f"{where} aliases gives {alias} no stage", hint='Write: champion = "production"')
        found[alias] = StageName(stage)
    return found


def of_stage(alias: str, meant: Mapping[str, StageName]) -> StageName:
    """The stage that an alias moves, unless another alias of the model moves that one.

    Args:
        alias: as the client wrote it.
        meant: aliases that the settings give a stage.
    """
    if alias in meant:
        return meant[alias]
    try:
        return StageName(alias.lower())
    except UsageError:
        return other_stage(alias)


def read_as(alias: str, meant: Mapping[str, StageName]) -> list[StageName]:
    """The stages that somebody may take an alias for who reads it, beside the one that it moves; each once.

    Args:
        alias: as the client wrote it.
        meant: aliases that the settings give a stage; one of them is taken for no other.
    """
    if alias in meant:
        return []
    found = [of_stage(alias, meant), *(stage for word, stage in meant.items() if _plain(word) == _plain(alias))]
    with suppress(UsageError):
        found.append(StageName(_plain(alias)))
    return list(dict.fromkeys(found))


def _plain(word: str) -> str:
    """What is left of a word for who reads it: without capitals, and with one letter for all that look like it."""
    return unicodedata.normalize("NFKC", word).casefold().translate(_ALIKE)


def other_stage(alias: str) -> StageName:
    """The stage that an alias moves where its own name cannot be one, or is another alias's."""
    return StageName(looks_like(alias, "alias"))


def _require_own_path(what: str, text: str) -> None:
    norm = posixpath.normpath(text)
    if norm != text or norm == "." or norm.startswith(("..", "/")):
        raise _invalid(
            what,
            text,
            "Names may be treated as files in certain cases, and must not resolve to other names when treated as such. "
            f"This name would resolve to {norm!r}",
        )


def _require_length(what: str, text: str, characters_max: int) -> None:
    if len(text) > characters_max:
        raise _wrong(f"'{what}' exceeds the maximum length of {characters_max} characters")


def _invalid(what: str, value: str, why: str) -> UsageError:
    return _wrong(f"Invalid value {json.dumps(value)} for parameter '{what}' supplied: {why}")


def _wrong(message: str) -> UsageError:
    return UsageError(message, hint="Write it otherwise.")
