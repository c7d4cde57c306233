"""What has to be there, and not be deleted, before anything can be written to it."""

from sqlalchemy import Connection, bindparam, select

from holdfast.errors import NotFound, UsageError
from holdfast.experiments.tables import experiments
from holdfast.tracking.tables import runs

__all__ = ["active_experiment", "active_run", "deleted"]

_EXPERIMENT = select(experiments.c.place, experiments.c.deleted_ms).where(experiments.c.id == bindparam("experiment"))

_RUN = select(runs.c.experiment, runs.c.deleted_ms).where(runs.c.id == bindparam("run"), runs.c.experiment.is_not(None))

# Whoever changes a run locks its row first, so that all who do take turns.
_RUN_LOCKED = _RUN.with_for_update(key_share=True)

_INTEGER_MAX = 2**63 - 1
"""What the column of an id holds."""


def active_experiment(connection: Connection, experiment: str) -> tuple[int, str]:
    """The number of an experiment, and where files of it are said to be.

    Raises:
        NotFound: there is none with this id.
        UsageError: the id is no number, or the experiment is deleted.
    """
    try:
        number = int(experiment)
    except ValueError as error:
        raise UsageError(
            f"Invalid experiment ID '{experiment[:80]}'. Experiment ID must be a valid integer.", hint="Give its id."
        ) from error
    row = connection.execute(_EXPERIMENT, {"experiment": number}).one_or_none() if _fits(number) else None
    if row is None:
        raise NotFound(f"No Experiment with id={number} exists", hint="Search the experiments.")
    if row.deleted_ms is not None:
        raise deleted("experiment", str(number))
    return number, row.place


def active_run(connection: Connection, run: str) -> int:
    """The experiment of a run; the row of the run is locked from here on.

    Raises:
        NotFound: there is no such run of an experiment.
        UsageError: it is deleted.
    """
    row = connection.execute(_RUN_LOCKED, {"run": run}).one_or_none()
    if row is None:
        raise NotFound(f"Run with id={run[:80]} not found", hint="Search the runs of its experiment.")
    if row.deleted_ms is not None:
        raise deleted("run", run)
    return int(row.experiment)


def _fits(number: int) -> bool:
    return abs(number) <= _INTEGER_MAX


def deleted(what: str, name: str) -> UsageError:
    """The refusal to change what is deleted: a `run` or an `experiment`, and its id."""
    return UsageError(
        f"The {what} {name} must be in the 'active' state. Current state is deleted.", hint="Restore it first."
    )
