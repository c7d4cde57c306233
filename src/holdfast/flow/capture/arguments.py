"""Hyperparameters as they stand on the command line.

    parse_arguments(["python", "train.py", "--lr", "0.1", "--epochs=5", "--shuffle", "model.depth=3"])
    {"lr": 0.1, "epochs": 5, "shuffle": True, "model.depth": 3}

Nobody knows what a program makes of its arguments but the program itself. The rules here are those that argparse,
click, Typer and Hydra agree on: an option takes the word that follows it, unless that is an option too; numbers that
follow numbers belong to the same option; `name=value` sets a value; a repeated option is a list. A switch followed by a
file name is therefore read as an option with a value; the words stand in `argv` for whoever wants to check.
What stands before the program is not the program's: options of the interpreter, such as `-W ignore`, are left out.
"""

import math
import re
from collections.abc import Sequence

from holdfast.canonical import INTEGER_MAX, Json, JsonObject

__all__ = ["parse_arguments", "typed"]

_INTEGER = re.compile(r"[+-]?(0|[1-9]\d{0,15})\Z")
_FLOAT = re.compile(r"[+-]?((\d+\.\d*|\.\d+)([eE][+-]?\d+)?|\d+[eE][+-]?\d+)\Z")
_NEGATIVE = re.compile(r"-\.?\d")
_NAME = re.compile(r"\+{0,2}([A-Za-z_][\w./@-]*)=(.*)\Z", re.DOTALL)
_PROGRAM = re.compile(r".*\.(py|pyw|sh|bash|R|jl|ipynb|pex|pyz)\Z")
_PYTHON = re.compile(r"(.*[/\\])?(python|pypy)(\d+(\.\d+)*)?[dtw]?(\.exe)?\Z", re.IGNORECASE | re.DOTALL)
_WORDS = {"true": True, "false": False}

_SWITCHES = frozenset("bBdEhiIOPqRsSuvVx?")
_WITH_A_VALUE = frozenset("WX")
_RUNS = frozenset("cm")
"""Python's own options of one letter, several of which may share a word; "Command line and environment",
https://docs.python.org/3/using/cmdline.html."""

_LONG_WITH_A_VALUE = "--check-hash-based-pycs"
_LONG = frozenset({"--help", "--help-all", "--help-env", "--help-xoptions", "--version"})


def parse_arguments(argv: Sequence[str]) -> JsonObject:
    """The options of the program that `argv` starts, as typed values by name; dashes in names become underscores."""
    words = list(argv[_program(argv) + 1 :])
    found: JsonObject = {}
    place = 0
    while place < len(words):
        word = words[place]
        place += 1
        if word == "--":
            break
        if not _is_option(word):
            setting = _NAME.match(word)
            if setting:
                _add(found, setting[1], typed(setting[2]))
            continue
        name, equals, value = word.lstrip("-").partition("=")
        if equals:
            _add(found, _named(name), typed(value))
            continue
        values = _values(words[place:])
        place += len(values)
        _add(found, _named(name), True if not values else values[0] if len(values) == 1 else values)
    return found


def typed(text: str) -> Json:
    """The bool, int or float that `text` writes; else the text. Numbers that JSON cannot hold stay text."""
    if text.lower() in _WORDS:
        return _WORDS[text.lower()]
    if _INTEGER.match(text):
        return int(text) if abs(int(text)) <= INTEGER_MAX else text
    if _FLOAT.match(text) and math.isfinite(float(text)):
        return float(text)
    return text


def _program(argv: Sequence[str]) -> int:
    """The place of what is run: the script, the module after `-m`, the code after `-c`, or else the first word."""
    for place, word in enumerate(argv):
        # After an option of a launcher's, it may be the value of that.
        if _PYTHON.match(word) and not (place and _is_option(argv[place - 1])):
            found = _run_by_python(argv, place)
            if found is not None:
                return found
        if _PROGRAM.match(word):
            return place
        if word == "-m" and place + 1 < len(argv):
            return place + 1
    return 0


def _run_by_python(argv: Sequence[str], python: int) -> int | None:
    """The place of what an interpreter runs, or of its last option; None where a word is no option of Python's."""
    place = python + 1
    while place < len(argv):
        word = argv[place]
        if not word.startswith("-") or word == "-":  # a script of whatever name, or what comes on standard input
            return place
        if word.startswith("--"):
            if word not in _LONG and word.partition("=")[0] != _LONG_WITH_A_VALUE:
                return None
            place += 2 if word == _LONG_WITH_A_VALUE else 1
            continue
        letters = word[1:].lstrip("".join(_SWITCHES))
        if letters and letters[0] not in _RUNS | _WITH_A_VALUE:
            return None
        # The value is the rest of the word, or the word that follows.
        last = place + 1 if len(letters) == 1 else place
        if letters and letters[0] in _RUNS:
            return last
        place = last + 1
    return len(argv) - 1


def _is_option(word: str) -> bool:
    return len(word) > 1 and word.startswith("-") and not _NEGATIVE.match(word)


def _named(name: str) -> str:
    return name.replace("-", "_")


def _values(words: Sequence[str]) -> list[Json]:
    """What follows an option and belongs to it: one word, or as many numbers as follow each other."""
    if not words or _is_option(words[0]) or _NAME.match(words[0]):
        return []
    values = [typed(words[0])]
    if _is_number(values[0]):
        for word in words[1:]:
            value = typed(word)
            if not _is_number(value):
                break
            values.append(value)
    return values


def _is_number(value: Json) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def _add(found: JsonObject, name: str, value: Json) -> None:
    if name not in found:
        found[name] = value
        return
    before = found[name]
    found[name] = [
        *(before if isinstance(before, list) else [before]),
        *(value if isinstance(value, list) else [value]),
    ]
