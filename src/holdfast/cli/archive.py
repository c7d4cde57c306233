"""`archive` and `restore`: older versions to colder storage, and back."""

from collections.abc import Iterator
from typing import Annotated

import typer

from holdfast.canonical import JsonObject
from holdfast.cli.exit_codes import EXIT_CODES, SUCCESS, epilog
from holdfast.cli.options import AsJson, Reason, here
from holdfast.cli.output import Output, bytes_text, table
from holdfast.digest import Digest
from holdfast.errors import IntegrityError, NotFound, UsageError
from holdfast.names import Reference
from holdfast.registry.values import Version
from holdfast.upkeep.archive import Archiver, Outcome, Progress, Wish, archive_all, due, prepared, wanted
from holdfast.upkeep.archive import restore as bring_back
from holdfast.upkeep.keep_rules import which
from holdfast.upkeep.remotes import NamedRemote, Remotes
from holdfast.wire import Project, open_archiver, open_exchange

app = typer.Typer()


@app.command(epilog=epilog("archive", "holdfast archive --due --to cold"))
def archive(
    what: Annotated[
        list[str] | None, typer.Argument(metavar="[VERSION|DIGEST]...", help="churn@1, or sha256:… of a snapshot.")
    ] = None,
    all_due: Annotated[bool, typer.Option("--due", help="All versions that no keep-rule keeps.")] = False,
    to: Annotated[
        str | None, typer.Option("--to", help="The remote that takes them; `archive` of [retention] when left out.")
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would go and what stays, and why.")] = False,
    reason: Reason = "",
    as_json: AsJson = False,
) -> int:
    """Copy versions with all their data to a remote, prove that it holds every byte, and write that down.

    Nothing is deleted: from then on holdfast gc lets the bytes go that nothing else needs, as long as the remote lists
    them. What a version is, its record, stays for ever.
    """
    if bool(what) == all_due:
        raise UsageError("it is not said what to archive", hint="Name versions, or say --due; not both.")
    project, output = here(), Output(as_json=as_json)
    archiver = open_archiver(project)
    if dry_run:
        value = _planned(archiver, what or [])
        output.result(value, _plan(value))
        return SUCCESS
    named = _taker(project, archiver, to)
    with output.progress("archiving") as progress:
        found = _archive(project, archiver, named, what or [], reason, progress)
    value = {"remote": named.name, "url": str(named.address), **found.to_json()}
    output.result(value, _archived(value))
    return EXIT_CODES[IntegrityError.code] if found.failed else SUCCESS


@app.command(epilog=epilog("restore", "holdfast restore churn@1"))
def restore(
    what: Annotated[str, typer.Argument(metavar="VERSION|DIGEST", help="churn@1, or sha256:… of a snapshot.")],
    source: Annotated[
        str | None, typer.Option("--from", help="Which remote; the one it was archived in when left out.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Bring an archived version back with all its data, verified; it is kept again as one that was registered now."""
    project, output = here(), Output(as_json=as_json)
    thing: Version | Digest
    thing = Digest.parse(what) if what.startswith("sha256:") else project.registry.resolve(Reference.parse(what))
    named = _giver(project, thing, what, source)
    with output.progress("restoring") as progress:
        exchange = open_exchange(project, named)
        done = bring_back(exchange, named.name, thing, actor=project.actor, progress=progress)
    said = "is here again" if done.is_new else "is here"
    lines = [f"{done.name} {said}: fetched {done.blobs} blob(s), {bytes_text(done.bytes)}, from {named.name}"]
    output.result(done.to_json(), lines)


def _archive(
    project: Project, archiver: Archiver, named: NamedRemote, what: list[str], reason: str, progress: Progress
) -> Outcome:
    things = [wanted(archiver, text) for text in what] if what else due(archiver)[0]
    wish = Wish(named.name, project.actor, reason)
    return archive_all(archiver, open_exchange(project, named), wish, things, progress, all_of_them=bool(what))


def _taker(project: Project, archiver: Archiver, to: str | None) -> NamedRemote:
    name = to or archiver.rules.archive
    if name is None:
        raise UsageError(
            "it is not said which remote takes what is archived",
            hint='Say --to NAME, or write archive = "NAME" into [retention] of holdfast.toml.',
        )
    return Remotes(project.settings.home).find(name)


def _giver(project: Project, thing: Version | Digest, what: str, source: str | None) -> NamedRemote:
    remotes = Remotes(project.settings.home)
    if source is not None:
        return remotes.find(source)
    digest = thing if isinstance(thing, Digest) else thing.digest
    archives = [one for one in project.registry.archives() if one.digest == digest]
    if not archives:
        raise NotFound(
            f"{what} is not archived",
            hint=f"If bytes of it are lost: holdfast check --repair; or say which remote has it: "
            f"holdfast restore {what} --from NAME",
        )
    return remotes.of_archive(archives[-1])


def _planned(archiver: Archiver, what: list[str]) -> JsonObject:
    things: list[Version | Digest] = [wanted(archiver, text) for text in what]
    versions, kept = due(archiver)
    staying = [one for one in archiver.registry.versions() if which(one) in kept]
    return {
        "due": [prepared(archiver, one).to_json() for one in (things if what else versions)],
        "kept": [{"what": f"{one.model}@{one.number}", "why": kept[which(one)].reason} for one in staying],
    }


def _plan(value: JsonObject) -> Iterator[str]:
    yield from table(
        ("version", "would be archived", "bytes"),
        [
            *((one["what"], "yes", bytes_text(one["bytes"])) for one in value["due"]),
            *((one["what"], f"no: {one['why']}", "") for one in value["kept"]),
        ],
    )
    yield "nothing was changed; do it without --dry-run"


def _archived(value: JsonObject) -> Iterator[str]:
    for one in value["archived"]:
        sent = f"sent {one['blobs']} blob(s), {bytes_text(one['bytes'])}"
        yield f"{one['what']} is archived in {one['remote']}; {sent if one['new'] else 'it was before'}"
    for one in value["left"]:
        yield f"{one['what']} was left: {one['error']['message']}"
    if value["archived"]:
        yield "their bytes go from here with: holdfast gc --apply; they come back with: holdfast restore"
    elif not value["left"]:
        yield "nothing is due"
