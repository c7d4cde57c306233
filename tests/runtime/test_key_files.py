"""Keys as files: made for one user alone, and refused when others could have read them."""

import os
import stat
from pathlib import Path

import pytest

from holdfast.errors import AlreadyExists, NotFound, PermissionRefused, TooLarge, UnsupportedFormat, UsageError
from holdfast.runtime.key_files import is_fingerprint, make_keys, private_key, public_key, trusted
from holdfast.signing import KEY_BYTES_MAX


def nobody() -> str:
    pytest.fail("no passphrase is asked for where none is needed")


def mode_of(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_a_key_is_made_for_its_owner_alone_and_never_written_over(tmp_path: Path) -> None:
    keys = make_keys(tmp_path / "a/keys", "ana", None)
    assert (mode_of(keys.private), mode_of(keys.public), mode_of(tmp_path / "a/keys")) == (0o600, 0o644, 0o700)
    assert private_key(keys.private, nobody).public == public_key(keys.public)
    assert public_key(keys.public).fingerprint == keys.fingerprint
    before = keys.private.read_bytes()
    with pytest.raises(AlreadyExists):
        make_keys(tmp_path / "a/keys", "ana", None)
    assert keys.private.read_bytes() == before
    (tmp_path / "a/keys/eve.pub").write_text("another's")
    with pytest.raises(AlreadyExists):
        make_keys(tmp_path / "a/keys", "eve", None)
    assert not (tmp_path / "a/keys/eve.key").exists()
    assert (tmp_path / "a/keys/eve.pub").read_text() == "another's"
    (tmp_path / "a/keys/bob.key").symlink_to(tmp_path / "planted")
    with pytest.raises(AlreadyExists):
        make_keys(tmp_path / "a/keys", "bob", None)
    assert not (tmp_path / "planted").exists()


@pytest.mark.parametrize("name", ["", "a/b", "../ana", "/ana", ".", "a\nb", "con"])
def test_a_name_that_is_a_path_is_none(tmp_path: Path, name: str) -> None:
    with pytest.raises(UsageError):
        make_keys(tmp_path, name, None)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o620, 0o601, 0o777])
def test_a_private_key_that_others_may_touch_is_refused(tmp_path: Path, mode: int) -> None:
    keys = make_keys(tmp_path, "ana", None)
    keys.private.chmod(mode)
    with pytest.raises(PermissionRefused, match="others may read"):
        private_key(keys.private, nobody)


def test_a_public_key_given_for_the_private_one_is_said_to_be_none(tmp_path: Path) -> None:
    keys = make_keys(tmp_path, "ana", None)
    keys.public.chmod(0o644)
    with pytest.raises(UnsupportedFormat, match=r"ana\.pub is no private key"):
        private_key(keys.public, nobody)


def test_a_passphrase_is_asked_for_where_one_is_needed(tmp_path: Path) -> None:
    keys = make_keys(tmp_path, "ana", "hunter2")
    assert private_key(keys.private, lambda: "hunter2").public == public_key(keys.public)
    with pytest.raises(PermissionRefused, match="does not open"):
        private_key(keys.private, lambda: "hunter3")


def test_what_is_no_key_is_not_read_whole(tmp_path: Path) -> None:
    keys = make_keys(tmp_path, "ana", None)
    with keys.public.open("ab") as file:
        file.truncate(1 << 30)
    with pytest.raises(TooLarge, match=f"{KEY_BYTES_MAX + 1} bytes"):
        public_key(keys.public)
    os.mkfifo(tmp_path / "pipe.pub")
    for path, error in ((tmp_path, UsageError), (tmp_path / "pipe.pub", UsageError), (tmp_path / "no.pub", NotFound)):
        with pytest.raises(error):
            public_key(path)
    with pytest.raises(UnsupportedFormat, match=r"ana\.key is no public key"):
        public_key(keys.private)


def test_a_policy_names_files_and_fingerprints(tmp_path: Path) -> None:
    ana, bob = make_keys(tmp_path / "keys", "ana", None), make_keys(tmp_path / "keys", "bob", None)
    named = ["keys/ana.pub", str(bob.fingerprint)]
    assert trusted(named, tmp_path) == {ana.fingerprint: "keys/ana.pub", bob.fingerprint: str(bob.fingerprint)}
    assert trusted([], tmp_path) == {}
    assert is_fingerprint(str(bob.fingerprint))
    assert not any(map(is_fingerprint, ["", "none", "sha256:", "sha256:ab12", "keys/ana.pub", f"{bob.fingerprint} "]))
    for wrong in (["keys/eve.pub"], [*named, "keys/eve.pub"]):
        with pytest.raises(NotFound, match=r"keys/eve\.pub, which the policy names"):
            trusted(wrong, tmp_path)
    with pytest.raises(UsageError):
        trusted(["sha256:ab12"], tmp_path)
