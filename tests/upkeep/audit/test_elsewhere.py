"""A log behind a server: what the server says of it is signed and proven, and not believed."""

import dataclasses
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from tempfile import mkdtemp
from typing import Any, cast

import pytest

from holdfast.config import Settings
from holdfast.digest import hash_bytes
from holdfast.errors import IntegrityError, NotFound, UsageError
from holdfast.registry.actions import Action
from holdfast.registry.checkpoints import Checkpoint
from holdfast.registry.http import HttpRegistry
from holdfast.registry.merkle import Head
from holdfast.service import Line
from holdfast.upkeep.audit.elsewhere import SignedLog
from holdfast.upkeep.audit.key import LogKey
from holdfast.upkeep.audit.logbook import Logbook
from holdfast.web.api.desk import Around
from tests.serving_api import api_server
from tests.upkeep.audit.conftest import EVENTS, Place

pytestmark = pytest.mark.slow


@contextmanager
def asked(place: Place, tmp_path: Path, *, signs: bool = True) -> Iterator[tuple[Logbook, HttpRegistry]]:
    """The log of a place, as somebody with a state of their own sees it through a server."""
    registry = place.registry()
    key = LogKey.of(place.settings) if signs else None
    with (
        closing(registry._database),
        api_server(registry, around=Around(signer=key)) as url,
        closing(Line(url)) as line,
    ):
        # The name that this person knows the server by, whatever port it has.
        environment = {"XDG_STATE_HOME": str(tmp_path / "hers"), "HOLDFAST_URL": "https://registry.example.org"}
        log = HttpRegistry(line, lambda: "key")
        yield Logbook.behind(Settings.at(tmp_path / "hers", environment), log), log


def test_it_is_signed_by_the_server_and_proven_to_whoever_asks(place: Place, tmp_path: Path) -> None:
    with asked(place, tmp_path) as (book, _):
        note = book.checkpoint()
        assert place.key.open(note).head.size == EVENTS
        assert book.key.verifiers() == place.key.verifiers()
        assert book.verify([("kept", note)]).audit.ok
        inclusion, under = book.prove(2)
        assert inclusion.holds()
        assert Checkpoint.parse(under.decode()).head == inclusion.head
        assert book.prove_growth(3)[0].holds()
        theirs = b"".join(book.export(2))
    own = place.book()
    with closing(own.registry._database):  # type: ignore[attr-defined]
        assert theirs == b"".join(own.export(2))


def test_a_server_without_a_key_signs_nothing(place: Place, tmp_path: Path) -> None:
    with asked(place, tmp_path, signs=False) as (book, _), pytest.raises(NotFound, match="no key of the log"):
        book.checkpoint()


def test_a_server_that_comes_with_another_key_is_found_out_until_a_person_accepts_it(
    place: Place, tmp_path: Path
) -> None:
    with asked(place, tmp_path) as (book, _):
        kept = book.checkpoint()
        with pytest.raises(UsageError, match="begins with all that was seen"):
            book.accept("why not", "ana")
    renewed = place.key.renew()
    with asked(place, tmp_path) as (book, log):
        for act in (book.checkpoint, book.key.verifiers, lambda: book.prove(1), lambda: book.verify([("kept", kept)])):
            with pytest.raises(IntegrityError, match="had the key"):
                act()
        event = book.accept("its keeper told me", "ana")
        assert (event.action, event.details["key"]) == (Action.LOG_ACCEPT, str(renewed))
        assert renewed.open(book.checkpoint()).head.size == EVENTS + 1
        assert book.verify([("kept", kept)]).audit.ok
        assert log.log(limit=1) == (event,)


def test_a_log_that_was_put_back_is_found_out_until_a_person_accepts_it(place: Place, tmp_path: Path) -> None:
    backup = place.save()
    place.register(40, 41)
    with asked(place, tmp_path) as (book, _):
        assert book.verify().audit.ok
    place.restore(backup)
    with asked(place, tmp_path) as (book, _):
        found = book.verify()
        assert not found.audit.ok
        assert [one.agrees for one in found.compared] == [False]
        with pytest.raises(IntegrityError, match="was seen before"):
            book.checkpoint()
        event = book.accept("the disk died", "ana")
        assert len(event.details["seen"]) == 1
        assert book.verify().audit.ok


class Lying:
    """A server's log in which some answers are made up."""

    def __init__(self, log: HttpRegistry, **answers: Callable[..., Any]) -> None:
        self._log = log
        self._answers = answers

    def __getattr__(self, name: str) -> Any:
        return self._answers.get(name) or getattr(self._log, name)


def test_what_a_server_makes_up_is_not_believed(place: Place, tmp_path: Path) -> None:
    with asked(place, tmp_path) as (honest, log):
        note = honest.checkpoint()

        def told_by(**answers: Callable[..., Any]) -> Logbook:
            lying = cast("SignedLog", Lying(log, **answers))
            environment = {"HOLDFAST_URL": "https://x.example.org", "XDG_STATE_HOME": mkdtemp(dir=tmp_path)}
            book = Logbook.behind(Settings.at(tmp_path / "other", environment), lying)
            book.memory.keep(Checkpoint("x", Head(3, hash_bytes(b"another log"))))
            return book

        # It says that its log begins with whatever it is asked for.
        audit = log.audit_verify
        book = told_by(audit_verify=lambda seen: dataclasses.replace(audit(seen), ok=True, unlike=()))
        found = book.verify()
        assert not found.audit.ok
        assert "cannot prove" in found.audit.sentence
        seen = {3: Head(3, hash_bytes(b"another log"))}
        size = Head(EVENTS, log.heads()[0].root)

        def heads(earlier: Any = ()) -> Any:
            return size, {one: seen.get(one, size) for one in earlier}

        proof = log.prove(1, 4)
        with pytest.raises(IntegrityError, match="does not lead to"):
            told_by(heads=heads, prove=lambda index, size: proof).prove(1)
        growth = log.prove_growth(2, 4)
        with pytest.raises(IntegrityError, match="does not lead to"):
            told_by(heads=heads, prove_growth=lambda since, size: growth).prove_growth(2)
        edited = note.replace(b"\n6\n", b"\n7\n")
        with pytest.raises(IntegrityError, match="was edited"):
            told_by(heads=heads, signed_checkpoint=lambda: edited).checkpoint()
