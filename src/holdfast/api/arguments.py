"""The arguments of a decorated training function: which of them a run is remembered by."""

import inspect
from collections.abc import Callable, Iterator, Mapping
from typing import Any

__all__ = ["settings_of"]

_SETTING_CHARACTERS_MAX = 4_000
"""An argument that is longer than this is data, and no setting to remember a run by."""


def settings_of(
    function: Callable[..., Any], args: tuple[Any, ...], kwargs: Mapping[str, Any]
) -> Iterator[tuple[str, Any]]:
    """The arguments of a call that are settings (numbers, words, short lists of them) and no data, by name."""
    try:
        bound = inspect.signature(function).bind(*args, **kwargs)
    except TypeError:
        return  # the call itself will say what is wrong with it
    bound.apply_defaults()
    for name, value in bound.arguments.items():
        many = inspect.signature(function).parameters[name].kind is inspect.Parameter.VAR_KEYWORD
        for key, item in value.items() if many else [(name, value)]:
            if _is_setting(item) and len(str(item)) <= _SETTING_CHARACTERS_MAX:
                yield key, item


def _is_setting(value: Any) -> bool:
    if isinstance(value, Mapping):
        return all(_is_setting(item) for item in value.values())
    if isinstance(value, list | tuple):
        return all(_is_setting(item) for item in value)
    # The second kind is a NumPy scalar.
    return value is None or isinstance(value, bool | int | float | str) or getattr(value, "shape", None) == ()
