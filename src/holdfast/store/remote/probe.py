"""Whether a remote keeps the promises of a transport. Asked once, before anything is trusted to it.

What is tried is what everything rests on: that a file which is there is not written over, and that what was written can
be read in parts and listed. docs/FORMAT.md, "Probing", gives the steps.
"""

import secrets

from holdfast.errors import NotFound, PermissionRefused
from holdfast.store.layout import CONFIG_NAME
from holdfast.store.remote.transport import Transport

__all__ = ["probe", "require_store"]

_FIRST = b"the first holdfast probe"
_SECOND = b"another one"


def probe(transport: Transport) -> None:
    """Try the remote, and take the traces away again.

    Raises:
        PermissionRefused: it writes over what is there, or does not show what was written; the details give `failed`.
        Unavailable, NotFound, UsageError: as the transport says.
    """
    key = f"probe/{secrets.token_hex(16)}"
    transport.create(key, _FIRST)
    try:
        if transport.create(key, _SECOND) or transport.read(key, bytes_max=len(_FIRST)) != _FIRST:
            raise _unfit(
                transport, "create", "it writes over a file that is there, so that two writers could undo each other"
            )
        if transport.range(key, 4, 5) != _FIRST[4:9]:
            raise _unfit(transport, "range", "it does not give a part of a file")
        if (key, len(_FIRST)) not in list(transport.list("probe/")):
            raise _unfit(transport, "list", "it does not list what was just written")
    finally:
        transport.remove(key)
    if transport.size(key) is not None:
        raise _unfit(transport, "remove", "it keeps what was removed")


def require_store(transport: Transport) -> None:
    """Raise where nobody has pushed anything yet; nothing is written, for many may read and not write.

    Raises:
        NotFound: there is no store.
    """
    if transport.size(CONFIG_NAME) is None:
        raise NotFound(
            f"there is no store in {transport.name}",
            hint="Check the address; a remote becomes a store when something is first pushed to it.",
            remote=transport.name,
        )


def _unfit(transport: Transport, failed: str, reason: str) -> PermissionRefused:
    return PermissionRefused(
        f"{transport.name} cannot be a remote: {reason}",
        hint="Turn the bucket's versioning off if its server is an old Ceph, or use another server, bucket or folder.",
        failed=failed,
        remote=transport.name,
    )
