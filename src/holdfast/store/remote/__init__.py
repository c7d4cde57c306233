"""Stores that others reach too: a folder or a bucket with the layout of a local store, and refs that say what is there.

    address = Address.parse("s3://models/team")       # or a folder, gs://…, az://…
    remote = Remote(transport, cache)                 # index files are copied once and searched here
    Outgoing(store_root, remote).send(digests)        # only what the remote lacks travels
    Outgoing(store_root, remote).send(digests, bases={})    # the same, as small as it gets: an archive
    Incoming(store_root, remote).fetch(digests)       # only what is lacking here, verified before it is visible

docs/FORMAT.md, "Remotes", is the description for everybody who does not read Python. A transport moves named bytes
and knows nothing of packs; `holdfast.wire` chooses which one. `direct` is a store without a local one.
"""
