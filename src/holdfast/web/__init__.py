"""The HTTP edge: requests in, answers and problems out; parse, call, present.

    inference/    what a replica answers: /invocations, the Open Inference Protocol, health
    problems.py   errors as HTTP statuses, in one table

The only folder that imports a web framework. It opens no model and moves no stage: `serving` and `flow` do.
"""
