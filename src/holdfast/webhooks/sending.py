"""One message to one address: resolved once, connected to the very address that was judged, no redirect followed."""

import asyncio
import socket
import ssl
from collections.abc import Awaitable, Callable, Collection, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from holdfast.config import VERSION
from holdfast.errors import HoldfastError
from holdfast.webhooks.addresses import Target, judged, target_of

if TYPE_CHECKING:
    import httpx

__all__ = ["SECONDS_MAX", "Answer", "Resolve", "Sender"]

SECONDS_MAX = 15.0
"""For name, connection and answer together: receivers that take longer should take the message and work afterwards."""

_RETRY_AFTER_SECONDS_MAX = 3_600.0
"""A receiver may ask to be left alone for an hour; the next pause is ours to choose."""

Resolve = Callable[[str, int], Awaitable[Collection[str]]]
"""Gives the addresses of a name."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What came of sending a message.

    Attributes:
        status: of the answer; None when there was none.
        sentence: what happened; nothing of what the answer said: it may come from where nobody should look.
        retry_after_seconds: how long the receiver asked to be left alone.
    """

    status: int | None
    sentence: str
    retry_after_seconds: float | None = None

    @property
    def taken(self) -> bool:
        """The receiver has the message."""
        return self.status is not None and 200 <= self.status < 300  # noqa: PLR2004 - HTTP's success

    @property
    def gone(self) -> bool:
        """The receiver says that it wants no more, ever."""
        return self.status == 410  # noqa: PLR2004 - HTTP's Gone


async def resolved(host: str, port: int) -> Collection[str]:
    """The addresses of a name, as this machine knows them."""
    found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(address[0]) for *_, address in found))


class Sender:
    """Sends messages.

    Args:
        named: hosts that may be anywhere; see `addresses`.
        resolve: gives the addresses of a name.
        tls: whom to trust; None: whom this machine trusts.
        seconds: how long one message may take in all.
    """

    def __init__(
        self,
        named: Collection[str] = (),
        *,
        resolve: Resolve = resolved,
        tls: ssl.SSLContext | None = None,
        seconds: float = SECONDS_MAX,
    ) -> None:
        self._named = frozenset(named)
        self._resolve = resolve
        self._tls = tls
        self._seconds = seconds

    def target(self, url: str) -> Target:
        """Where this URL leads, if a webhook may have it; see `target_of`."""
        return target_of(url, self._named)

    async def send(self, url: str, headers: Mapping[str, str], body: bytes) -> Answer:
        """Send a message, and say what came of it; it raises nothing that a receiver can cause."""
        import httpx

        try:
            async with asyncio.timeout(self._seconds):
                target = self.target(url)
                address = judged(target, await self._resolve(target.host, target.port))
                return await self._posted(target, address, headers, body)
        except HoldfastError as error:
            return Answer(None, error.message)
        except TimeoutError:
            return Answer(None, f"it did not answer within {self._seconds:g} seconds")
        except (OSError, UnicodeError) as error:
            return Answer(None, f"its name has no address: {type(error).__name__}")
        except (httpx.HTTPError, httpx.InvalidURL, httpx.StreamError) as error:
            return Answer(None, f"it could not be told: {type(error).__name__}")

    async def _posted(self, target: Target, address: str, headers: Mapping[str, str], body: bytes) -> Answer:
        import httpx

        url = httpx.URL(scheme=target.scheme, host=address, port=target.port, raw_path=target.path.encode("ascii"))
        said = {**headers, "host": target.authority, "user-agent": f"holdfast/{VERSION}", "connection": "close"}
        # The name is checked against the certificate, and the connection goes to the address: it was judged.
        own = {"sni_hostname": target.host}
        async with (
            httpx.AsyncClient(
                verify=self._trusted(), follow_redirects=False, trust_env=False, timeout=self._seconds
            ) as client,
            client.stream("POST", url, headers=said, content=body, extensions=own) as answer,
        ):
            # Its body is not read: nobody needs it, and it may have no end.
            return Answer(answer.status_code, _sentence(answer), _retry_after(answer))

    def _trusted(self) -> ssl.SSLContext:
        if self._tls is None:
            self._tls = ssl.create_default_context()
        return self._tls


def _sentence(answer: "httpx.Response") -> str:
    if answer.is_redirect:
        return f"it answered {answer.status_code}, and redirects are not followed"
    return f"it answered {answer.status_code}"


def _retry_after(answer: "httpx.Response") -> float | None:
    text = answer.headers.get("retry-after", "")
    if not (text.isascii() and text.isdigit()) or len(text) > 9:  # noqa: PLR2004 - a number of seconds
        return None
    return min(float(text), _RETRY_AFTER_SECONDS_MAX)
