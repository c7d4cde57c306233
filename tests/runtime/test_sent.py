"""What headers say of a body: one kind, or an error of ours."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from holdfast.errors import HoldfastError, UnsupportedMedia
from holdfast.runtime.sent import ARROW, CSV, JSON, JSON_LINES, PARQUET, Sent, sent_as


@pytest.mark.parametrize(
    ("content_type", "kind"),
    [
        ("", JSON),
        ("application/json", JSON),
        ("Application/JSON; charset=UTF-8", JSON),
        ("application/x-www-form-urlencoded", JSON),
        ("application/x-ndjson", JSON_LINES),
        ("text/csv; header=present", CSV),
        ("application/vnd.apache.arrow.stream", ARROW),
        ("application/vnd.apache.parquet", PARQUET),
    ],
)
def test_a_content_type_is_one_kind_of_body(content_type: str, kind: str) -> None:
    assert sent_as(content_type, "") == Sent(kind)


@pytest.mark.parametrize("content_type", ["text/html", "application/pickle", "text/csv; charset=latin-1", "json"])
def test_what_nobody_takes_is_refused_by_name(content_type: str) -> None:
    with pytest.raises(UnsupportedMedia):
        sent_as(content_type, "")


@pytest.mark.parametrize(
    ("accept", "wanted"),
    [
        ("", JSON),
        ("*/*", JSON),
        ("text/csv", CSV),
        ("text/html, text/csv;q=0.9, */*;q=0.8", CSV),
        ("application/json;q=0.5, application/vnd.apache.arrow.stream", ARROW),
        ("application/vnd.apache.parquet", JSON),
        ("text/csv;q=0", JSON),
        ("text/csv;q=nan", JSON),
        ("image/png", JSON),
    ],
)
def test_the_kind_that_is_liked_best_and_can_be_given_is_given(accept: str, wanted: str) -> None:
    assert sent_as("", accept).wanted == wanted


@given(st.text(max_size=60), st.text(max_size=60))
def test_any_headers_are_a_form_or_an_error_of_ours(content_type: str, accept: str) -> None:
    try:
        found = sent_as(content_type, accept)
    except HoldfastError:
        return
    for head in (None, 0, 120):
        written = found._replace(head=head)
        assert Sent.from_json(written.to_json()) == written
