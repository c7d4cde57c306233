"""How large a request may be, held while it arrives: nobody fills the server's memory by sending on."""

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from holdfast.errors import TooLarge
from holdfast.service.line import API
from holdfast.web.api.desk import answer
from holdfast.web.problems import problem, status_of

__all__ = ["BODY_BYTES_MAX", "Bounded"]

_FILES = f"{API}/store/files/"
"""Below it bytes go straight to the disk; what a file may have there, the depot says."""

BODY_BYTES_MAX = 32 << 20
"""A hundred thousand points of metrics, written out; whatever is larger is bytes, and goes to the store in packs."""


class Bounded:
    """Refuses a body past `BODY_BYTES_MAX`, whether it says so or just goes on."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request."""
        if scope["type"] != "http" or scope["path"].startswith(_FILES):
            await self._app(scope, receive, send)
            return
        stated = next((value for name, value in scope["headers"] if name == b"content-length"), b"0")
        if not stated.isdigit() or int(stated) > BODY_BYTES_MAX:
            await _refuse(scope, receive, send)
            return
        taken = 0

        async def counted() -> Message:
            nonlocal taken
            message = await receive()
            taken += len(message.get("body", b""))
            if taken > BODY_BYTES_MAX:
                raise _too_large()
            return message

        async def unless_too_large(message: Message) -> None:
            # Whoever reads the body may take what stopped it for a body that cannot be read, and say that.
            if taken <= BODY_BYTES_MAX:
                await send(message)
            elif message["type"] == "http.response.start":
                await _refuse(scope, receive, send)

        await self._app(scope, counted, unless_too_large)


async def _refuse(scope: Scope, receive: Receive, send: Send) -> None:
    refused = _too_large()
    await answer(problem(refused), status_of(refused), {"connection": "close"})(scope, receive, send)


def _too_large() -> TooLarge:
    return TooLarge(
        f"a request may have {BODY_BYTES_MAX} bytes", hint="Send it in several requests.", limit=BODY_BYTES_MAX
    )
