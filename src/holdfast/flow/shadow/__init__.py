"""The verb *shadow*: what a version would answer to the requests of a stage that another one holds.

    plan.py      what a shadow is to do: which share of the requests, how many of them, by which columns
    counts.py    what was counted of each pair of answers; counts of several replicas can be added
    figures.py   counts to figures, each with its interval
    report.py    figures to a report, for people and for machines
    beginning.py a shadow begun, found again and ended, in the registry

No request is sent from here: that is `holdfast.serving.shadow`, which counts with `counts.py`. The gate's rule of the
same name reads the figures.
"""
