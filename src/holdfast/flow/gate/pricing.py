"""What each answer costs under one policy: by its table, or by the project's function, read once for both versions."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import isfinite
from pathlib import Path

from holdfast.canonical import Json
from holdfast.errors import HoldfastError, UsageError
from holdfast.flow.gate.costs import Costs, row_costs
from holdfast.flow.gate.project_code import OwnProgram
from holdfast.parts import EvalThreshold
from holdfast.runtime.pipeline import Answer
from holdfast.runtime.rows import Table

__all__ = ["Pricing"]


@dataclass(frozen=True, slots=True)
class Pricing:
    """Who says what a row costs.

    Attributes:
        asked: what policy says.
        own: the project's function; None for a table, and where it could not be read.
        trouble: why it could not be.
    """

    asked: Costs
    own: OwnProgram | None = None
    trouble: HoldfastError | None = None

    @classmethod
    def of(cls, asked: Costs | None, project: Path | None) -> "Pricing | None":
        """Who says it under this policy; None where nobody does."""
        if asked is None or asked.source is None:
            return None if asked is None else cls(asked)
        try:
            return cls(asked, OwnProgram.read(asked.source, project))
        except HoldfastError as error:
            return cls(asked, trouble=error)

    def costs(
        self, targets: Sequence[Json], answer: Answer, threshold: EvalThreshold, rows: Table
    ) -> tuple[float, ...]:
        """What each row of an answer costs.

        Args:
            targets: the true answers.
            answer: what a version said.
            threshold: its decision rule.
            rows: the rows, without the true answers.

        Raises:
            HoldfastError: it cannot be said, and why.
        """
        if self.trouble is not None:
            raise self.trouble
        if self.own is None:
            return row_costs(self.asked, targets, answer.predictions, threshold)
        found = self.own.ask(
            {
                "op": "costs",
                "rows": rows.named().to_json(),
                "targets": list(targets),
                "predictions": answer.predictions,
                "scores": answer.scores,
            }
        )
        if not isinstance(found, list) or len(found) != len(targets) or not all(map(_is_cost, found)):
            raise UsageError(
                f"{self.own.program.name} did not give one number, zero or more, for each of {len(targets)} rows",
                hint="Return a list of costs, one for each row, in their order.",
            )
        return tuple(map(float, found))


def _is_cost(value: Json) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and isfinite(value) and value >= 0
