"""A tour of the client: experiments, runs, metrics, files, searches and registered models."""

import tempfile
import time
from pathlib import Path

import matplotlib.pyplot as plt
import mlflow
import numpy
import pandas
from mlflow import MlflowClient
from mlflow.entities import Metric, Param, RunTag, ViewType

client = MlflowClient()
experiment = client.create_experiment("tour", tags={"team": "north"})
print("experiment:", client.get_experiment_by_name("tour").experiment_id == experiment)

run = client.create_run(experiment, run_name="first", tags={"colour": "blue"})
run_id = run.info.run_id
now = int(time.time() * 1000)
client.log_batch(
    run_id,
    metrics=[Metric("loss", 1 / (step + 1), now + step, step) for step in range(100)],
    params=[Param("lr", "0.1"), Param("layers", "3")],
    tags=[RunTag("speed", "fast")],
)
client.log_metric(run_id, "accuracy", 0.93)
client.log_param(run_id, "seed", 7)
client.set_tag(run_id, "note", "naïve café ☕")
print("points:", len(client.get_metric_history(run_id, "loss")))
found = client.get_run(run_id)
print("last:", found.data.metrics["loss"], sorted(found.data.params.items()), found.data.tags["note"])

with tempfile.TemporaryDirectory() as folder:
    Path(folder, "notes.txt").write_text("read me")
    Path(folder, "more").mkdir()
    Path(folder, "more", "bytes.bin").write_bytes(bytes(range(256)) * 4)
    client.log_artifacts(run_id, folder, "kept")
client.log_dict(run_id, {"a": [1, 2]}, "settings/a.json")
client.log_text(run_id, "hello", "hello.txt")
figure, axes = plt.subplots()
axes.plot([1, 2])
client.log_figure(run_id, figure, "plot.png")
client.log_image(run_id, numpy.zeros((4, 4, 3), dtype=numpy.uint8), "black.png")
client.log_table(run_id, pandas.DataFrame({"x": [1, 2]}), "table.json")
client.log_table(run_id, {"x": [3]}, "table.json")
print("files:", sorted(file.path for file in client.list_artifacts(run_id)))
print("kept:", [(file.path, file.is_dir, file.file_size) for file in client.list_artifacts(run_id, "kept")])
with tempfile.TemporaryDirectory() as folder:
    there = Path(client.download_artifacts(run_id, "kept", folder))
    assert (there / "more" / "bytes.bin").read_bytes() == bytes(range(256)) * 4
print("dict:", mlflow.artifacts.load_dict(f"runs:/{run_id}/settings/a.json"))
print("table:", list(client.load_table(experiment, "table.json", run_ids=[run_id])["x"]))
client.set_terminated(run_id, "FINISHED")

other = client.create_run(experiment, run_name="second", tags={"colour": "red"}).info.run_id
client.log_metric(other, "accuracy", 0.5)
client.set_terminated(other, "FAILED")
for words in (
    "metrics.accuracy > 0.9",
    "params.lr = '0.1' and tags.colour = 'blue'",
    "attributes.status = 'FAILED'",
    "tags.note LIKE '%café%'",
    "run_name ILIKE 'SEC%'",
    f"run_id IN ('{run_id}', '{other}')",
):
    print(
        "search:",
        words.replace(run_id, "A").replace(other, "B"),
        [r.info.run_name for r in client.search_runs([experiment], words)],
    )
pages, token = [], None
while True:
    page = client.search_runs([experiment], max_results=1, order_by=["metrics.accuracy DESC"], page_token=token)
    pages += [r.info.run_name for r in page]
    if not (token := page.token):
        break
print("pages:", pages)

client.delete_run(other)
print("deleted:", [r.info.run_name for r in client.search_runs([experiment], run_view_type=ViewType.DELETED_ONLY)])
client.restore_run(other)
client.rename_experiment(experiment, "tour, renamed")
client.set_experiment_tag(experiment, "phase", "two")
print("experiments:", [e.name for e in client.search_experiments(filter_string="tags.phase = 'two'")])
client.delete_experiment(experiment)
print("deleted:", client.get_experiment(experiment).lifecycle_stage)
client.restore_experiment(experiment)

try:
    client.get_run("0" * 32)
except mlflow.MlflowException as error:
    print("refused:", error.error_code)
try:
    client.log_param(run_id, "lr", "0.2")
except mlflow.MlflowException as error:
    print("refused:", error.error_code)

client.create_registered_model("tour-model", tags={"team": "north"}, description="of the tour")
client.log_text(run_id, "weights", "model/weights.txt")
version = client.create_model_version("tour-model", f"runs:/{run_id}/model", run_id, tags={"kind": "text"})
client.transition_model_version_stage("tour-model", version.version, "Staging")
print("stage:", client.get_model_version("tour-model", "1").current_stage)
print("models:", [m.name for m in client.search_registered_models("tags.team = 'north'")])
print("versions:", [v.version for v in client.search_model_versions("tags.kind = 'text'")])
client.rename_registered_model("tour-model", "tour-model-2")
print("renamed:", client.get_registered_model("tour-model-2").description)
client.transition_model_version_stage("tour-model-2", "1", "Archived")
client.delete_model_version("tour-model-2", "1")
client.delete_registered_model("tour-model-2")
print("models:", [m.name for m in client.search_registered_models("name LIKE 'tour%'")])
