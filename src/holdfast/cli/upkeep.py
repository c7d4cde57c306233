"""`check` and `doctor`: is everything still what it says it is?"""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Annotated

import typer

from holdfast.canonical import JsonObject
from holdfast.cli.exit_codes import EXIT_CODES, SUCCESS, UNEXPECTED, epilog
from holdfast.cli.options import AsJson, here
from holdfast.cli.output import Output, bytes_text
from holdfast.config import Settings
from holdfast.errors import HoldfastError, IntegrityError, NoProject
from holdfast.store.interface import STRUCTURE, Depth
from holdfast.upkeep.check import Checked, check_remote
from holdfast.upkeep.check import check as check_everything
from holdfast.upkeep.doctor import Sign, examine_machine, examine_project
from holdfast.upkeep.remotes import Remotes
from holdfast.wire import Project, open_exchange, open_named_files, utc_now

app = typer.Typer()


@app.command(epilog=epilog("check", "holdfast check --subset 1/7"))
def check(
    subset: Annotated[
        str, typer.Option(metavar="N/T", help="Read one share in T; after the shares 1 to T, all was read.")
    ] = "1/1",
    structure: Annotated[
        bool, typer.Option("--structure", help="Read no data: is all that should be there, there?")
    ] = False,
    repair: Annotated[
        bool,
        typer.Option("--repair", help="First make a lost index again, and fetch what is damaged from the remotes."),
    ] = False,
    remote: Annotated[
        str | None,
        typer.Option(metavar="NAME", help="Check a remote instead; with --repair, send what is damaged there."),
    ] = None,
    as_json: AsJson = False,
) -> int:
    """Re-hash every byte, name what is damaged, and say which versions that hurts."""
    project, output = here(), Output(as_json=as_json)
    depth = STRUCTURE if structure else Depth.parse(subset)
    with output.progress("checking") as progress:
        if remote is not None:
            exchange = open_exchange(project, Remotes(project.settings.home).find(remote))
            return _told(output, check_remote(exchange, progress, depth=depth, repair=repair).to_json(), remote)
        found = _found(project, progress, depth, repair=repair)
    return _told(output, found.to_json(), None)


def _found(project: Project, progress: Callable[[int, int], None], depth: Depth, *, repair: bool) -> Checked:
    remotes = Remotes(project.settings.home) if repair else ()
    return check_everything(
        *(project.store, project.registry, progress),
        depth=depth,
        repair=repair,
        sources=[open_exchange(project, remote).incoming.fetch for remote in remotes],
        now=utc_now(),
        files=open_named_files(project),
    )


def _told(output: Output, value: JsonObject, remote: str | None) -> int:
    output.result(value, _checked(value, "" if remote is None else f"--remote {remote} "))
    return SUCCESS if value["ok"] else EXIT_CODES[IntegrityError.code]


def _checked(value: JsonObject, where: str) -> Iterator[str]:
    yield from value["repaired"]
    read = bytes_text(value["bytes_read"])
    yield (
        f"{'ok' if value['ok'] else 'DAMAGED'}: {value['blobs']} blobs, {bytes_text(value['bytes'])}; "
        f"{read} of what is stored re-hashed"
    )
    if value["indexed"]:
        yield f"  {value['indexed']} version(s) from before there was an index can be searched by what they are"
    if value["not_indexed"]:
        yield f"  {value['not_indexed']} version(s) cannot be searched by what they are: their manifest is not here"
    for one in value["archived"]:
        away = f"{one['blobs_away']} of its {one['blobs']} blobs are there only"
        yield f"  {one['what']} is archived in {one['remote']}: {away}"
    for note in value["notes"]:
        yield f"  {note}; run: holdfast check {where}--repair"
    for one in value["damaged"]:
        hurt = ", ".join(one["versions"]) or "no version"
        reason = f"its bytes hash to {one['reason']}" if one["reason"].startswith("sha256:") else one["reason"]
        yield f"  {one['digest']}  hurts {hurt}: {reason}"


@app.command(epilog=epilog("doctor", "holdfast doctor"))
def doctor(as_json: AsJson = False) -> int:
    """Look at this machine and this project, and say what would stop them from working."""
    signs = list(examine_machine(Path.cwd()))
    try:
        settings = Settings.find(Path.cwd())
    except NoProject as error:
        signs.append(Sign("project", ok=False, sentence=error.message, hint=error.hint, needed=False))
    else:
        signs += _project_signs(settings)
    well = all(sign.ok or not sign.needed for sign in signs)
    Output(as_json=as_json).result({"ok": well, "signs": [sign.to_json() for sign in signs]}, _signs(signs))
    return SUCCESS if well else UNEXPECTED


def _project_signs(settings: Settings) -> list[Sign]:
    try:
        project = here()
        store, registry = project.store, project.registry
    except HoldfastError as error:
        return [Sign("project", ok=False, sentence=error.message, hint=error.hint)]
    return list(examine_project(settings, store, registry))


def _signs(signs: list[Sign]) -> Iterator[str]:
    for sign in signs:
        mark = "ok" if sign.ok else ("ILL" if sign.needed else "note")
        yield f"{mark:<5} {sign.name:<13} {sign.sentence}"
        if not sign.ok:
            yield f"{'':<5} {'':<13} {sign.hint}"
