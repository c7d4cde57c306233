"""Calls that concern logged models, registered models and their versions."""

from pathlib import Path
from typing import Any

import mlflow
import pandas as pd
from mlflow.entities import LoggedModelInput, LoggedModelOutput
from mlflow.models import infer_signature

from tests.mlflow.calls.walking import Call, Walk

__all__ = ["CALLS"]

_ROWS = pd.DataFrame({"x": [1.0, 2.0]})


class Doubler(mlflow.pyfunc.PythonModel):  # type: ignore[misc]
    """The smallest model."""

    def predict(self, context: Any, model_input: Any, params: Any = None) -> Any:
        """Twice of everything."""
        return model_input["x"] * 2


def _logged(walk: Walk) -> Any:
    mlflow.set_experiment(experiment_id=walk.experiment)
    with mlflow.start_run(run_id=walk.run):
        info = mlflow.pyfunc.log_model(
            name="doubler",
            python_model=Doubler(),
            pip_requirements=["mlflow"],
            signature=infer_signature(_ROWS, _ROWS["x"]),
            params={"depth": "2"},
        )
        mlflow.log_metric("accuracy", 0.75, step=1, model_id=info.model_id)
    walk.keep("doubler", info.model_id)
    return mlflow.get_logged_model(info.model_id)


def _second(walk: Walk) -> Any:
    with mlflow.start_run(run_id=walk.run):
        info = mlflow.pyfunc.log_model(name="second", python_model=Doubler(), pip_requirements=["mlflow"])
    return mlflow.register_model(f"models:/{info.model_id}", "walker").version


def _deleted_while_held(walk: Walk) -> None:
    walk.client.set_registered_model_alias("walker", "held", "3")
    walk.client.delete_model_version("walker", "3")


def _found(walk: Walk, words: str) -> list[str]:
    return [model.name for model in walk.client.search_logged_models([walk.experiment], words)]


def _predicted(uri: str) -> Any:
    return lambda walk: list(
        mlflow.pyfunc.load_model(uri.format(doubler=getattr(walk, "doubler", ""), run=walk.run)).predict(_ROWS)
    )


def _versions(words: str) -> Any:
    return lambda walk: [(v.name, v.version, v.current_stage) for v in walk.client.search_model_versions(words)]


def _models(words: str | None, **more: Any) -> Any:
    return lambda walk: [model.name for model in walk.client.search_registered_models(words, **more)]


def _signed(walk: Walk) -> None:
    mlflow.models.set_signature(f"models:/{walk.doubler}", infer_signature(_ROWS, None))


def _overwritten(walk: Walk) -> None:
    walk.client.log_model_artifact(walk.doubler, walk.file("requirements.txt", "other bytes"))


LOGGED_MODEL_CALLS: tuple[Call, ...] = (
    (
        "client.create_logged_model",
        lambda w: w.keep(
            "logged",
            w.client.create_logged_model(w.experiment, "by hand", w.run, {"k": "v"}, {"p": "1"}, "kind").model_id,
        ),
    ),
    ("client.get_logged_model", lambda w: w.client.get_logged_model(w.logged)),
    ("edge: no such logged model", lambda w: w.client.get_logged_model("m-" + "0" * 32)),
    ("client.log_model_artifact", lambda w: w.client.log_model_artifact(w.logged, w.file("one.txt", "one"))),
    (
        "client.log_model_artifacts",
        lambda w: w.client.log_model_artifacts(w.logged, str(Path(w.file("two.txt", "two")).parent)),
    ),
    ("client.list_logged_model_artifacts", lambda w: [f.path for f in w.client.list_logged_model_artifacts(w.logged)]),
    ("client.log_model_params", lambda w: w.client.log_model_params(w.logged, {"late": "param"})),
    ("client.set_logged_model_tags", lambda w: w.client.set_logged_model_tags(w.logged, {"a": "b", "c": "d"})),
    ("client.delete_logged_model_tag", lambda w: w.client.delete_logged_model_tag(w.logged, "c")),
    ("edge: a logged model's tag that is not there", lambda w: w.client.delete_logged_model_tag(w.logged, "c")),
    ("client.finalize_logged_model", lambda w: w.client.finalize_logged_model(w.logged, "READY")),
    ("client.log_outputs", lambda w: w.client.log_outputs(w.run, [LoggedModelOutput(w.logged, 3)])),
    ("edge: a run's outputs", lambda w: w.client.get_run(w.run).outputs),
    ("edge: a logged model as an input", lambda w: w.client.log_inputs(w.run, models=[LoggedModelInput(w.logged)])),
    ("mlflow.pyfunc.log_model", _logged),
    ("mlflow.get_logged_model", lambda w: {one.key: one.value for one in mlflow.get_logged_model(w.doubler).metrics}),
    ("client.search_logged_models", lambda w: w.client.search_logged_models([w.experiment], "name = 'by hand'")),
    *(
        (f"edge: logged models where {words}", lambda w, words=words: _found(w, words))
        for words in (
            "metrics.accuracy > 0.5",
            "params.depth = '2'",
            "tags.a = 'b'",
            "name LIKE 'dou%'",
            "status = 'READY'",
            "model_type = 'kind'",
            "creation_timestamp > 0",
            "colour = 'x'",
        )
    ),
    ("mlflow.search_logged_models", lambda w: len(mlflow.search_logged_models([w.experiment]))),
    ("mlflow.initialize_logged_model", lambda w: w.keep("begun", mlflow.initialize_logged_model("begun").model_id)),
    ("mlflow.log_model_params", lambda w: mlflow.log_model_params({"q": "2"}, w.begun)),
    ("mlflow.set_logged_model_tags", lambda w: mlflow.set_logged_model_tags(w.begun, {"e": "f"})),
    ("mlflow.delete_logged_model_tag", lambda w: mlflow.delete_logged_model_tag(w.begun, "e")),
    ("mlflow.finalize_logged_model", lambda w: mlflow.finalize_logged_model(w.begun, "FAILED").status),
    ("mlflow.create_external_model", lambda w: mlflow.create_external_model("elsewhere").name),
    ("mlflow.last_logged_model", lambda w: mlflow.last_logged_model().name),
    ("mlflow.set_active_model", lambda w: mlflow.set_active_model(name="active").name),
    ("mlflow.clear_active_model", lambda w: mlflow.clear_active_model()),
    ("client.delete_logged_model", lambda w: w.client.delete_logged_model(w.begun)),
    ("edge: a deleted logged model", lambda w: w.client.get_logged_model(w.begun)),
    ("edge: load a logged model", _predicted("models:/{doubler}")),
    ("mlflow.models.set_signature", _signed),
    ("edge: a file of a model that is ready, written again", _overwritten),
)

