"""Certificates of rehearsals that nobody held, for tests of what is kept of them."""

from typing import Any

from holdfast.digest import Digest

__all__ = ["certificate"]


def certificate(left: tuple[int, Digest], back: tuple[int, Digest], **change: Any) -> dict[str, Any]:
    """Of a rehearsal that went from one version of churn back to another."""
    return {
        "format": "holdfast.rehearsal",
        "format_version": "1.0",
        "model": "churn",
        "stage": "production",
        "outcome": "pass",
        "from": {"version": left[0], "digest": str(left[1])},
        "to": {"version": back[0], "digest": str(back[1])},
        "failed": None,
        **change,
    }
