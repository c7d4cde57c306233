"""What MLflow's clients keep beyond what Holdfast has: experiments, logged models, files, words beside versions.

    files.py     names of files over the store, and which folders are frozen
    paths.py     which names a file can have
    hooks.py     what clients say of webhooks, and what those are told
    waiting.py   small files on their way into the store
    places.py    where the files of a run, a logged model or a version are
    tables.py    the tables; runs themselves are those of `holdfast.tracking`

A run of an experiment is a run of Holdfast: its params, metrics and tags stand where those of every run stand, and
whoever searches runs finds it. It differs in one thing: MLflow's clients may take a run up again after its end, and
delete it. The versions made from it do not change with it: they hold their own copy of all that was true of it.
"""
