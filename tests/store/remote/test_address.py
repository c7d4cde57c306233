"""Addresses: what is understood, and that no password is ever kept or repeated."""

from pathlib import Path

import pytest

from holdfast.errors import UsageError
from holdfast.store.remote.address import STORAGE_CLASSES, Address, checked_endpoint, checked_storage_class


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("s3://models", "s3://models"),
        ("s3://models/", "s3://models"),
        ("s3://models/team//a/", "s3://models/team/a"),
        ("gs://models/team", "gs://models/team"),
        ("az://models", "az://models"),
        ("file:///srv/models", "/srv/models"),
        ("/srv/models", "/srv/models"),
        ("/srv/../models/", "/models"),
        ("team", "/base/team"),
    ],
)
def test_an_address_is_shown_as_it_is_understood(text: str, shown: str) -> None:
    address = Address.parse(text, base=Path("/base"))
    assert str(address) == shown
    assert Address.parse(str(address)) == address


@pytest.mark.parametrize(
    "text",
    [
        "", "s3://", "s3:///key", "http://host/x", "ftp://x", "s3://bucket:80/x", "s3://bucket/x?versionId=1",
        "s3://bucket/x#y", "s3://bucket/../other", "file://host/x", "a\nb", "s3://[", "x" * 3000,
    ],
)  # fmt: skip
def test_what_is_no_address_is_refused(text: str) -> None:
    with pytest.raises(UsageError):
        Address.parse(text)


def test_a_password_is_refused_and_not_repeated() -> None:
    for text in ("s3://key:hunter2@bucket/x", "s3://hunter2@bucket"):
        with pytest.raises(UsageError) as caught:
            Address.parse(text)
        assert "hunter2" not in str(caught.value.to_json())
    with pytest.raises(UsageError) as caught:
        checked_endpoint("https://key:hunter2@server")
    assert "hunter2" not in str(caught.value.to_json())


@pytest.mark.parametrize(
    "endpoint", ["http://127.0.0.1:9000", "http://localhost:1", "http://[::1]:9", "https://s3.example"]
)
def test_an_endpoint_is_encrypted_or_this_machine(endpoint: str) -> None:
    assert checked_endpoint(f"{endpoint}/", {}) == endpoint


def test_plain_http_to_another_machine_has_to_be_asked_for() -> None:
    with pytest.raises(UsageError):
        checked_endpoint("http://s3.example:9000", {})
    assert checked_endpoint("http://s3.example:9000", {"AWS_ALLOW_HTTP": "true"}) == "http://s3.example:9000"


@pytest.mark.parametrize(
    "endpoint", ["", "s3.example", "ftp://s3.example", "https://", "https://h/?a=b", "https://h:99999"]
)
def test_what_is_no_endpoint_is_refused(endpoint: str) -> None:
    with pytest.raises(UsageError):
        checked_endpoint(endpoint, {})


@pytest.mark.parametrize(("scheme", "text", "name"), [("s3", "glacier_ir", "GLACIER_IR"), ("az", "COOL", "Cool")])
def test_a_storage_class_is_spelled_as_its_bucket_spells_it(scheme: str, text: str, name: str) -> None:
    assert checked_storage_class(scheme, text) == name


def test_every_storage_class_that_is_named_is_taken() -> None:
    for scheme, names in STORAGE_CLASSES.items():
        assert [checked_storage_class(scheme, name) for name in names] == list(names)


@pytest.mark.parametrize(
    ("scheme", "name"),
    [("s3", "GLACIER"), ("s3", "DEEP_ARCHIVE"), ("az", "Archive"), ("gs", "STANDARD_IA"), ("file", "STANDARD")],
)
def test_a_storage_class_that_keeps_readers_waiting_is_refused(scheme: str, name: str) -> None:
    with pytest.raises(UsageError):
        checked_storage_class(scheme, name)