CALLS: tuple[Call, ...] = (
    *LOGGED_MODEL_CALLS,
    ("client.create_registered_model", lambda w: w.client.create_registered_model("walker", {"team": "a"}, "words")),
    ("edge: a registered model's name is taken", lambda w: w.client.create_registered_model("walker")),
    ("edge: a registered model without a name", lambda w: w.client.create_registered_model("")),
    ("edge: a registered model with a slash", lambda w: w.client.create_registered_model("a/b")),
    (
        "edge: a name as people write it",
        lambda w: w.client.create_registered_model("Churn Model (v2)", {"k": "v"}).name,
    ),
    ("client.get_registered_model", lambda w: w.client.get_registered_model("walker")),
    ("edge: no such registered model", lambda w: w.client.get_registered_model("nobody")),
    ("client.update_registered_model", lambda w: w.client.update_registered_model("walker", "other words")),
    ("client.set_registered_model_tag", lambda w: w.client.set_registered_model_tag("walker", "k", "v")),
    ("client.delete_registered_model_tag", lambda w: w.client.delete_registered_model_tag("walker", "team")),
    (
        "client.create_model_version",
        lambda w: w.client.create_model_version(
            "walker", f"models:/{w.doubler}", w.run, {"kind": "a"}, model_id=w.doubler
        ),
    ),
    (
        "edge: a version of no model",
        lambda w: w.client.create_model_version("nobody", f"models:/{w.doubler}", model_id=w.doubler),
    ),
    (
        "edge: a version from a path of the server's",
        lambda w: w.client.create_model_version("walker", "file:///etc/passwd"),
    ),
    (
        "edge: a version from nowhere",
        lambda w: w.client.create_model_version("Churn Model (v2)", "s3://nowhere/x").version,
    ),
    ("mlflow.register_model", _second),
    ("client.copy_model_version", lambda w: w.client.copy_model_version("models:/walker/1", "copied")),
    ("client.get_model_version", lambda w: w.client.get_model_version("walker", "1")),
    ("edge: no such version", lambda w: w.client.get_model_version("walker", "99")),
    ("edge: a version that is no number", lambda w: w.client.get_model_version("walker", "one")),
    ("client.get_model_version_download_uri", lambda w: w.client.get_model_version_download_uri("walker", "1")),
    ("client.get_model_version_stages", lambda w: w.client.get_model_version_stages("walker", "1")),
    ("client.update_model_version", lambda w: w.client.update_model_version("walker", "1", "of the walk")),
    ("client.set_model_version_tag", lambda w: w.client.set_model_version_tag("walker", "1", "checked", "yes")),
    ("client.delete_model_version_tag", lambda w: w.client.delete_model_version_tag("walker", "1", "kind")),
    ("mlflow.set_model_version_tag", lambda w: mlflow.set_model_version_tag("walker", "1", "again", "yes")),
    ("client.set_registered_model_alias", lambda w: w.client.set_registered_model_alias("walker", "challenger", "1")),
    ("edge: an alias of no version", lambda w: w.client.set_registered_model_alias("walker", "challenger", "99")),
    ("edge: an alias like a version", lambda w: w.client.set_registered_model_alias("walker", "v1", "1")),
    ("edge: an alias named latest", lambda w: w.client.set_registered_model_alias("walker", "latest", "1")),
    (
        "client.get_model_version_by_alias",
        lambda w: w.client.get_model_version_by_alias("walker", "challenger").version,
    ),
    ("edge: no such alias", lambda w: w.client.get_model_version_by_alias("walker", "nobody")),
    ("edge: aliases of a model", lambda w: w.client.get_registered_model("walker").aliases),
    ("mlflow.pyfunc.load_model", _predicted("models:/walker@challenger")),
    ("edge: load a version", _predicted("models:/walker/1")),
    ("edge: load from a run", _predicted("runs:/{run}/doubler")),
    (
        "mlflow.models.get_model_info",
        lambda w: mlflow.models.get_model_info("models:/walker/1").signature.inputs.to_dict(),
    ),
    (
        "client.transition_model_version_stage",
        lambda w: w.client.transition_model_version_stage("walker", "1", "staging"),
    ),
    ("edge: a stage that there is not", lambda w: w.client.transition_model_version_stage("walker", "1", "Nirvana")),
    (
        "edge: another version into the stage",
        lambda w: (
            w.client.transition_model_version_stage(
                "walker", "2", "Staging", archive_existing_versions=True
            ).current_stage
        ),
    ),
    ("edge: stages then", _versions("name = 'walker'")),
    ("edge: load by stage", _predicted("models:/walker/Staging")),
    (
        "client.get_latest_versions",
        lambda w: [(v.version, v.current_stage) for v in w.client.get_latest_versions("walker")],
    ),
    ("client.search_registered_models", lambda w: w.client.search_registered_models("name = 'walker'")),
    ("mlflow.search_registered_models", lambda w: [m.name for m in mlflow.search_registered_models()]),
    *(
        (f"edge: registered models where {words}", _models(words))
        for words in ("name LIKE '%ed'", "name ILIKE 'WALK%'", "tags.k = 'v'", "name != 'walker'", "description = 'x'")
    ),
    ("edge: registered models in order", _models(None, order_by=["name DESC"], max_results=2)),
    (
        "client.search_model_versions",
        lambda w: w.client.search_model_versions("name = 'walker' and version_number = 1"),
    ),
    ("mlflow.search_model_versions", lambda w: len(mlflow.search_model_versions(filter_string="name = 'walker'"))),
    *(
        (f"edge: versions where {words}", _versions(words))
        for words in (
            "tags.checked = 'yes'",
            "name LIKE 'cop%'",
            "version_number > 1",
            "source_path LIKE 'models:%'",
            "colour = 'x'",
        )
    ),
    ("edge: versions of a run", lambda w: len(w.client.search_model_versions(f"run_id = '{w.run}'"))),
    ("edge: a version's file, written again", _overwritten),
    ("client.rename_registered_model", lambda w: w.client.rename_registered_model("copied", "copied, renamed")),
    ("edge: the old name", lambda w: w.client.get_registered_model("copied")),
    ("edge: versions under the new name", _versions("name = 'copied, renamed'")),
    ("client.delete_registered_model_alias", lambda w: w.client.delete_registered_model_alias("walker", "challenger")),
    ("edge: a version out of its stage", lambda w: w.client.transition_model_version_stage("walker", "2", "Archived")),
    ("client.delete_model_version", lambda w: w.client.delete_model_version("walker", "2")),
    ("edge: a deleted version", lambda w: w.client.get_model_version("walker", "2")),
    (
        "edge: the number after a deleted one",
        lambda w: w.client.create_model_version("walker", f"models:/{w.logged}", model_id=w.logged).version,
    ),
    (
        "edge: the same model registered again",
        lambda w: w.client.create_model_version("walker", f"models:/{w.doubler}", w.run, model_id=w.doubler).version,
    ),
    ("edge: a version that holds an alias, deleted", _deleted_while_held),
    ("client.delete_registered_model", lambda w: w.client.delete_registered_model("copied, renamed")),
    ("edge: a deleted registered model", lambda w: w.client.get_registered_model("copied, renamed")),
    (
        "edge: a deleted model's name, used again",
        lambda w: w.client.create_registered_model("copied, renamed").latest_versions,
    ),
    ("edge: its versions", _versions("name = 'copied, renamed'")),
)
