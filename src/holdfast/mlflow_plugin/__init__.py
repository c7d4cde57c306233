"""The plugin: what MLflow's own client does not keep of a training, kept while an unchanged script runs.

    pip install holdfast                                    beside mlflow
    MLFLOW_TRACKING_URI=https://holdfast.example.org python train.py

MLflow loads it by its entry points. It does something only where the tracking server says that it is Holdfast; with any
other it stands aside. What it adds to a run: the commit with the uncommitted difference, every distribution that was
used, seeds, hardware, and the data (files that were opened, frames given to `mlflow.log_input` and to autolog) frozen
into the server's store. What it adds to a model: rows with what the model answered to them, and metrics on them.

    entry.py                   what MLflow calls; every process that imports MLflow loads it, so it is light
    watch.py  quiet.py         what is watched from then on; and that nothing here fails a script
    server.py                  which server is Holdfast
    store.py  repository.py    MLflow's own store and repository, with an ear
    session.py                 what is known of this process, and kept on the server
    datasets.py  answers.py    data in memory; what a model answers

`HOLDFAST_MLFLOW=off` turns it off, and `HOLDFAST_MLFLOW=debug` shows what went wrong in full.
"""
