"""Watching by version: what each did lately, held against what is known of it.

    monitor = Monitor(rules)
    monitor.learn(4, reference)              once a version is open
    stay = Stay(7, "primary")
    monitor.answered(4, stay, now, 0.004, None)   each request
    monitor.predicted(4, stay, now, (1, 0))       those of its answers that were read
    monitor.rows(4, stay, now, table)             a sample of what was sent
    monitor.keep({4: stay})                       what is held now, and as what
    monitor.found(now, {4: stay}, …)              the numbers that the rules look at
    monitor.told(monitor.over(now), {…})          all of it, for people

Only what a version did in its present role, since the stage moved last, is looked at and told: who is promoted again
is not judged by an earlier stay, and a canary's requests are not those of the version that it becomes.

Nothing here reads a clock or waits for anything.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

from holdfast.canonical import Json, JsonObject
from holdfast.errors import TooLate
from holdfast.evidence import Column
from holdfast.runtime.rows import Table
from holdfast.serving.alert_rules import BUILT_IN, WINDOW_MINUTES, AlertRule
from holdfast.serving.alerts import Found
from holdfast.serving.counting import REFUSALS
from holdfast.serving.reading import Prediction
from holdfast.serving.reference import Bins, Reference, Shift, shift, word_of
from holdfast.serving.roles import Stay
from holdfast.serving.route import PRIMARY
from holdfast.serving.settings import WatchSettings
from holdfast.serving.windows import Slice, Windows

__all__ = ["CALLERS", "Health", "Monitor", "Over", "rules_of"]

CALLERS = REFUSALS | {"unauthenticated", "permission_refused"}
"""Codes of errors that say that the request was wrong; all others say that the version or the replica was."""

_IMPATIENT_SECONDS = 1.0
"""A deadline below this was the caller's own, who may set it to a millisecond: no rule about errors, and no rollback by
itself, is to hang on that. What is slow shows in the latencies."""

_GONE_MAX = 4
"""Versions that are no longer held and still shown, so that what replaced them can be looked at beside them."""

_COLUMNS_SHOWN_MAX = 5
"""Columns that `/watch` names: those that have shifted most."""

_REQUESTS_MIN_OF_SHIFT = 30
"""Fewer values than this are no distribution."""


def rules_of(settings: WatchSettings, latency_ms_p95_max: float | None) -> tuple[AlertRule, ...]:
    """The rules of a replica: Holdfast's own that nobody silenced or replaced, and the project's.

    Args:
        settings: what the project says.
        latency_ms_p95_max: the budget of the stage's gate; None: it says none.
    """
    own = {rule.name for rule in settings.alerts}
    built_in = (
        replace(rule, above=latency_ms_p95_max) if rule.name == "latency" and latency_ms_p95_max else rule
        for rule in BUILT_IN
        if rule.name not in own and rule.name not in settings.silent
    )
    return (*built_in, *settings.alerts)


@dataclass(frozen=True, slots=True)
class Health:
    """How the replica itself does, beside its versions.

    Attributes:
        registry_lost_seconds: how long the registry has not answered; 0 while it does.
        not_opened_seconds: how long the stage's version could not be opened; 0 while it is open.
    """

    registry_lost_seconds: float = 0.0
    not_opened_seconds: float = 0.0


Over = Mapping[int, Slice]
"""What a version did, by the minutes of the window."""


@dataclass(slots=True)
class _Watched:
    stay: Stay | None = None
    stays: dict[Stay, Windows] = field(default_factory=dict)
    reference: Reference = field(default_factory=Reference)
    seen: Mapping[str, "_Seen"] = field(default_factory=dict)

    def during(self, stay: Stay) -> Windows:
        """What is counted of this stay. A request that was late is one of the stay that it came in."""
        if self.stay is None or stay.epoch > self.stay.epoch:
            self.stay = stay
        found = self.stays.get(stay)
        if found is None:
            found = self.stays[stay] = Windows()
        return found

    def keep(self, stay: Stay | None) -> None:
        """Go on with this stay, or with the last one, and forget all others."""
        self.stay = stay or self.stay
        self.stays = {one: windows for one, windows in self.stays.items() if one == self.stay}

    def over(self, now: float) -> Over:
        windows = Windows() if self.stay is None else self.during(self.stay)
        return {minutes: windows.over(minutes, now) for minutes in WINDOW_MINUTES}


class _Seen:
    """What was seen of one column in training."""

    def __init__(self, column: Column) -> None:
        self._nullable = column.nullable
        self._categories = frozenset(map(word_of, column.categories))
        self._low, self._high = column.minimum, column.maximum

    def lacks(self, value: Json) -> bool:
        """Whether a value is none of it."""
        if value is None:
            return not self._nullable
        if self._categories:
            return word_of(value) not in self._categories
        if isinstance(value, bool) or not isinstance(value, int | float):
            return self._low is not None
        return (self._low is not None and value < self._low) or (self._high is not None and value > self._high)


class Monitor:
    """The versions of one process."""

    def __init__(self, rules: Sequence[AlertRule]) -> None:
        self.rules = tuple(rules)
        self._versions: dict[int, _Watched] = {}

    def learn(self, version: int, reference: Reference) -> None:
        """What a version is compared with from here on."""
        watched = self._of(version)
        watched.reference = reference
        columns = reference.schema.columns if reference.schema is not None else ()
        watched.seen = {one.name: _Seen(one) for one in columns}

    def answered(self, version: int, stay: Stay, now: float, seconds: float, code: str | None) -> None:
        """One request; `code` is the error's, None for an answer."""
        slice_ = self._of(version).during(stay).at(now)
        slice_.requests += 1
        if code is None:
            slice_.took(seconds)
        elif code in CALLERS or (code == TooLate.code and seconds < _IMPATIENT_SECONDS):
            slice_.refused += 1
        else:
            slice_.faults += 1

    def predicted(self, version: int, stay: Stay, now: float, predictions: Iterable[Prediction]) -> None:
        """What one answer said."""
        watched = self._of(version)
        slice_, bins = watched.during(stay).at(now), watched.reference.predictions
        for one in predictions:
            slice_.rows += 1
            if bins is not None:
                place = bins.place(one)
                slice_.predictions[place] = slice_.predictions.get(place, 0) + 1

    def rows(self, version: int, stay: Stay, now: float, table: Table) -> None:
        """Rows that were sent."""
        watched = self._of(version)
        slice_, reference = watched.during(stay).at(now), watched.reference
        names = table.names
        if names is None and reference.schema is not None and len(reference.schema.columns) == len(table.columns):
            names = tuple(column.name for column in reference.schema.columns)
        for name, values in zip(names or (), table.columns, strict=False):
            if (bins := reference.columns.get(name)) is not None:
                counts = slice_.columns.setdefault(name, {})
                for value in values:
                    place = bins.place(value)
                    counts[place] = counts.get(place, 0) + 1
            if (seen := watched.seen.get(name)) is not None:
                slice_.values[name] = slice_.values.get(name, 0) + len(values)
                slice_.outside[name] = slice_.outside.get(name, 0) + sum(map(seen.lacks, values))

    def keep(self, held: Mapping[int, Stay]) -> None:
        """Forget all but those that are held, in their present stay, and the last few that were, in their last one."""
        for version in held:
            self._of(version)
        for version, watched in self._versions.items():
            watched.keep(held.get(version))
        gone = [version for version in self._versions if version not in held]
        for version in gone[: max(len(gone) - _GONE_MAX, 0)]:
            del self._versions[version]

    def found(self, now: float, held: Mapping[int, Stay], health: Health) -> Iterator[Found]:
        """Every number that a rule looks at.

        Args:
            now: the moment, on the clock that counted.
            held: the versions that are held, and what they are since when.
            health: of the replica.
        """
        for rule in self.rules:
            if rule.metric in {"registry_lost_seconds", "not_opened_seconds"}:
                yield Found(rule, None, "replica", getattr(health, rule.metric))
                continue
            for version, stay in held.items():
                if (watched := self._versions.get(version)) is not None:
                    over = watched.during(stay).over(rule.window_minutes, now)
                    value, about = _value(rule, over, watched.reference)
                    yield Found(rule, version, stay.role, value, about, stay.epoch)

    def over(self, now: float) -> dict[int, Over]:
        """What each version did, by window."""
        return {version: watched.over(now) for version, watched in self._versions.items()}

    def stays(self) -> dict[int, Stay]:
        """Which stay of each version `over` is about."""
        return {version: watched.stay for version, watched in self._versions.items() if watched.stay is not None}

    def told(self, over: Mapping[int, Over], roles: Mapping[int, str]) -> list[JsonObject]:
        """What `/watch` says of each version; first the one that holds the stage, then those that are held beside it.

        Args:
            over: what each did, by window: of this process, or of all that answer at its port.
            roles: the versions that are held, and what they are.
        """
        return [
            {
                "version": version,
                "role": roles.get(version),
                "compared_with": self._of(version).reference.rows_of,
                "windows": [
                    _told(minutes, slice_, self._of(version).reference) for minutes, slice_ in over[version].items()
                ],
            }
            for version in sorted(over, key=lambda one: (roles.get(one) != PRIMARY, one not in roles, one))
        ]

    def shifts(self, over: Mapping[int, Over]) -> Iterator[tuple[int, int, str, Shift]]:
        """How far each version is from its reference: version, minutes, column or nothing for predictions, shift."""
        for version, windows in over.items():
            reference = self._of(version).reference
            for minutes, slice_ in windows.items():
                if (found := _predictions(slice_, reference)) is not None:
                    yield version, minutes, "", found
                for column, moved in _columns(slice_, reference)[:_COLUMNS_SHOWN_MAX]:
                    yield version, minutes, column, moved

    def _of(self, version: int) -> _Watched:
        found = self._versions.get(version)
        if found is None:
            found = self._versions[version] = _Watched()
        return found


