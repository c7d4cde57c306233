"""People: who asks a server, what they may do there, and by which token they are known.

    access.add_user(NewUser("ana"), actor)
    access.grant("ana", Grant(Role.APPROVER, Pattern("fraud-*"), stages), actor)
    issued = access.issue(NewToken("ana", "laptop"), actor)      # issued.secret is shown once
    identity = doors.identify(issued.secret)
    identity.may(Role.CONTRIBUTOR, ModelName("fraud-cards"))

Whoever can open the database administers it by definition: who works embedded needs no token. Each change is an event
of the registry's log, in the transaction of the change, and no event holds a secret.
"""

from holdfast.access.interface import Access, Doors
from holdfast.access.roles import EVERYTHING, Ceiling, Grant, Pattern, Role
from holdfast.access.values import Identity, Issued, Kind, NewToken, NewUser, Token, User

__all__ = [
    "EVERYTHING",
    "Access",
    "Ceiling",
    "Doors",
    "Grant",
    "Identity",
    "Issued",
    "Kind",
    "NewToken",
    "NewUser",
    "Pattern",
    "Role",
    "Token",
    "User",
]
