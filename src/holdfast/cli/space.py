"""`gc` and `hold`: what goes, and what must stay."""

from collections.abc import Iterator
from datetime import timedelta
from typing import Annotated

import typer

from holdfast.canonical import JsonObject
from holdfast.cli.exit_codes import EXIT_CODES, SUCCESS, epilog
from holdfast.cli.options import AsJson, Reason, here
from holdfast.cli.output import Output, bytes_text, table
from holdfast.digest import Digest
from holdfast.errors import IntegrityError, NotFound
from holdfast.names import Reference
from holdfast.registry.records import Hold
from holdfast.runtime.at_hand import archive_of
from holdfast.wire import Project, open_collector

app = typer.Typer()
hold = typer.Typer(help="Holds: what must be kept, though nothing else may need it.")
app.add_typer(hold, name="hold")

_SHOWN_MAX = 20
"""Lines of one kind that a person reads of what would go; --json has all of them."""

_UNREFERENCED_DAYS = 30.0


@app.command(epilog=epilog("gc", "holdfast gc --apply"))
def gc(
    apply: Annotated[
        bool, typer.Option("--apply", help="Do it: condemn what is new, delete what was condemned a day ago.")
    ] = False,
    unreferenced_days: Annotated[
        float, typer.Option("--unreferenced-days", min=0.0, help="What is younger stays, though nothing needs it yet.")
    ] = _UNREFERENCED_DAYS,
    sole_registry: Annotated[
        bool, typer.Option("--sole-registry", help="No other registry keeps its bytes in this store.")
    ] = False,
    nothing_needed: Annotated[
        bool, typer.Option("--nothing-needed", help="Everything may go: the registry knows nothing, and is right.")
    ] = False,
    deleted_days: Annotated[
        float | None,
        typer.Option(
            "--deleted-days", min=0.0, help="Files of runs that MLflow's clients deleted so long ago lose their names."
        ),
    ] = None,
    as_json: AsJson = False,
) -> int:
    """Say which bytes nothing needs, and why the others stay; with --apply, delete them in two runs a day apart."""
    output, collector = Output(as_json=as_json), open_collector(here())
    names: list[JsonObject] = []
    if deleted_days is not None:
        names = collector.free_deleted(timedelta(days=deleted_days), apply=apply, sole_registry=sole_registry)
    if apply:
        # Their names are gone by now, and nothing else keeps whose they were: said in full, before anything may refuse.
        for line in _deleted_names(names, "have lost"):
            output.talk(line)
    found = collector.look(timedelta(days=unreferenced_days))
    if apply:
        found = collector.apply(found, sole_registry=sole_registry, nothing_needed=nothing_needed)
    value = {**found.to_json(), "deleted_names": names}
    words = (("--sole-registry", sole_registry), ("--nothing-needed", nothing_needed))
    output.result(value, _collection(value, _asked(unreferenced_days, deleted_days, *words)))
    return EXIT_CODES[IntegrityError.code] if value["lost"] or value["unread"] or value["stuck"] else SUCCESS


def _asked(unreferenced_days: float, deleted_days: float | None, *words: tuple[str, bool]) -> str:
    """The command that does what was asked for: with other options, other things would go."""
    young = None if unreferenced_days == _UNREFERENCED_DAYS else unreferenced_days
    days = (("--unreferenced-days", young), ("--deleted-days", deleted_days))
    said = [f"{name} {str(value).removesuffix('.0')}" for name, value in days if value is not None]
    said += [name for name, was_said in words if was_said]
    return " ".join(["holdfast gc", *said, "--apply"])


def _collection(value: JsonObject, asked: str) -> Iterator[str]:
    yield from table(
        ("kept by", "blobs", "bytes"),
        [(one["why"], one["blobs"], bytes_text(one["bytes"])) for one in value["kept"] if one["blobs"]],
    )
    for one in value["archived"]:
        said = f"{one['blobs']} blob(s), {bytes_text(one['bytes'])}"
        yield f"{one['what']} is archived and whole there: {said} that nothing else needs may go"
    for what, why in (("bytes_recent", "too young to go"), ("bytes_tolerated", "not worth rewriting their packs for")):
        if value[what]:
            yield f"{bytes_text(value[what])} that nothing needs are {why}"
    for digest in [*value["lost"], *value["unread"]]:
        yield f"LOST: {digest} is needed and is not whole; nothing is deleted until it is. See: holdfast check"
    if value["applied"]:
        yield from _done(value, asked)
        return
    names = value["deleted_names"]
    yield from _planned(value)
    if names:
        yield from _deleted_names(names[:_SHOWN_MAX], "would lose")
        if len(names) > _SHOWN_MAX:
            yield f"and those of {len(names) - _SHOWN_MAX} more; --json has all of them"
        yield "what nothing else needs of their bytes is then condemned by the same run, unless it is too young to go"
    if names or value["doomed"]:
        yield f"nothing was changed; do it with: {asked}"


