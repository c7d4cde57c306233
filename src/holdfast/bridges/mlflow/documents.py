"""Reading what MLflow writes in YAML and JSON, with limits: a client wrote it, and a server reads it."""

from typing import Any

from holdfast.bridges.mlflow.said import LoggedFiles
from holdfast.canonical import Json, JsonObject, decode, plain
from holdfast.errors import HoldfastError, MissingExtra, UnsupportedFormat

__all__ = ["DOCUMENT_BYTES_MAX", "json_in", "mapping_of", "text_in", "yaml_in"]

DOCUMENT_BYTES_MAX = 4 << 20
"""A signature of ten thousand columns has a megabyte; nothing else that is read here comes near it."""

_VALUES_MAX = 200_000
"""Values of one document, repeated ones counted each time: an alias in YAML makes a few bytes mean very many."""

_DEPTH_MAX = 32
"""Levels of a document: that of MLflow has six, and what people add to it a few more."""

_MESSAGE_CHARACTERS_MAX = 200
"""What is kept of a parser's complaint: where it stumbled, and not the document."""


def text_in(files: LoggedFiles, path: str, bytes_max: int = DOCUMENT_BYTES_MAX) -> str | None:
    """The text of a file; None where there is none, or where it is longer than `bytes_max`, or not UTF-8."""
    if not files.has(path):
        return None
    try:
        return files.read(path, bytes_max).decode("utf-8")
    except (HoldfastError, UnicodeDecodeError):
        return None


def json_in(files: LoggedFiles, path: str) -> Json:
    """The JSON value of a file; None where there is none that can be read."""
    text = text_in(files, path)
    try:
        return None if text is None else decode(text, what=path, exact=True)
    except HoldfastError:
        return None


def yaml_in(files: LoggedFiles, path: str) -> JsonObject | None:
    """The mapping that a YAML file holds, as JSON values; None where there is no such file.

    Raises:
        UnsupportedFormat: it holds no mapping, or is longer, deeper or larger than any that MLflow writes.
        MissingExtra: there is no library for YAML here.
    """
    if not files.has(path):
        return None
    found = _parsed(files.read(path, DOCUMENT_BYTES_MAX), path)
    if not isinstance(found, dict):
        raise UnsupportedFormat(f"{path} holds no mapping", hint="Log the model again.")
    _measure([found], path)
    return mapping_of(plain(found))


def mapping_of(value: Json) -> JsonObject:
    """The value where it is a mapping; an empty one where it is anything else."""
    return value if isinstance(value, dict) else {}


def _parsed(data: bytes, path: str) -> Any:
    try:
        import yaml
    except ImportError as error:
        raise MissingExtra("PyYAML is not installed", hint="Install it: pip install 'holdfast[server]'") from error
    try:
        # The safe loaders make values and never objects; that in C is ten times as quick.
        return yaml.load(data, Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))  # noqa: S506 - it is a safe one
    except (yaml.YAMLError, ValueError, TypeError, RecursionError) as error:
        raise UnsupportedFormat(
            f"{path} is no YAML that can be read: {str(error)[:_MESSAGE_CHARACTERS_MAX]}", hint="Log the model again."
        ) from error


def _measure(level: list[Any], path: str) -> None:
    """Refuse a document that means more than its bytes could say without aliases."""
    count = 0
    for _ in range(_DEPTH_MAX):
        count += len(level)
        if not level:
            return
        below: list[Any] = []
        for value in level:
            if isinstance(value, dict | list | tuple | set):
                below += [*value, *value.values()] if isinstance(value, dict) else list(value)
            if count + len(below) > _VALUES_MAX:
                break
        if count + len(below) > _VALUES_MAX:
            break
        level = below
    raise UnsupportedFormat(f"{path} nests deeper, or holds more, than any that MLflow writes", hint="Log it again.")
