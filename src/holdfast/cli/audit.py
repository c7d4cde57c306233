"""`audit`: is the log what it was, and how does somebody else see that?"""

from pathlib import Path
from typing import Annotated

import typer

from holdfast.cli.exit_codes import EXIT_CODES, SUCCESS, epilog
from holdfast.cli.options import AsJson, Reason, here
from holdfast.cli.output import Output
from holdfast.errors import IntegrityError, UsageError
from holdfast.registry.checkpoints import Checkpoint, proof_text
from holdfast.upkeep.audit.logbook import OFFLINE, read_note

app = typer.Typer()
audit = typer.Typer(help="The audit log: who moved what, when and why; and how to prove it.")
app.add_typer(audit, name="audit")


@audit.callback()
def _audit() -> None:
    """The audit log: who moved what, when and why; and how to prove it."""


@audit.command(epilog=epilog("audit verify", "holdfast audit verify --checkpoint kept.note"))
def verify(
    checkpoint: Annotated[
        list[Path] | None,
        typer.Option("--checkpoint", metavar="FILE", help="The log must begin with this checkpoint; may be repeated."),
    ] = None,
    as_json: AsJson = False,
) -> int:
    """Recompute the whole log, and hold it against what was seen of it, what was signed, and what you kept."""
    found = here().logbook.verify([read_note(path) for path in checkpoint or []])
    Output(as_json=as_json).result(found.to_json(), found.lines())
    return SUCCESS if found.audit.ok else EXIT_CODES[IntegrityError.code]


@audit.command(epilog=epilog("audit key", "holdfast audit key"))
def key(as_json: AsJson = False) -> None:
    """Print the public key of the log: whoever has it can check what the log signed."""
    found = here().logbook.key.verifiers()
    Output(as_json=as_json).result(
        {"key": str(found[0]), "origin": found[0].name, "retired": [str(one) for one in found[1:]]}, [str(found[0])]
    )


@audit.command(epilog=epilog("audit checkpoint", "holdfast audit checkpoint > kept.note"))
def checkpoint(as_json: AsJson = False) -> None:
    """Sign what the log is now, in a few lines: keep them where nobody who runs the registry can reach."""
    note = here().logbook.checkpoint()
    said = Checkpoint.parse(note.decode())
    if as_json:
        value = {"origin": said.origin, **said.head.to_json(), "checkpoint": note.decode()}
        Output(as_json=True).result(value, [])
    else:
        Output(as_json=False).data([note])


@audit.command(epilog=epilog("audit proof", "holdfast audit proof 3 > event-3.tlog-proof"))
def proof(
    event: Annotated[
        int | None, typer.Argument(metavar="EVENT", help="The index of an event, as `log` shows it.")
    ] = None,
    since: Annotated[
        int | None,
        typer.Option("--since", metavar="SIZE", help="Prove that the log begins with its first SIZE events."),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Prove that an event is in the log (as a C2SP tlog-proof, or JSON), or that the log only grew (always JSON)."""
    if (event is None) is (since is None):
        raise UsageError("there is nothing to prove", hint="Name an event, or a size with --since; one of the two.")
    book, output = here().logbook, Output(as_json=True)
    if since is not None:
        growth, note = book.prove_growth(since)
        output.result({**growth.to_json(), "checkpoint": note.decode()}, [])
        return
    found, note = book.prove(event or 0)
    if as_json:
        output.result({**found.to_json(), "checkpoint": note.decode()}, [])
    else:
        output.data([proof_text(found.index, found.path, note)])


@audit.command(epilog=epilog("audit export", "holdfast audit export > log.jsonl"))
def export(
    since: Annotated[int, typer.Option("--since", metavar="N", help="Only from this event on.")] = 0,
    as_json: AsJson = False,
) -> None:
    """Write every event and a signed checkpoint, a line of JSON each, for whoever checks them without Holdfast."""
    Output(as_json=as_json).data(here().logbook.export(since))


@audit.command(epilog=epilog("audit verifier", "holdfast audit verifier > verify.py"))
def verifier(as_json: AsJson = False) -> None:
    """Print the program that checks an export: one file of plain Python that needs no Holdfast."""
    program = OFFLINE.read_bytes()
    if as_json:
        Output(as_json=True).result({"program": program.decode()}, [])
    else:
        Output(as_json=False).data([program])


@audit.command(epilog=epilog("audit accept", "holdfast audit accept --reason 'restored after the disk failed'"))
def accept(reason: Reason, as_json: AsJson = False) -> None:
    """Go on with a log that is not what was seen of it, such as one restored from a backup; it becomes an event."""
    project = here()
    event = project.logbook.accept(reason, project.actor)
    key = str(project.logbook.key.verifiers()[0])
    Output(as_json=as_json).result(
        {"event": event.index, "key": key}, [f"accepted with event {event.index}; the log's key: {key}"]
    )
