"""The webhooks of a server, asked for over HTTP."""

from datetime import timedelta

from holdfast.canonical import JsonObject, Reader
from holdfast.registry.webhooks import values
from holdfast.registry.webhooks.interface import OVERLAP
from holdfast.registry.webhooks.values import Given, NewWebhook, Trial, Webhook
from holdfast.service.line import Line, quoted

__all__ = ["HttpWebhooks"]


class HttpWebhooks:
    """`Webhooks` that a server keeps.

    Args:
        line: to the server.
    """

    def __init__(self, line: Line) -> None:
        self._line = line

    def add(self, new: NewWebhook, actor: str) -> Given:
        """See `Webhooks.add`."""
        body: JsonObject = {"url": new.url, "actions": list(new.wish.actions), "models": list(new.wish.models)}
        return values.given(self._said("POST", "/webhooks", body, actor))

    def webhooks(self) -> tuple[Webhook, ...]:
        """See `Webhooks.webhooks`."""
        found = Reader(self._line.get("/webhooks"), "/webhooks").items("webhooks")
        return tuple(values.webhook(Reader(one, "webhook")) for one in found)

    def rotate(self, webhook: str, actor: str, overlap: timedelta = OVERLAP) -> Given:
        """See `Webhooks.rotate`."""
        body: JsonObject = {"overlap_seconds": overlap.total_seconds()}
        return values.given(self._said("POST", f"{_of(webhook)}/rotate", body, actor))

    def resume(self, webhook: str, actor: str, *, skip: bool = False) -> Webhook:
        """See `Webhooks.resume`."""
        return values.webhook(self._said("POST", f"{_of(webhook)}/resume", {"skip": skip}, actor))

    def remove(self, webhook: str, actor: str) -> Webhook:
        """See `Webhooks.remove`."""
        return values.webhook(self._said("DELETE", _of(webhook), None, actor))

    def test(self, webhook: str) -> Trial:
        """See `Webhooks.test`."""
        return values.trial(self._said("POST", f"{_of(webhook)}/test", {}, None))

    def _said(self, method: str, path: str, body: JsonObject | None, actor: str | None) -> Reader:
        return Reader(self._line.send(method, path, body, actor=actor), path)


def _of(webhook: str) -> str:
    return f"/webhooks/{quoted(webhook)}"
