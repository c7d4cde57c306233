"""What a search can ask of a version, read from its manifest and its lock; nothing is executed.

    facts_of(manifest, lock).numbers      (("metrics.accuracy", 0.94), ("params.lr", 0.1))
    facts_of(manifest, lock).texts        (("packages.numpy", "1.26.0"), ("data", "sha256:…"), ("file", "sha256:…"))

A field is written as a search writes it. Beside the version of a Python package stands its rank, which sorts it.
"""

import math
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from holdfast.canonical import Json, JsonObject, Reader, encode, plain
from holdfast.database.filters import SEARCHED_CHARACTERS_MAX
from holdfast.digest import hash_bytes
from holdfast.errors import UnsupportedFormat
from holdfast.evidence import Environment, Holdout, Metrics, RunReference
from holdfast.manifest import Manifest
from holdfast.parts import DataSlice, Hyperparameters, Missing
from holdfast.registry.ranks import rank

__all__ = ["FACTS_MAX", "RANKS", "Facts", "facts_of", "plain_name"]

FACTS_MAX = 20_000
"""Of one version: a bundle's 10,000 files and as many of the rest. Each is a row in an index, written while all other
writers wait; what is past it is left out, and counted."""

_FIELD_CHARACTERS_MAX = 260
"""The longest name that a param of a run may have, behind its family."""

_NESTED_MAX = 8
"""Levels of a configuration that get names of their own; below them it is compared as the JSON that it is."""

RANKS = "ranks"
"""The family in which ranks of Python packages stand; no search can name it."""

_PINNED = re.compile(
    r"^[ \t]*(?:\#[ \t]*)?([A-Za-z0-9][\w.-]*)(?:\[[^\]\n]*\])?[ \t]*={2,3}[ \t]*([^\s;,#\\]+)", re.ASCII | re.MULTILINE
)
"""A pin, or the comment that stands where a pin would bring something else."""

_SEPARATORS = re.compile("[-_.]+")


@dataclass(frozen=True, slots=True)
class Facts:
    """What is known of one version.

    Attributes:
        numbers: pairs of a field and a number; each once.
        texts: pairs of a field and a text; each once.
        left_out: how many there are beside these.
    """

    numbers: tuple[tuple[str, float], ...]
    texts: tuple[tuple[str, str], ...]
    left_out: int = 0

    def __len__(self) -> int:
        return len(self.numbers) + len(self.texts)

    def to_json(self) -> JsonObject:
        """The facts as they travel to a server that keeps no bytes."""
        return {
            "numbers": [[field, value] for field, value in self.numbers],
            "texts": [[field, value] for field, value in self.texts],
            "left_out": self.left_out,
        }

    @classmethod
    def from_json(cls, reader: Reader) -> "Facts":
        """The facts that `to_json` wrote.

        Raises:
            UnsupportedFormat: something else.
        """
        try:
            numbers = tuple((str(field), float(value)) for field, value in reader.items("numbers"))
            texts = tuple((str(field), str(value)) for field, value in reader.items("texts"))
        except (TypeError, ValueError) as error:
            raise UnsupportedFormat(
                f"{reader.where} holds a fact that is not a field and a value", hint="Holdfast did not write it."
            ) from error
        return _bounded(numbers, texts, reader.integer("left_out"))


def facts_of(manifest: Manifest, lock: str) -> Facts:
    """Everything that a search can ask of the version.

    Args:
        manifest: of the version.
        lock: the pinned requirements of its bundle; empty where it has none.
    """
    return _bounded(_fitting(_numbers(manifest)), _fitting(_texts(manifest, lock)))


def plain_name(name: str) -> str:
    """The one spelling of a Python package's name: `scikit_learn` and `Scikit-Learn` are `scikit-learn` (PEP 503)."""
    return _SEPARATORS.sub("-", name).lower()


