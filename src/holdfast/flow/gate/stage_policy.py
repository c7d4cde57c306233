"""What one stage asks of a version: every key that a `[gate.STAGE]` table may have, each declared in one place."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from difflib import get_close_matches
from typing import Any, TypeVar

from holdfast.canonical import JsonObject
from holdfast.digest import Digest
from holdfast.errors import UsageError
from holdfast.flow.bundle.card import CARD_SECTIONS
from holdfast.flow.bundle.metrics import DIRECTIONS
from holdfast.flow.gate.catalogue import RULE_NAMES, in_order, usual
from holdfast.flow.gate.keys import Reader, above_zero, amount, choice, count, floors, share, switch, text, texts
from holdfast.formats import is_refused
from holdfast.runtime.key_files import is_fingerprint
from holdfast.runtime.limits import SECONDS_MAX, Limits

__all__ = ["ANY", "CUT_METRICS", "DEFAULT", "SAYS", "STRICT", "StagePolicy", "require_known"]

DEFAULT, STRICT = "default", "strict"

COMPATIBLE, ANY = "compatible", "any"

SAYS = {
    DEFAULT: "A version that is worse than the one it replaces by more than margin and harm_margin together passes in "
    "at most alpha of all cases; one that is better by these rows, or answers alike, passes.",
    STRICT: "A version that is worse than the one it replaces by more than margin passes in at most alpha of all "
    "cases; so does one that harms any group by more than group_margin.",
}
"""What error each of the two controls."""

_STRICT = {"margin": 0.01, "leakage_unread": "inconclusive"}
"""Where `strict` begins from another value: that nothing was lost at all, no number of rows would show; and that no row
was trained on, nothing shows where nothing can be read."""

_ALPHA_MAX = 0.5
"""From there on a coin decides better."""

_WORKER_BYTES_LEAST = 64 << 20
"""Python and Holdfast alone take thirty megabytes; a limit below this opens nothing."""

_METRICS = f"one of: {', '.join(sorted(DIRECTIONS))}"
_RULES = texts(f"a list of rules: {', '.join(RULE_NAMES)}", RULE_NAMES.__contains__)

CUT_METRICS = ("accuracy", "balanced_accuracy", "f1")
"""The metrics that have a best cut-off: precision or recall alone has its best where all rows are one kind."""

_NAME = re.compile(r"[^\W\d]\w*(\.[^\W\d]\w*)+\Z")


def _allowable(name: str) -> bool:
    """A digest, or a name that can be allowed: what calls, finds or reads whatever it is given cannot be."""
    if ":" in name:
        try:
            Digest.parse(name)
        except UsageError:
            return False
        return True
    module, _, last = name.rpartition(".")
    return _NAME.match(name) is not None and not is_refused(module, last)


def _nameable(key: str) -> bool:
    """The fingerprint of a key, written whole; or a file, which is looked for when it is needed."""
    return is_fingerprint(key) if key.startswith("sha256:") else bool(key.strip()) and key.isprintable()


T = TypeVar("T")


def _key(default: T, reader: Reader[Any]) -> T:
    """A key: what holds when it is not written, and how it is read."""
    told = {"reader": reader}
    made: T = field(default_factory=lambda: default, metadata=told)
    return made


@dataclass(frozen=True, slots=True)
class StagePolicy:
    """What one stage asks.

    Attributes:
        rules: the rules, by name; never empty.
        rules_also: rules besides those that the stage asks anyway; `rules` holds them too.
        policy: `DEFAULT` or `STRICT`, which say what a comparison has to show; see `SAYS`.
        metric: the metric to judge by; None: the candidate's own primary metric.
        margin: how far that metric may fall below the version that holds the stage; for errors, as a share of
            its error.
        harm_margin: by how much more it must be unlikely to have fallen, under `DEFAULT`.
        alpha: how unlikely: the chance of each error that a comparison is there to avoid.
        cluster: the holdout's column whose equal values say that rows belong together, if there is one.
        rows_min: fewer holdout rows than this decide nothing about a comparison.
        groups: the holdout's columns whose groups are watched; empty: those that the version names.
        group_margin: how far a group's mean may fall below the version that holds the stage.
        group_rows_min: a group with fewer rows is reported as untestable, never as passed.
        metrics_min: floors by metric (ceilings where lower is better).
        latency_ms_p95_max: the budget for one row, milliseconds, 95th percentile.
        schema: `COMPATIBLE` refuses what breaks clients and is not said by a higher MAJOR; `ANY` lets it happen.
        threshold_metric: the metric that the cut-off is judged by; None: the one that it was chosen by, or else the
            primary one.
        threshold_loss_max: how far that metric may lie below what the best cut-off would reach.
        calibration_error_max: how far scores may lie from the shares that come true, as a root mean square.
        card_sections: the sections that the model card must fill.
        leakage_share_max: which share of the holdout's rows may be among what was trained on, beyond those that repeat
            by chance.
        leakage_unread: what it means that no table that was trained on can be read: `pass`, or `inconclusive`.
        holdout: `any`, or `same`: the frozen rows must be those of the version that holds the stage.
        holdout_uses_max: how many versions may be judged on the same frozen rows.
        drift_psi_max: the population stability index up to which a column of the training data may have moved.
        executes_code: `allow` weights and transformers whose format can run code on load, as far as they import only
            what is listed; or `deny` them all.
        formats_allow: full names that a pickle may import besides, such as `mypkg.model.Net`; and digests of files that
            a person has looked at, such as `sha256:ab12…`, which pass whatever is in them.
        signed_by: the keys whose signatures count: files with public keys, relative to the project, such as
            `keys/release.pub`, or fingerprints, such as `sha256:ab12…`. Any of them asks the rule `signature` too.
        signatures_min: how many of them must have signed.
        approvals_min: how many persons must approve; the one who promotes is one of them.
        second_person: whether an approver must be somebody else than the one who registered the version.
        worker_memory_bytes_max: the private memory of a process that runs the version for the gate; None: as much as
            the machine has.
        worker_seconds_max: how long opening it may take, and each answer.
        worker_network: whether it may use the network meanwhile.
    """

    rules: tuple[str, ...] = _key(usual("production"), _RULES)
    rules_also: tuple[str, ...] = _key((), _RULES)
    policy: str = _key(DEFAULT, choice((DEFAULT, STRICT), '"default" or "strict"'))
    metric: str | None = _key(None, choice(DIRECTIONS, _METRICS))
    margin: float = _key(0.0, amount())
    harm_margin: float = _key(0.05, amount())
    alpha: float = _key(0.05, share(_ALPHA_MAX, "a number above 0 and below 0.5"))
    cluster: str | None = _key(None, text("a column of the holdout"))
    rows_min: int = _key(30, count(0))
    groups: tuple[str, ...] = _key((), texts("a list of columns of the holdout"))
    group_margin: float = _key(0.05, amount())
    group_rows_min: int = _key(20, count(1))
    metrics_min: Mapping[str, float] = _key(
        {}, floors(DIRECTIONS, f"a table of numbers, such as {{ recall = 0.9 }}, by {_METRICS}")
    )
    latency_ms_p95_max: float = _key(100.0, amount())
    schema: str = _key(COMPATIBLE, choice((COMPATIBLE, ANY), '"compatible" or "any"'))
    threshold_metric: str | None = _key(None, choice(CUT_METRICS, f"one of: {', '.join(CUT_METRICS)}"))
    threshold_loss_max: float = _key(0.02, amount())
    calibration_error_max: float = _key(0.05, amount())
    card_sections: tuple[str, ...] = _key(CARD_SECTIONS, texts("a list of headings", bool))
    leakage_share_max: float = _key(0.001, amount())
    leakage_unread: str = _key("pass", choice(("pass", "inconclusive"), '"pass" or "inconclusive"'))
    holdout: str = _key("any", choice(("any", "same"), '"any" or "same"'))
    holdout_uses_max: int = _key(50, count(1))
    drift_psi_max: float = _key(0.25, amount())
    executes_code: str = _key("allow", choice(("allow", "deny"), '"allow" or "deny"'))
    formats_allow: tuple[str, ...] = _key(
        (),
        texts(
            'names such as "mypkg.model.Net" that run nothing of somebody else\'s choice, or digests of files',
            _allowable,
        ),
    )
    signed_by: tuple[str, ...] = _key(
        (),
        texts('a list of files with public keys, such as "keys/release.pub", or fingerprints "sha256:…"', _nameable),
    )
    signatures_min: int = _key(1, count(1))
    approvals_min: int = _key(1, count(1))
    second_person: bool = _key(False, switch())
    worker_memory_bytes_max: int | None = _key(None, count(_WORKER_BYTES_LEAST))
    worker_seconds_max: float = _key(SECONDS_MAX, above_zero())
    worker_network: bool = _key(False, switch())

    @classmethod
    def parse(cls, stage: str, table: Mapping[str, Any], where: str) -> "StagePolicy":
        """What a stage's table asks; `where` names it in errors.

        Raises:
            UsageError: an unknown key, a value that the key does not take, or no rules at all.
        """
        readers: dict[str, Reader[Any]] = {item.name: item.metadata["reader"] for item in fields(cls)}
        require_known(table, set(readers), where)
        values: dict[str, Any] = _STRICT.copy() if table.get("policy") == STRICT else {}
        for key, value in table.items():
            found = readers[key].read(value)
            if found is None:
                raise UsageError(f"{where} {key} = {value!r} is not valid", hint=f"It takes {readers[key].takes}.")
            values[key] = found
        keys, also = values.get("signed_by", ()), values.get("rules_also", ())
        rules = in_order({*values.get("rules", usual(stage)), *also, *(("signature",) if keys else ())})
        if not rules:
            raise UsageError(
                f"{where} has no rules", hint="A gate without rules lets nothing through; name at least one."
            )
        if keys and values.get("signatures_min", 1) > len(set(keys)):
            raise UsageError(
                f"{where} signatures_min = {values['signatures_min']}, and signed_by names {len(set(keys))} keys",
                hint="Name as many keys as must have signed, or more.",
            )
        return cls(**{**values, "rules": rules})

    def worker_limits(self) -> Limits:
        """What a process may use that runs a version for the gate."""
        return Limits.of_gate(
            memory_bytes_max=self.worker_memory_bytes_max,
            seconds_max=self.worker_seconds_max,
            network=self.worker_network,
        )

    def to_json(self) -> JsonObject:
        """The policy as a verdict keeps it."""
        return {
            item.name: list(value) if isinstance(value := getattr(self, item.name), tuple) else value
            for item in fields(self)
        }


def require_known(table: Mapping[str, Any], keys: set[str], where: str) -> None:
    """Refuse a table with a key that is none of `keys`: a policy that is misspelt protects nobody.

    Raises:
        UsageError: there is one; the hint says which is nearest.
    """
    unknown = sorted(set(table) - keys)
    if unknown:
        near = get_close_matches(unknown[0], sorted(keys), n=1)
        meant = f"Did you mean {near[0]}? " if near else ""
        raise UsageError(f"{where} has the unknown key {unknown[0]!r}", hint=f"{meant}Known: {', '.join(sorted(keys))}")