def _deleted_names(names: list[JsonObject], verb: str) -> Iterator[str]:
    for one in names:
        yield f"{one['files']} file(s) of {one['what']}, {bytes_text(one['bytes'])}, {verb} their names: it was deleted"


def _planned(value: JsonObject) -> Iterator[str]:
    doomed = value["doomed"]
    if not doomed:
        besides = " but the names below" if value["deleted_names"] else ""
        yield f"nothing would go{besides}; the store has {bytes_text(value['bytes'])}"
        return
    gain = sum(one["bytes"] - one["bytes_needed"] for one in doomed)
    yield f"{bytes_text(gain)} of {bytes_text(value['bytes'])} would go: no version, run or hold needs them"
    yield from table(
        ("segment", "bytes", "of them needed", "condemned", "goes from"),
        [
            (
                f"{one['kind']} {one['segment'][:12]}",
                bytes_text(one["bytes"]),
                bytes_text(one["bytes_needed"]),
                one["condemned_at"] or "not yet",
                one["due_at"],
            )
            for one in doomed[:_SHOWN_MAX]
        ],
    )
    if len(doomed) > _SHOWN_MAX:
        yield f"and {len(doomed) - _SHOWN_MAX} more; --json has all of them"


def _done(value: JsonObject, asked: str) -> Iterator[str]:
    deleted, condemned, left = value["deleted"], value["condemned"], value["doomed"]
    yield (
        f"deleted {len(deleted)} segment(s), {bytes_text(max(value['bytes_freed'], 0))} freed; "
        f"{bytes_text(value['bytes_rewritten'])} that are needed were written elsewhere"
    )
    if value["pardoned"]:
        yield f"pardoned {len(value['pardoned'])} segment(s): something needs them again"
    if condemned:
        due = max(one["due_at"] for one in left)
        yield f"condemned {len(condemned)} segment(s); they go with the first {asked} after {due}"
    for one in value["stuck"]:
        yield f"STUCK: {one['kind']} {one['segment'][:12]} holds something needed that is damaged. See: holdfast check"


@hold.command("add", epilog=epilog("hold add", 'holdfast hold add churn@4 --reason "audit of May"'))
def add(
    what: Annotated[str, typer.Argument(metavar="WHAT", help="churn@4, or sha256:… of a snapshot.")],
    reason: Reason,
    as_json: AsJson = False,
) -> int:
    """Keep a version or a snapshot with all that it needs, until the hold is lifted."""
    project = here()
    named: Digest | Reference
    if what.startswith("sha256:"):
        named = Digest.parse(what)
        if not project.store.has(named):
            raise NotFound(
                f"the store does not have {what}", hint="Name what holdfast snapshot answered, or a version."
            )
    else:
        named = Reference.parse(what)
    made, output = project.registry.hold(named, reason, project.actor), Output(as_json=as_json)
    output.result(made.to_json(), [f"hold {made.id}: {made.digest}"])
    _note_archived(project, made, output)
    return SUCCESS


def _note_archived(project: Project, made: Hold, output: Output) -> None:
    """Say so where the hold cannot keep what is not here: a hold is a wish, and fetches nothing."""
    if (archive := archive_of(made.digest, project.registry)) is not None:
        away = archive.away()
        output.talk(f"note: {away.message}; the hold keeps what is here of it, and the rest once restored. {away.hint}")


@hold.command("lift", epilog=epilog("hold lift", 'holdfast hold lift 12 --reason "audit is over"'))
def lift(
    number: Annotated[int, typer.Argument(metavar="HOLD", help="Its number, as holdfast hold list has it.")],
    reason: Reason = "",
    as_json: AsJson = False,
) -> int:
    """Take a hold back; what it kept stays as long as anything else needs it."""
    project = here()
    gone = project.registry.lift(number, reason, project.actor).to_json()
    Output(as_json=as_json).result(gone, [f"lifted hold {gone['hold']}: {gone['digest']}"])
    return SUCCESS


@hold.command("list", epilog=epilog("hold list", "holdfast hold list"))
def every_hold(as_json: AsJson = False) -> int:
    """Every hold that stands, with who asked for it and why."""
    holds = [one.to_json() for one in here().registry.holds()]
    rows = [(one["hold"], _what(one), one["since"], one["by"], one["reason"]) for one in holds]
    Output(as_json=as_json).result({"holds": holds}, table(("hold", "keeps", "since", "by", "reason"), rows))
    return SUCCESS


def _what(one: JsonObject) -> str:
    return str(one["digest"]) if one["model"] is None else f"{one['model']}@{one['version']}"


@hold.callback()
def _hold() -> None:
    """Holds: what must be kept, though nothing else may need it."""
