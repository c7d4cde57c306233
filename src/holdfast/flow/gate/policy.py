"""Policy: what each stage asks of a version. Read from `holdfast.toml`; what the file does not say is the default.

    [stages]
    names = ["staging", "production", "archived"]

    [gate.production]
    policy = "default"              # or "strict", which asks for proof
    margin = 0.0                    # how far the metric may fall below the version that holds the stage
    harm_margin = 0.05              # a loss that must be unlikely, beyond the margin
    alpha = 0.05                    # how unlikely
    cluster = "customer"            # rows with one value of this column belong together
    group_margin = 0.05             # as margin, for each group
    latency_ms_p95_max = 100.0      # one row, measured in the bundle's own process
    second_person = false           # whether the approver must be somebody else than the one who registered

    [model.churn.gate.production]   # the same keys, for one model
    metrics_min = { recall = 0.9 }

    [retention]                     # which versions stay at hand; upkeep reads it
    versions = 3

    [access.groups]                 # what a provider's groups may; a server reads it

A key that is not known is an error: a policy that is misspelt protects nobody.
"""

import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from difflib import get_close_matches
from math import isfinite
from pathlib import Path
from typing import Any

from holdfast.canonical import JsonObject
from holdfast.config import POLICY_NAME
from holdfast.digest import Digest
from holdfast.errors import NotFound, UsageError
from holdfast.flow.bundle.metrics import DIRECTIONS
from holdfast.formats import is_refused
from holdfast.names import ModelName, StageName
from holdfast.registry.values import STAGES
from holdfast.store.disk import refusing

__all__ = ["DEFAULT", "POLICY_STUB", "RULE_NAMES", "SAYS", "STRICT", "Policy", "StagePolicy"]

POLICY_STUB = """\
# What each stage asks of a version. What stands here behind a # is the default.

[stages]
# names = ["staging", "production", "archived"]

[gate.production]
# policy = "default"            # "strict" asks for proof, and for more rows
# margin = 0.0                  # how far the metric may fall below the version that holds the stage
# harm_margin = 0.05            # a loss that must be unlikely, beyond the margin
# alpha = 0.05                  # how unlikely
# group_margin = 0.05           # as margin, for each group of rows
# group_rows_min = 20           # smaller groups are reported as untestable
# latency_ms_p95_max = 100.0    # one row, measured in the bundle's own process
# approvals_min = 1
# second_person = false         # true: somebody else than the one who registered must approve
# executes_code = "allow"       # "deny": no pickles at all
# formats_allow = []            # names that pickles may import, besides those of known libraries

[retention]
# versions = 3                  # the last ones that held a protected stage stay at hand
# stages = ["production"]       # those stages; when it is left out, all but staging and archived
# incident_days = 30            # how long a version stays after it left one
# recent_days = 30              # how long after it was registered or restored
# archive = "cold"              # the remote that takes the others; see: holdfast archive -h
"""
"""What `init` writes: nothing but the defaults, to be found where they can be changed."""

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

DEFAULT, STRICT = "default", "strict"

SAYS = {
    DEFAULT: "A version that is worse than the one it replaces by more than margin and harm_margin together passes in "
    "at most alpha of all cases; one that is better by these rows, or answers alike, passes.",
    STRICT: "A version that is worse than the one it replaces by more than margin passes in at most alpha of all "
    "cases; so does one that harms any group by more than group_margin.",
}
"""What error each of the two controls."""

