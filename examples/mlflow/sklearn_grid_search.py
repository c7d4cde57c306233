"""A grid search over a pipeline, logged by autolog: a run for the search, one below it for each of the best."""

import mlflow
from sklearn.datasets import load_breast_cancer
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV, train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

mlflow.set_experiment("tumours")
mlflow.sklearn.autolog(max_tuning_runs=3)

rows, target = load_breast_cancer(return_X_y=True, as_frame=True)
train_rows, test_rows, train_target, test_target = train_test_split(rows, target, test_size=0.4, random_state=7)

search = GridSearchCV(
    make_pipeline(StandardScaler(), LogisticRegression(max_iter=2000)),
    {"logisticregression__C": [0.01, 0.1, 1.0], "logisticregression__class_weight": [None, "balanced"]},
    cv=3,
)
with mlflow.start_run(run_name="grid") as run:
    search.fit(train_rows, train_target)
    print("held out:", round(search.score(test_rows, test_target), 4))

found = mlflow.get_run(run.info.run_id)
print("best:", found.data.params["best_logisticregression__C"], round(found.data.metrics["best_cv_score"], 4))
children = mlflow.search_runs(
    experiment_names=["tumours"], filter_string=f"tags.mlflow.parentRunId = '{run.info.run_id}'"
)
print("children:", len(children))
print("files:", sorted(file.path for file in mlflow.MlflowClient().list_artifacts(run.info.run_id)))
models = mlflow.search_logged_models(filter_string=f"source_run_id = '{run.info.run_id}'", output_format="list")
print("models:", sorted({model.name for model in models}), {str(model.status) for model in models})
best = mlflow.sklearn.load_model(next(model.model_uri for model in models if model.name == "best_estimator"))
assert (best.predict(test_rows) == search.predict(test_rows)).all()
