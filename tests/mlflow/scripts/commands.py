"""A walk over the commands of `mlflow` that talk to a server, in one process; argument: the file for what they said."""

import json
import logging
import os
import re
import sys
from pathlib import Path

import mlflow
import pandas as pd
from click.testing import CliRunner
from mlflow.cli import cli
from sklearn.linear_model import LinearRegression

os.environ["MLFLOW_ENABLE_ASYNC_TRACE_LOGGING"] = "false"
logging.disable(logging.CRITICAL)
GROUPS = ("artifacts", "datasets", "experiments", "models", "runs", "scorers", "traces")
ELSEWHERE = {
    "models serve",  # another test serves with it
    "models build-docker",  # what it fetches, generate-dockerfile fetches too
    "traces evaluate",  # it asks a language model
    "datasets create",  # what is not offered has no more to it than its list
    "scorers register-llm-judge",
}
_CHANGING = ((r"[0-9a-f]{32}", "<id>"), (r"\d{13,}", "<moment>"), (r"\b\d{4}-\d\d-\d\d[T ][\d:.+Z]+", "<moment>"))


def settled(text: str) -> str:
    """Without what differs from one day, one place, and one server to the next."""
    text = text.replace(os.environ["MLFLOW_TRACKING_URI"], "<server>").replace(str(Path.cwd()), "<here>")
    for pattern, name in _CHANGING:
        text = re.sub(pattern, name, text)
    return text


said: dict[str, list[object]] = {}


def asks(*words: str, quiet: bool = False) -> None:
    """Ask one command; keep how it ended, and the words that it said, whose order is each server's own."""
    os.environ.pop("MLFLOW_EXPERIMENT_ID", None)  # a command leaves it behind, where it would be alone in its process
    done = CliRunner().invoke(cli, list(words))
    name = settled(" ".join(words))
    while name in said:
        name += " (again)"
    if done.exception is not None and not isinstance(done.exception, SystemExit):
        told = f"{type(done.exception).__name__} {str(done.exception).partition(':')[0]}"
        said[name] = [done.exit_code, settled(told)]
        return
    found = sorted(set(re.findall(r"[^\s,\"{}\[\]]+", settled(done.output))))
    said[name] = [done.exit_code, "" if quiet else " ".join(word for word in found if not word.startswith("--"))]


def files(folder: str) -> None:
    """Keep which files a command left in a folder."""
    said[f"in {folder}"] = [0, " ".join(sorted(str(path) for path in Path(folder).rglob("*") if path.is_file()))]


mlflow.set_experiment("by a script")
with mlflow.start_run(run_name="first") as run:
    mlflow.log_params({"a": 1})
    mlflow.log_metric("m", 2.5)
    mlflow.log_text("hello", "t/x.txt")
    rows = pd.DataFrame({"x": [1.0, 2.0]})
    model = LinearRegression(fit_intercept=False).fit(rows, [1.0, 2.0])
    mlflow.sklearn.log_model(
        model, name="m", pip_requirements=["scikit-learn"], registered_model_name="lines", input_example=rows
    )
client = mlflow.MlflowClient()
client.set_registered_model_alias("lines", "champion", "1")
LINES, RUN = "models:/lines@champion", run.info.run_id

for name in ("one", "two"):
    asks("experiments", "create", "-n", name)
asks("experiments", "create", "-n", "one")
one = client.get_experiment_by_name("one").experiment_id
asks("experiments", "search", "-v", "all")
asks("experiments", "get", "-n", "one")
asks("experiments", "get", "-x", one, "--output", "json")
asks("experiments", "rename", "-x", one, "--new-name", "uno")
asks("experiments", "update", "-x", one, "--trace-archival-retention", "30d")
asks("experiments", "csv", "-x", run.info.experiment_id)
asks("experiments", "delete", "-x", one)
asks("experiments", "search", "-v", "deleted_only")
asks("experiments", "restore", "-x", one)

