"""Secrets as they rest."""

import stat
import threading
from pathlib import Path

import pytest

from holdfast.database.engine import Database
from holdfast.errors import IntegrityError, UsageError
from holdfast.webhooks.sealing import Seal, key_in
from tests.webhooks.conftest import KEY, Post


def test_a_secret_opens_with_its_key_for_its_webhook_and_in_no_other_way() -> None:
    sealed = Seal(KEY).seal("whsec_x", "wh_1")
    assert sealed != Seal(KEY).seal("whsec_x", "wh_1")
    assert Seal(KEY).open(sealed, "wh_1") == "whsec_x"
    for key, text, webhook in (
        (KEY.replace("QkJC", "Q0ND"), sealed, "wh_1"),
        (KEY, sealed, "wh_2"),
        (KEY, f"{sealed[:-6]}AAAA==", "wh_1"),
        (KEY, "v1:", "wh_1"),
    ):
        with pytest.raises(IntegrityError, match="cannot be opened"):
            Seal(key).open(text, webhook)


@pytest.mark.parametrize("key", ["", "short", "####"])
def test_what_is_no_key_is_told_without_saying_it(key: str) -> None:
    with pytest.raises(UsageError, match="32 bytes"):
        Seal(key)


def test_everybody_who_makes_the_key_at_once_gets_the_same(tmp_path: Path) -> None:
    found: list[str] = []
    threads = [threading.Thread(target=lambda: found.append(key_in(tmp_path))) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(set(found)) == 1
    assert [path.name for path in tmp_path.iterdir()] == ["webhooks.key"]
    assert stat.S_IMODE((tmp_path / "webhooks.key").stat().st_mode) == 0o600
    Seal(found[0])


def test_no_secret_stands_in_the_database_or_in_the_log(post: Post, url: str) -> None:
    webhook, first = post.add("https://ci.example.org/hooks")
    second = post.office.rotate(webhook, "ana").secret
    database = Database.open(url)
    with database.read() as connection:
        kept = " ".join(map(str, connection.exec_driver_sql("SELECT * FROM webhooks").one()))
        kept += " ".join(map(str, connection.exec_driver_sql("SELECT * FROM events").all()))
    database.close()
    for secret in (first, second):
        assert secret.removeprefix("whsec_") not in kept
    assert "whsec_" not in repr(post.outbox.find(webhook))
