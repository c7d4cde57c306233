"""The environment of a logged model: what the plugin pinned, or what MLflow wrote into its requirements."""

import re
from collections.abc import Mapping

from holdfast.bridges.mlflow.documents import mapping_of, text_in, yaml_in
from holdfast.bridges.mlflow.mlmodel import LoggedModel
from holdfast.bridges.mlflow.said import LoggedFiles
from holdfast.bridges.mlflow.weights import ADDED_FOLDER
from holdfast.canonical import Json, JsonObject
from holdfast.errors import HoldfastError
from holdfast.evidence import Environment
from holdfast.flow.bundle.places import LOCK
from holdfast.parts import Missing
from holdfast.registry.facts import plain_name
from holdfast.runtime.environment import AS_OF, pins

__all__ = ["environment_of"]

_LOCK_BYTES_MAX = 4 << 20
"""A lock of a thousand packages with all their hashes has two megabytes."""

_PYTHON = re.compile(r"[0-9]{1,3}(\.[0-9]{1,3}){1,2}")
_CREATED = re.compile(r"([0-9]{4}-[0-9]{2}-[0-9]{2})[ T]([0-9]{2}:[0-9]{2}:[0-9]{2})", re.ASCII)

_UNPINNED_MAX = 100
"""Requirements without a version that are named; there is no environment with so many."""

_SHOWN_CHARACTERS_MAX = 200


def environment_of(
    files: LoggedFiles, model: LoggedModel | None, captured: tuple[str | None, str, Mapping[str, Json]]
) -> tuple[Environment | Missing, bytes]:
    """The environment, and the bytes of its lock.

    Args:
        files: of the logged model.
        model: what its MLmodel file says.
        captured: the lock, the version of Python and the rest that the plugin captured; the lock is None without it.
    """
    lock, python, values = captured
    said = text_in(files, f"{ADDED_FOLDER}/requirements.lock", _LOCK_BYTES_MAX) if lock is None else lock
    wanted, source = _requirements(files)
    python = python or _python(files, model)
    if not python:
        return Missing("environment", "nothing says which Python the model was logged from"), b""
    pinned, loose = _pinned(wanted)
    if said is not None:
        text = _completed(said, pinned)
        return Environment(python, LOCK, {**values, "lock": "captured"}), text.encode()
    if not pinned:
        why = f"{source} pins nothing" if source else "no requirements were logged with the model"
        return Missing("environment", why), b""
    told: JsonObject = {
        "lock": source,
        "unpinned": list(loose[:_UNPINNED_MAX]),
        "note": "as MLflow inferred it: what these requirements need in turn is not pinned",
        **({} if (moment := _moment(model)) is None else {AS_OF: moment}),
    }
    return Environment(python, LOCK, {**values, **told}), "".join(f"{line}\n" for line in pinned).encode()


def _python(files: LoggedFiles, model: LoggedModel | None) -> str:
    found = (_yaml(files, "python_env.yaml").get("python"), None if model is None else model.said("python_version"))
    return next((text for text in found if isinstance(text, str) and _PYTHON.fullmatch(text)), "")


def _moment(model: LoggedModel | None) -> str | None:
    """When the model was logged, to the second; MLflow writes `2026-03-01 09:00:00.123456`, in UTC."""
    found = None if model is None else _CREATED.match(model.created)
    return None if found is None else f"{found[1]}T{found[2]}Z"


def _requirements(files: LoggedFiles) -> tuple[list[str], str]:
    """The lines of the requirements, and the name of the file that they stand in; empty where there is none."""
    text = text_in(files, "requirements.txt", _LOCK_BYTES_MAX)
    if text is not None:
        return text.splitlines(), "requirements.txt"
    dependencies = _yaml(files, "conda.yaml").get("dependencies")
    found = [mapping_of(item).get("pip") for item in dependencies] if isinstance(dependencies, list) else []
    lines = [line for part in found if isinstance(part, list) for line in part if isinstance(line, str)]
    return lines, "conda.yaml" if lines else ""


def _yaml(files: LoggedFiles, path: str) -> JsonObject:
    try:
        return yaml_in(files, path) or {}
    except HoldfastError:
        return {}


def _pinned(lines: list[str]) -> tuple[list[str], list[str]]:
    """The lines that pin a version, and the names of the requirements that do not.

    Options, such as another index, are left out: an address may hold a password, and is nothing that a version is.
    """
    kept, loose = [], []
    for line in (raw.partition(" #")[0].strip() for raw in lines):
        if not line or line.startswith(("#", "-")):
            continue
        if pins(line):
            kept.append(line)
        else:
            name = re.match(r"[A-Za-z0-9._-]+", line)
            loose.append(name[0][:_SHOWN_CHARACTERS_MAX] if name and "://" not in line else "a requirement by address")
    return kept, loose


def _completed(lock: str, pinned: list[str]) -> str:
    """The lock that was captured, with what MLflow says it needs beside it."""
    known = {plain_name(name) for name, _ in pins(lock)}
    more = [line for line in pinned for name, _ in pins(line) if plain_name(name) not in known]
    return lock + ("\n" if lock and not lock.endswith("\n") and more else "") + "".join(f"{line}\n" for line in more)
