"""An evaluation of a logged model: its metrics and plots go to a run of their own, and thresholds decide."""

import mlflow
from mlflow.models import MetricThreshold
from sklearn.datasets import load_breast_cancer
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

mlflow.set_experiment("evaluations")
rows, target = load_breast_cancer(return_X_y=True, as_frame=True)
train_rows, test_rows, train_target, test_target = train_test_split(rows, target, test_size=0.4, random_state=7)

with mlflow.start_run():
    model = make_pipeline(StandardScaler(), LogisticRegression()).fit(train_rows, train_target)
    mlflow.sklearn.log_model(
        model, name="linear", registered_model_name="tumour-linear", input_example=test_rows.head(2)
    )

with mlflow.start_run(run_name="evaluation") as run:
    result = mlflow.models.evaluate(
        "models:/tumour-linear/1",
        test_rows.assign(target=test_target),
        targets="target",
        model_type="classifier",
        evaluators=["default"],
        evaluator_config={"default": {"log_explainer": False}},
    )
mlflow.validate_evaluation_results(
    candidate_result=result,
    validation_thresholds={"f1_score": MetricThreshold(threshold=0.9, greater_is_better=True)},
)

found = mlflow.get_run(run.info.run_id)
print("f1:", round(found.data.metrics["f1_score"], 4), "metrics:", len(found.data.metrics))
print("data:", [data.dataset.source_type for data in found.inputs.dataset_inputs])
print("files:", sorted(file.path for file in mlflow.MlflowClient().list_artifacts(run.info.run_id)))
assert found.data.metrics["f1_score"] == result.metrics["f1_score"]
