"""What MLflow's clients keep beyond what Holdfast has: experiments, logged models, files, words beside versions.

    runs.py      runs, which writing.py logs to and documents.py reads; experiments.py: what they are grouped by
    filters.py   MLflow's filters and orders, in the grammars.py of its searches; searching.py: those of runs as SQL
    metrics.py   histories of metrics
    files.py     names of files over the store, and which folders are frozen
    paths.py     which names a file can have
    hooks.py     what clients say of webhooks, and what those are told
    waiting.py   small files on their way into the store
    places.py    where the files of a run, a logged model or a version are
    naming.py    names of registered models, aliases and tags: which can be, and what they are called here
    names.py     registered models; version_words.py: what is said of versions; registered.py: both, as values
    pointing.py  aliases, which are stages of the registry
    name_search.py, registered_rows.py     finding both, and reading them
    tables.py    the tables; runs themselves are those of `holdfast.tracking`

A run of an experiment is a run of Holdfast: its params, metrics and tags stand where those of every run stand, and
whoever searches runs finds it. It differs in one thing: MLflow's clients may take a run up again after its end, and
delete it. The versions made from it do not change with it: they hold their own copy of all that was true of it.
"""
