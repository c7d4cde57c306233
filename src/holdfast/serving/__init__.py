"""Answers: a replica that follows a stage and scores requests with whatever version holds it.

    source.py    where the stage points, read from the registry, and the report back to it
    opening.py   from a version's digest to files and an interpreter that can run them
    live.py      one open version: smoked before it answers, asked by its callers' own bytes
    engine.py    what runs it: `worker.py`, a process on this machine behind an asyncio pipe (`pipe.py`)
    route.py     who answers now; one immutable value, replaced in one assignment
    replica.py   follows the stage: opens the next version beside the old one, smokes it, swaps, keeps last-known-good
    observing.py what those who watch are told of each request; reading.py reads answers again for them
    shadow.py    copies of answered requests to a version in the shadow, which runs in `shadow_process.py`
    rehearsal.py a rollback taken in a scratch stage (`switch.py`), and every answer looked at (`answers.py`)
    trying.py    a canary, begun with a `plan.py`; `bucketing.py` and `keys.py` assign, `beside.py` follows it,
                 `tallying.py` counts what `counting.py` says, `judging.py` decides, `book.py` is where it stands
    watch.py     the observer that counts (`counters.py`), compares (`monitor.py`, `windows.py`, `reference.py`) and
                 raises alerts (`alert_rules.py`, `alerts.py`); showing.py shows it, for all processes of a port
    taking_back.py   a promotion taken back when an alert says so; alert_sending.py tells receivers of alerts
    tracing.py   a span for each request, told to a collector
    ledger/      what was answered, kept so that any one answer can be shown and computed again
    confirm.py   the other side: waiting until every replica has reported a move
    reported.py  what every replica truly answers with, held against its stage

A version is loaded and smoked before it may answer, so a version that fails to load never costs a request. Versions are
never ordered here: only the stage decides what is served. Nothing here speaks HTTP; that is `holdfast.web.inference`.
"""
