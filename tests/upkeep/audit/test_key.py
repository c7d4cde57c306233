"""A log's key: made once, kept to itself, and never made to sign what cannot be true."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from holdfast.errors import IntegrityError, PermissionRefused, UnsupportedFormat, UsageError
from holdfast.registry.checkpoints import Checkpoint, VerifierKey
from holdfast.upkeep.audit.key import LogKey
from tests.upkeep.audit.conftest import EVENTS, Place


def test_the_key_is_made_once_and_only_its_owner_can_read_it(place: Place) -> None:
    folder = place.home / "log"
    key = place.key.make()
    assert place.key.make() == key == LogKey(folder, "elsewhere").make("another-name")
    assert VerifierKey.parse((folder / "verifier").read_text()) == key
    assert (folder.stat().st_mode & 0o777, (folder / "key").stat().st_mode & 0o777) == (0o700, 0o600)
    assert (folder / "key").read_text().startswith("PRIVATE+KEY+churn-")
    assert place.key.origin() == key.name


def test_two_logs_have_two_names(tmp_path: Path) -> None:
    names = {LogKey(tmp_path / str(number), "My Project!").make().name for number in range(20)}
    assert len(names) == 20
    assert all(name.startswith("my-project-") for name in names)
    assert LogKey(tmp_path / "x", "日本").make().name.startswith("log-")


def test_many_at_once_make_one_key(tmp_path: Path) -> None:
    with ThreadPoolExecutor(8) as pool:
        keys = list(pool.map(lambda _: LogKey(tmp_path / "log", "churn").make(), range(8)))
    assert len(set(keys)) == 1


@pytest.mark.parametrize("name", ["", "a b", "a+b", "a\n", "x" * 256, "\u00a0", "a\u2003b", "a\x00"])
def test_what_cannot_be_the_name_of_a_log_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(UsageError, match="name of a log"):
        LogKey(tmp_path / "log", "churn").make(name)
    assert not (tmp_path / "log/key").exists()


def test_a_name_that_was_chosen_is_kept(tmp_path: Path) -> None:
    key = LogKey(tmp_path / "log", "churn")
    assert key.make("example.org/churn").name == key.origin() == "example.org/churn"


def test_a_checkpoint_says_what_the_log_is(place: Place) -> None:
    registry = place.registry()
    note = place.key.sign(registry)
    assert place.key.open(note) == Checkpoint(place.key.origin(), registry.heads()[0]) == place.key.signed()
    assert place.key.sign(registry) == note
    place.register(20)
    assert place.key.open(place.key.sign(registry)).head.size == EVENTS + 1
    registry._database.close()


def test_nothing_is_signed_that_contradicts_what_was_signed(place: Place) -> None:
    backup = place.save()
    place.register(20)
    registry = place.registry()
    note = place.key.sign(registry)
    registry._database.close()
    place.restore(backup)
    for more in ([], [21], [22, 23]):
        place.memory.forget()
        place.register(*more)
        registry = place.registry()
        with pytest.raises(IntegrityError, match="was signed before: 7 events") as raised:
            place.key.sign(registry)
        registry._database.close()
        assert raised.value.details["seen"] == place.key.open(note).head.to_json()
        assert raised.value.details["found"]["root"] != raised.value.details["seen"]["root"]
        assert (place.home / "log/signed").read_bytes() == note


@pytest.mark.parametrize("name", ["key", "verifier", "signed"])
def test_a_file_that_was_edited_is_not_believed(place: Place, name: str) -> None:
    registry = place.registry()
    place.key.sign(registry)
    path = place.home / "log" / name
    text = path.read_text()
    path.write_text(text.replace("churn-", "other-"))
    with pytest.raises((IntegrityError, UnsupportedFormat)):
        place.key.origin() if name == "verifier" else place.key.sign(registry)
    registry._database.close()


def test_a_key_that_is_given_up_still_opens_what_it_signed(place: Place) -> None:
    registry = place.registry()
    note = place.key.sign(registry)
    before = place.key.make()
    after = place.key.renew()
    assert after.name != before.name
    assert place.key.verifiers() == (after, before)
    assert place.key.signed() is None
    assert place.key.open(note).origin == before.name
    assert place.key.open(place.key.sign(registry)).origin == after.name
    registry._database.close()


def test_a_stranger_s_checkpoint_is_not_ours(place: Place, tmp_path: Path) -> None:
    registry = place.registry()
    with pytest.raises(IntegrityError, match="was not signed by"):
        place.key.open(LogKey(tmp_path / "log", "other").sign(registry))
    registry._database.close()


def test_a_folder_that_cannot_be_written_to_is_told(tmp_path: Path) -> None:
    (tmp_path / "log").symlink_to("/proc/self/nowhere")
    with pytest.raises((PermissionRefused, UsageError)):
        LogKey(tmp_path / "log", "churn").make()
