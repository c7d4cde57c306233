"""Finding a verdict that was kept: by its digest, by how that begins, or as the last one on a version for a stage."""

import re
from collections.abc import Iterator
from itertools import islice

from holdfast.digest import Digest
from holdfast.errors import NotFound, UsageError
from holdfast.names import Reference, StageName
from holdfast.registry.interface import Registry
from holdfast.registry.records import Verdict, VerdictEntry

__all__ = ["verdict_named"]

_DIGITS_MIN = 4
"""Fewer begin the digests of half the verdicts."""

_DIGITS = 64

_NAMED_MAX = 5
"""Verdicts named where several begin alike."""


def verdict_named(name: str, stage: StageName, registry: Registry) -> Verdict:
    """The verdict that a person means.

    Args:
        name: its digest or how that begins, with or without `sha256:`; or a version, such as `churn@4`, whose last
            verdict for the stage is meant.
        stage: asked where a version is named.
        registry: where it is kept.

    Raises:
        NotFound: there is no such verdict, or no such version.
        UsageError: the name is neither, or several digests begin so.
    """
    if "@" in name:
        version = registry.resolve(Reference.parse(name))
        found = max(
            _every(registry, model=version.model, number=version.number, stage=stage),
            key=lambda entry: (entry.created_at, entry.digest),
            default=None,
        )
        if found is None:
            raise NotFound(
                f"no gate has judged {version.model}@{version.number} for {stage}",
                hint=f"Ask one: holdfast gate {version.model}@{version.number} --to {stage}",
            )
        return registry.verdict(found.digest)
    return registry.verdict(_digest(name, registry))


def _digest(name: str, registry: Registry) -> Digest:
    digits = name.removeprefix("sha256:")
    if not re.fullmatch(rf"[0-9a-f]{{{_DIGITS_MIN},{_DIGITS}}}", digits):
        raise UsageError(
            f"{name[:80]!r} names no verdict",
            hint=f"Give its digest, {_DIGITS_MIN} digits of it at least, or a version such as churn@4.",
        )
    if len(digits) == _DIGITS:
        return Digest(digits)
    found = list(islice(_every(registry, beginning=f"sha256:{digits}"), _NAMED_MAX))
    if not found:
        raise NotFound(f"no verdict begins with {name}", hint="See what was judged with: holdfast log")
    if len(found) > 1:
        raise UsageError(
            f"several verdicts begin with {name}",
            hint=f"Give more of the digest: {', '.join(str(entry.digest) for entry in found)}",
        )
    return found[0].digest


def _every(registry: Registry, **wanted: object) -> Iterator[VerdictEntry]:
    page = registry.verdicts(**wanted)  # type: ignore[arg-type]  # the callers above name what it takes
    while page:
        yield from page
        page = registry.verdicts(**wanted, after=page[-1].digest)  # type: ignore[arg-type]  # likewise