def _value(rule: AlertRule, over: Slice, reference: Reference) -> tuple[float | None, str]:
    """The number of a rule, and what is to be said with it."""
    if rule.metric == "requests":
        return float(over.requests), ""
    if over.requests < rule.requests_min:
        return None, ""
    match rule.metric:
        case "error_share":
            return over.error_share, f"{over.faults} of {over.requests} requests"
        case "latency_ms_p50" | "latency_ms_p95" | "latency_ms_p99":
            return over.latency_ms(int(rule.metric[-2:]) / 100), f"{over.requests} requests"
        case "prediction_psi":
            found = _predictions(over, reference)
            return (None, "") if found is None else (found.beyond_chance, f"{found.count} rows")
        case "input_psi":
            moved = _columns(over, reference)
            return (moved[0][1].beyond_chance, f"column {moved[0][0]}") if moved else (None, "")
        case _:
            return over.outside_share, ""


def _predictions(over: Slice, reference: Reference) -> Shift | None:
    bins = reference.predictions
    return None if bins is None else _shift(bins, over.predictions, looks=1)


def _columns(over: Slice, reference: Reference) -> list[tuple[str, Shift]]:
    """The columns that there are enough values of, the one that has shifted most first."""
    looks = len(reference.columns)
    found = [
        (name, moved)
        for name, bins in reference.columns.items()
        if name in over.columns and (moved := _shift(bins, over.columns[name], looks=looks)) is not None
    ]
    return sorted(found, key=lambda one: -one[1].beyond_chance)


