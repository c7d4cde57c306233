"""Types of columns that mean the same in SQLite and in PostgreSQL."""

from sqlalchemy import BigInteger, Integer, Text

__all__ = ["INTEGER", "TEXT"]

TEXT = Text().with_variant(Text(collation="C"), "postgresql")
"""Compared and sorted by code points, as SQLite does; otherwise a server's language would decide what comes first, and
whether one moment as text is before another."""

INTEGER = Integer().with_variant(BigInteger(), "postgresql")
"""64 bits, as every integer of SQLite has."""
