"""What makes the log provable to somebody who trusts nobody: checkpoints, what was seen before, exports.

    book = Logbook(registry, LogKey(home / "log"), Memory(state, location))
    book.checkpoint()           what the log is now, signed; never unlike what was signed before
    book.verify([note])         the whole log, held against the note, and what was signed and seen before
    book.prove(3)               that event 3 is in it, for somebody who has the log's key
    book.export()               all events and a checkpoint; `offline.py`, which needs no Holdfast, checks them

`Watch` does the cheap part of it at every opening and after every write. The tree, the proofs and the form of
checkpoints are the registry's; here is what lies in files around it: the key, and the memory.
"""
