"""Computing a decision again: the same bundle, in its own environment, asked the same."""

import json
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from holdfast.canonical import JsonObject
from holdfast.digest import Digest
from holdfast.errors import HoldfastError, UsageError
from holdfast.names import ByDigest, Reference
from holdfast.registry import Registry
from holdfast.runtime.at_hand import require_at_hand
from holdfast.runtime.bundle_files import BundleFiles
from holdfast.runtime.materialise import materialise
from holdfast.runtime.sent import Sent
from holdfast.runtime.smoke import SCORE_TOLERANCE
from holdfast.serving.ledger.finding import Found
from holdfast.store.interface import Store

__all__ = ["Asked", "Bench", "Replayed", "replay"]

_ROWS_TOLD_MAX = 100
"""Places named of an answer that differs; more tell nothing more."""


class Asked(Protocol):
    """A bundle that is open and can be asked: a `Predictor`."""

    def answer(self, shape: str, body: bytes, sent: Sent = ...) -> bytes:
        """What it answers to a request, as a replica sends it."""
        ...


@dataclass(frozen=True, slots=True)
class Bench:
    """What replaying works with.

    Attributes:
        registry: knows where a bundle is that is not here.
        store: has bundles.
        cache: where they are checked out.
        opener: starts a bundle in the environment that it names, under a version's number.
    """

    registry: Registry
    store: Store
    cache: Path
    opener: Callable[[BundleFiles, int], AbstractContextManager[Asked]]


@dataclass(frozen=True, slots=True)
class Replayed:
    """What came of asking again.

    Attributes:
        same: whether the answer is the same, but for numbers that differ by less than the tolerance.
        exact: whether its bytes are.
        differs: where it differs, such as `predictions[0]: 1 then, 0 now`.
        output: the answer of now; None where there was none.
        error: the code of the error of now.
    """

    same: bool
    exact: bool
    differs: tuple[str, ...]
    output: bytes | None
    error: str | None

    def to_json(self) -> JsonObject:
        """What `decision --replay` prints under `replay`."""
        return {
            "same": self.same,
            "exact": self.exact,
            "tolerance": SCORE_TOLERANCE,
            "differs": list(self.differs),
            "output": None if self.output is None else _parsed(self.output),
            "error": self.error,
        }


def replay(found: Found, bench: Bench, given: bytes | None = None) -> Replayed:
    """Ask the bundle of a decision again.

    Args:
        found: the decision.
        bench: what it takes.
        given: the input, where the ledger does not have it whole; its digest must be the recorded one.

    Raises:
        UsageError: the ledger does not have the input, and none was given or another one.
        Archived: the bundle was archived, and is not here.
        IntegrityError, NotFound: the bundle is damaged, or not here.
        BundleFailed: it cannot be opened in the environment that it names.
    """
    decision = found.decision
    body = _input(found, given)
    digest = Digest.parse(decision.digest)
    version = bench.registry.resolve(Reference(found.model, ByDigest(decision.digest)))
    require_at_hand(version, bench.registry, bench.store)
    files = materialise(bench.store, digest, bench.cache)
    output, error = None, None
    with bench.opener(files, decision.version) as opened:
        try:
            output = opened.answer(decision.shape, body, decision.form)
        except HoldfastError as refused:
            error = refused.code
    if output == decision.output and error == decision.error:
        return Replayed(same=True, exact=True, differs=(), output=output, error=error)
    differs = tuple(_differences(decision.output, output, decision.error, error))
    return Replayed(same=not differs, exact=False, differs=differs, output=output, error=error)


def _input(found: Found, given: bytes | None) -> bytes:
    decision = found.decision
    if given is not None:
        if decision.input_digest is None:
            raise UsageError(
                "the ledger keeps nothing of this input, so that none can be held against it",
                hint='Keep at least its digest from now on: inputs = "hashed" in [model.NAME.serve.ledger].',
            )
        if not decision.is_input(given):
            raise UsageError(
                "this is not the input of that decision: its digest is another one",
                hint="Give the bytes of the request as they were sent, to the last blank.",
                expected=decision.input_digest,
            )
        return given
    whole = decision.input
    if whole is None or not decision.is_input(whole):
        raise UsageError(
            f"the ledger does not have the whole input of this decision: it is {decision.input_kept}",
            hint="Whoever sent it may have it: --input FILE, whose digest is checked against the ledger.",
            kept=decision.input_kept,
        )
    return whole


def _differences(then: bytes | None, now: bytes | None, error_then: str | None, error_now: str | None) -> list[str]:
    if error_then != error_now:
        return [f"error: {error_then or 'none'} then, {error_now or 'none'} now"]
    if then is None or now is None:
        return ["output: there was none on one side"]
    told: list[str] = []
    _compare(_parsed(then), _parsed(now), "", told)
    return told[:_ROWS_TOLD_MAX]


def _parsed(data: bytes) -> Any:
    try:
        return json.loads(data)
    except (ValueError, RecursionError):
        return {"hex": data.hex()}


def _compare(then: Any, now: Any, place: str, told: list[str]) -> None:
    """Write down where two answers differ by more than the tolerance of a smoke."""
    if len(told) >= _ROWS_TOLD_MAX:
        return
    if isinstance(then, dict) and isinstance(now, dict) and then.keys() == now.keys():
        for name, value in then.items():
            _compare(value, now[name], f"{place}.{name}" if place else name, told)
    elif isinstance(then, list) and isinstance(now, list) and len(then) == len(now):
        for index, (one, other) in enumerate(zip(then, now, strict=True)):
            _compare(one, other, f"{place}[{index}]", told)
    elif not _is_same(then, now):
        told.append(f"{place or 'answer'}: {_short(then)} then, {_short(now)} now")


def _is_same(then: Any, now: Any) -> bool:
    if isinstance(then, float) or isinstance(now, float):
        numbers = all(isinstance(one, int | float) and not isinstance(one, bool) for one in (then, now))
        return numbers and abs(then - now) <= SCORE_TOLERANCE * max(1.0, abs(then))
    return type(then) is type(now) and bool(then == now)


def _short(value: Any) -> str:
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= 80 else f"{text[:79]}…"  # noqa: PLR2004 - one line of a terminal
