"""Bytes by digest. This folder knows no models, no versions and no stages.

A blob is some bytes named by their SHA-256. A tree is a sorted list of paths, each with the digest of its blob; it is a
blob itself, and its digest names a snapshot. What a store promises stands in `holdfast.store.interface`; what the bytes
look like on disk stands in docs/FORMAT.md.

    store = LocalStore(Path(".holdfast/store"))
    with store.writer() as writer:
        stored = writer.add_file(Path("data/train.parquet"))
        writer.commit()                      # returns when the bytes are durable
    store.copy_to(stored.digest, Path("copy.parquet"), mode=0o644)      # hashed on the way

Called by the verbs in `holdfast.flow`, by `holdfast.upkeep` and by `holdfast.runtime`, each through the interface;
`holdfast.wire` alone chooses the adapter.
"""
