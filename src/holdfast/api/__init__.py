"""The Python edge: what `import holdfast` offers to a training script and to whoever loads a version.

    with holdfast.run("churn", params={"lr": 0.1, "seed": 7}) as run:
        train = run.snapshot("data/train.csv")
        run.log_metrics({"accuracy": 0.94})
        version = run.register(model, preprocessing=featurise, threshold=0.42,
                               holdout="data/holdout.csv", target="churned", metric="recall")

    holdfast.load("churn@production").predict(rows)

A training script must not fail because of Holdfast where it did not ask Holdfast for anything: what cannot be captured
is noted in the run. What it asks for (a snapshot, a registration) raises when it cannot be had.
"""

import logging
from typing import Any

from holdfast.api.loading import LoadedVersion, load
from holdfast.api.projects import find_or_make_project, find_project
from holdfast.api.runs import FrozenData, LiveRun, run
from holdfast.flow.snapshot import Snapshot
from holdfast.flow.snapshot import snapshot as freeze
from holdfast.names import ModelName
from holdfast.registry.answers import FoundVersion
from holdfast.tracking.values import Run

__all__ = ["FrozenData", "LiveRun", "LoadedVersion", "load", "run", "search", "search_runs", "snapshot"]

_LOG = logging.getLogger("holdfast")


def snapshot(source: Any) -> Snapshot:
    """Freeze a file, a folder or a table outside any run."""
    with find_or_make_project() as project:
        return freeze(project.store, source, root=project.settings.project, seen=project.seen)


def search(
    filter: str = "",  # noqa: A002 - its name
    *,
    model: str | None = None,
    order_by: str = "",
    limit: int = 100,
) -> tuple[FoundVersion, ...]:
    """The versions that fit a filter such as `metrics.accuracy > 0.9 and package.numpy = 1.26.0`, newest first.

    Args:
        filter: as `docs/reference/search.md` describes it; empty for every version.
        model: whose versions; None: everybody's.
        order_by: such as `metrics.accuracy desc`.
        limit: how many at most.

    Raises:
        NoProject: there is no project here or above.
        NotFound: there is no such model.
        UsageError: the filter or the order cannot be read.
    """
    name = None if model is None else ModelName(model)
    with find_project() as project:
        found = project.registry.search(filter, model=name, order_by=order_by, limit=limit)
    if found.not_indexed:
        _LOG.warning("%s version(s) cannot be searched by what they are; run: holdfast check", found.not_indexed)
    return found.versions


def search_runs(filter: str = "", *, order_by: str = "", limit: int = 100) -> tuple[Run, ...]:  # noqa: A002 - its name
    """The runs that fit a filter such as `metrics.accuracy > 0.9 and params.lr = 0.1`, newest first.

    Raises:
        NoProject: there is no project here or above.
        UsageError: the filter or the order cannot be read.
    """
    with find_project() as project:
        return project.tracking.search(filter, order_by=order_by, limit=limit)
