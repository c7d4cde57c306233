"""`webhook`: addresses that a server tells of events."""

from collections.abc import Iterator
from datetime import timedelta
from typing import Annotated

import typer

from holdfast.canonical import JsonObject
from holdfast.cli.exit_codes import SUCCESS, epilog
from holdfast.cli.options import AsJson, here
from holdfast.cli.output import Output, table
from holdfast.errors import Unavailable
from holdfast.registry.webhooks import NewWebhook, Wish
from holdfast.registry.webhooks.interface import OVERLAP
from holdfast.wire.webhooks import open_webhooks

app = typer.Typer()
webhook = typer.Typer(help="Addresses that a server tells of events, signed.")
app.add_typer(webhook, name="webhook")

_HOUR = timedelta(hours=1)

Name = Annotated[str, typer.Argument(metavar="WEBHOOK", help="Its id, as holdfast webhook list has it.")]
Actions = Annotated[
    list[str] | None,
    typer.Option("--action", help="Only these actions, such as stage:pointer:*; more than once for several."),
]
Models = Annotated[
    list[str] | None, typer.Option("--model", help="Only events of these models, such as fraud-*; likewise.")
]


@webhook.command("add", epilog=epilog("webhook add", "holdfast webhook add https://ci.example.org/hooks --model churn"))
def add(
    url: Annotated[str, typer.Argument(metavar="URL", help="Where events are sent.")],
    action: Actions = None,
    model: Models = None,
    as_json: AsJson = False,
) -> int:
    """Have an address told of every event from here on; its secret is printed this once."""
    project = here()
    given = open_webhooks(project).add(NewWebhook(url, Wish.of(action or (), model or ())), project.actor)
    Output(as_json=as_json).result(given.to_json(), [f"webhook {given.webhook.id}", f"secret  {given.secret}"])
    return SUCCESS


@webhook.command("list", epilog=epilog("webhook list", "holdfast webhook list"))
def every_webhook(as_json: AsJson = False) -> int:
    """Every webhook: what it is told of, how far it is, and what is wrong."""
    found = [one.to_json() for one in open_webhooks(here()).webhooks()]
    Output(as_json=as_json).result({"webhooks": found}, _listed(found))
    return SUCCESS


def _listed(found: list[JsonObject]) -> Iterator[str]:
    yield from table(
        ("webhook", "state", "delivered", "behind", "actions", "models", "url"),
        (
            (
                *(one[name] for name in ("webhook", "state", "delivered", "behind")),
                *(" ".join(one[name]) or "*" for name in ("actions", "models")),
                one["url"],
            )
            for one in found
        ),
    )
    for one in found:
        if one["attempts"]:
            ahead = "waits for: holdfast webhook resume" if one["state"] == "stopped" else f"again {one['next_at']}"
            yield f"{one['webhook']}: event {one['next_event']} failed {one['attempts']} times: {one['error']}; {ahead}"


@webhook.command("test", epilog=epilog("webhook test", "holdfast webhook test wh_0123456789abcdef0123"))
def try_out(name: Name, as_json: AsJson = False) -> int:
    """Send one message that says nothing, and tell what came of it."""
    trial = open_webhooks(here()).test(name)
    if not trial.taken:
        raise Unavailable(f"webhook {name} took no message: {trial.sentence}", hint="Look at its receiver.")
    Output(as_json=as_json).result(trial.to_json(), [f"{trial.sentence} in {trial.milliseconds:.0f} ms"])
    return SUCCESS


@webhook.command("rotate", epilog=epilog("webhook rotate", "holdfast webhook rotate wh_0123456789abcdef0123"))
def rotate(
    name: Name,
    overlap_hours: Annotated[
        float, typer.Option("--overlap-hours", min=0.0, help="How long the old secret signs too.")
    ] = OVERLAP / _HOUR,
    as_json: AsJson = False,
) -> int:
    """Another secret, printed this once; until the overlap is over both sign."""
    project = here()
    given = open_webhooks(project).rotate(name, project.actor, overlap_hours * _HOUR)
    until = given.to_json()["old_secret_until"] or "now"
    lines = [f"secret  {given.secret}", f"the one before signs too until {until}"]
    Output(as_json=as_json).result(given.to_json(), lines)
    return SUCCESS


@webhook.command("resume", epilog=epilog("webhook resume", "holdfast webhook resume wh_0123456789abcdef0123"))
def resume(
    name: Name,
    skip: Annotated[bool, typer.Option("--skip", help="Leave out the event that its receiver refuses.")] = False,
    as_json: AsJson = False,
) -> int:
    """Go on with a webhook that has stopped, at the event where it did."""
    project = here()
    found = open_webhooks(project).resume(name, project.actor, skip=skip)
    Output(as_json=as_json).result(found.to_json(), [f"{found.id} goes on at event {found.next_event}"])
    return SUCCESS


@webhook.command("remove", epilog=epilog("webhook remove", "holdfast webhook remove wh_0123456789abcdef0123"))
def remove(name: Name, as_json: AsJson = False) -> int:
    """Tell an address nothing more."""
    project = here()
    gone = open_webhooks(project).remove(name, project.actor)
    Output(as_json=as_json).result(gone.to_json(), [f"removed {gone.id}: {gone.url}"])
    return SUCCESS


@webhook.callback()
def _webhook() -> None:
    """Webhooks: addresses that a server tells of events, signed."""