def _bounded(numbers: Iterable[tuple[str, float]], texts: Iterable[tuple[str, str]], left_out: int = 0) -> Facts:
    some, more = tuple(dict.fromkeys(numbers)), tuple(dict.fromkeys(texts))
    kept_numbers = some[:FACTS_MAX]
    kept_texts = more[: FACTS_MAX - len(kept_numbers)]
    return Facts(kept_numbers, kept_texts, left_out + len(some) + len(more) - len(kept_numbers) - len(kept_texts))


def _fitting(found: Iterable[tuple[str, Json]]) -> Iterator[tuple[str, Json]]:
    """Without what has no name that a search could write, or a text that no database keeps."""
    for field, value in found:
        if len(field) <= _FIELD_CHARACTERS_MAX and field.isprintable() and (not isinstance(value, str) or _kept(value)):
            yield field, value


def _kept(text: str) -> bool:
    return "\0" not in text and not any("\ud800" <= character <= "\udfff" for character in text)


def _numbers(manifest: Manifest) -> Iterator[tuple[str, float]]:
    for name, value in _metrics(manifest).items():
        yield f"metrics.{name}", value
    for name, said in _params(manifest):
        if _is_number(said):
            yield f"params.{name}", float(said)


def _metrics(manifest: Manifest) -> Mapping[str, float]:
    """What the run logged; what was measured on the holdout goes before it."""
    run, metrics = manifest.evidence.run, manifest.evidence.metrics
    logged = run.values.get("metrics") if isinstance(run, RunReference) else None
    found = {name: float(value) for name, value in (logged or {}).items() if _is_number(value)}
    return {**found, **(metrics.values if isinstance(metrics, Metrics) else {})}


def _is_number(value: Json) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def _params(manifest: Manifest) -> Iterator[tuple[str, Json]]:
    part = manifest.parts.hyperparameters
    if isinstance(part, Hyperparameters):
        yield from _flat("", part.values, _NESTED_MAX)


def _flat(above: str, values: Mapping[str, Json], levels: int) -> Iterator[tuple[str, Json]]:
    for name, value in values.items():
        if isinstance(value, Mapping) and value and levels:
            yield from _flat(f"{above}{name}.", value, levels - 1)
        else:
            yield f"{above}{name}", value


def _texts(manifest: Manifest, lock: str) -> Iterator[tuple[str, str]]:
    for name, value in _params(manifest):
        shown = value if isinstance(value, str) else encode(plain(value)).decode()
        yield f"params.{name}", shown[:SEARCHED_CHARACTERS_MAX]
    run = manifest.evidence.run
    tags = run.values.get("tags") if isinstance(run, RunReference) else None
    for name, value in (tags or {}).items():
        yield f"tags.{name}", str(value)[:SEARCHED_CHARACTERS_MAX]
    for name, version in _pinned(manifest, lock):
        yield f"packages.{name}", version
        ranked = rank(version)
        if ranked is not None:
            yield f"{RANKS}.{name}", ranked
    for name, part in manifest.parts.by_name().items():
        if not isinstance(part, Missing):
            yield from _both("parts", name, str(hash_bytes(encode(plain(part.to_json())))))
    for role, digest in _data(manifest):
        yield from _both("data", role, digest)
    for entry in manifest.files:
        yield "file", str(entry.digest)


def _both(family: str, name: str, digest: str) -> Iterator[tuple[str, str]]:
    """Under its own name, and among all of its family."""
    yield family, digest
    yield f"{family}.{name}", digest


def _pinned(manifest: Manifest, lock: str) -> Iterator[tuple[str, str]]:
    environment = manifest.evidence.environment
    if isinstance(environment, Environment):
        yield "python", environment.python
    for name, version in _PINNED.findall(lock):
        yield plain_name(name), version[:SEARCHED_CHARACTERS_MAX]


def _data(manifest: Manifest) -> Iterator[tuple[str, str]]:
    data, holdout = manifest.parts.data_slice, manifest.evidence.holdout
    for item in data.inputs if isinstance(data, DataSlice) else ():
        yield item.role, str(item.digest)
    if isinstance(holdout, Holdout) and holdout.snapshot is not None:
        yield "holdout", str(holdout.snapshot)
