"""Who is known here, what is granted to them, and their tokens."""

from typing import Annotated

from fastapi import APIRouter, Depends, Path, Query, Request
from starlette.responses import Response

from holdfast.access import Ceiling, Doors, Grant, Issued, Kind, NewToken, NewUser, Pattern, Role
from holdfast.errors import NotFound, PermissionRefused
from holdfast.names import StageName
from holdfast.service.line import API
from holdfast.web.api import schemas_of_people as schemas
from holdfast.web.api.caller import Caller
from holdfast.web.api.desk import Actor, Here, Who, answer, refusals
from holdfast.web.api.needs import Concern, needs
from holdfast.web.bearer import bearer, unauthenticated

__all__ = ["routes"]

_SIGN_IN_DAYS = 0.5
"""A working day: what a provider takes from somebody is gone by the next one."""

UserText = Annotated[str, Path(max_length=256, examples=["ana"])]
TokenId = Annotated[str, Path(max_length=64)]

routes = APIRouter(prefix=API, tags=["people"], responses=refusals(400, 401, 403, 404, 409, 413, 422, 503))
"""Each parses, calls and presents."""


async def _people(desk: Here) -> Doors:
    if desk.access is None:
        raise NotFound("this server asks nobody who they are", hint="Start it so: holdfast server --auth")
    return desk.access


People = Annotated[Doors, Depends(_people)]
"""Users, grants and tokens."""


@routes.get("/whoami", response_model=schemas.Identity, dependencies=[needs(Role.VIEWER, Concern.SELF)])
async def whoami(who: Who) -> Response:
    """Who asks, as their token proves it."""
    if who.identity is None:
        return answer({"user": None, "kind": None, "token": None, "expires_at": None, "grants": []})
    return answer(who.identity.to_json())


@routes.post("/sign-in", response_model=schemas.Issued, status_code=201)
async def sign_in(request: Request, desk: Here, people: People) -> Response:
    """A token for whom the provider's token in the `Authorization` header speaks of; it is good for half a day."""
    said, provider = bearer(request.scope["headers"]), desk.provider
    if provider is None:
        raise unauthenticated("this server knows no provider of identities")
    found = await desk.ask(lambda: provider.signed_in(said))

    def issue() -> Issued:
        user = people.sign_in(found.subject, found.email)
        return people.issue(NewToken(user.name, "sign-in", days=_SIGN_IN_DAYS, grants=found.grants), user.name)

    return answer((await desk.ask(issue)).to_json(), 201)


@routes.get("/users", response_model=schemas.Users, dependencies=[needs(Role.ADMIN, Concern.PROJECT)])
async def users(desk: Here, people: People) -> Response:
    """All that are known, by name."""
    return answer({"users": [one.to_json() for one in await desk.ask(people.users)]})


@routes.post("/users", response_model=schemas.User, status_code=201, dependencies=[needs(Role.ADMIN, Concern.PROJECT)])
async def add(desk: Here, people: People, actor: Actor, new: schemas.NewUser) -> Response:
    """Make somebody known, who may do nothing yet."""
    asked = NewUser(new.user, Kind(new.kind), new.email)
    return answer((await desk.ask(lambda: people.add_user(asked, actor))).to_json(), 201)


@routes.post("/users/{user}/disable", response_model=schemas.User, dependencies=[needs(Role.ADMIN, Concern.PROJECT)])
async def disable(desk: Here, people: People, actor: Actor, user: UserText, why: schemas.Why) -> Response:
    """Take everything from a user, their tokens included."""
    return answer((await desk.ask(lambda: people.disable(user, actor, why.reason))).to_json())


@routes.post(
    "/users/{user}/grants", response_model=schemas.User, dependencies=[needs(Role.ADMIN, Concern.PATTERN_SAID)]
)
async def grant(desk: Here, people: People, actor: Actor, user: UserText, new: schemas.NewGrant) -> Response:
    """Give a user a role for some models, in place of the one they had for these."""
    asked = Grant(Role(new.role), Pattern(new.pattern), tuple(map(StageName, new.stages)))
    return answer((await desk.ask(lambda: people.grant(user, asked, actor))).to_json())


@routes.post(
    "/users/{user}/grants/revoke",
    response_model=schemas.User,
    dependencies=[needs(Role.ADMIN, Concern.PATTERN_SAID)],
)
async def revoke(desk: Here, people: People, actor: Actor, user: UserText, end: schemas.EndOfGrant) -> Response:
    """Take back what was granted for a pattern."""
    pattern = Pattern(end.pattern)
    return answer((await desk.ask(lambda: people.revoke(user, pattern, actor))).to_json())


@routes.get("/tokens", response_model=schemas.Tokens, dependencies=[needs(Role.VIEWER, Concern.SELF)])
async def tokens(
    desk: Here, people: People, who: Who, user: Annotated[str | None, Query(max_length=256)] = None
) -> Response:
    """The tokens of the caller; those of others, or of all, are for admins."""
    if user != who.name:
        who.require(Role.ADMIN)
    return answer({"tokens": [one.to_json() for one in await desk.ask(lambda: people.tokens(user))]})


@routes.post("/tokens", response_model=schemas.Issued, status_code=201, dependencies=[needs(Role.VIEWER, Concern.SELF)])
async def issue(desk: Here, people: People, who: Who, new: schemas.NewToken) -> Response:
    """Make a token for the caller, or for anybody where an admin asks."""
    asked = _asked(who, new)
    return answer((await desk.ask(lambda: people.issue(asked, who.name))).to_json(), 201)


@routes.post("/tokens/{token}/revoke", response_model=schemas.Token, dependencies=[needs(Role.VIEWER, Concern.SELF)])
async def revoke_token(desk: Here, people: People, who: Who, token: TokenId) -> Response:
    """Take a token back: one's own, or anybody's where an admin asks."""
    try:
        found = await desk.ask(lambda: people.token(token))
    except NotFound:
        who.require(Role.ADMIN)  # nobody else learns which tokens there are
        raise
    if found.user != who.name:
        who.require(Role.ADMIN)
    return answer((await desk.ask(lambda: people.revoke_token(token, who.name))).to_json())


def _asked(who: Caller, new: schemas.NewToken) -> NewToken:
    """The token that is to be issued: one that is made by another allows nothing more than that one, for no longer.

    Raises:
        PermissionRefused: it would allow more, or is for somebody else.
    """
    user = new.user or who.name
    ceiling = Ceiling(Role(new.role_max), Pattern(new.pattern))
    identity = who.identity
    if identity is None or (user != who.name and who.may(Role.ADMIN)):
        return NewToken(user, new.name, ceiling, new.days)
    if user != who.name:
        raise who.refused(Role.ADMIN, "the whole project")
    if not identity.ceiling.covers(ceiling):
        raise PermissionRefused(
            f"no token can be made that allows more than {identity.ceiling.role} of {identity.ceiling.pattern}, "
            "which is what this one allows",
            hint="Narrow the new one with role_max and pattern.",
            role_max=str(identity.ceiling.role),
            pattern=str(identity.ceiling.pattern),
        )
    return NewToken(user, new.name, ceiling, new.days, identity.expires_at)
