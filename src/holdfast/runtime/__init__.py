"""Run a bundle: from a directory of verified bytes to predictions, in a process and an environment of its own.

    environment.py    the interpreter that satisfies the bundle's lock, built when none does
    bundle_files.py   the bundle's directory; every read is hashed against the manifest
    materialise.py    from the store to such a directory
    loaders/          weights in somebody's format -> a scorer
    bundle_code.py    the bundle's modules, imported from verified bytes
    rows.py           tables of raw rows, however they come; schema.py checks them against the version's schema
    pipeline.py       schema check -> preprocessing -> model -> threshold, in that order, from the bundle alone
    shapes.py         the request and answer shapes of HTTP callers
    worker.py         the process: one bundle, one socket; frames.py crosses it; predictor.py holds the other end

One process for each bundle, because two versions carry modules of the same name and pins of different libraries. The
parent never unpickles and never imports anything of a bundle.
"""