_STRICT = {"margin": 0.01}
"""Where `strict` begins from another value: that nothing was lost at all, no number of rows would show."""

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
        executes_code: `allow` weights and transformers whose format can run code on load, as far as they import only
            what is listed; or `deny` them all.
        formats_allow: full names that a pickle may import besides, such as `mypkg.model.Net`; and digests of files that
            a person has looked at, such as `sha256:ab12…`, which pass whatever is in them.
        approvals_min: how many persons must approve; the one who promotes is one of them.
        second_person: whether an approver must be somebody else than the one who registered the version.
    """

    rules: tuple[str, ...] = RULE_NAMES
    policy: str = DEFAULT
    metric: str | None = None
    margin: float = 0.0
    harm_margin: float = 0.05
    alpha: float = 0.05
    cluster: str | None = None
    rows_min: int = 30
    groups: tuple[str, ...] = ()
    group_margin: float = 0.05
    group_rows_min: int = 20
    metrics_min: Mapping[str, float] = field(default_factory=dict)
    latency_ms_p95_max: float = 100.0
    executes_code: str = "allow"
    formats_allow: tuple[str, ...] = ()
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
        document: the parsed file; its `[retention]` is taken apart by those who archive, `[access]` by a server.
        where: its name.
    """

    stages: tuple[StageName, ...] = STAGES
    document: Mapping[str, Any] = field(default_factory=dict)
    where: str = POLICY_NAME

    @classmethod
    def read(cls, path: Path) -> "Policy":
        """The policy in the file at `path`; the defaults when there is none.

        Raises:
            UsageError: not TOML, an unknown key, or a value of the wrong type; the message says where.
            PermissionRefused: the file is there and cannot be read.
        """
        try:
            with refusing(path):
                text = path.read_text(encoding="utf-8")
        except NotFound:
            return cls()
        except UnicodeDecodeError as error:
            raise UsageError(f"{path.name} is not UTF-8: {error.reason}", hint="Save it as UTF-8.") from error
        return cls.parse(text, where=path.name)

    @classmethod
    def parse(cls, text: str, *, where: str) -> "Policy":
        """The policy that `text` writes; `where` names it in errors."""
        try:
            document = tomllib.loads(text)
        except tomllib.TOMLDecodeError as error:
            raise UsageError(f"{where} is not TOML: {error}", hint="Mend that line.") from error
        _known(document, {"stages", "gate", "model", "retention", "access"}, where)
        stages = _table(document.get("stages", {}), f"{where} [stages]")
        _known(stages, {"names"}, f"{where} [stages]")
        policy = cls(_stages(stages.get("names", [str(name) for name in STAGES]), f"{where} [stages]"), document, where)
        policy._check(where)
        return policy

    def for_stage(self, model: ModelName, stage: StageName) -> StagePolicy:
        """What `stage` asks of versions of `model`: the defaults, then the stage's table, then the model's."""
        return _stage_policy(str(stage), self._tables(str(model), str(stage)), f"[gate.{stage}]")

    def _tables(self, model: str, stage: str) -> dict[str, Any]:
        general = self.document.get("gate", {}).get(stage, {})
        special = self.document.get("model", {}).get(model, {}).get("gate", {}).get(stage, {})
        return {**general, **special}

    def _check(self, where: str) -> None:
        self._check_gates(self.document.get("gate", {}), where, "gate")
        for model, tables in _table(self.document.get("model", {}), f"{where} [model]").items():
            _known(_table(tables, f"{where} [model.{model}]"), {"gate"}, f"{where} [model.{model}]")
            _model_name(model, where)
            self._check_gates(tables.get("gate", {}), where, f"model.{model}.gate")

    def _check_gates(self, gates: Any, where: str, name: str) -> None:
        _known(_table(gates, f"{where} [{name}]"), {str(stage) for stage in self.stages}, f"{where} [{name}]")
        for stage, table in gates.items():
            _stage_policy(stage, _table(table, f"{where} [{name}.{stage}]"), f"{where} [{name}.{stage}]")


def _stages(names: Any, where: str) -> tuple[StageName, ...]:
    if not _all_texts(names) or not names:
        raise UsageError(f"{where} names = {names!r} is not valid", hint="It takes a list of names, at least one.")
    try:
        return tuple(StageName(name) for name in dict.fromkeys(names))
    except UsageError as error:
        raise UsageError(f"{where} names: {error.message}", hint=error.hint) from error


def _model_name(name: str, where: str) -> None:
    try:
        ModelName(name)
    except UsageError as error:
        raise UsageError(f"{where} [model.{name}]: {error.message}", hint=error.hint) from error


