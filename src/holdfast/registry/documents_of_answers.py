"""Answers to questions as JSON documents: the way back from their `to_json`.

found(Reader(answer.to_json(), "answer")) == answer
"""

from holdfast.canonical import Reader
from holdfast.database.times import from_text
from holdfast.digest import Digest
from holdfast.names import ModelName, StageName, VersionNumber
from holdfast.registry import documents
from holdfast.registry.actions import Action
from holdfast.registry.answers import Found, FoundVersion, Indexed, Node, Spell, Unknown, Walk
from holdfast.registry.records import VerdictEntry, waivers_in

__all__ = ["found", "indexed", "spell", "verdict_entry", "walk"]


def found(said: Reader) -> Found:
    """A page of what a search found."""
    return Found(
        versions=tuple(_found_version(Reader(one, "version")) for one in said.items("versions")),
        next=said.maybe_text("next"),
        not_indexed=said.integer("not_indexed"),
        in_part=said.integer("in_part"),
        unknown=tuple(_unknown(Reader(one, "unknown")) for one in said.items("unknown")),
    )


def _found_version(said: Reader) -> FoundVersion:
    names = tuple(map(StageName, said.texts("stages")))
    return FoundVersion(documents.version(said), names, said.maybe_number("value"))


def _unknown(said: Reader) -> Unknown:
    return Unknown(said.text("field"), said.texts("nearest"))


def indexed(said: Reader) -> Indexed:
    """What is written down of a version."""
    return Indexed(said.integer("facts"), said.integer("left_out"))


def spell(said: Reader) -> Spell:
    """A time that a version held a stage."""
    replaced, verdict, until = said.maybe_integer("replaced"), said.maybe_text("verdict"), said.maybe_text("until")
    ended = said.maybe_text("ended")
    return Spell(
        model=ModelName(said.text("model")),
        stage=StageName(said.text("stage")),
        number=VersionNumber(said.integer("version")),
        digest=Digest.parse(said.text("digest")),
        replaced=None if replaced is None else VersionNumber(replaced),
        action=Action(said.text("action")),
        by=said.text("by"),
        reason=said.text("reason"),
        verdict=None if verdict is None else Digest.parse(verdict),
        outcome=said.maybe_text("outcome"),
        event=said.integer("event"),
        since=from_text(said.text("since")),
        until=None if until is None else from_text(until),
        ended=None if ended is None else Action(ended),
        ended_event=said.maybe_integer("ended_event"),
        ended_reason=said.maybe_text("ended_reason"),
        waived=waivers_in(said.rest()),
    )


def verdict_entry(said: Reader) -> VerdictEntry:
    """A verdict in a list."""
    return VerdictEntry(
        digest=Digest.parse(said.text("verdict")),
        model=ModelName(said.text("model")),
        number=VersionNumber(said.integer("version")),
        stage=StageName(said.text("stage")),
        outcome=said.text("outcome"),
        blobs=tuple(map(Digest.parse, said.texts("blobs"))),
        created_at=from_text(said.text("created_at")),
    )


def walk(said: Reader) -> Walk:
    """A walk along lineage."""
    return Walk(
        nodes=tuple(_node(Reader(one, "node")) for one in said.items("nodes")),
        edges=tuple(documents.edge(Reader(one, "edge")) for one in said.items("edges")),
        cut=said.flag("cut"),
    )


def _node(said: Reader) -> Node:
    return Node(said.text("kind"), said.text("name"), said.integer("depth"), said.texts("versions"))
