"""The database below the registry and the tracking of runs: the only place that opens one.

    from holdfast.database.engine import Database

    database = Database.open("sqlite:////srv/holdfast/registry.db")     or "postgresql://user:password@host/name"
    with database.read() as connection: ...     one statement, one round trip, no lock
    with database.view() as connection: ...     several statements that see one moment
    with database.write() as connection: ...    the single writer of the log; all or nothing
    with database.change() as connection: ...   what is no part of the log; on a server it waits for no writer

It opens databases, brings them to the schema this Holdfast knows (`migrations/`, forward only), and turns the driver's
errors into Holdfast's at the border. It knows no models and no runs: tables belong to the folders that use them.

Nothing is imported here, so that values can use `holdfast.database.times` without loading SQLAlchemy.
"""
