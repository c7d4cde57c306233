"""`user`, `token`, `login`, `logout` and `whoami`: who is known to a server, and what they may do there."""

import getpass
import os
import sys
from typing import Annotated

import typer

from holdfast.access import EVERYTHING, Ceiling, Grant, Kind, NewToken, NewUser, Pattern, Role, Token, User
from holdfast.access.secret import is_secret
from holdfast.access.values import DAYS_DEFAULT, DAYS_MAX
from holdfast.canonical import JsonObject, Reader
from holdfast.cli.exit_codes import epilog
from holdfast.cli.options import AsJson, Reason, here
from holdfast.cli.output import Output, table
from holdfast.config import credentials_path
from holdfast.errors import Unauthenticated, UsageError
from holdfast.names import StageName
from holdfast.service.credentials import Credentials
from holdfast.service.line import Line
from holdfast.service.sign_in import Asked, by_browser, by_device
from holdfast.wire.people import open_access
from holdfast.wire.people import whoami as asked_who

app = typer.Typer()
user = typer.Typer(help="Users: who is known to a server, and what is granted to them.")
token = typer.Typer(help="Tokens: what a user shows to a server.")
app.add_typer(user, name="user")
app.add_typer(token, name="token")

NameArgument = Annotated[str, typer.Argument(metavar="NAME", help="The user's name, such as ana.")]
ModelOption = Annotated[str, typer.Option("--model", help="A model, the beginning of names and *, or * for all.")]
RoleOption = Annotated[
    str, typer.Option("--role", help="The most that it allows: viewer, contributor, approver, admin.")
]
UserOption = Annotated[str | None, typer.Option("--user", help="Whose; your own when nobody is named.")]
UrlOption = Annotated[
    str | None,
    typer.Argument(metavar="[URL]", help="The server; HOLDFAST_URL when it is not named.", show_default=False),
]


@user.callback()
def _user() -> None:
    """Users: who is known to a server, and what is granted to them."""


@token.callback()
def _token() -> None:
    """Tokens: what a user shows to a server."""


@user.command(epilog=epilog("user add", "holdfast user add ana --email ana@example.org"))
def add(
    name: NameArgument,
    service: Annotated[bool, typer.Option("--service", help="A machine: it never approves.")] = False,
    email: Annotated[str | None, typer.Option("--email", help="By which a provider of identities knows them.")] = None,
    as_json: AsJson = False,
) -> None:
    """Make somebody known, who may do nothing yet."""
    project = here()
    made = open_access(project).add_user(NewUser(name, Kind.SERVICE if service else Kind.PERSON, email), project.actor)
    Output(as_json=as_json).result(
        made.to_json(), [f"{name} is known, and may do nothing yet", f"next: holdfast user grant {name} viewer"]
    )


@user.command("list", epilog=epilog("user list", "holdfast user list"))
def list_users(as_json: AsJson = False) -> None:
    """All that are known, with what is granted to them."""
    found = open_access(here()).users()
    lines = table(("user", "kind", "grants", "disabled"), map(_user_row, found))
    value: JsonObject = {"users": [one.to_json() for one in found]}
    Output(as_json=as_json).result(value, lines if found else ["nobody is known; add one: holdfast user add NAME"])


