"""Which addresses may be told."""

import pytest

from holdfast.errors import PermissionRefused, TooLarge, UsageError
from holdfast.webhooks.addresses import judged, target_of

PUBLIC = target_of("https://ci.example.org/hooks?team=a", ())
NAMED = target_of("http://ci.internal:8080/hooks", ("ci.internal",))

INSIDE = [
    "127.0.0.1", "127.8.8.8", "10.0.0.1", "172.16.3.4", "192.168.1.1", "100.64.0.1", "0.0.0.0", "255.255.255.255",  # noqa: S104 - refused
    "192.0.2.1", "198.18.0.1", "240.0.0.1", "::1", "fc00::1", "fd12:3456::1", "2001:db8::1",
]  # fmt: skip
NEVER = [
    "169.254.169.254", "224.0.0.1", "::", "fe80::1", "fe80::1%eth0", "ff02::1", "::ffff:127.0.0.1", "::ffff:8.8.8.8",
    "64:ff9b::7f00:1", "2002:7f00:1::1", "2001:0:7f00:1::1", "::127.0.0.1", "", "localhost",
]  # fmt: skip


@pytest.mark.parametrize("address", [*INSIDE, *NEVER])
def test_an_address_that_is_not_on_the_public_internet_is_refused(address: str) -> None:
    for addresses in ([address], ["93.184.215.14", address]):
        with pytest.raises(PermissionRefused, match="public Internet") as refused:
            judged(PUBLIC, addresses)
        assert not address or address not in refused.value.message


@pytest.mark.parametrize("address", ["93.184.215.14", "2606:4700:4700::1111"])
def test_a_public_address_is_the_one_to_connect_to(address: str) -> None:
    assert judged(PUBLIC, [address]) == address


@pytest.mark.parametrize("address", ["127.0.0.1", "10.1.2.3", "::1", "fd12::1", "93.184.215.14"])
def test_a_host_that_the_operator_named_may_be_inside(address: str) -> None:
    assert judged(NAMED, [address]) == address


@pytest.mark.parametrize("address", NEVER)
def test_nobody_may_be_where_clouds_keep_their_credentials_or_behind_a_disguise(address: str) -> None:
    with pytest.raises(PermissionRefused):
        judged(NAMED, [address])


def test_a_name_without_an_address_is_refused() -> None:
    with pytest.raises(PermissionRefused, match="no address"):
        judged(PUBLIC, [])


@pytest.mark.parametrize(
    "url",
    [
        "http://ci.example.org/", "ftp://ci.example.org/", "file:///etc/passwd", "https:///hooks", "ci.example.org",
        "https://ana:secret@ci.example.org/", "https://ana@ci.example.org/", "https://ci.example.org/#part",
        "https://ci.example.org:99999/", "https://ci.exämple.org/", "https://ci.example.org/a b", "https://[::1/", "",
        "https://ci.example.org/\r\nhost: other", "gopher://ci.example.org", "https://ci.example.org\\@10.0.0.1/",
    ],
)  # fmt: skip
def test_a_url_that_no_webhook_may_have_is_refused(url: str) -> None:
    with pytest.raises(UsageError) as refused:
        target_of(url, ())
    assert "secret" not in str(refused.value)


def test_a_url_without_an_end_is_refused() -> None:
    with pytest.raises(TooLarge):
        target_of(f"https://ci.example.org/{'a' * 2_000}", ())


def test_a_named_host_may_go_without_encryption_and_no_other() -> None:
    assert (NAMED.authority, NAMED.path, NAMED.is_named) == ("ci.internal:8080", "/hooks", True)
    with pytest.raises(UsageError, match="encryption"):
        target_of("http://other.internal/", ("ci.internal",))
