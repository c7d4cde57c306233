"""The client of OpenSSF Model Signing verifies what is signed here, and what it signs is verified here.

It is installed from the package index into an environment of its own: nothing here needs it.
"""

import subprocess
import sys
from pathlib import Path

import pytest
from uv import find_uv_bin

from holdfast.digest import hash_bytes
from holdfast.errors import IntegrityError
from holdfast.runtime.key_files import make_keys, private_key, public_key
from holdfast.runtime.signed import hashed, verified_folder
from holdfast.signing import Statement, sign
from tests.patience import PATIENCE_SECONDS

pytestmark = pytest.mark.slow

CLIENT = ("model-signing==1.1.1", "pyopenssl")  # the client imports the second, and does not ask for it


@pytest.fixture(scope="session")
def client(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("client") / "venv"
    uv = find_uv_bin()
    for command in (
        (uv, "venv", "--quiet", "--python", sys.executable, str(folder)),
        (uv, "pip", "install", "--quiet", "--python", str(folder / "bin/python"), *CLIENT),
    ):
        done = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE_SECONDS, check=False)
        if done.returncode != 0:
            pytest.skip(f"no index serves {CLIENT[0]} here: {done.stderr[-200:]}")
    return folder / "bin/python"


def ask(client: Path, *words: str | Path) -> bool:
    command = (str(client), "-m", "model_signing", *map(str, words))
    done = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE_SECONDS, check=False)
    assert done.returncode in {0, 1}, done.stderr
    return done.returncode == 0


@pytest.fixture
def bundle(tmp_path: Path) -> Path:
    folder = tmp_path / "churn-1"
    for path in ("CARD.md", "holdfast.json", "code/a.py", "code-b.py", "code/deep/er.py", "weights/модель.bin"):
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_text(path)
    (folder / "empty").touch()
    return folder


def spoiled(bundle: Path) -> None:
    (bundle / "CARD.md").write_text("other")


def test_the_client_verifies_what_is_signed_here_and_nothing_else(client: Path, bundle: Path, tmp_path: Path) -> None:
    keys, other = make_keys(tmp_path / "keys", "ana", None), make_keys(tmp_path / "keys", "bob", None)
    file = tmp_path / "churn.sig"
    file.write_bytes(sign(Statement("churn", hashed(bundle)), private_key(keys.private, str)))
    verify = ("verify", "key", bundle, "--signature", file, "--public_key")
    assert ask(client, *verify, keys.public)
    assert not ask(client, *verify, other.public)
    spoiled(bundle)
    assert not ask(client, *verify, keys.public)


def test_what_the_client_signs_is_verified_here(client: Path, bundle: Path, tmp_path: Path) -> None:
    keys, file = make_keys(tmp_path / "keys", "ana", None), tmp_path / "churn.sig"
    assert ask(client, "sign", "key", bundle, "--signature", file, "--private_key", keys.private)
    key = public_key(keys.public)
    found, files = verified_folder(bundle, file.read_bytes(), [key])
    assert (found, files["CARD.md"]) == (key, hash_bytes(b"CARD.md"))
    # The client leaves out .github unasked, and does not miss what somebody puts there; nothing is left out here.
    (bundle / ".github").mkdir()
    (bundle / ".github/evil.py").write_text("x")
    assert ask(client, "verify", "key", bundle, "--signature", file, "--public_key", keys.public)
    with pytest.raises(IntegrityError, match=r"nothing of \.github/evil\.py"):
        verified_folder(bundle, file.read_bytes(), [key])


def test_shards_and_other_hashes_of_the_client_are_refused_in_words(client: Path, bundle: Path, tmp_path: Path) -> None:
    keys, file = make_keys(tmp_path / "keys", "ana", None), tmp_path / "churn.sig"
    code = (
        "import sys, model_signing as m\n"
        "folder, file, key = sys.argv[1:]\n"
        "how = m.hashing.Config().use_shard_serialization()\n"
        "m.signing.Config().use_elliptic_key_signer(private_key=key).set_hashing_config(how).sign(folder, file)\n"
    )
    subprocess.run([client, "-c", code, bundle, file, keys.private], check=True, timeout=PATIENCE_SECONDS)
    with pytest.raises(IntegrityError, match="hashed as shards"):
        verified_folder(bundle, file.read_bytes(), [public_key(keys.public)])
