"""Tickets: a token's word for one request, for a while.

    4f0c….1772355600.9a1b…        token . until . proof

Some clients send what they were told in an answer, and nothing else of theirs. A ticket lets them ask one thing, by
method and path, in the name of the token that the answer was for. It gives nothing that the token's holder may not do
then: when the token is revoked, or what was granted is taken back, its tickets are good for nothing.

The proof is HMAC-SHA256 (RFC 2104) of the moment and the request, and its key is what is kept of the token. Nothing is
written down of a ticket, and any process of the server knows it for one. Who reads the database could write one, and no
token; so a server takes them for parts and ranges of files alone.
"""

import hmac
import re
from typing import NamedTuple

__all__ = ["Ticket"]

_TICKET = re.compile(r"([0-9A-Za-z_-]{1,64})\.([0-9]{1,12})\.([0-9a-f]{64})")


class Ticket(NamedTuple):
    """A ticket.

    Attributes:
        token: the id of the token.
        until: seconds since 1970.
        proof: that the token's server wrote it.
    """

    token: str
    until: int
    proof: str

    @classmethod
    def write(cls, token: str, fingerprint: str, until: int, what: str) -> "Ticket":
        """A ticket in the name of a token.

        Args:
            token: its id.
            fingerprint: what is kept of it.
            until: seconds since 1970.
            what: the request, such as `GET /a/b`.
        """
        return cls(token, until, hmac.digest(fingerprint.encode(), f"{until}\n{what}".encode(), "sha256").hex())

    @classmethod
    def parse(cls, text: str) -> "Ticket | None":
        """The ticket of this text; None where it is none."""
        found = _TICKET.fullmatch(text)
        return None if found is None else cls(found[1], int(found[2]), found[3])

    def __str__(self) -> str:
        return f"{self.token}.{self.until}.{self.proof}"

    def holds(self, fingerprint: str, what: str) -> bool:
        """Whether it was written for this request in the name of the token of which this is kept."""
        return hmac.compare_digest(self.proof, self.write(self.token, fingerprint, self.until, what).proof)
