"""The token of a request, in both ways in which clients know to show one."""

import base64

import pytest

from holdfast.errors import Unauthenticated
from holdfast.web.bearer import bearer, named


def basic(text: str) -> str:
    return f"Basic {base64.b64encode(text.encode()).decode()}"


@pytest.mark.parametrize(
    "header", ["Bearer holdfast_x", "bearer  holdfast_x", basic("ana:holdfast_x"), basic(":holdfast_x")]
)
def test_a_token_is_found(header: str) -> None:
    assert bearer([(b"authorization", header.encode())]) == "holdfast_x"


@pytest.mark.parametrize(
    "header", ["Basic", "Basic !", basic("ana"), basic("ana:"), "Digest x", "Bearer ", basic("a:b") * 2]
)
def test_what_is_no_token_is_none(header: str) -> None:
    with pytest.raises(Unauthenticated, match="no token that this server understands"):
        bearer([(b"authorization", header.encode())])


def test_a_password_with_a_colon_stays_whole() -> None:
    assert bearer([(b"authorization", basic("ana:a:b").encode())]) == "a:b"


@pytest.mark.parametrize(
    ("header", "name"),
    [(basic("ana:x"), "ana"), (basic(":x"), None), ("Bearer x", None), ("", None), ("Basic !", None)],
)
def test_a_name_is_said_beside_a_password(header: str, name: str | None) -> None:
    assert named(header) == name
