"""The one exception tree: each error survives every border that it crosses."""

import copy
import json
import pickle
from collections.abc import Iterator

import pytest

from holdfast import errors
from holdfast.errors import HoldfastError, NotConfirmed, NotFound, StageMoved, Unavailable, from_json


def kinds(base: type[HoldfastError] = HoldfastError) -> Iterator[type[HoldfastError]]:
    yield base
    for kind in base.__subclasses__():
        yield from kinds(kind)


KINDS = sorted((kind for kind in kinds() if kind.__module__ == errors.__name__), key=lambda kind: kind.code)


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
def test_an_error_survives_json_copying_and_pickling(kind: type[HoldfastError]) -> None:
    error = kind("what happened", hint="what to do", model="churn", missing=["weights"])
    through = from_json(json.loads(json.dumps(error.to_json())))
    for found in (through, copy.copy(error), pickle.loads(pickle.dumps(error))):
        assert type(found) is kind
        assert str(found) == "what happened"
        assert found.to_json() == error.to_json()


def test_codes_are_unique_and_every_error_is_public() -> None:
    assert len({kind.code for kind in KINDS}) == len(KINDS)
    assert {kind.__name__ for kind in KINDS} | {"from_json"} == set(errors.__all__)


def test_details_never_hide_what_happened() -> None:
    error = StageMoved("moved", hint="look", code="not this", to=4)
    assert error.to_json() == {"code": "stage_moved", "message": "moved", "hint": "look", "to": 4}


def test_an_unknown_or_hostile_error_is_still_an_error() -> None:
    found = from_json({"code": "of tomorrow", "message": "new", "hint": "upgrade", "where": "there"})
    assert type(found) is HoldfastError
    assert found.details == {"where": "there"}
    assert from_json({"self": 1, "message": 3}).message == "3"
    assert from_json({}).message == ""


def test_some_errors_are_kinds_of_others() -> None:
    assert issubclass(errors.NoProject, NotFound)
    assert issubclass(NotConfirmed, Unavailable)