_AMOUNTS = {"margin", "harm_margin", "group_margin", "latency_ms_p95_max"}
_ALPHA_MAX = 0.5
"""From there on a coin decides better."""
_CHOICES = {"executes_code": ("allow", "deny"), "policy": (DEFAULT, STRICT), "metric": tuple(DIRECTIONS)}
_COUNTS = {"rows_min": 0, "group_rows_min": 1, "approvals_min": 1}
"""Keys that take a whole number, and the least of them."""

_TAKES = {
    "rules": f"a list of rules: {', '.join(RULE_NAMES)}",
    "metric": f"one of: {', '.join(sorted(DIRECTIONS))}",
    "groups": "a list of columns of the holdout",
    "metrics_min": f"a table of numbers, such as {{ recall = 0.9 }}, by one of: {', '.join(sorted(DIRECTIONS))}",
    "executes_code": '"allow" or "deny"',
    "formats_allow": 'names such as "mypkg.model.Net" that run nothing of somebody else\'s choice, or digests of files',
    "policy": '"default" or "strict"',
    "alpha": "a number above 0 and below 0.5",
    "cluster": "a column of the holdout",
    "second_person": "true or false",
    **dict.fromkeys(_AMOUNTS, "a number, zero or more"),
    **{key: f"a whole number, {least} or more" for key, least in _COUNTS.items()},
}


def _stage_policy(stage: str, table: Mapping[str, Any], where: str) -> StagePolicy:
    _known(table, {item.name for item in fields(StagePolicy)}, where)
    values: dict[str, Any] = {"rules": _RULES_BY_STAGE.get(stage, RULE_NAMES)}
    if table.get("policy") == STRICT:
        values |= _STRICT
    for key, value in table.items():
        values[key] = _value(key, value, where)
    if not values["rules"]:
        raise UsageError(f"{where} has no rules", hint="A gate without rules lets nothing through; name at least one.")
    return StagePolicy(**values)


def _value(key: str, value: Any, where: str) -> Any:
    found = _several(key, value) if isinstance(value, list | dict) else _single(key, value)
    if found is None:
        raise UsageError(f"{where} {key} = {value!r} is not valid", hint=f"It takes {_TAKES[key]}.")
    return found


def _several(key: str, value: Any) -> Any:
    match key:
        case "rules" if _all_texts(value) and set(value) <= set(RULE_NAMES):
            return tuple(name for name in RULE_NAMES if name in value)
        case "groups" | "formats_allow" if _all_texts(value) and (key == "groups" or all(map(_allowable, value))):
            return tuple(value)
        case "metrics_min" if isinstance(value, dict) and set(value) <= set(DIRECTIONS):
            if all(_is_number(floor) for floor in value.values()):
                return {name: float(floor) for name, floor in value.items()}
    return None


def _single(key: str, value: Any) -> Any:
    match value:
        case bool():
            return value if key == "second_person" else None
        case str():
            return value if value in _CHOICES.get(key, ()) or (key == "cluster" and value) else None
        case int() if key in _COUNTS and value >= _COUNTS[key]:
            return value
        case int() | float() if _is_number(value):
            fits = (key in _AMOUNTS and value >= 0) or (key == "alpha" and 0 < value < _ALPHA_MAX)
            return float(value) if fits else None
    return None


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


def _is_number(value: Any) -> bool:
    # TOML has nan and inf; a bound that nothing can pass, or that everything does, is a mistake.
    return isinstance(value, int | float) and not isinstance(value, bool) and isfinite(value)


def _all_texts(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(item, str) for item in value)


def _table(value: Any, where: str) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise UsageError(f"{where} is not a table", hint="Write it as a table, such as [gate.production].")
    return value


def _known(table: Mapping[str, Any], keys: set[str], where: str) -> None:
    unknown = sorted(set(table) - keys)
    if unknown:
        near = get_close_matches(unknown[0], sorted(keys), n=1)
        meant = f"Did you mean {near[0]}? " if near else ""
        raise UsageError(f"{where} has the unknown key {unknown[0]!r}", hint=f"{meant}Known: {', '.join(sorted(keys))}")
