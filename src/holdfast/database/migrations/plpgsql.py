"""Functions of triggers, as PostgreSQL writes them.

A statement here holds no percent sign: the driver would take it for a parameter.
"""

from sqlalchemy import Connection

__all__ = ["function", "quoted_schema"]


def quoted_schema(connection: Connection) -> str:
    """The schema in which the tables of this connection are made, as it is written in a statement."""
    name = connection.exec_driver_sql("SELECT current_schema()").scalar_one()
    return connection.dialect.identifier_preparer.quote_identifier(str(name))


def function(name: str, body: str, schema: str) -> str:
    """The statement that makes the function `holdfast_{name}` of a trigger, or gives it another body.

    The path is nailed down: whoever fires the trigger may have another one, or a temporary table of a name of ours,
    which is found first wherever `pg_temp` is not named.
    """
    return (
        f"CREATE OR REPLACE FUNCTION {schema}.holdfast_{name}() RETURNS trigger LANGUAGE plpgsql "
        f"SET search_path = {schema}, pg_temp AS $body${body}$body$"
    )
