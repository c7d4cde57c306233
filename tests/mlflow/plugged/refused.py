"""What a script hears that may not write, for each token in its environment: one line for each."""

import os
import sys

import mlflow
from mlflow.exceptions import MlflowException

for name in sys.argv[1:]:
    os.environ["MLFLOW_TRACKING_TOKEN"] = os.environ[name]
    try:
        mlflow.start_run()
    except MlflowException as error:
        print(name, error)
