"""MLflow's store for a server, with an ear: what a script tells the server, the session hears too."""

from collections.abc import Sequence
from functools import partial
from typing import Any

from mlflow.entities import RunStatus
from mlflow.store.tracking.rest_store import RestStore
from mlflow.utils.mlflow_tags import MLFLOW_AUTOLOGGING, MLFLOW_PARENT_RUN_ID

from holdfast.mlflow_plugin.datasets import listen_to_datasets
from holdfast.mlflow_plugin.quiet import quietly
from holdfast.mlflow_plugin.server import find_server, get_default_host_creds
from holdfast.mlflow_plugin.session import Session, session_with
from holdfast.mlflow_plugin.watch import Watch

__all__ = ["listening_store"]


def listening_store(uri: str, watch: Watch) -> RestStore | None:
    """The store for the server at `uri`; None where that is not Holdfast, and then nothing is watched any longer."""
    if find_server(uri).is_holdfast is False:
        watch.stop()
        return None
    watch.start()
    listen_to_datasets()
    return _ListeningStore(uri, watch)


class _ListeningStore(RestStore):  # type: ignore[misc]  # MLflow ships no types
    """A `RestStore` that does what it is asked, and then tells the session; what that fails at fails nothing."""

    def __init__(self, uri: str, watch: Watch) -> None:
        super().__init__(partial(get_default_host_creds, uri))
        self._uri, self._watch = uri, watch
        self._trials: set[str] = set()

    @property
    def _session(self) -> Session | None:
        """None where the server turned out not to be Holdfast, or does not answer."""
        server = find_server(self._uri, awake=True)
        return session_with(server, self._watch) if server.is_holdfast else None

    def create_run(self, *args: Any, **kwargs: Any) -> Any:
        run = super().create_run(*args, **kwargs)
        if _is_trial(run.data.tags):
            self._trials.add(run.info.run_id)
        else:
            above = run.data.tags.get(MLFLOW_PARENT_RUN_ID)
            self._tell("the run", lambda heard: heard.begin(run.info.run_id, run.info.artifact_uri, above))
        return run

    def update_run_info(self, run_id: str, run_status: Any, *args: Any, **kwargs: Any) -> Any:
        if run_status is not None and RunStatus.is_terminated(run_status):
            self._tell("what the run did", lambda heard: heard.end(run_id))
        info = super().update_run_info(run_id, run_status, *args, **kwargs)
        if run_status == RunStatus.RUNNING:
            self._tell("the run", lambda heard: heard.begin(run_id, info.artifact_uri, None))
        return info

    def log_inputs(self, run_id: str, datasets: Sequence[Any] | None = None, *args: Any, **kwargs: Any) -> Any:
        done = super().log_inputs(run_id, datasets, *args, **kwargs)
        if run_id not in self._trials:
            self._tell("the data of the run", lambda heard: heard.freeze(run_id, datasets or ()))
        return done

    def create_logged_model(self, *args: Any, **kwargs: Any) -> Any:
        self._tell("the model", lambda heard: heard.make_ready())
        return super().create_logged_model(*args, **kwargs)

    def _tell(self, what: str, told: Any) -> None:
        def tell() -> None:
            session = self._session
            if session is not None:
                told(session)

        quietly(what, tell, None)


def _is_trial(tags: Any) -> bool:
    """Whether autolog made the run, for one candidate of a search: the process is that of the run above it."""
    return MLFLOW_PARENT_RUN_ID in tags and MLFLOW_AUTOLOGGING in tags
