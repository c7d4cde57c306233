"""`live`, `history` and `log`: which version held which stage, when, by whose hand, and on what evidence."""

from collections.abc import Iterator, Sequence
from datetime import datetime
from itertools import chain
from typing import Annotated

import typer

from holdfast.canonical import JsonObject
from holdfast.cli.exit_codes import epilog
from holdfast.cli.options import AsJson, ModelArgument, here, moment_of
from holdfast.cli.output import Output, drawing, duration_text, table
from holdfast.database.times import to_text
from holdfast.errors import UsageError
from holdfast.names import ModelName, StageName
from holdfast.registry import Action, Event, Registry, Spell, outcome_text
from holdfast.serving.reported import Reported, reports_of
from holdfast.wire import utc_now

app = typer.Typer()

_BAR_COLUMNS = 32
"""Of a bar: beside the rest of its row it fits a terminal of common width."""

_CAME = {Action.STAGE_PROMOTE: "promoted", Action.STAGE_ROLLBACK: "rolled back to", Action.STAGE_ADOPT: "adopted"}

_ROLLOUTS = {Action.ROLLOUT_BEGIN, Action.ROLLOUT_TURN}

_WENT = {None: ", still", Action.STAGE_ROLLBACK: ", rolled back", Action.STAGE_CLEAR: ", cleared"}
"""How a spell ended, where that is worth a word."""


