"""The process in which a function of a project's own runs, once.

    python -P -u -m holdfast.runtime.project_worker ANSWER < QUESTION

The question holds the source code, its limits and what it is asked; the answer goes to the file of that number:
`{"value": …}`, or `{"error": "…"}` with what it did instead. Output is not buffered: nothing that was printed gets lost
when the process ends at once. It may write to the folder that it stands in, and to no other. `project_code` is the
parent's end.
"""

import json
import os
import sys
import traceback
from importlib.util import find_spec, module_from_spec, spec_from_loader
from operator import attrgetter
from pathlib import Path
from types import ModuleType
from typing import Any

from holdfast.canonical import Json, JsonObject, Reader
from holdfast.runtime.case_view import CaseView, frozen, rows_of
from holdfast.runtime.confine import confine
from holdfast.runtime.limits import Limits

__all__ = ["main"]

_MESSAGE_CHARACTERS_MAX = 500
"""The last line of a traceback; a message that carries a table is cut."""


def main(arguments: list[str]) -> None:
    """Read the question, run the function, write the answer, and end with all threads that it left."""
    answer, ours = int(arguments[0]), os.getpid()
    with os.fdopen(0, "rb", closefd=False) as stream:
        asked: JsonObject = json.load(stream)
    confine(Limits.from_json(Reader(asked["limits"], "limits")), Path.cwd())
    text = json.dumps(_said(asked["program"], asked["request"]), default=_plain, separators=(",", ":"))
    if os.getpid() != ours:
        os._exit(1)  # a copy that the function made of this process, and that came back here too
    with os.fdopen(answer, "wb") as out:
        out.write(text.encode())
    os._exit(0)


def _said(program: JsonObject, request: JsonObject) -> JsonObject:
    """The answer of the function, or what it did instead."""
    try:
        module = _loaded(program)
        try:
            function = attrgetter(program["function"])(module)
        except AttributeError:
            return {"error": f"has no function {program['function']}"}
        value = _value(function, request)
        json.dumps(value, default=_plain, allow_nan=False)
    except Exception as error:  # noqa: BLE001 - somebody else's code may raise anything
        return {"error": _told(error, program["name"])}
    return {"value": value}


def _loaded(program: JsonObject) -> ModuleType:
    """The module, from the very bytes that were sent."""
    name = program["module"]
    spec = find_spec(name) if program["installed"] else spec_from_loader(name, loader=None, origin=program["name"])
    if spec is None:
        raise ModuleNotFoundError(name)
    module = module_from_spec(spec)
    sys.modules[name] = module
    module.__file__ = spec.origin
    exec(compile(program["text"].encode("latin-1"), program["name"], "exec"), module.__dict__)  # noqa: S102 - that is what this process is for
    return module


def _value(function: Any, request: JsonObject) -> Json:
    if request["op"] == "check":
        return _finding(function(CaseView.of(request["case"])))
    given = (frozen(request[name]) for name in ("targets", "predictions", "scores"))
    costs = function(*given, rows_of(request["rows"]))
    return list(_plain(costs) if hasattr(costs, "tolist") else costs)


def _finding(found: Any) -> JsonObject:
    """The four words of a finding, from a mapping or from whatever has them as attributes."""
    words = ("outcome", "sentence", "hint", "values", "rule")
    if isinstance(found, dict):
        strange = sorted(set(map(str, found)) - set(words))
        if strange:
            message = f"a finding has no {strange[0]!r}; it has outcome, sentence, hint and values"
            raise TypeError(message)
        return found
    said = {word: getattr(found, word) for word in words if hasattr(found, word)}
    if "outcome" not in said or "sentence" not in said:
        message = f"it returned {type(found).__name__}, and a finding has an outcome and a sentence"
        raise TypeError(message)
    return said


def _plain(value: Any) -> Json:
    """Numbers and arrays of numpy as those of Python; sequences and mappings of the view as lists and objects."""
    if hasattr(value, "tolist"):
        return value.tolist()
    if hasattr(value, "keys"):
        return dict(value)
    message = f"a {type(value).__name__} is no JSON value"
    raise TypeError(message)


def _told(error: Exception, name: str) -> str:
    """The last line of the traceback, and the line of the source that it was raised at."""
    lines = [frame.lineno for frame in traceback.extract_tb(error.__traceback__) if frame.filename == name]
    where = f" at line {lines[-1]}" if lines else ""
    said = " ".join("".join(traceback.format_exception_only(error)).split())
    return f"raised{where}: {said[:_MESSAGE_CHARACTERS_MAX]}"


if __name__ == "__main__":
    main(sys.argv[1:])
