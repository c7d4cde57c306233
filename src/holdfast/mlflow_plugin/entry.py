"""What MLflow's entry points name. Importing this must cost next to nothing: every `import mlflow` does it.

Heavy modules, MLflow's own included, are imported when a tracking server is met.
"""

import os
import sys
from functools import cache
from pathlib import Path
from typing import Any
from urllib.parse import quote

from holdfast.mlflow_plugin.quiet import quietly, turned_off
from holdfast.mlflow_plugin.watch import Watch

__all__ = ["RequestHeaders", "RunContext", "artifact_repository", "tracking_store", "watch"]

watch: Watch | None = None
"""What is watched in this process; None where the plugin is turned off or could not begin."""


def _begin() -> Watch | None:
    if turned_off():
        return None
    begun = Watch()
    # Where no address is known yet, the script may still name one, after it has read its data.
    if os.environ.get("MLFLOW_TRACKING_URI", "http:").partition(":")[0] in {"http", "https"}:
        begun.start()
    return begun


watch = quietly("what the process opens", _begin, None)


def tracking_store(store_uri: str, artifact_uri: str | None = None) -> Any:
    """MLflow's store for a server over HTTP: one that listens, where the server is Holdfast; else its own.

    Args:
        store_uri: the address of the server.
        artifact_uri: MLflow's, and of no use to a server.
    """
    from mlflow.tracking._tracking_service import utils

    found = quietly("this training", lambda: _listening_store(store_uri), None)
    return found or utils._get_rest_store(store_uri, artifact_uri=artifact_uri)  # noqa: SLF001 - what it would have called


def artifact_repository(artifact_uri: str, *args: Any, **kwargs: Any) -> Any:
    """MLflow's repository for files behind a server: one that listens, where the server is Holdfast; else its own.

    Args:
        artifact_uri: where the files are, `mlflow-artifacts:/…`.
        args: the address of the server, and whatever else this MLflow hands on.
        kwargs: the same by name.
    """
    from mlflow.store.artifact.mlflow_artifacts_repo import MlflowArtifactsRepository

    found = quietly("this model", lambda: _listening_repository(artifact_uri, *args, **kwargs), None)
    return found or MlflowArtifactsRepository(artifact_uri, *args, **kwargs)


def _listening_store(store_uri: str) -> Any:
    if watch is None:
        return None
    from holdfast.mlflow_plugin.store import listening_store

    return listening_store(store_uri, watch)


def _listening_repository(artifact_uri: str, *args: Any, **kwargs: Any) -> Any:
    if watch is None:
        return None
    from holdfast.mlflow_plugin.repository import listening_repository

    return listening_repository(artifact_uri, *args, **kwargs)


class RunContext:
    """Hears of every run that begins, wherever it is tracked; looks away where that is no server."""

    def in_context(self) -> bool:
        """Never: the tags that Holdfast sets are set on the run itself."""
        if watch is not None:
            quietly("this run", _look_away_from_files, None)
        return False

    def tags(self) -> dict[str, str]:
        """None."""
        return {}


class RequestHeaders:
    """Says who asks, as Holdfast's own commands do, to a server of Holdfast's and to no other.

    MLflow's client has no word for that but a name and a password. A server that asks for tokens believes those alone.
    """

    def in_context(self) -> bool:
        """Whether everything goes to one server, which is known to be Holdfast."""
        return watch is not None and bool(quietly("who asks", _asks_holdfast, False))

    def request_headers(self) -> dict[str, str]:
        """The one header."""
        return quietly("who asks", _actor_header, {})


def _asks_holdfast() -> bool:
    met = sys.modules.get("holdfast.mlflow_plugin.server")  # no server was asked before it was there
    if met is None:
        return False
    import mlflow

    uri = mlflow.get_tracking_uri()
    known = met.known_server(uri)
    return known is not None and bool(known.is_holdfast) and mlflow.get_registry_uri() == uri


@cache
def _actor_header() -> dict[str, str]:
    from holdfast.service.line import ACTOR_HEADER
    from holdfast.wire.project import actor_of

    return {ACTOR_HEADER: quote(actor_of(Path.cwd()))}


def _look_away_from_files() -> None:
    from mlflow.tracking import get_tracking_uri

    if watch is not None and get_tracking_uri().partition(":")[0] not in {"http", "https"}:
        watch.stop()
