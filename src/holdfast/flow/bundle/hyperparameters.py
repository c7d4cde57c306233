"""The hyperparameters part: what a person logged, what stood on the command line, what the estimator says of itself."""

from collections.abc import Mapping
from typing import Any

from holdfast.canonical import Json, plain
from holdfast.flow.capture import Capture, parse_arguments
from holdfast.parts import Hyperparameters, Missing

__all__ = ["known_hyperparameters", "with_estimator"]

_SEED_NAMES = ("seed", "random_state", "random_seed")


def known_hyperparameters(params: Mapping[str, Any], capture: Capture | None) -> Hyperparameters | None:
    """What was logged, then what stood on the command line, with where each came from; None when there is not one."""
    values: dict[str, Json] = {}
    sources: dict[str, str] = {}
    argued = parse_arguments(capture.argv) if capture is not None else {}
    for source, found in (("run", params), ("arguments", argued)):
        for name, value in found.items():
            if name not in values:
                values[name], sources[name] = plain(value), source
    seeds: dict[str, Json] = {}
    if capture is not None:
        seeds = {call.name: call.value for call in capture.seeds.calls}
        if capture.seeds.asked is not None:
            seeds["run"] = capture.seeds.asked
    return Hyperparameters(values, sources, plain(seeds)) if values or seeds else None


def with_estimator(given: Hyperparameters | None, *estimators: Any) -> Hyperparameters | Missing:
    """The part, completed by what the estimators say of themselves, each name behind `estimator.`."""
    values = dict(given.values) if given is not None else {}
    sources = dict(given.sources) if given is not None else {}
    for estimator in estimators:
        for name, value in _estimator_params(estimator).items():
            key = f"estimator.{name}"
            if key not in values:
                values[key], sources[key] = plain(value), "estimator"
    if not values:
        return Missing("hyperparameters", "none were logged, given or found")
    seeds = {name: seed for name, seed in values.items() if _is_seed(name) and seed is not None}
    return Hyperparameters(values, sources, {**(given.seeds if given is not None else {}), **seeds})


def _is_seed(name: str) -> bool:
    return name.replace("__", ".").rpartition(".")[2] in _SEED_NAMES


def _estimator_params(model: Any) -> Mapping[str, Any]:
    if not callable(getattr(model, "get_params", None)) or isinstance(model, type):
        return {}
    found = model.get_params(deep=True)
    # An estimator inside an estimator is known by its own params; its repr would only repeat them.
    return {name: value for name, value in found.items() if not _holds_estimators(value)}


def _holds_estimators(value: Any) -> bool:
    if isinstance(value, list | tuple):
        return any(_holds_estimators(item) for item in value)
    return hasattr(value, "get_params")