@user.command(epilog=epilog("user grant", "holdfast user grant ana approver --model 'fraud-*' --stage production"))
def grant(
    name: NameArgument,
    role: Annotated[str, typer.Argument(metavar="ROLE", help="viewer, contributor, approver or admin.")],
    model: ModelOption = "*",
    stage: Annotated[
        list[str] | None, typer.Option("--stage", help="An approver's stage; all of them, if none.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Give a role for some models, in place of the one they had for these."""
    project = here()
    wanted = Grant(Role.parse(role), Pattern(model), tuple(map(StageName, stage or ())))
    given = open_access(project).grant(name, wanted, project.actor)
    Output(as_json=as_json).result(given.to_json(), [f"{name} is {_said(wanted)}"])


@user.command(epilog=epilog("user revoke", "holdfast user revoke ana --model 'fraud-*'"))
def revoke(name: NameArgument, model: ModelOption = "*", as_json: AsJson = False) -> None:
    """Take back what was granted for a model or a pattern."""
    project = here()
    left = open_access(project).revoke(name, Pattern(model), project.actor)
    Output(as_json=as_json).result(left.to_json(), [f"{name} is now {_all(left) or 'granted nothing'}"])


@user.command(epilog=epilog("user disable", 'holdfast user disable ana --reason "left"'))
def disable(name: NameArgument, reason: Reason = "", as_json: AsJson = False) -> None:
    """Take everything from a user at once, their tokens included; the name stays theirs in the log."""
    project = here()
    gone = open_access(project).disable(name, project.actor, reason)
    Output(as_json=as_json).result(gone.to_json(), [f"{name} may do nothing any more, with any token"])


@token.command(epilog=epilog("token create", "holdfast token create --name laptop"))
def create(
    name: Annotated[str, typer.Option("--name", help="Where it is used, such as laptop.")] = "cli",
    user: UserOption = None,
    role: RoleOption = "admin",
    model: ModelOption = "*",
    days: Annotated[float, typer.Option("--days", max=DAYS_MAX, help="Until it expires.")] = DAYS_DEFAULT,
    as_json: AsJson = False,
) -> None:
    """Make a token, and show it this once: for what its user may, and nothing above its role or beside its model."""
    project = here()
    new = NewToken(user or project.actor, name, Ceiling(Role.parse(role), Pattern(model)), days)
    made = open_access(project).issue(new, project.actor)
    output = Output(as_json=as_json)
    output.talk(f"token {made.token.id} of {made.token.user}, good until {made.token.to_json()['expires_at'][:10]};")
    output.talk("this is the only time that it is shown:")
    output.result(made.to_json(), [made.secret])


@token.command("list", epilog=epilog("token list", "holdfast token list"))
def list_tokens(
    user: UserOption = None,
    every: Annotated[bool, typer.Option("--all", help="Everybody's.")] = False,
    as_json: AsJson = False,
) -> None:
    """Your tokens, or somebody's; never the secrets."""
    project = here()
    found = open_access(project).tokens(None if every else user or project.actor)
    heads = ("token", "user", "name", "allows", "expires", "last used", "revoked")
    lines = table(heads, map(_token_row, found))
    value: JsonObject = {"tokens": [one.to_json() for one in found]}
    Output(as_json=as_json).result(value, lines if found else ["no tokens"])


@token.command("revoke", epilog=epilog("token revoke", "holdfast token revoke 5f1c0a…"))
def revoke_token(
    id_: Annotated[str, typer.Argument(metavar="ID", help="As `token list` shows it.")], as_json: AsJson = False
) -> None:
    """Have a token refused from now on."""
    project = here()
    gone = open_access(project).revoke_token(id_, project.actor)
    Output(as_json=as_json).result(gone.to_json(), [f"the token {gone.name!r} of {gone.user} is refused from now on"])


@app.command(epilog=epilog("login", "holdfast login https://registry.example.org"))
def login(
    url: UrlOption = None,
    with_token: Annotated[bool, typer.Option("--with-token", help="Read a token from standard input.")] = False,
    device: Annotated[bool, typer.Option("--device", help="Show a code to type into a browser elsewhere.")] = False,
    as_json: AsJson = False,
) -> None:
    """Sign in at a server with the browser, or with a token where it has no provider; and keep what it gives."""
    server = _named(url)
    asked = None if with_token else _sign_in_at(server)
    secret = _read_secret() if asked is None else _signed_in(server, asked, device=device)
    said = _asked(server, secret)
    path = Credentials(credentials_path()).keep(server, secret)
    value: JsonObject = {"url": server, "user": said["user"], "kept_in": str(path)}
    Output(as_json=as_json).result(value, [f"{said['user']} at {server}; the token is kept in {path}"])


@app.command(epilog=epilog("logout", "holdfast logout"))
def logout(url: UrlOption = None, as_json: AsJson = False) -> None:
    """Keep no token for a server any more; it stays good until it is revoked or expires."""
    server = _named(url)
    gone = Credentials(credentials_path()).forget(server) is not None
    line = f"no token is kept for {server} any more" if gone else f"no token was kept for {server}"
    Output(as_json=as_json).result({"url": server, "forgotten": gone}, [line])


@app.command(epilog=epilog("whoami", "holdfast whoami"))
def whoami(as_json: AsJson = False) -> None:
    """Who you are to this project's server, and what you may do there; without a server, to the log."""
    said = asked_who(here())
    lines = [f"{said['user']}" + (f" at {said['url']}" if said["url"] else "")]
    lines += [f"  {one['role']} of {one['pattern']}" + _stages(one["stages"]) for one in said["grants"]]
    Output(as_json=as_json).result(said, lines)


def _named(url: str | None) -> str:
    server = url or os.environ.get("HOLDFAST_URL")
    if not server:
        raise UsageError("no server is named", hint="Say which: holdfast login https://registry.example.org")
    return server


def _sign_in_at(server: str) -> Asked | None:
    """Where the server has people sign in; None where tokens are given out by hand."""
    try:
        Line(server).get("/whoami")
    except Unauthenticated as error:
        said = error.details.get("sign_in")
        if isinstance(said, dict):
            return Asked(str(said.get("issuer")), str(said.get("client_id")))
    return None


def _signed_in(server: str, asked: Asked, *, device: bool) -> str:
    """The server's token for whoever signs in at its provider."""
    say = Output(as_json=True).talk
    shown = by_device(asked, say) if device else by_browser(asked, say)
    said = Line(server, token=shown).send("POST", "/sign-in")
    return Reader(said, "sign-in").text("token")


def _read_secret() -> str:
    """The token that a person types or pastes, or that a program writes; it is never an argument, which others see."""
    if sys.stdin is not None and sys.stdin.isatty():
        said = getpass.getpass("token: ")
    else:
        said = "" if sys.stdin is None else sys.stdin.readline(4096)
    if not is_secret(said.strip()):
        raise UsageError("that is no token of Holdfast", hint="An admin makes one: holdfast token create --user NAME")
    return said.strip()


def _asked(server: str, secret: str) -> JsonObject:
    """Who the token proves, as the server says.

    Raises:
        Unauthenticated: it proves nobody.
    """
    said = Line(server, token=secret).get("/whoami")
    if not isinstance(said, dict) or not said.get("user"):
        raise Unauthenticated(f"{server} asks nobody who they are", hint="Work with it as it is; no token is needed.")
    return said


def _user_row(one: User) -> tuple[object, ...]:
    gone = one.to_json()["disabled_at"]
    return one.name, one.kind, _all(one), gone and gone[:10]


def _token_row(one: Token) -> list[object]:
    said = one.to_json()
    allows = str(one.ceiling.role) + ("" if one.ceiling.pattern == EVERYTHING else f" of {one.ceiling.pattern}")
    days = (said[key] and said[key][:10] for key in ("expires_at", "last_used_at", "revoked_at"))
    return [one.id, one.user, one.name, allows, *days]


def _all(one: User) -> str:
    return ", ".join(map(_said, one.grants))


def _said(grant: Grant) -> str:
    return f"{grant.role} of {grant.pattern}" + _stages([str(stage) for stage in grant.stages])


def _stages(stages: list[str]) -> str:
    return f" for {', '.join(stages)}" if stages else ""