more = ("--tags", "a=b", "--description", "d", "--status", "failed", "--parent-run-id", RUN)
asks("runs", "create", "--experiment-id", one, "--run-name", "second", *more)
asks("runs", "list", "--experiment-id", one)
asks("runs", "describe", "--run-id", RUN)
asks("runs", "delete", "--run-id", RUN)
asks("runs", "list", "--experiment-id", run.info.experiment_id, "-v", "deleted_only")
asks("runs", "restore", "--run-id", RUN)
asks("runs", "describe", "--run-id", "0" * 32)

Path("folder").mkdir()
for name in ("a.txt", "b.txt"):
    Path("folder", name).write_text("local", encoding="utf-8")
asks("artifacts", "log-artifact", "-l", "folder/a.txt", "-r", RUN, "-a", "q")
asks("artifacts", "log-artifacts", "-l", "folder", "-r", RUN, "-a", "dd")
asks("artifacts", "list", "-r", RUN)
asks("artifacts", "list", "-r", RUN, "-a", "dd")
asks("artifacts", "download", "-r", RUN, "-d", "of-run")
files("of-run")
asks("artifacts", "download", "-u", LINES, "-d", "of-model")
files("of-model")
asks("artifacts", "download", "-u", f"runs:/{RUN}/t/x.txt", "-d", "of-file")
asks("artifacts", "download", "-r", RUN, "-a", "nothing", "-d", "of-nothing")

Path("in.csv").write_text("x\n1.0\n2.5\n", encoding="utf-8")
asks("models", "predict", "-m", LINES, "-i", "in.csv", "-t", "csv", "--env-manager", "local", "-o", "out.json")
said["out.json"] = [0, [round(value, 6) for value in json.loads(Path("out.json").read_text("utf-8"))["predictions"]]]
asks("models", "generate-dockerfile", "-m", LINES, "-d", "image", "--env-manager", "virtualenv")
files("image")
asks("models", "prepare-env", "-m", LINES, "--env-manager", "local")
asks("models", "update-pip-requirements", "-m", LINES, "add", "six")


def traced(number: int) -> int:
    """What leaves a trace."""
    return number


mlflow.trace(traced)(1)
TRACE = mlflow.get_last_active_trace_id()
asks("traces", "get", "--trace-id", TRACE, "--extract-fields", "info.trace_id,info.state,info.request_preview")
asks("traces", "search", "-x", run.info.experiment_id)
asks("traces", "set-tag", "--trace-id", TRACE, "--key", "k", "--value", "v")
asks("traces", "delete-tag", "--trace-id", TRACE, "--key", "k")
asks("traces", "log-feedback", "--trace-id", TRACE, "--name", "f", "--value", "5")
asks("traces", "log-expectation", "--trace-id", TRACE, "--name", "g", "--value", "5")
feedback = next(one for one in mlflow.get_trace(TRACE).info.assessments if one.name == "f").assessment_id
which = ("--trace-id", TRACE, "--assessment-id", feedback)
asks("traces", "update-assessment", *which, "--value", "6", "--rationale", "z")
asks("traces", "get-assessment", *which)
asks("traces", "delete-assessment", *which)
asks("runs", "link-traces", "--run-id", RUN, "-t", TRACE)
asks("traces", "delete", "-x", run.info.experiment_id, "--trace-ids", TRACE)

asks("datasets", "list", "-x", one)
asks("scorers", "list", "-x", one)
asks("gc", "--backend-store-uri", os.environ["MLFLOW_TRACKING_URI"])
asks("db", "upgrade", os.environ["MLFLOW_TRACKING_URI"])
asks("doctor", quiet=True)
Path("project").mkdir()
Path("project/MLproject").write_text(
    "name: p\nentry_points:\n  main:\n    parameters: {a: float}\n    command: \"python -c 'print({a})'\"\n", "utf-8"
)
asks("run", "project", "--env-manager", "local", "--experiment-name", "uno", "-P", "a=3", quiet=True)
said["its runs"] = [0, sorted(str(found.data.params) for found in client.search_runs([one]))]

walked = {" ".join(name.split()[:2]) for name in said} | ELSEWHERE
missed = [f"{group} {name}" for group in GROUPS for name in cli.commands[group].commands]
Path(sys.argv[1]).write_text(json.dumps({"said": said, "missed": sorted(set(missed) - walked)}), encoding="utf-8")
