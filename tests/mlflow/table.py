"""The table of calls in `docs/mlflow.md`, from what a walk over them found."""

from collections.abc import Iterable, Mapping
from typing import Any

from tests.mlflow.calls.families import family_of
from tests.mlflow.differences import DIFFERENCES, FAMILIES

__all__ = ["BEGIN", "COMMANDS", "END", "placed", "table"]

BEGIN = "<!-- the walk over all calls writes from here: make goldens -->"
COMMANDS = "<!-- the walk over the commands writes from here: make goldens -->"
END = "<!-- to here -->"

_WORDS = {"works": "works", "refused": "refused on purpose", "not offered": "not offered"}


def table(answers: Mapping[str, Any]) -> str:
    """Every call with its answer, then families of calls, then what else differs."""
    lines = ["| call | answer |", "|---|---|"]
    families: dict[str, list[str]] = {name: [] for name in FAMILIES}
    for name in answers:
        if name.startswith("edge: "):
            continue
        family = family_of(name)
        if family is not None:
            families[family].append(_called(name))
        else:
            lines.append(f"| {_called(name)} | {_answer(name)} |")
    for family, calls in families.items():
        lines.append(f"| {family}: {len(calls)} calls, such as {calls[0]} | not offered: {FAMILIES[family]} |")
    return "\n".join([*lines, "", *_edges(answers)])


def placed(text: str, inner: str, begin: str = BEGIN) -> str:
    """The document with the table between its two marks."""
    before, found, rest = text.partition(begin)
    _, end, after = rest.partition(END)
    assert found, f"docs/mlflow.md has no {begin}"
    assert end, f"docs/mlflow.md has no {END}"
    return f"{before}{begin}\n\n{inner}\n\n{END}{after}"


def _called(name: str) -> str:
    return f"`{name.replace('client.', 'MlflowClient.')}`"


def _answer(name: str) -> str:
    known = DIFFERENCES.get(name)
    return "works" if known is None else f"{_WORDS[known.kind]}: {known.reason}"


def _edges(answers: Mapping[str, Any]) -> Iterable[str]:
    found = [
        (name.removeprefix("edge: "), DIFFERENCES[name])
        for name in answers
        if name.startswith("edge: ") and name in DIFFERENCES
    ]
    if not found:
        return ()
    rows = (f"| {what.replace('|', chr(92) + '|')} | {_WORDS[known.kind]}: {known.reason} |" for what, known in found)
    return ("| what also differs | answer |", "|---|---|", *rows)
