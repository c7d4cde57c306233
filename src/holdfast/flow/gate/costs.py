"""What wrong answers cost, row by row, as policy says it; their mean is the metric `cost`, and lower is better.

    [gate.production.cost]
    false_positive = 1.0            # for a cut-off: what each kind of mistake costs
    false_negative = 20.0

    [gate.production.cost.matrix]   # for any labels: by the true one, then by the one that was said
    fraud = { genuine = 50.0, unclear = 5.0 }
    genuine = { fraud = 2.0, unclear = 1.0 }

    [gate.production.cost]          # for numbers: each unit too high, and too low (linear-linear loss, Granger 1969)
    over = 1.0
    under = 3.0

    [gate.production.cost]          # or a function of the project, which `project_code.py` runs
    file = "gates/money.py"
    function = "costs"

Right answers cost nothing unless the matrix says so. No cost is below zero, so that a margin can be a share of them:
what a right answer brings in is what a missed one costs.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from holdfast.canonical import Json, JsonObject
from holdfast.errors import UsageError
from holdfast.flow.gate.keys import Reader, amount
from holdfast.flow.gate.sources import CodeSource
from holdfast.parts import EvalThreshold
from holdfast.parts.eval_threshold import CUT_OFF, IDENTITY

__all__ = ["Costs", "costs", "named", "row_costs"]

_OF_A_CUT = ("false_positive", "false_negative")
_OF_NUMBERS = ("over", "under")
_ROWS = "matrix"

_NAMES_MAX = 1_000
"""Labels of one matrix; a person writes it by hand."""


@dataclass(frozen=True, slots=True)
class Costs:
    """One way of saying what a row costs; exactly one of the attributes says it.

    Attributes:
        by_kind: two numbers by name: `false_positive` and `false_negative`, or `over` and `under`.
        matrix: by the true label, then by the one that was said, both as `named` writes them.
        source: where the function stands that says it.
    """

    by_kind: Mapping[str, float] = field(default_factory=dict)
    matrix: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    source: CodeSource | None = None

    def to_json(self) -> JsonObject:
        """The table as policy writes it."""
        if self.source is not None:
            return self.source.to_json()
        return {_ROWS: {true: dict(row) for true, row in self.matrix.items()}} if self.matrix else dict(self.by_kind)


def costs() -> Reader[Costs | None]:
    """A table that says what a row costs in one of the four ways."""
    return Reader(
        "{ false_positive, false_negative }, { over, under }, a matrix of numbers by label, "
        "or { file, function } of the project; no cost is below zero",
        _read,
    )


def _read(value: Any) -> Costs | None:
    if not isinstance(value, dict):
        return None
    if set(value) in (set(_OF_A_CUT), set(_OF_NUMBERS)):
        row = _amounts(value)
        return None if row is None else Costs(by_kind=row)
    if set(value) == {_ROWS}:
        return _matrix(value[_ROWS])
    try:
        return Costs(source=CodeSource.parse("cost", value, "cost"))
    except UsageError:
        return None


def _matrix(value: Any) -> Costs | None:
    if not isinstance(value, dict) or not 0 < len(value) <= _NAMES_MAX:
        return None
    rows = {true: _amounts(row) for true, row in value.items()}
    return None if None in rows.values() else Costs(matrix={true: row for true, row in rows.items() if row is not None})


def _amounts(value: Any) -> dict[str, float] | None:
    if not isinstance(value, dict) or len(value) > _NAMES_MAX:
        return None
    read = {name: amount().read(number) for name, number in value.items()}
    return None if None in read.values() else {name: number for name, number in read.items() if number is not None}


def named(label: Json) -> str:
    """How a table of policy, whose keys are words, writes a label: a word as it is, anything else as JSON."""
    return label if isinstance(label, str) else json.dumps(label)


def row_costs(
    asked: Costs, targets: Sequence[Json], predictions: Sequence[Json], threshold: EvalThreshold
) -> tuple[float, ...]:
    """What each row costs, as a table says it.

    Args:
        asked: the table; not a function.
        targets: the true answer of each row.
        predictions: what was said.
        threshold: the decision rule, which says whether answers are labels of a cut, any labels, or numbers.

    Raises:
        UsageError: the table does not fit such answers, or does not say what a mistake that occurs costs.
    """
    pairs = list(zip(targets, predictions, strict=True))
    if asked.matrix:
        return tuple(_of_pair(asked.matrix, true, said) for true, said in pairs)
    wanted = {CUT_OFF: _OF_A_CUT, IDENTITY: _OF_NUMBERS}.get(threshold.rule, (_ROWS,))
    if set(asked.by_kind) != set(wanted):
        raise UsageError(
            f"policy gives costs for {' and '.join(asked.by_kind)}, and these answers are judged by another rule",
            hint=f"For the rule {threshold.rule} give cost a table with {' and '.join(wanted)}.",
        )
    first, second = (asked.by_kind[name] for name in wanted)
    if threshold.rule == IDENTITY:
        return tuple(first * max(said - true, 0.0) + second * max(true - said, 0.0) for true, said in pairs)
    return tuple(0.0 if true == said else first if true != threshold.positive else second for true, said in pairs)


def _of_pair(matrix: Mapping[str, Mapping[str, float]], true: Json, said: Json) -> float:
    row = matrix.get(named(true), {})
    if (known := row.get(named(said))) is not None:
        return known
    if true == said:
        return 0.0
    raise UsageError(
        f"the cost matrix does not say what {named(said)!r:.60} costs where {named(true)!r:.60} is true",
        hint="Add it to the matrix; a mistake without a cost would count as none.",
    )
