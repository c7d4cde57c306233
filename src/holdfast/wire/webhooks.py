"""What a server does beside answering: it tells webhooks of events, and counts what its database holds."""

from collections.abc import Callable
from uuid import uuid4

from holdfast.config import Settings
from holdfast.database.engine import Database
from holdfast.errors import UsageError
from holdfast.experiments.hooks import SqlHooks
from holdfast.registry.census import Census, SqlCensus
from holdfast.registry.webhooks import Webhooks
from holdfast.registry.webhooks.http import HttpWebhooks
from holdfast.registry.webhooks.sql import SqlOutbox
from holdfast.service.line import Line
from holdfast.webhooks.delivering import Deliverer
from holdfast.webhooks.mlflow import HookOffice, Words
from holdfast.webhooks.office import Office
from holdfast.webhooks.sealing import Seal, key_in
from holdfast.webhooks.sending import Sender
from holdfast.wire.project import Project, utc_now

__all__ = ["open_census", "open_deliverer", "open_hooks", "open_webhooks"]


def open_webhooks(project: Project) -> Webhooks:
    """The webhooks of a project, for administrators.

    Raises:
        UsageError: the key for their secrets is none.
        NoSpace, PermissionRefused, Unavailable: they cannot be opened.
    """
    if isinstance(project.names, Line):
        return HttpWebhooks(project.names)
    sender = Sender(project.settings.webhook_hosts)
    return Office(_outbox(project), _seal(project.settings), sender, utc_now)


def open_hooks(project: Project) -> HookOffice:
    """The webhooks of MLflow's clients, at the server of a project.

    Raises:
        As `open_webhooks`.
    """
    settings = project.settings
    hooks = SqlHooks(_database(project))
    return HookOffice(_outbox(project), hooks, _seal(settings), Sender(settings.webhook_hosts), utc_now)


def open_deliverer(project: Project, holder: str, told: Callable[[str], object]) -> Deliverer:
    """What tells the webhooks of a project of its events.

    Args:
        project: whose.
        holder: a name that nobody else has who lives; whoever takes a dead one's place goes on under its name.
        told: is told of every attempt.

    Raises:
        As `open_webhooks`.
    """
    settings = project.settings
    return Deliverer(
        _outbox(project),
        project.unwatched,
        Sender(settings.webhook_hosts),
        _seal(settings),
        clock=utc_now,
        holder=holder,
        told=told,
        words=Words(SqlHooks(_database(project))),
    )


def open_census(project: Project) -> Callable[[], Census]:
    """What counts in the database of a project.

    Raises:
        UsageError: a server keeps it.
    """
    return SqlCensus(_database(project), utc_now).take


def _database(project: Project) -> Database:
    if isinstance(project.names, Line):
        raise UsageError("the server keeps the database", hint="Run this where the server runs.")
    return project.names.database()


def _outbox(project: Project) -> SqlOutbox:
    return SqlOutbox(_database(project), utc_now, lambda: f"wh_{uuid4().hex[:20]}")


def _seal(settings: Settings) -> Seal:
    return Seal(settings.webhook_key or key_in(settings.home))
