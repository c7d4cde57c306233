"""Whom a provider of identities signs in: its token is read once, at the sign-in, and held to what OpenID Connect asks.

The provider's word is a signed token (RFC 7519). It counts when it was signed by a key that the provider publishes,
with one of two algorithms, for this server, by this provider, a short time ago. Keys are fetched from where its
document says (OpenID Connect Discovery 1.0), and again when a token names one that is not known: they change.
"""

import time
from collections.abc import Mapping
from dataclasses import dataclass
from threading import Lock
from typing import Any
from urllib.parse import urlsplit

import httpx
from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import KeySet

from holdfast.access import Grant
from holdfast.access.groups import Groups
from holdfast.errors import Unavailable, UsageError
from holdfast.web.bearer import unauthenticated

__all__ = ["Provider", "SignedIn"]

_ALGORITHMS = ["RS256", "ES256"]
"""What providers sign with; all others are refused, `none` and those of shared secrets first of all."""

_LEEWAY_SECONDS = 60
"""Clocks that are off by less still agree."""

_AGE_SECONDS_MAX = 600
"""A sign-in takes a minute or two; a token that was found somewhere later signs nobody in."""

_KEYS_SECONDS = 3_600.0
"""After that the keys are fetched again, so that one that was withdrawn is no longer believed."""

_AGAIN_SECONDS = 5.0
"""Tokens that name unknown keys have them fetched no more often: nobody makes this server knock at the provider."""

_ANSWER_SECONDS = 10.0
_ANSWER_BYTES_MAX = 1 << 20
"""A thousand keys."""

_TOKEN_CHARACTERS_MAX = 16_000
"""What fits into a header."""

_LOCAL = frozenset({"localhost", "127.0.0.1", "::1"})


@dataclass(frozen=True, slots=True)
class SignedIn:
    """Whom a token speaks of.

    Attributes:
        subject: the issuer and its name for the person; it stays theirs.
        email: their address, where the provider has verified it.
        grants: what their groups are granted.
    """

    subject: str
    email: str | None
    grants: tuple[Grant, ...]


class Provider:
    """One provider of identities.

    Args:
        issuer: its URL, as its tokens write it.
        client_id: as what it knows this server.
        groups: what the groups are granted that it names.

    Raises:
        UsageError: the issuer is no address that can be trusted.
    """

    def __init__(self, issuer: str, client_id: str, groups: Groups | None = None) -> None:
        _require_safe(issuer)
        self.issuer, self.client_id = issuer, client_id
        self._groups = groups or Groups()
        self._keys: KeySet | None = None
        self._fetched = -_KEYS_SECONDS
        self._lock = Lock()

    def to_json(self) -> dict[str, str]:
        """What whoever wants to sign in must know."""
        return {"issuer": self.issuer, "client_id": self.client_id}

    def signed_in(self, token: str) -> SignedIn:
        """Whom the token speaks of.

        Raises:
            Unauthenticated: it is not one that counts.
            Unavailable: the provider does not answer.
        """
        if len(token) > _TOKEN_CHARACTERS_MAX or token.count(".") != 2:  # noqa: PLR2004 - RFC 7515, section 3.1
            raise _refused("it is no signed token")
        claims = self._verified(token)
        subject, email = claims.get("sub"), claims.get("email")
        if not isinstance(subject, str) or not subject:
            raise _refused("it names nobody")
        is_verified = claims.get("email_verified") is True and isinstance(email, str)
        said = claims.get(self._groups.claim)
        return SignedIn(
            subject=f"{self.issuer} {subject}",
            email=str(email).lower() if is_verified else None,
            grants=self._groups.of(said if isinstance(said, list) else ()),
        )

    def _verified(self, token: str) -> Mapping[str, Any]:
        expected = jwt.JWTClaimsRegistry(
            leeway=_LEEWAY_SECONDS,
            iss={"essential": True, "value": self.issuer},
            aud={"essential": True, "value": self.client_id},
            exp={"essential": True},
            iat={"essential": True},
            sub={"essential": True},
        )
        try:
            claims = self._decoded(token).claims
            expected.validate(claims)
        except (JoseError, ValueError, TypeError) as error:
            raise _refused(str(error) or type(error).__name__) from error
        if isinstance(claims["aud"], list) and len(claims["aud"]) > 1 and claims.get("azp") != self.client_id:
            raise _refused("it was made for several, and not by this one")
        if not isinstance(claims["iat"], int | float) or claims["iat"] < time.time() - _AGE_SECONDS_MAX:
            raise _refused("it was made too long ago")
        return claims

    def _decoded(self, token: str) -> jwt.Token:
        keys = self._known(again_after=_KEYS_SECONDS)
        try:
            return jwt.decode(token, keys, algorithms=_ALGORITHMS)
        except (JoseError, ValueError):
            fresh = self._known(again_after=_AGAIN_SECONDS)
            if fresh is keys:
                raise
        return jwt.decode(token, fresh, algorithms=_ALGORITHMS)

    def _known(self, *, again_after: float) -> KeySet:
        with self._lock:
            now = time.monotonic()
            if self._keys is None or now - self._fetched >= again_after:
                # Noted before the answer: a provider that fails is not asked at once by everybody again.
                document = _fetched(f"{self.issuer.rstrip('/')}/.well-known/openid-configuration")
                place = document.get("jwks_uri")
                if document.get("issuer") != self.issuer or not isinstance(place, str):
                    raise Unavailable(
                        f"{self.issuer} says to be {document.get('issuer')!r}", hint="Correct HOLDFAST_OIDC_ISSUER."
                    )
                _require_safe(place)
                self._keys = _key_set(_fetched(place), place)
                self._fetched = now
            return self._keys


def _key_set(document: Mapping[str, Any], place: str) -> KeySet:
    """The keys that sign; what is in the document beside them is passed over."""
    said = document.get("keys")
    keys = [
        one
        for one in (said if isinstance(said, list) else [])
        if isinstance(one, dict) and one.get("kty") in {"RSA", "EC"} and one.get("use", "sig") == "sig" and "kid" in one
    ]
    try:
        return KeySet.import_key_set({"keys": keys})
    except (JoseError, ValueError, TypeError, KeyError) as error:
        raise Unavailable(f"{place} holds no keys that can be read: {error}", hint="Ask who runs it.") from error


def _fetched(url: str) -> Mapping[str, Any]:
    try:
        with (
            httpx.Client(timeout=_ANSWER_SECONDS, follow_redirects=False) as client,
            client.stream("GET", url) as answer,
        ):
            data = b""
            for piece in answer.iter_bytes():
                data += piece
                if len(data) > _ANSWER_BYTES_MAX:
                    break
            value = httpx.Response(200, content=data).json() if answer.is_success else None
    except (httpx.HTTPError, ValueError) as error:
        raise Unavailable(f"{url} does not answer: {error}", hint="Nobody can sign in until it does.") from error
    if not isinstance(value, dict):
        raise Unavailable(f"{url} answers {answer.status_code}, and no document", hint="Ask who runs it.")
    return value


def _require_safe(url: str) -> None:
    parts = urlsplit(url)
    if parts.scheme != "https" and not (parts.scheme == "http" and parts.hostname in _LOCAL):
        raise UsageError(
            f"{url} is no address of a provider that can be trusted",
            hint="It begins with https://, but on this machine.",
        )


def _refused(why: str) -> Exception:
    return unauthenticated(f"this sign-in does not count: {why}")
