"""Runs: executions of training code with their params, metrics, tags and inputs. Mutable while a run lives.

    tracking = SqlTracking(database, clock, new_id)
    run = tracking.start_run(NewRun(name="baseline", model=ModelName("churn")), actor="ana")
    tracking.log_params(run.id, {"lr": 0.1})
    tracking.log_metrics(run.id, {"accuracy": 0.94}, step=3)
    tracking.finish_run(run.id, RunStatus.FINISHED)
    tracking.search("metrics.accuracy > 0.9 and params.lr = 0.1", order_by="metrics.accuracy desc")

A run that has ended is never changed: the database itself refuses. Versions point back to runs by id; runs know nothing
of versions.
"""

from holdfast.tracking.interface import POINTS_MAX, RUNS_MAX, Tracking
from holdfast.tracking.values import NewRun, Point, Run, RunInput, RunStatus

__all__ = ["POINTS_MAX", "RUNS_MAX", "NewRun", "Point", "Run", "RunInput", "RunStatus", "Tracking"]
