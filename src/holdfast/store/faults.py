"""The sentences with which every adapter says the same thing about a blob or a writer."""

from holdfast.digest import Digest
from holdfast.errors import IntegrityError, NotFound, TooLarge, UnsupportedFormat, UsageError

__all__ = ["UNREADABLE", "absent", "damaged", "left", "too_large"]


UNREADABLE = (IntegrityError, NotFound, UnsupportedFormat, UsageError, ValueError)
"""What reading from one place can end in, so that the next one is tried; a link or a folder is a `UsageError`."""


def absent(digest: Digest) -> NotFound:
    """The store does not hold the digest."""
    return NotFound(
        f"the store holds no blob {digest}",
        hint="Check the digest, or add the data again from where it came from.",
        digest=str(digest),
    )


def damaged(digest: Digest, found: Digest | str) -> IntegrityError:
    """The bytes are not those that the digest names; `found` is what they hash to, or what is wrong with them."""
    what = f"its bytes hash to {found}" if isinstance(found, Digest) else found
    return IntegrityError(
        f"blob {digest} is damaged: {what}",
        hint="Run: holdfast check. Adding the same data again replaces the damaged blob.",
        digest=str(digest),
        expected=str(digest),
        found=str(found),
    )


def left() -> UsageError:
    """A writer was used after its `with` block, or after a commit that raised."""
    return UsageError("this writer was left, or its commit failed", hint="Ask the store for a new one, and add again.")


def too_large(digest: Digest, size: int, bytes_max: int) -> TooLarge:
    """More bytes than the caller is ready to hold."""
    return TooLarge(
        f"blob {digest} has {size} bytes; at most {bytes_max} were asked for",
        hint="Open it as a handle, or allow more.",
        digest=str(digest),
        size=size,
        limit=bytes_max,
    )
