"""What one stage asks of a version: every key that a `[gate.STAGE]` table may have, each declared in one place."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from datetime import date
from difflib import get_close_matches
from typing import Any, TypeVar

from holdfast.canonical import Json, JsonObject, encode, plain
from holdfast.digest import Digest, hash_bytes
from holdfast.errors import UsageError
from holdfast.flow.bundle.card import CARD_SECTIONS
from holdfast.flow.bundle.metrics import DIRECTIONS
from holdfast.flow.gate.catalogue import RULE_NAMES, asked_by, in_order, usual
from holdfast.flow.gate.costs import Costs, costs
from holdfast.flow.gate.keys import (
    Reader,
    amount,
    choice,
    count,
    floors,
    margins,
    sets,
    share,
    switch,
    tables,
    text,
    texts,
)
from holdfast.flow.gate.named import allowable, nameable
from holdfast.flow.gate.sources import CodeSource, offered, require_declared
from holdfast.flow.gate.waivers import NEVER_WAIVED, WAIVABLE, Waiver, read_waivers, waiver_table
from holdfast.runtime.limits import SECONDS_MAX, Limits

__all__ = ["ANY", "CUT_METRICS", "DEFAULT", "SAYS", "STRICT", "StagePolicy", "require_known", "stage_keys"]

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

_SECONDS_MAX = 86_400.0
"""A gate that waits a day for one answer waits for nothing; and clocks of the system end somewhere."""

_METRICS = f"one of: {', '.join(sorted(DIRECTIONS))}"
_RULES = texts(f"a list of rules: {', '.join(RULE_NAMES)}, or names of your own that stand in [rules]")
_GROUPS = sets(
    'lists of two rules or more, such as [["latency", "groups"]]; none of them may be one of those that nobody can '
    f"waive: {', '.join(NEVER_WAIVED)}",
    lambda name: name not in NEVER_WAIVED,
)

CUT_METRICS = ("accuracy", "balanced_accuracy", "f1", "cost")
"""The metrics that have a best cut-off: precision or recall alone has its best where all rows are one kind."""

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
        any_of: groups of rules of which one needs to pass; `rules` holds them too, and each counts through its groups
            alone.
        waive: the waivers, whichever day it is.
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
        guards: metrics besides that may not get worse either, each with a `margin`, a `harm_margin`, or neither; what
            is left out is as for the metric.
        cost: what wrong answers cost; it makes `cost` a metric. None: nobody says.
        custom: what is handed to the rules of the project's own, by rule.
        latency_ms_p50_max: the budget for one row, milliseconds, median; None: none.
        latency_ms_p95_max: the same, 95th percentile.
        latency_ms_p99_max: the same, 99th percentile; None: none.
        latency_ratio_max: how many times as long a row may take as with the version that holds the stage; None: any.
        latency_batch_rows: how many rows a batch has.
        latency_ms_batch_p95_max: the budget for a batch, milliseconds, 95th percentile; None: none.
        memory_bytes_max: the most memory that its process may need; None: any.
        memory_ratio_max: how many times as much as the version that holds the stage; None: any.
        rehearsal_days_max: how old the rehearsal of going back may be, days.
        shadow_requests_min: of how many requests copies must have been compared in the candidate's shadow.
        shadow_agreement_min: which share of them must surely agree with the version that holds the stage.
        shadow_errors_max: which share may fail in the shadow alone; 0: none may have.
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
        worker_memory_bytes_max: private memory of each process that runs the version; None: all that the machine has.
        worker_seconds_max: how long opening it may take, and each answer.
        worker_network: whether it may use the network meanwhile.
        sources: where the code of those rules stands that are the project's own, by rule; no key of the stage's table,
            for `[rules]` says it once for all stages.
    """

    rules: tuple[str, ...] = _key(usual("production"), _RULES)
    rules_also: tuple[str, ...] = _key((), _RULES)
    any_of: tuple[tuple[str, ...], ...] = _key((), _GROUPS)
    waive: tuple[Waiver, ...] = _key((), Reader("tables with rule, by, reason and until", read_waivers))
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
    guards: Mapping[str, Mapping[str, float]] = _key(
        {},
        margins(
            DIRECTIONS, f"margins, such as {{ recall = 0.02 }} or {{ recall = {{ margin = 0.02 }} }}, by {_METRICS}"
        ),
    )
    cost: Costs | None = field(default=None, metadata={"reader": costs()})
    custom: Mapping[str, JsonObject] = _key({}, tables("one table for each rule of your own"))
    latency_ms_p50_max: float | None = _key(None, amount())
    latency_ms_p95_max: float = _key(100.0, amount())
    latency_ms_p99_max: float | None = _key(None, amount())
    latency_ratio_max: float | None = _key(None, amount())
    latency_batch_rows: int = _key(100, count(1))
    latency_ms_batch_p95_max: float | None = _key(None, amount())
    memory_bytes_max: int | None = _key(None, count(1))
    memory_ratio_max: float | None = _key(None, amount())
    rehearsal_days_max: int = _key(30, count(1))
    shadow_requests_min: int = _key(1_000, count(1))
    shadow_agreement_min: float = _key(0.9, amount())
    shadow_errors_max: float = _key(0.01, amount())
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
            allowable,
        ),
    )
    signed_by: tuple[str, ...] = _key(
        (),
        texts('a list of files with public keys, such as "keys/release.pub", or fingerprints "sha256:…"', nameable),
    )
    signatures_min: int = _key(1, count(1))
    approvals_min: int = _key(1, count(1))
    second_person: bool = _key(False, switch())
    worker_memory_bytes_max: int | None = _key(None, count(_WORKER_BYTES_LEAST))
    worker_seconds_max: float = _key(SECONDS_MAX, share(_SECONDS_MAX, f"seconds, above 0 and below {_SECONDS_MAX:g}"))
    worker_network: bool = _key(False, switch())
    sources: Mapping[str, CodeSource] = field(default_factory=dict)

    @classmethod
    def parse(
        cls, stage: str, table: Mapping[str, Any], where: str, own: Mapping[str, CodeSource] | None = None
    ) -> "StagePolicy":
        """What a stage's table asks.

        Args:
            stage: the stage.
            table: what its policy says.
            where: names the table in errors.
            own: the rules that the project declares.

        Raises:
            UsageError: an unknown key or rule, a value that the key does not take, or no rules at all.
        """
        own = own or {}
        readers = stage_keys()
        require_known(table, set(readers), where)
        values: dict[str, Any] = _STRICT.copy() if table.get("policy") == STRICT else {}
        for key, value in table.items():
            try:
                found = readers[key].read(value)
            except UsageError as error:
                raise UsageError(f"{where} {key} {error.message}", hint=error.hint) from error
            if found is None:
                raise UsageError(f"{where} {key} = {value!r} is not valid", hint=f"It takes {readers[key].takes}.")
            values[key] = found
        keys = values.get("signed_by", ())
        grouped = {rule for group in values.get("any_of", ()) for rule in group}
        asked = {*values.get("rules", usual(stage)), *values.get("rules_also", ()), *grouped}
        written = [key for key, value in values.items() if value not in ((), {})]
        rules = in_order({*asked, *asked_by(written)}) if asked else ()
        if not rules:
            raise UsageError(
                f"{where} has no rules", hint="A gate without rules lets nothing through; name at least one."
            )
        _require_composed(values, rules, grouped, where)
        if keys and values.get("signatures_min", 1) > len(set(keys)):
            raise UsageError(
                f"{where} signatures_min = {values['signatures_min']}, and signed_by names {len(set(keys))}",
                hint="Name as many keys as must have signed, or more.",
            )
        sources = _sources(values, own, rules, where)
        require_declared(values.get("custom", {}), {*own, *sources}, where)
        values["custom"] = {name: said for name, said in values.get("custom", {}).items() if name in sources}
        return cls(**{**values, "rules": rules, "sources": sources})

    @classmethod
    def from_json(cls, stage: str, written: JsonObject, where: str) -> "StagePolicy":
        """The policy that `to_json` wrote; what an earlier Holdfast did not know has its default.

        Law: `from_json(stage, policy.to_json(), where) == policy`.

        Raises:
            UsageError: it has a key or a value that this Holdfast does not know.
        """
        table = {key: value for key, value in written.items() if value is not None}
        # What is no list stays as it is, and `parse` refuses it: anybody may have written a verdict.
        groups = [group for group in _items(table.get("any_of")) if isinstance(group, list)]
        for key in {"rules", "rules_also"} & set(table):
            if isinstance(table[key], list):
                table[key] = [rule for rule in table[key] if not any(rule in group for group in groups)]
        if isinstance(table.get("waive"), list):
            table["waive"] = [waiver_table(one) if isinstance(one, dict) else one for one in table["waive"]]
        code = table.pop("sources", None)
        own = {
            name: CodeSource.from_json(name, one, where)
            for name, one in (code if isinstance(code, dict) else {}).items()
        }
        found = cls.parse(stage, table, where, own)
        # It writes every key, which asks for no rule by being written.
        return replace(found, rules=tuple(rule for rule in found.rules if rule in _items(written.get("rules"))))

    @property
    def digest(self) -> Digest:
        """The name of what is asked: the SHA-256 of `to_json` in canonical form. Every verdict says it."""
        return hash_bytes(encode(plain(self.to_json())))

    def require_timely(self, today: date, where: str) -> None:
        """Refuse waivers that end too far ahead.

        Raises:
            UsageError: one does.
        """
        for waiver in self.waive:
            waiver.require_near(today, where)

    def worker_limits(self) -> Limits:
        """What a process may use that runs a version for the gate."""
        return Limits.of_gate(
            memory_bytes_max=self.worker_memory_bytes_max,
            seconds_max=self.worker_seconds_max,
            network=self.worker_network,
        )

    def to_json(self) -> JsonObject:
        """The policy as a verdict keeps it."""
        return {item.name: _json(getattr(self, item.name)) for item in fields(self)}


