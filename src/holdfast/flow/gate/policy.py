"""Policy: what each stage asks of a version. Read from `holdfast.toml`; what the file does not say is the default.

    [stages]
    names = ["staging", "production", "archived"]

    [gate.production]
    margin = 0.0                    # how far the metric may fall below the version that holds the stage
    group_margin = 0.05             # the same for each group
    latency_ms_p95_max = 100.0      # one row, measured in the bundle's own process
    second_person = false           # whether the approver must be somebody else than the one who registered

    [model.churn.gate.production]   # the same keys, for one model
    metrics_min = { recall = 0.9 }

A key that is not known is an error: a policy that is misspelt protects nobody.
"""

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

from holdfast.canonical import JsonObject
from holdfast.errors import UsageError
from holdfast.names import ModelName, StageName
from holdfast.registry.values import STAGES

__all__ = ["RULE_NAMES", "Policy", "StagePolicy"]

RULE_NAMES = (
    "completeness",
    "integrity",
    "formats",
    "opens",
    "smoke",
    "not_worse",
    "groups",
    "metrics_min",
    "latency",
    "approver",
)
"""Every rule, in the order of the promotion's steps."""

_RULES_BY_STAGE = {
    "staging": ("completeness", "integrity", "formats", "opens", "smoke", "approver"),
    "archived": ("integrity", "approver"),
}
"""Where less than everything is asked by default: staging is there to try a version out, archived serves nobody."""


@dataclass(frozen=True, slots=True)
class StagePolicy:
    """What one stage asks.

    Attributes:
        rules: the rules, by name; never empty.
        metric: the metric to judge by; None: the candidate's own primary metric.
        margin: how far that metric may fall below the version that holds the stage.
        rows_min: fewer holdout rows than this decide nothing about a comparison.
        groups: the holdout's columns whose groups are watched; empty: those that the version names.
        group_margin: how far a group's mean may fall below the version that holds the stage.
        group_rows_min: a group with fewer rows is reported as untestable, never as passed.
        metrics_min: floors by metric (ceilings where lower is better).
        latency_ms_p95_max: the budget for one row, milliseconds, 95th percentile.
        executes_code: `allow` or `deny` weights and transformers whose format can run code on load.
        approvals_min: how many persons must approve; the one who promotes is one of them.
        second_person: whether an approver must be somebody else than the one who registered the version.
    """

    rules: tuple[str, ...] = RULE_NAMES
    metric: str | None = None
    margin: float = 0.0
    rows_min: int = 30
    groups: tuple[str, ...] = ()
    group_margin: float = 0.05
    group_rows_min: int = 20
    metrics_min: Mapping[str, float] = field(default_factory=dict)
    latency_ms_p95_max: float = 100.0
    executes_code: str = "allow"
    approvals_min: int = 1
    second_person: bool = False

    def to_json(self) -> JsonObject:
        """The policy as a verdict keeps it."""
        return {
            item.name: list(value) if isinstance(value := getattr(self, item.name), tuple) else value
            for item in fields(self)
        }


@dataclass(frozen=True, slots=True)
class Policy:
    """The policy of a project.

    Attributes:
        stages: the stages that models of this project have.
        document: the parsed file.
    """

    stages: tuple[StageName, ...] = STAGES
    document: Mapping[str, Any] = field(default_factory=dict)

    @classmethod
    def read(cls, path: Path) -> "Policy":
        """The policy in the file at `path`; the defaults when there is none.

        Raises:
            UsageError: not TOML, an unknown key, or a value of the wrong type.
        """
        try:
            text = path.read_text(encoding="utf-8")
        except FileNotFoundError:
            return cls()
        return cls.parse(text, where=path.name)

    @classmethod
    def parse(cls, text: str, *, where: str) -> "Policy":
        """The policy that `text` writes; `where` names it in errors."""
        try:
            document = tomllib.loads(text)
        except tomllib.TOMLDecodeError as error:
            raise UsageError(f"{where} is not TOML: {error}", hint="Mend that line.") from error
        _known(document, {"stages", "gate", "model"}, where)
        stages = _table(document.get("stages", {}), f"{where} [stages]")
        _known(stages, {"names"}, f"{where} [stages]")
        names = tuple(StageName(str(name)) for name in stages.get("names", STAGES))
        policy = cls(names, document)
        policy._check(where)
        return policy

    def for_stage(self, model: ModelName, stage: StageName) -> StagePolicy:
        """What `stage` asks of versions of `model`: the defaults, then the stage's table, then the model's."""
        return _stage_policy(str(stage), self._tables(str(model), str(stage)))

    def _tables(self, model: str, stage: str) -> dict[str, Any]:
        general = self.document.get("gate", {}).get(stage, {})
        special = self.document.get("model", {}).get(model, {}).get("gate", {}).get(stage, {})
        return {**general, **special}

    def _check(self, where: str) -> None:
        for stage, table in _table(self.document.get("gate", {}), f"{where} [gate]").items():
            _stage_policy(stage, _table(table, f"{where} [gate.{stage}]"))
        for model, tables in _table(self.document.get("model", {}), f"{where} [model]").items():
            _known(_table(tables, f"{where} [model.{model}]"), {"gate"}, f"{where} [model.{model}]")
            for stage, table in _table(tables.get("gate", {}), f"{where} [model.{model}.gate]").items():
                _stage_policy(stage, _table(table, f"{where} [model.{model}.gate.{stage}]"))


_NUMBERS = {"margin", "group_margin", "latency_ms_p95_max"}
_COUNTS = {"rows_min", "group_rows_min", "approvals_min"}


def _stage_policy(stage: str, table: Mapping[str, Any]) -> StagePolicy:
    where = f"[gate.{stage}]"
    _known(table, {item.name for item in fields(StagePolicy)}, where)
    values: dict[str, Any] = {"rules": _RULES_BY_STAGE.get(stage, RULE_NAMES)}
    for key, value in table.items():
        values[key] = _value(key, value, where)
    if not values["rules"]:
        raise UsageError(f"{where} has no rules", hint="A gate without rules lets nothing through; name at least one.")
    return StagePolicy(**values)


def _value(key: str, value: Any, where: str) -> Any:
    number = isinstance(value, int | float) and not isinstance(value, bool)
    match key:
        case "rules" if _all_texts(value) and set(value) <= set(RULE_NAMES):
            return tuple(value)
        case "groups" if _all_texts(value):
            return tuple(value)
        case "metrics_min" if isinstance(value, dict):
            return {str(name): float(floor) for name, floor in value.items()}
        case "metric" if isinstance(value, str):
            return value
        case "executes_code" if value in {"allow", "deny"}:
            return value
        case "second_person" if isinstance(value, bool):
            return value
        case _ if key in _NUMBERS and number and value >= 0:
            return float(value)
        case _ if key in _COUNTS and isinstance(value, int) and number and value >= 0:
            return value
    raise UsageError(
        f"{where} {key} = {value!r} is not valid", hint="docs/reference/policy.md lists what each key takes."
    )


def _all_texts(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(item, str) for item in value)


def _table(value: Any, where: str) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise UsageError(f"{where} is not a table", hint="Write it as a table, such as [gate.production].")
    return value


def _known(table: Mapping[str, Any], keys: set[str], where: str) -> None:
    unknown = sorted(set(table) - keys)
    if unknown:
        raise UsageError(f"{where} has the unknown key {unknown[0]!r}", hint=f"Known: {', '.join(sorted(keys))}")
