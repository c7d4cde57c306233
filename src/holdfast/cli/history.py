"""`live` and `log`: which version held which stage, when, by whose hand, and on what evidence."""

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from itertools import chain
from typing import Annotated

import typer

from holdfast.canonical import JsonObject
from holdfast.cli.exit_codes import epilog
from holdfast.cli.options import AsJson, ModelArgument, here
from holdfast.cli.output import Output, table
from holdfast.errors import UsageError
from holdfast.names import ModelName
from holdfast.registry import Event, Registry
from holdfast.wire import utc_now

app = typer.Typer()


@app.command(epilog=epilog("live", "holdfast live churn --at 2026-03-01T09:00"))
def live(
    model: ModelArgument,
    at: Annotated[
        str | None, typer.Option("--at", help="A moment, ISO 8601; your time zone when it names none.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Say which version holds each stage, now or at any moment in the past."""
    moment = None if at is None else _moment(at)
    found = here().registry.live(ModelName(model), moment).to_json()
    Output(as_json=as_json).result(found, _live(found))


def _moment(text: str) -> datetime:
    try:
        moment = datetime.fromisoformat(text).astimezone(UTC)
    except (ValueError, OverflowError) as error:
        raise UsageError(f"{text!r} is not a moment", hint="Write it as 2026-03-01T09:00 or with +02:00.") from error
    if moment > utc_now():
        raise UsageError(f"{text} has not come yet", hint="Leave --at out to ask about now.")
    return moment


def _live(found: JsonObject) -> Iterator[str]:
    if not found["stages"]:
        yield f"{found['model']} had no stages yet"
        return
    rows = []
    for stage, held in found["stages"].items():
        if held is None:
            rows.append((stage, "nothing", "", "", "", ""))
            continue
        who = (held["by"], held["event"], held["digest"][:19])
        rows.append((stage, f"{found['model']}@{held['version']}", held["since"], *who))
    yield from table(("stage", "version", "since", "by", "event", "digest"), rows)


@app.command(epilog=epilog("log", "holdfast log churn"))
def log(
    model: Annotated[str | None, typer.Argument(metavar="MODEL", help="One model; all by default.")] = None,
    limit: Annotated[int, typer.Option("--limit", help="At most so many events, the newest.")] = 50,
    before: Annotated[int | None, typer.Option("--before", help="Only events before this one: the next page.")] = None,
    follow: Annotated[
        bool, typer.Option("--follow", "-f", help="The last event, and each one as it comes; --json: one a line.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Print the audit log, the newest event first; or follow it."""
    name, registry = None if model is None else ModelName(model), here().registry
    found = registry.log(name, before=before, limit=1 if follow else limit)
    if follow:
        _follow(registry, name, found, Output(as_json=as_json))
    events = [event.to_json() for event in found]
    Output(as_json=as_json).result({"events": events}, _events(events))


def _follow(registry: Registry, model: ModelName | None, last: Sequence[Event], output: Output) -> None:
    """Every event from here on, until somebody ends this, or nobody reads it any more."""
    begin = last[0].index if last else -1
    for event in chain(last, registry.follow(begin, model=model)):
        said = event.to_json()
        moved = f"{said['from'] or '-'} -> {said['to']}" if said["to"] is not None else ""
        where = " ".join(str(one) for one in (said["model"], said["stage"], moved) if one)
        line = f"{event.index}  {said['time'][:19]}  {event.actor}  {event.action}  {where}  {event.reason}"
        if not output.piece(said, line):
            return


def _events(events: list[JsonObject]) -> Iterator[str]:
    yield from table(
        ("event", "time", "actor", "action", "stage", "from", "to", "reason", "hash"),
        (
            (
                event["index"],
                event["time"][:19].replace("T", " "),
                event["actor"],
                event["action"],
                event["stage"],
                event["from"],
                event["to"],
                event["reason"],
                event["hash"][:19],
            )
            for event in events
        ),
    )