@app.command(epilog=epilog("live", "holdfast live churn --at 2026-03-01T09:00"))
def live(
    model: ModelArgument,
    at: Annotated[
        str | None, typer.Option("--at", help="A moment, ISO 8601; your time zone when it names none.")
    ] = None,
    replicas: Annotated[
        bool, typer.Option("--replicas", help="Also what each serving process says it answers with.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Say which version holds each stage, now or at any moment in the past; and what is truly answering."""
    if replicas and at is not None:
        raise UsageError("replicas are only known as they are now", hint="Leave out --at or --replicas.")
    moment, registry, name = None if at is None else _moment(at), here().registry, ModelName(model)
    found = registry.live(name, moment).to_json()
    if not replicas:
        Output(as_json=as_json).result(found, _live(found))
        return
    reports = reports_of(registry, name, utc_now())
    value = {**found, "replicas": [one.to_json() for one in reports]}
    Output(as_json=as_json).result(value, chain(_live(found), [""], _replicas(reports)))


def _moment(text: str) -> datetime:
    moment = moment_of(text)
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
            rows.append((stage, "nothing", "", "", "", "", ""))
            continue
        who = (held["by"], held["event"], held["digest"][:19])
        rows.append((stage, f"{found['model']}@{held['version']}", held["since"], *who, _waived(held["waived"])))
    yield from table(("stage", "version", "since", "by", "event", "digest", ""), rows)


def _replicas(reports: Sequence[Reported]) -> Iterator[str]:
    if not reports:
        yield "no replica has reported lately"
        return
    columns = ("stage", "replica", "answers with", "since", "epoch", "heard", "digest", "")
    yield from table(columns, [_reported(one) for one in reports])


def _reported(one: Reported) -> tuple[str, ...]:
    replica = one.replica
    return (
        str(replica.stage),
        replica.url,
        "nothing" if replica.number is None else f"{replica.model}@{replica.number}",
        "" if replica.since is None else to_text(replica.since),
        "" if replica.epoch is None else str(replica.epoch),
        f"{duration_text(one.silent_seconds)} ago",
        "" if replica.digest is None else str(replica.digest)[:19],
        one.how,
    )


def _waived(waivers: Sequence[object]) -> str:
    """That a move rests on waivers; empty where it does not."""
    return outcome_text("pass", waivers) if waivers else ""


def _why(event: Event) -> str:
    """How a rollout stands, what a model is called, the reason of an event, and the waivers that it rests on."""
    return "; ".join(said for said in (_stands(event), _called(event), event.reason, _waived(event.waived)) if said)


def _called(event: Event) -> str:
    """What an event says of the name or the purpose of a model; empty for any other."""
    said = event.details
    if event.action == Action.MODEL_RENAME:
        return f"MLflow's clients call it {said.get('to')!r}, and no longer {said.get('from')!r}"
    return str(said.get("description") or "") if event.action == Action.MODEL_CREATE else ""


def _stands(event: Event) -> str:
    """What an event of a rollout says of it; empty for any other."""
    if event.action not in _ROLLOUTS:
        return ""
    said = event.details
    return f"{said.get('kind')} {said.get('state')} at step {said.get('step')}"


@app.command(epilog=epilog("history", "holdfast history churn --stage production"))
def history(
    model: ModelArgument,
    stage: Annotated[str | None, typer.Option("--stage", help="One stage; all by default.")] = None,
    limit: Annotated[int, typer.Option("--limit", help="At most so many spells, the newest.")] = 50,
    before: Annotated[
        int | None, typer.Option("--before", help="Only what earlier events began: the next page.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Draw which version held a stage from when to when, who moved it there and why."""
    name = None if stage is None else StageName(stage)
    found = here().registry.history(ModelName(model), name, before=before, limit=limit)
    spells, now = [spell.to_json() for spell in found], utc_now()
    Output(as_json=as_json).result({"model": model, "at": to_text(now), "spells": spells}, _timelines(found, now))


def _timelines(spells: Sequence[Spell], now: datetime) -> Iterator[str]:
    if not spells:
        yield "no stage has held a version yet"
        return
    begin = min(spell.since for spell in spells)
    for place, stage in enumerate(dict.fromkeys(spell.stage for spell in spells)):
        if place:
            yield ""
        yield f"{spells[0].model}, {stage}"
        rows = [_row(spell, begin, now) for spell in spells if spell.stage == stage]
        yield from table(("version", _axis(begin, now), "since (UTC)", "for", "came", "verdict", "by", "why"), rows)


def _axis(begin: datetime, now: datetime) -> str:
    written = "%H:%M" if begin.date() == now.date() else "%Y-%m-%d"
    first, last = begin.strftime(written), now.strftime(written)
    return first + last.rjust(_BAR_COLUMNS - len(first))


def _row(spell: Spell, begin: datetime, now: datetime) -> tuple[str, ...]:
    end = spell.until or now
    span = max((now - begin).total_seconds(), 1.0)
    first = int((spell.since - begin).total_seconds() / span * _BAR_COLUMNS)
    last = max(first + 1, round((end - begin).total_seconds() / span * _BAR_COLUMNS))
    first = min(first, _BAR_COLUMNS - 1)
    signs = drawing()
    bar = signs.empty * first + signs.full * (min(last, _BAR_COLUMNS) - first)
    return (
        f"{spell.model}@{spell.number}",
        bar.ljust(_BAR_COLUMNS, signs.empty),
        f"{spell.since:%Y-%m-%d %H:%M:%S}",
        duration_text((end - spell.since).total_seconds()) + _WENT.get(spell.ended, ""),
        _CAME[spell.action],
        outcome_text(spell.outcome or "", spell.waived),
        spell.by,
        spell.reason,
    )


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
    Output(as_json=as_json).result({"events": events}, _events(found, of_one=name is not None))


def _follow(registry: Registry, model: ModelName | None, last: Sequence[Event], output: Output) -> None:
    """Every event from here on, until somebody ends this, or nobody reads it any more."""
    begin = last[0].index if last else -1
    for event in chain(last, registry.follow(begin, model=model)):
        said = event.to_json()
        arrow = "beside" if event.action in _ROLLOUTS else "->"
        is_between = said["to"] is not None or event.action == Action.STAGE_CLEAR
        moved = f"{said['from'] or '-'} {arrow} {said['to'] or '-'}" if is_between else ""
        where = " ".join(str(one) for one in (said["model"], said["stage"], moved) if one)
        line = f"{event.index}  {said['time'][:19]}  {event.actor}  {event.action}  {where}  {_why(event)}"
        if not output.piece(said, line):
            return


def _events(events: Sequence[Event], *, of_one: bool) -> Iterator[str]:
    names = () if of_one else ("model",)
    yield from table(
        ("event", "time", "actor", "action", *names, "stage", "from", "to", "reason", "hash"),
        (
            (
                event.index,
                to_text(event.time)[:19].replace("T", " "),
                event.actor,
                event.action,
                *([] if of_one else [event.model]),
                event.stage,
                event.from_number,
                event.to_number,
                _why(event),
                event.hash[:19],
            )
            for event in events
        ),
    )
