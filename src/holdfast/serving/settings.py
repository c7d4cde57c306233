"""What a project says of its serving: `[serve]` of `holdfast.toml`, and `[model.NAME.serve]` over it, key by key.

    [serve]
    tracing = true

    [serve.watch]
    rows_per_second_max = 50

    [model.churn.serve.watch]
    rollback_on = ["errors", "latency"]

    settings = ServeSettings.of(policy.document, ModelName("churn"), policy.where)

Each subject has one frozen dataclass, and each of its fields says in one place what holds when it is not written, and
how it is read. A key that is not known is an error.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any, TypeVar, cast
from urllib.parse import urlsplit

from holdfast.errors import UsageError
from holdfast.flow.gate.keys import Reader, choice, count, share, switch, texts
from holdfast.flow.gate.stage_policy import require_known
from holdfast.names import ModelName
from holdfast.serving.alert_rules import BUILT_IN, AlertRule, alert_rules, rule_names
from holdfast.serving.queueing import BATCH_ROWS_MAX, BATCH_WAIT_MS_MAX, Batching

__all__ = ["BatchingSettings", "LedgerSettings", "ServeSettings", "WatchSettings", "key", "parsed"]

T = TypeVar("T")


def key(default: T, reader: Reader[Any]) -> T:
    """A key of a table: what holds when it is not written, and how it is read."""
    made: T = field(default_factory=lambda: default, metadata={"reader": reader})
    return made


def _is_url(text: str) -> bool:
    try:
        parts = urlsplit(text)
    except ValueError:
        return False
    return parts.scheme in {"http", "https"} and bool(parts.hostname)


@dataclass(frozen=True, slots=True)
class WatchSettings:
    """`[serve.watch]`: what is looked at, who is told, and what is taken back without asking.

    Attributes:
        rows_per_second_max: how many rows of requests are read a second, to compare them with those that the version
            knows; 0 compares nothing.
        alerts: rules besides those of Holdfast; one with the name of such a rule takes its place.
        silent: rules of Holdfast that are not wanted.
        webhooks: where alerts are sent, signed with `HOLDFAST_ALERT_SECRET`.
        rollback_on: rules whose alert takes a promotion back; empty: none does.
        rollbacks_per_day_max: how often all replicas of the stage together may do so in 24 hours.
        watch_minutes_after_move: for how long after a promotion they may.
    """

    rows_per_second_max: int = key(50, count(0))
    alerts: tuple[AlertRule, ...] = key((), alert_rules())
    silent: tuple[str, ...] = key((), rule_names())
    webhooks: tuple[str, ...] = key((), texts('a list of URLs, such as ["https://example.org/alerts"]', _is_url))
    rollback_on: tuple[str, ...] = key((), rule_names())
    rollbacks_per_day_max: int = key(1, count(0))
    watch_minutes_after_move: int = key(60, count(1))

    def require_sound(self, where: str) -> None:
        """Refuse what names rules that nobody has.

        Raises:
            UsageError: `silent` or `rollback_on` does.
        """
        known = {rule.name for rule in BUILT_IN}
        own = {rule.name for rule in self.alerts}
        wanted = (known | own) - set(self.silent)
        for name, names, there in (("silent", self.silent, known), ("rollback_on", self.rollback_on, wanted)):
            if lost := sorted(set(names) - there):
                raise UsageError(
                    f"{where} {name} names {lost[0]!r}, and there is no such rule",
                    hint=f"There are: {', '.join(sorted(there))}.",
                )


PAGE_SECONDS_MIN = 60
"""Each page is an event of the log: at most one a minute from each replica, so that the log stays one that is read."""


@dataclass(frozen=True, slots=True)
class LedgerSettings:
    """`[serve.ledger]`: which decisions are written down, and what of them.

    Attributes:
        keep: `none`: no ledger; `all`: every decision; `sample`: a share of them, told by the request's id.
        sample: which share that is.
        inputs: `whole`: what was asked, as it was sent; `hashed`: its digest alone; `none`: neither.
        redact: fields of a request whose values are dropped before anything is written.
        page_rows: a page is sealed when it has so many decisions ...
        page_seconds: ... or when its first one is so old.
        days_keep: for how long nothing deletes a page; 0: for ever.
    """

    keep: str = key("none", choice({"none", "all", "sample"}, '"none", "all" or "sample"'))
    sample: float = key(0.1, share(1.0, "a share between 0 and 1, such as 0.1"))
    inputs: str = key("whole", choice({"whole", "hashed", "none"}, '"whole", "hashed" or "none"'))
    redact: tuple[str, ...] = key((), texts('a list of fields, such as ["name", "email"]', bool))
    page_rows: int = key(50_000, count(1))
    page_seconds: int = key(900, count(PAGE_SECONDS_MIN))
    days_keep: int = key(0, count(0))

    @property
    def wanted(self) -> bool:
        """Whether anything is written down."""
        return self.keep != "none"

    @property
    def share(self) -> float:
        """The share of requests that is written down, above 0 up to 1."""
        return self.sample if self.keep == "sample" else 1.0


@dataclass(frozen=True, slots=True)
class BatchingSettings:
    """`[serve.batching]`: requests that are answered in one call of the version's code.

    Attributes:
        rows: how many rows one call takes at most; 0 answers requests one by one.
        wait_ms: how long the first of them waits for others while the version is free.
    """

    rows: int = key(0, count(0, BATCH_ROWS_MAX))
    wait_ms: int = key(0, count(0, BATCH_WAIT_MS_MAX))

    @property
    def batching(self) -> Batching | None:
        """What a version is opened with; None for one by one."""
        return Batching(self.rows, self.wait_ms / 1000.0) if self.rows > 1 else None


@dataclass(frozen=True, slots=True)
class ServeSettings:
    """`[serve]`: how a model is served.

    Attributes:
        tracing: whether each request is told to an OpenTelemetry collector.
        watch: what is looked at in what is answered.
        ledger: which decisions are written down.
        batching: which requests are answered together.
    """

    tracing: bool = key(default=False, reader=switch())
    watch: WatchSettings = field(default_factory=WatchSettings, metadata={"subject": WatchSettings})
    ledger: LedgerSettings = field(default_factory=LedgerSettings, metadata={"subject": LedgerSettings})
    batching: BatchingSettings = field(default_factory=BatchingSettings, metadata={"subject": BatchingSettings})

    @classmethod
    def of(cls, document: Mapping[str, Any], model: ModelName | None, where: str) -> "ServeSettings":
        """The settings of a model's serving.

        Args:
            document: the parsed policy file.
            model: whose; None: what holds for all models that say nothing.
            where: the file's name, for errors.

        Raises:
            UsageError: an unknown key, or a value that a key does not take; the message names the key.
        """
        place = f"{where} [serve]"
        found = parsed(cls, document.get("serve", {}), place)
        if model is not None:
            over = document.get("model", {}).get(str(model), {}).get("serve", {})
            place = f"{where} [model.{model}.serve]"
            parsed(cls, over, place)  # alone first, so that an error names the table it stands in
            found = parsed(cls, _over(document.get("serve", {}), over), place)
        found.watch.require_sound(_below(place, "watch"))
        return found


def parsed(kind: type[T], table: Any, where: str) -> T:
    """A dataclass of settings from its table.

    Raises:
        UsageError: no table, an unknown key, or a value that a key does not take.
    """
    if not isinstance(table, dict):
        raise UsageError(f"{where} is not a table", hint="Write it as a table, such as [serve.watch].")
    known = {item.name: item.metadata for item in fields(cast("Any", kind))}
    require_known(table, set(known), where)
    return kind(**{name: _read(known[name], name, value, where) for name, value in table.items()})


def _read(told: Mapping[str, Any], name: str, value: Any, where: str) -> Any:
    if "subject" in told:
        return parsed(told["subject"], value, _below(where, name))
    reader: Reader[Any] = told["reader"]
    try:
        found = reader.read(value)
    except UsageError as error:
        raise UsageError(f"{where} {name} {error.message}", hint=error.hint) from error
    if found is None:
        raise UsageError(f"{where} {name} = {value!r:.200} is not valid", hint=f"It takes {reader.takes}.")
    return found


def _over(under: Mapping[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    """The keys of both; where both have one, the upper one's, and tables are laid over each other alike."""
    laid = {
        name: _over(under[name], value) if isinstance(value, dict) and isinstance(under.get(name), dict) else value
        for name, value in over.items()
    }
    return {**under, **laid}


def _below(where: str, name: str) -> str:
    return f"{where.removesuffix(']')}.{name}]"
