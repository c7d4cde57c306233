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

    [rules.fairness]                # a rule of the project's own, which a stage may then ask
    file = "gates/fairness.py"
    function = "check"

    [retention]                     # which versions stay at hand; upkeep reads it
    versions = 3

    [access.groups]                 # what a provider's groups may; a server reads it

    [serve.watch]                   # how models are served; a replica reads it, and [model.churn.serve.watch]

    [mlflow]                        # which stages the aliases of MLflow's clients mean; a server reads it
    aliases = { champion = "production" }

A key that is not known is an error: a policy that is misspelt protects nobody.
"""

import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from holdfast.config import POLICY_NAME
from holdfast.errors import NotFound, UsageError
from holdfast.flow.gate.sources import CodeSource, declared
from holdfast.flow.gate.stage_policy import StagePolicy, require_known
from holdfast.names import ModelName, StageName
from holdfast.registry.values import STAGES
from holdfast.store.disk import refusing

__all__ = ["POLICY_STUB", "Policy", "text_of"]

_DEPTH_MAX = 32
"""Six levels lead to the parameters of a rule of one's own for one model; what is deeper is a mistake, or an attack."""

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
# schema = "compatible"         # "any" lets a version through that breaks clients
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


@dataclass(frozen=True, slots=True)
class Policy:
    """The policy of a project.

    Attributes:
        stages: the stages that models of this project have.
        document: the parsed file; its `[retention]` is taken apart by those who archive, `[access]` and `[mlflow]` by
            a server, `[serve]` by a replica.
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
            return cls.parse(text_of(path), where=path.name)
        except NotFound:
            return cls()

    @classmethod
    def parse(cls, text: str, *, where: str) -> "Policy":
        """The policy that `text` writes; `where` names it in errors."""
        try:
            document = tomllib.loads(text)
            _require_shallow(document, where)
        except RecursionError as error:
            raise _too_deep(where) from error
        except ValueError as error:  # no TOML, or a number with more digits than any number needs
            raise UsageError(f"{where} is not TOML: {error}", hint="Mend that line.") from error
        require_known(document, {"stages", "gate", "model", "rules", "retention", "access", "serve", "mlflow"}, where)
        stages = _table(document.get("stages", {}), f"{where} [stages]")
        require_known(stages, {"names"}, f"{where} [stages]")
        policy = cls(_stages(stages.get("names", [str(name) for name in STAGES]), f"{where} [stages]"), document, where)
        policy._check(where)
        return policy

    def for_stage(self, model: ModelName | None, stage: StageName) -> StagePolicy:
        """What `stage` asks of versions of `model`: the defaults, then the stage's table, then the model's."""
        return self._asked(str(stage), self._tables(model, stage), f"{self.where} [gate.{stage}]")

    def _asked(self, stage: str, table: Mapping[str, Any], where: str) -> StagePolicy:
        asked = StagePolicy.parse(stage, table, where, self._own())
        judged_by = {asked.metric, asked.threshold_metric, *asked.guards, *asked.metrics_min}
        if "cost" in judged_by and asked.cost is None:
            raise UsageError(
                f"{where} judges by cost, and nothing says what wrong answers cost",
                hint="Say it: cost = { false_positive = 1.0, false_negative = 20.0 }",
            )
        return asked

    def _own(self) -> Mapping[str, CodeSource]:
        return declared(self.document.get("rules", {}), self.where)

    def written(self, model: ModelName | None, stage: StageName) -> tuple[str, ...]:
        """The keys that the file writes for this model and stage, in its own table or in that of all models."""
        return tuple(self._tables(model, stage))

    def protects(self, model: ModelName, stage: StageName) -> bool:
        """Whether the file has a table for this stage, empty or not: of all models, or of this one."""
        special = self.document.get("model", {}).get(str(model), {}).get("gate", {})
        return str(stage) in self.document.get("gate", {}) or str(stage) in special

    def has_rules_for(self, model: ModelName) -> bool:
        """Whether the file has tables for this model alone."""
        return str(model) in self.document.get("model", {})

    def every_stage(self) -> Iterator[tuple[str, StageName, StagePolicy]]:
        """Each stage that the policy names or has: the name of its table, the stage, and what it asks.

        First what it asks of every model, then of those that have tables of their own.
        """
        for stage in self.stages:
            yield f"gate.{stage}", stage, self.for_stage(None, stage)
        for model, tables in self.document.get("model", {}).items():
            for stage in tables.get("gate", {}):
                found = self.for_stage(ModelName(model), StageName(stage))
                yield f"model.{model}.gate.{stage}", StageName(stage), found

    def _tables(self, model: ModelName | None, stage: StageName) -> dict[str, Any]:
        general = self.document.get("gate", {}).get(str(stage), {})
        if model is None:
            return dict(general)
        special = self.document.get("model", {}).get(str(model), {}).get("gate", {}).get(str(stage), {})
        return {**general, **special}

    def _check(self, where: str) -> None:
        self._own()
        general = self.document.get("gate", {})
        self._check_gates(general, {}, where, "gate")
        for model, tables in _table(self.document.get("model", {}), f"{where} [model]").items():
            require_known(_table(tables, f"{where} [model.{model}]"), {"gate", "serve"}, f"{where} [model.{model}]")
            _model_name(model, where)
            self._check_gates(tables.get("gate", {}), general, where, f"model.{model}.gate")

    def _check_gates(self, gates: Any, under: Mapping[str, Any], where: str, name: str) -> None:
        """Each table as it counts: over that of the same stage for all models, if it is a model's own."""
        require_known(_table(gates, f"{where} [{name}]"), {str(stage) for stage in self.stages}, f"{where} [{name}]")
        for stage, table in gates.items():
            place = f"{where} [{name}.{stage}]"
            self._asked(stage, {**under.get(stage, {}), **_table(table, place)}, place)


def text_of(path: Path) -> str:
    """What stands in a policy file.

    Raises:
        NotFound: there is none.
        UsageError: it is not UTF-8.
        PermissionRefused: it cannot be read.
    """
    try:
        with refusing(path):
            return path.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise UsageError(f"{path.name} is not UTF-8: {error.reason}", hint="Save it as UTF-8.") from error


def _require_shallow(value: Any, where: str, depth: int = _DEPTH_MAX) -> None:
    """Refuse what could not be written into an error either."""
    if depth == 0:
        raise _too_deep(where)
    for item in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
        _require_shallow(item, where, depth - 1)


def _too_deep(where: str) -> UsageError:
    return UsageError(f"{where} holds tables within tables without end", hint=f"{_DEPTH_MAX} levels are read at most.")


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


def _all_texts(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(item, str) for item in value)


def _table(value: Any, where: str) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise UsageError(f"{where} is not a table", hint="Write it as a table, such as [gate.production].")
    return value
