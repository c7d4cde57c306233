"""The decision ledger: what was answered, to whom it was said by which version, so that it can be shown years later.

    decision.py   one decision: a row of the ledger
    keeping.py    what of a request is kept: all of it, its digest, or what is left when fields are dropped
    journal.py    decisions on their way into a page, on the disk, so that a kill loses no more than the last second
    spool.py      the folder of one replica with its journals, and those that killed replicas left
    page.py       a sealed page: Parquet, and the finder beside it that says which requests are on it
    sealing.py    from a journal to a page in the store and its event in the log
    breathing.py  what all of that does so as not to hold up an answer
    recorder.py   the observer: a bounded queue, a thread that writes, a thread that seals
    finding.py    reading: one decision by its request's id, many by time and version, pages as files
    telling.py    why a decision was made so: who promoted the version, on what evidence, trained on what
    replaying.py  the same bundle, asked the same again

Opt-in, by `[model.NAME.serve.ledger]`. Nothing of it is on an answer's path, and what it loses it counts: a ledger that
lost decisions in silence would be worth nothing.
"""
