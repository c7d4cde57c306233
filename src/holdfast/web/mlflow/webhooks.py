"""Webhooks, as MLflow's clients make them; only an administrator of everything may.

An address that MLflow would tell is judged as every address of a webhook is: https, and public, unless the operator
named its host.
"""

from holdfast.access import Role
from holdfast.canonical import JsonObject
from holdfast.errors import NotFound
from holdfast.experiments.hooks import HookEvent, HookStatus, event_of
from holdfast.experiments.paging import Place, read_token, search_of, token
from holdfast.web.mlflow.asking import Asked, invalid, missing
from holdfast.web.mlflow.endpoint import V2, Endpoint
from holdfast.web.mlflow.room import Here
from holdfast.web.mlflow.telling import said
from holdfast.webhooks.mlflow import Asked as AskedOfHook
from holdfast.webhooks.mlflow import Held, HookOffice

__all__ = ["ENDPOINTS"]

_PAGE = 100
_PAGE_MAX = 1_000
"""As many as MLflow answers with, by default and at most."""

_SEARCH = search_of("webhooks")


def create(asked: Asked, here: Here) -> JsonObject:
    """Have an address told of events from here on."""
    office = _office(here)
    name, url, events = asked.text("name"), asked.text("url"), _events(asked)
    if not events:
        raise missing("events")
    made = office.add(name, url, events, _asked(asked), here.caller.name)
    return {"webhook": _told(made)}


def listed(asked: Asked, here: Here) -> JsonObject:
    """Those that clients made, the newest first."""
    office = _office(here)
    count = asked.integer("max_results", _PAGE) or _PAGE
    if not 1 <= count <= _PAGE_MAX:
        raise invalid("max_results", count, f"it must be between 1 and {_PAGE_MAX}")
    first = read_token(asked.maybe_text("page_token"), _SEARCH).offset
    held = office.all()
    more = token(Place(offset=first + count, search=_SEARCH)) if len(held) > first + count else None
    return said(webhooks=[_told(one) for one in held[first : first + count]] or None, next_page_token=more)


def get(asked: Asked, here: Here) -> JsonObject:
    """One of them."""
    return {"webhook": _told(_office(here).find(asked.text("webhook_id")))}


def change(asked: Asked, here: Here) -> JsonObject:
    """What is said of it."""
    made = _office(here).change(asked.text("webhook_id"), _asked(asked), here.caller.name)
    return {"webhook": _told(made)}


def remove(asked: Asked, here: Here) -> JsonObject:
    """Tell the address nothing more."""
    _office(here).remove(asked.text("webhook_id"), here.caller.name)
    return {}


def test(asked: Asked, here: Here) -> JsonObject:
    """Send an example, now."""
    event = asked.part("event")
    which = None if event is None else event_of(event.text("entity"), event.text("action"))
    return {"result": _office(here).test(asked.text("webhook_id"), which)}


def _office(here: Here) -> HookOffice:
    here.caller.require(Role.ADMIN)
    if here.shelf.hooks is None:
        raise NotFound("this server has no webhooks", hint="Ask the one that does.")
    return here.shelf.hooks


def _asked(asked: Asked) -> AskedOfHook:
    return AskedOfHook(
        name=asked.maybe_text("name") or None,
        url=asked.maybe_text("url") or None,
        description=asked.maybe_text("description"),
        events=_events(asked) or None,
        secret=asked.maybe_text("secret"),
        status=_status(asked.maybe_text("status")),
    )


def _events(asked: Asked) -> tuple[HookEvent, ...]:
    return tuple(dict.fromkeys(event_of(one.text("entity"), one.text("action")) for one in asked.items("events")))


def _status(text: str | None) -> HookStatus | None:
    if not text:
        return None
    try:
        return HookStatus(text.upper())
    except ValueError as error:
        raise invalid("status", text, f"it must be one of {', '.join(HookStatus)}") from error


def _told(held: Held) -> JsonObject:
    hook = held.hook
    return said(
        webhook_id=hook.id,
        name=hook.name,
        description=hook.description or None,
        url=held.webhook.url,
        events=[{"entity": entity.upper(), "action": action.upper()} for entity, action in hook.events],
        status=str(hook.status),
        creation_timestamp=hook.created_ms,
        last_updated_timestamp=hook.updated_ms,
    )


_ONE = f"{V2}/webhooks/{{webhook_id}}"

ENDPOINTS = (
    Endpoint("POST", f"{V2}/webhooks", Role.ADMIN, answers=create),
    Endpoint("GET", f"{V2}/webhooks", Role.ADMIN, answers=listed),
    Endpoint("GET", _ONE, Role.ADMIN, answers=get),
    Endpoint("PATCH", _ONE, Role.ADMIN, answers=change),
    Endpoint("DELETE", _ONE, Role.ADMIN, answers=remove),
    Endpoint("POST", f"{_ONE}/test", Role.ADMIN, answers=test),
)
