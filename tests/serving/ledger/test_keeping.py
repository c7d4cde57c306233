"""What of a request is kept: never a value that was to be dropped, in whatever shape it came."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from holdfast.runtime.sent import Sent
from holdfast.runtime.shapes import INVOCATIONS, PREDICT, V2
from holdfast.serving.ledger.decision import salted
from holdfast.serving.ledger.keeping import chosen, kept, redacted
from holdfast.serving.settings import LedgerSettings

SECRET = "Grünwald"
FIELDS = frozenset({"name", "email"})

cells = st.one_of(st.none(), st.integers(), st.text("abz é", max_size=5), st.lists(st.integers(), max_size=3))
rows = st.lists(st.dictionaries(st.sampled_from(["age", "plan", "more"]), cells, max_size=3), min_size=1, max_size=4)
secrets = st.sampled_from(["name", "email", "NAME", "Email"])


def shapes(values: list[dict[str, Any]], field: str) -> list[tuple[str, Any]]:
    """The same rows, each with a secret in a field, in every shape in which a caller may send them."""
    full = [{**row, field: SECRET, "inner": {field: [SECRET]}} for row in values]
    names = sorted({name for row in full for name in row})
    columns = {name: [row.get(name) for row in full] for name in names}
    return [
        (INVOCATIONS, {"dataframe_records": full}),
        (INVOCATIONS, {"instances": full, "params": {field: SECRET}}),
        (INVOCATIONS, {"inputs": columns}),
        (INVOCATIONS, {"dataframe_split": {"columns": names, "data": [[row.get(n) for n in names] for row in full]}}),
        (INVOCATIONS, {"dataframe_split": {"index": [SECRET], "columns": [field], "data": [[SECRET]]}}),
        (INVOCATIONS, {"instances": [[SECRET, 1]]}),
        (INVOCATIONS, {"inputs": [[SECRET]]}),
        (INVOCATIONS, {"dataframe_records": full, "signature_name": SECRET}),
        (INVOCATIONS, [SECRET]),
        (V2, {"inputs": [{"name": field, "shape": [1], "datatype": "BYTES", "data": [SECRET]}], "id": SECRET}),
        (V2, {"inputs": [{"name": "age", "shape": [1], "data": [1], "parameters": {field: SECRET}}]}),
        (V2, {"inputs": [{"name": "rows", "shape": [1, 2], "datatype": "BYTES", "data": [SECRET, "x"]}]}),
        (PREDICT, full),
        (PREDICT, {"rows": full}),
        (PREDICT, {"rows": [[row.get(n) for n in names] for row in full], "columns": names}),
        (PREDICT, {"rows": [[SECRET, 1]]}),
        (PREDICT, {"rows": full, "more": SECRET}),
        ("another shape", {"dataframe_records": full}),
    ]


@given(rows, secrets)
def test_no_dropped_field_survives_in_any_shape(values: list[dict[str, Any]], field: str) -> None:
    for shape, request in shapes(values, field):
        left = redacted(shape, json.dumps(request, ensure_ascii=False).encode(), FIELDS)
        assert left is None or SECRET not in left.decode()
        assert left is None or "\\u" not in left.decode() or SECRET not in json.dumps(json.loads(left))


@given(rows)
def test_what_is_not_dropped_stays_as_it_was(values: list[dict[str, Any]]) -> None:
    sent = json.dumps({"dataframe_records": [{**row, "name": SECRET} for row in values]}).encode()
    left = redacted(INVOCATIONS, sent, FIELDS)
    assert left is not None
    assert json.loads(left) == {"dataframe_records": [{**row, "name": None} for row in values]}


def test_a_field_that_is_sent_twice_is_dropped_twice() -> None:
    sent = b'{"dataframe_records":[{"name":"Gr\xc3\xbcnwald","age":1,"name":"Gr\xc3\xbcnwald"}]}'
    assert redacted(INVOCATIONS, sent, FIELDS) == b'{"dataframe_records":[{"name":null,"age":1}]}'


@pytest.mark.parametrize("sent", [b"", b"\xff", b"{", b"[" * 100_000])
def test_what_cannot_be_read_is_kept_as_its_digest_alone(sent: bytes) -> None:
    found = kept(LedgerSettings(keep="all", redact=("name",)), INVOCATIONS, sent)
    assert (found.how, found.data, found.digest) == ("hashed", None, salted(found.salt, sent))


@pytest.mark.parametrize("sent", [Sent("csv"), Sent("arrow"), Sent("json", "json", 2)])
def test_of_bodies_that_are_no_json_nothing_is_kept_but_the_digest(sent: Sent) -> None:
    found = kept(LedgerSettings(keep="all", redact=("name",)), INVOCATIONS, b'{"dataframe_records":[]}', sent)
    assert (found.how, found.data) == ("hashed", None)
    assert kept(LedgerSettings(keep="all"), INVOCATIONS, b"name\nBo\n", sent).data == b"name\nBo\n"


def test_plain_rows_lose_their_fields() -> None:
    assert redacted(PREDICT, b'[{"name":"Bo","age":1}]', FIELDS) == b'[{"name":null,"age":1}]'
    assert redacted(PREDICT, b'{"rows":[["Bo",1]],"columns":["name","age"]}', FIELDS) == (
        b'{"columns":["name","age"],"rows":[[null,1]]}'
    )


def test_each_setting_keeps_what_it_says() -> None:
    sent = b'{"inputs": {"age": [1], "name": ["Bo"]}}'
    whole = kept(LedgerSettings(), INVOCATIONS, sent)
    assert (whole.how, whole.data, whole.salt, whole.digest) == ("whole", sent, b"", salted(b"", sent))
    hashed = kept(LedgerSettings(inputs="hashed"), INVOCATIONS, sent)
    assert (hashed.how, hashed.data, hashed.digest) == ("hashed", None, salted(hashed.salt, sent))
    nothing = kept(LedgerSettings(inputs="none"), INVOCATIONS, sent)
    assert (nothing.how, nothing.data, nothing.digest) == ("none", None, None)
    part = kept(LedgerSettings(redact=("name",)), INVOCATIONS, sent)
    assert (part.how, part.data) == ("redacted", b'{"inputs":{"age":[1],"name":null}}')
    assert part.digest == salted(part.salt, sent)


def test_equal_inputs_do_not_show_where_anything_is_hidden() -> None:
    settings = LedgerSettings(inputs="hashed")
    assert kept(settings, INVOCATIONS, b"{}").digest != kept(settings, INVOCATIONS, b"{}").digest


@given(st.text("0123456789abcdef-", max_size=40), st.floats(0.01, 0.99), st.floats(0.01, 0.99))
def test_a_larger_share_only_adds_decisions(request_id: str, one: float, other: float) -> None:
    low, high = sorted((one, other))
    assert chosen(request_id, 1.0)
    assert chosen(request_id, high) or not chosen(request_id, low)


def test_a_share_is_about_that_share() -> None:
    found = sum(chosen(f"request-{n}", 0.1) for n in range(20_000))
    assert 1_800 < found < 2_200  # five standard deviations


@pytest.mark.parametrize("cell", ['"\\ud800"', "[" * 700 + "]" * 700, "[" * 50_000 + "]" * 50_000])
@pytest.mark.parametrize(("shape", "key"), [(INVOCATIONS, "instances"), (PREDICT, "rows")])
def test_what_cannot_be_written_again_or_looked_into_is_kept_as_its_digest(shape: str, key: str, cell: str) -> None:
    settings = LedgerSettings(keep="all", inputs="whole", redact=("name",))
    for name in ("age", "name"):
        found = kept(settings, shape, f'{{"{key}": [{{"{name}": {cell}}}]}}'.encode())
        assert found.how in ({"hashed", "redacted"} if name == "name" else {"hashed", "whole"})
        assert found.digest is not None


def test_a_request_with_nothing_to_drop_is_kept_as_it_was_sent() -> None:
    sent = b'{ "dataframe_records": [{"age": 1}] }'
    found = kept(LedgerSettings(keep="all", redact=("name",)), INVOCATIONS, sent)
    assert (found.how, found.data, found.salt) == ("whole", sent, b"")
