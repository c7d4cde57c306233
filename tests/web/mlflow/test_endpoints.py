"""Which endpoint a request means, and that each says who may ask it."""

import pytest

from holdfast.web.mlflow.app import ENDPOINTS
from holdfast.web.mlflow.endpoint import Endpoint, Table
from holdfast.web.mlflow.paths import OPEN, concerns


def test_an_endpoint_is_found_under_the_path_that_mirrors_it() -> None:
    table = Table(ENDPOINTS)
    for one in ENDPOINTS:
        assert (found := table.find(one.method, one.path.replace("{", "").replace("}", ""))) is not None
        if one.path.startswith("/api/"):
            mirrored = table.find(one.method, f"/ajax-api/{one.path.removeprefix('/api/')}")
            assert mirrored is not None
            assert mirrored.endpoint is found.endpoint or "{" in one.path


def test_words_of_a_path_are_told() -> None:
    table = Table(
        [Endpoint("GET", "/api/2.0/x/{id}/tags/{key}", None), Endpoint("PUT", "/api/2.0/f/{path:path}", None)]
    )
    found = table.find("GET", "/api/2.0/x/m-1/tags/a.b")
    assert found is not None
    assert found.words == {"id": "m-1", "key": "a.b"}
    deep = table.find("PUT", "/ajax-api/2.0/f/1/run/artifacts/a b.txt")
    assert deep is not None
    assert deep.words == {"path": "1/run/artifacts/a b.txt"}
    assert table.find("GET", "/api/2.0/x/m-1/tags/a/b") is None


def test_two_endpoints_of_one_path_are_a_mistake() -> None:
    with pytest.raises(LookupError, match="twice"):
        Table([Endpoint("GET", "/api/2.0/x", None), Endpoint("GET", "/api/2.0/x", None)])


def test_each_endpoint_answers_in_one_way_and_says_who_may_ask() -> None:
    for one in ENDPOINTS:
        assert (one.answers is None) is not (one.streams is None), one.path
        assert concerns(one.path), one.path
        assert (one.role is None) is (one.path in OPEN), one.path
