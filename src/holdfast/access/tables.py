"""The tables of users, grants and tokens, as statements use them; the migrations make them."""

from sqlalchemy import Column, ForeignKey, MetaData, Table

from holdfast.database.columns import TEXT

__all__ = ["TABLES", "grants", "tokens", "users"]

TABLES = MetaData()

users = Table(
    "users",
    TABLES,
    Column("name", TEXT, primary_key=True),
    Column("kind", TEXT, nullable=False),
    Column("email", TEXT, unique=True),
    Column("subject", TEXT, unique=True),
    Column("created_at", TEXT, nullable=False),
    Column("created_by", TEXT, nullable=False),
    Column("disabled_at", TEXT),
)

grants = Table(
    "grants",
    TABLES,
    Column("holder", TEXT, ForeignKey("users.name"), primary_key=True),
    Column("pattern", TEXT, primary_key=True),
    Column("role", TEXT, nullable=False),
    Column("stages", TEXT, nullable=False),
    Column("granted_at", TEXT, nullable=False),
    Column("granted_by", TEXT, nullable=False),
)

tokens = Table(
    "tokens",
    TABLES,
    Column("id", TEXT, primary_key=True),
    Column("fingerprint", TEXT, nullable=False, unique=True),
    Column("holder", TEXT, ForeignKey("users.name"), nullable=False),
    Column("name", TEXT, nullable=False),
    Column("role_max", TEXT, nullable=False),
    Column("pattern", TEXT, nullable=False),
    Column("grants", TEXT),
    Column("created_at", TEXT, nullable=False),
    Column("created_by", TEXT, nullable=False),
    Column("expires_at", TEXT, nullable=False),
    Column("revoked_at", TEXT),
    Column("last_used_at", TEXT),
)
