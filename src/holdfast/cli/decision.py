"""`decision`: what a request was answered, why, and whether it would be answered so again."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any

import typer

from holdfast.canonical import Json, JsonObject
from holdfast.cli.exit_codes import EXIT_CODES, SUCCESS, epilog
from holdfast.cli.options import AsJson, here, moment_of
from holdfast.cli.output import Output, bytes_text, table
from holdfast.errors import NotFound, UsageError
from holdfast.names import ModelName, VersionNumber
from holdfast.serving.ledger.finding import DECISIONS_MAX, Wanted
from holdfast.serving.ledger.replaying import Replayed, replay
from holdfast.serving.ledger.telling import Told, tell
from holdfast.wire import Project
from holdfast.wire.ledger import ledger_of, replay_bench

app = typer.Typer()

_INPUT_BYTES_MAX = 512 << 20
"""More than a replica takes."""

_SHOWN_CHARACTERS_MAX = 400
"""Of an input or an answer, on a terminal; --json has all of it."""

_SHOWN_PLACES_MAX = 5
"""Places where two answers differ; --json has more."""


@app.command(epilog=epilog("decision", "holdfast decision 3f1c2a --model churn --replay"))
def decision(
    request_id: Annotated[str | None, typer.Argument(metavar="[REQUEST_ID]", help="Its X-Request-Id.")] = None,
    model: Annotated[str | None, typer.Option("--model", help="Whose decision; any model's by default.")] = None,
    at: Annotated[str | None, typer.Option("--at", help="About when it was made, within an hour; spares time.")] = None,
    again: Annotated[bool, typer.Option("--replay", help="Ask the same bundle the same again.")] = False,
    given: Annotated[Path | None, typer.Option("--input", help="The request, where it was not kept whole.")] = None,
    listed: Annotated[bool, typer.Option("--list", help="List decisions instead.")] = False,
    since: Annotated[str | None, typer.Option("--from", help="With --list, --export: not before.")] = None,
    until: Annotated[str | None, typer.Option("--to", help="With --list, --export: not after.")] = None,
    version: Annotated[int | None, typer.Option("--version", min=1, help="With --list: only this version's.")] = None,
    limit: Annotated[int, typer.Option("--limit", min=1, max=DECISIONS_MAX, help="With --list: how many.")] = 100,
    folder: Annotated[Path | None, typer.Option("--export", help="Write the pages here, as Parquet files.")] = None,
    as_json: AsJson = False,
) -> int:
    """Show what a request was answered, by which version, who let it through and why; --replay computes it again."""
    _require_one(request_id is not None, listed, folder is not None)
    _require_fitting(request_id is not None, again or given is not None or at is not None, since or until or version)
    project, output, name = here(), Output(as_json=as_json), None if model is None else ModelName(model)
    if request_id is not None:
        about = Wanted.about(name, None if at is None else moment_of(at))
        return _one(project, output, request_id, about, again=again, given=given)
    wanted = _wanted(name, since, until, version)
    if folder is not None:
        return _export(project, output, wanted, folder)
    return _list(project, output, wanted, limit)


def _require_one(*asked: bool) -> None:
    if sum(asked) != 1:
        raise UsageError(
            "one request, --list or --export has to be asked for",
            hint="For instance: holdfast decision --list --model churn",
        )


def _require_fitting(one: bool, of_one: bool, of_many: object) -> None:
    if (one and of_many) or (of_one and not one):
        raise UsageError(
            "--at, --replay and --input go with one request; --from, --to and --version with --list and --export",
            hint="holdfast decision -h shows an example.",
        )


def _wanted(model: ModelName | None, since: str | None, until: str | None, version: int | None) -> Wanted:
    return Wanted(
        model=model,
        since=None if since is None else moment_of(since),
        until=None if until is None else moment_of(until),
        version=None if version is None else VersionNumber(version),
    )


def _one(project: Project, output: Output, request_id: str, wanted: Wanted, *, again: bool, given: Path | None) -> int:
    found = ledger_of(project).decisions_of(request_id, wanted)
    told = tell(found[0], project.registry, project.store, others=len(found) - 1)
    value, lines = told.to_json(), list(_told(told))
    replayed = None
    if again or given is not None:
        replayed = replay(found[0], replay_bench(project), None if given is None else _read(given))
        value["replay"] = replayed.to_json()
        lines += _replayed(replayed)
    output.result(value, lines)
    return SUCCESS if replayed is None or replayed.same else EXIT_CODES["replay_differs"]


def _read(path: Path) -> bytes:
    if not path.is_file():
        raise NotFound(f"there is no file {path}", hint="Give the file with the bytes of the request.")
    if path.stat().st_size > _INPUT_BYTES_MAX:
        raise UsageError(f"{path} is longer than any request", hint="Give the bytes of the request alone.")
    return path.read_bytes()


def _told(told: Told) -> Iterator[str]:
    found, decision = told.found, told.found.decision
    yield f"{found.model}@{decision.version} answered request {decision.request_id} at {decision.brief()['at']}"
    if told.others:
        yield f"  (the newest of {told.others + 1} decisions on requests of this id; --at chooses)"
    yield f"  bundle    {decision.digest}"
    yield f"  why       {told.why}"
    value = told.to_json()
    for name in ("move", "rollout"):
        if (moved := value[name]) is not None:
            why = moved["reason"] or "no reason"
            yield f"  {name:<9} event {moved['event']} by {moved['by']} at {moved['at']}: {why}"
    yield from _judged(told)
    for data in told.data:
        yield f"  data      {_short(data)}"
    if told.code is not None:
        yield f"  code      {told.code['commit'] or 'no commit'}{' and changes' if told.code['dirty'] else ''}"
    if told.run is not None:
        yield f"  run       {told.run}"
    given = value["input"]
    yield f"  input     {given['kept']}" + ("" if given["value"] is None else f": {_short(given['value'])}")
    yield f"  answer    {_short(value['output']) if decision.error is None else f'error {decision.error}'}"
    yield f"  page      {_page(told)}"


def _judged(told: Told) -> Iterator[str]:
    if told.verdict is not None:
        yield f"  verdict   {told.verdict.outcome}, {told.verdict.digest}"
        yield from (f"    {one.outcome}: {one.rule}: {one.sentence}" for one in told.verdict.findings)
    for approval in () if told.move is None else told.move.approvals:
        yield f"  approval  {_short(approval)}"


def _page(told: Told) -> str:
    page = told.found.page
    if page is None:
        return "none yet: it waits in a journal of this machine"
    lost = f", {page.dropped} dropped" if page.dropped else ""
    return f"{page.digest}, event {page.event}, {page.rows} decisions{lost}"


def _short(value: Json) -> str:
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= _SHOWN_CHARACTERS_MAX else f"{text[:_SHOWN_CHARACTERS_MAX]}…"


def _replayed(found: Replayed) -> Iterator[str]:
    if found.same:
        yield "  replay    the same answer" + (", to the byte" if found.exact else ", within the tolerance")
        return
    yield "  replay    another answer"
    yield from (f"    {place}" for place in found.differs[:_SHOWN_PLACES_MAX])


def _list(project: Project, output: Output, wanted: Wanted, limit: int) -> int:
    found: list[JsonObject] = [one.brief() for one in ledger_of(project).decisions(wanted, limit)]
    output.result({"decisions": found}, _rows(found))
    return SUCCESS


def _rows(found: list[dict[str, Any]]) -> Iterator[str]:
    if not found:
        yield "no decisions; they are kept where [model.NAME.serve.ledger] says so"
        return
    yield from table(
        ("request", "version", "at (UTC)", "why", "seconds", "error"),
        (
            (
                one["request"],
                f"{one['model']}@{one['version']}",
                one["at"][:19].replace("T", " "),
                f"{one['stage']}, epoch {one['epoch']}, {one['reason']}",
                f"{one['seconds']:.4f}",
                one["error"] or "",
            )
            for one in found
        ),
    )


def _export(project: Project, output: Output, wanted: Wanted, folder: Path) -> int:
    made = ledger_of(project).export(wanted, folder)
    value: JsonObject = {"pages": [{**page.to_json(), "file": str(path)} for page, path in made]}
    output.result(
        value, [f"{path}  {page.rows} decisions, {bytes_text(page.bytes)}" for page, path in made] or ["no pages yet"]
    )
    return SUCCESS
