"""A sweep over hyperparameters: one parent run, a run below it for each point, and the best of them registered."""

import itertools

import mlflow
from mlflow.models import infer_signature
from sklearn.datasets import load_wine
from sklearn.linear_model import SGDClassifier
from sklearn.metrics import accuracy_score, log_loss
from sklearn.model_selection import train_test_split
from sklearn.preprocessing import StandardScaler

experiment = mlflow.set_experiment("wines")
rows, target = load_wine(return_X_y=True, as_frame=True)
rows = StandardScaler().set_output(transform="pandas").fit_transform(rows)
train_rows, test_rows, train_target, test_target = train_test_split(rows, target, test_size=0.4, random_state=7)

with mlflow.start_run(run_name="sweep", tags={"team": "cellar"}, description="strength by penalty") as parent:
    mlflow.log_input(mlflow.data.from_pandas(rows.assign(wine=target), name="wines", targets="wine"), "training")
    for strength, penalty in itertools.product([0.001, 0.01, 0.5], ["l1", "l2"]):
        with mlflow.start_run(run_name=f"{penalty} {strength}", nested=True):
            mlflow.log_params({"strength": strength, "penalty": penalty, "seed": 7})
            model = SGDClassifier(loss="log_loss", alpha=strength, penalty=penalty, random_state=7)
            for epoch in range(5):
                model.partial_fit(train_rows, train_target, classes=[0, 1, 2])
                mlflow.log_metric("loss", log_loss(test_target, model.predict_proba(test_rows)), step=epoch)
            mlflow.log_metric("accuracy", accuracy_score(test_target, model.predict(test_rows)))

below = f"tags.`mlflow.parentRunId` = '{parent.info.run_id}'"
runs = mlflow.search_runs([experiment.experiment_id], below, order_by=["metrics.loss ASC"])
assert list(runs["metrics.loss"]) == sorted(runs["metrics.loss"])
good = mlflow.search_runs([experiment.experiment_id], f"{below} and metrics.accuracy > 0.9 and params.penalty = 'l2'")
print("runs:", len(runs), "good by l2:", len(good))
best = runs.iloc[0]
print("best:", best["tags.mlflow.runName"], round(best["metrics.loss"], 3))

model = SGDClassifier(
    loss="log_loss", alpha=float(best["params.strength"]), penalty=best["params.penalty"], random_state=7
)
model.fit(train_rows, train_target)
with mlflow.start_run(run_id=best.run_id):
    signature = infer_signature(train_rows, model.predict(train_rows))
    mlflow.sklearn.log_model(model, name="linear", signature=signature, registered_model_name="wine")

parents = {
    run.data.tags["mlflow.parentRunId"]
    for run in mlflow.search_runs([experiment.experiment_id], below, output_format="list")
}
assert parents == {parent.info.run_id}
assert mlflow.get_parent_run(best.run_id).info.run_id == parent.info.run_id
print("registered:", mlflow.MlflowClient().get_registered_model("wine").latest_versions[0].version)