def _require_composed(values: Mapping[str, Any], rules: tuple[str, ...], grouped: set[str], where: str) -> None:
    """Refuse what contradicts itself, and what lets everything through.

    Raises:
        UsageError: a rule is asked for alone and in a group, or every rule and every group is waived.
    """
    twice = sorted(grouped & {*values.get("rules", ()), *values.get("rules_also", ())})
    if twice:
        raise UsageError(
            f"{where} names {twice[0]} in any_of and among its rules",
            hint="In any_of it may fail when another one passes, among the rules not: name it once.",
        )
    waived = {waiver.rule for waiver in values.get("waive", ())}
    unknown = sorted(waived - {*RULE_NAMES, *rules})
    if unknown:
        raise UsageError(f"{where} waives {unknown[0]!r:.80}, which is no rule", hint=f"It can be {WAIVABLE}.")
    # A group counts as its best rule: one that is waived carries the others.
    carried = {rule for group in values.get("any_of", ()) if waived & set(group) for rule in group}
    if waived | carried >= set(rules):
        raise UsageError(
            f"{where} waives every rule that it asks",
            hint="A gate without rules lets nothing through; keep at least one that is not waived.",
        )


def _items(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []


def stage_keys() -> dict[str, Reader[Any]]:
    """Every key that a stage's table may have, with how it is read."""
    return {item.name: item.metadata["reader"] for item in fields(StagePolicy) if "reader" in item.metadata}


def _sources(
    values: Mapping[str, Any], own: Mapping[str, CodeSource], rules: Sequence[str], where: str
) -> dict[str, CodeSource]:
    """Where the code of those rules stands that are not Holdfast's."""
    wanted = [name for name in rules if name not in RULE_NAMES]
    known = {**offered([name for name in wanted if name not in own]), **own} if wanted else {}
    named = {key: values.get(key, ()) for key in ("rules", "rules_also")}
    named["any_of"] = tuple(rule for group in values.get("any_of", ()) for rule in group)
    for key, names in named.items():
        if any(name in wanted and name not in known for name in names):
            raise UsageError(f"{where} {key} = {list(values[key])!r} is not valid", hint=f"It takes {_RULES.takes}.")
    return {name: known[name] for name in wanted}


def _json(value: Any) -> Json:
    if isinstance(value, tuple):
        return [_json(item) for item in value]
    if isinstance(value, Mapping):
        return {name: _json(item) for name, item in value.items()}
    return value.to_json() if isinstance(value, Costs | CodeSource | Waiver) else value


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