def _shift(bins: Bins, counted: Mapping[int, int], *, looks: int) -> Shift | None:
    now = bins.empty()
    for place, count in counted.items():
        if place < len(now):  # counted before the reference was there, or against another one
            now[place] = count
    return shift(bins.counts, now, looks=looks) if sum(now) >= _REQUESTS_MIN_OF_SHIFT else None


def _told(minutes: int, over: Slice, reference: Reference) -> JsonObject:
    predictions = _predictions(over, reference)
    names = reference.predictions.names if reference.predictions is not None else ()
    return {
        "minutes": minutes,
        "requests": over.requests,
        "requests_per_second": round(over.requests / (minutes * 60), 3),
        "faults": over.faults,
        "refused": over.refused,
        "error_share": over.error_share,
        "latency_ms": {f"p{share}": _rounded(over.latency_ms(share / 100)) for share in (50, 95, 99)},
        "rows": over.rows,
        "predictions": {names[place]: count for place, count in sorted(over.predictions.items()) if place < len(names)},
        "prediction_shift": None if predictions is None else predictions.to_json(),
        "input_shift": [
            {"column": name, **moved.to_json()} for name, moved in _columns(over, reference)[:_COLUMNS_SHOWN_MAX]
        ],
        "outside_share": over.outside_share,
    }


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 3)
